"""`crossin report RESULTS_DIR... --out report/`: tables, plots, words and one page from result folders."""

from __future__ import annotations

import argparse
from pathlib import Path

from crossin_metrics.commands.arguments import at_least, count, names, progress, require_matplotlib
from crossin_metrics.errors import say
from crossin_metrics.text_tables import show

_EPILOG = """\
RESULTS may be folders of `lm_eval --output_path D --log_samples`, sample logs, or prediction tables (JSON Lines, .gz,
CSV, Parquet: columns id, language, answer, gold and optionally task, model, mode, prompt). A file that cannot be used
is named, with the reason, on standard error and in the report; the others are reported.

--labels FILE.csv|.yaml: one row a model, columns
  run          the model's name, or a pattern (*x2x_5000*) that its name or a result file's path matches
  name, base, system, arm (en2x, x2en, x2x ...), n_samples, translation (yes, no), tag: all optional
  seed         of the training run; rows that differ in it alone are replicates of one arm, reported together with
               intervals over questions and seeds. A row that no result belongs to is named as missing
  tokens, seconds, peak_memory_gb, trained_parameters: what the run cost
Names such as x2x_trans_5000 in a model's name are understood without it.

examples:
  crossin report out/ --out report
  crossin report runs/*/eval --out report --labels runs.csv --published paper_table3.csv
  crossin report runs/ --out report --labels seeds.csv --baseline base --compare "x2x with tag=x2x"
  crossin report predictions_cross_mmlu.jsonl.gz --questions cross_mmlu.jsonl --out report
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options; nothing heavy is imported."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument("results", nargs="+", metavar="RESULTS", help="result folders, sample logs, prediction tables")
    parser.add_argument(
        "--out", metavar="DIR", type=Path, required=True, help="folder to write (an old report is replaced)"
    )
    parser.add_argument("--languages", metavar="L,L", help="codes or names to score, comma-separated (default: all)")
    parser.add_argument("--labels", metavar="FILE", type=Path, help="what each run is: base, system, arm, seed ...")
    parser.add_argument(
        "--published",
        metavar="[NAME=]FILE",
        action="append",
        default=[],
        help="published scores as rows: CSV (base, system, benchmark, acc, consistency, ac3) or SeaEval's JSON",
    )
    parser.add_argument(
        "--questions",
        metavar="[NAME=]FILE",
        action="append",
        default=[],
        help="a parallel set whose texts the question browser shows, where the results hold none",
    )
    parser.add_argument(
        "--baseline", metavar="ARM", help="test every arm against this one: its name, system or arm in the labels file"
    )
    parser.add_argument(
        "--compare",
        metavar="ARM=ARM",
        action="append",
        default=[],
        help="test one arm against another, too; may be repeated",
    )
    parser.add_argument(
        "--keys", metavar="S,S", help="scores to compare arms by, before accuracy, consistency and AC3: transfer"
    )
    parser.add_argument(
        "--planned",
        metavar="ARM=ARM",
        help="the comparison by the first of --keys that was named before the runs: tested alone, without correction",
    )
    parser.add_argument(
        "--planned-in",
        metavar="PARTS",
        help="the table for which it was, where there are several, by parts of its signature: 'answers:cf langs:en,zh'",
    )
    parser.add_argument("--mix-signatures", action="store_true", help="rank scores together whose signatures differ")
    parser.add_argument("--title", default="Cross-lingual consistency", help="title of the page")
    parser.add_argument(
        "--resamples",
        metavar="N",
        type=at_least(100, "p-values go in steps of 1 / (N + 1)"),
        default=10_000,
        help="of questions, for intervals and tests",
    )
    parser.add_argument("--seed", metavar="N", type=count, default=0, help="seed of the resampling (default: 0)")
    parser.add_argument(
        "--max-questions",
        metavar="N",
        type=count,
        default=200,
        help="questions of each set in the page (default: 200)",
    )
    parser.add_argument("--no-plots", action="store_true", help="leave out the plots (matplotlib is not needed then)")


def run(args: argparse.Namespace) -> int:
    """Read, test, draw and write; returns the exit code."""
    from crossin_metrics.report.build import Options, build_report, check_target, write_report

    if not args.no_plots:
        require_matplotlib()
    check_target(args.out)
    options = Options(
        languages=names(args.languages, "--languages"),
        labels=args.labels,
        baseline=args.baseline,
        compare=tuple(args.compare),
        keys=tuple(names(args.keys, "--keys") or ()),
        planned=args.planned,
        planned_in=args.planned_in,
        published=tuple(args.published),
        questions=tuple(args.questions),
        mix=args.mix_signatures,
        title=args.title,
        n_resamples=args.resamples,
        seed=args.seed,
        max_questions=args.max_questions,
        plots=not args.no_plots,
    )
    with progress() as bar:
        report = build_report(args.results, options, progress=bar)
    for path, text in report.problems:
        say(f"crossin: {path}: {text}")
    for note in report.notes:
        say(f"crossin: {note}")
    write_report(args.out, report.files)
    show(str(args.out / "index.html"))
    return 0
