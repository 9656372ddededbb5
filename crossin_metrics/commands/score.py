"""`crossin score FILE...`: scores of prediction tables and harness sample logs, as a table or as JSON."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from crossin_metrics.commands.arguments import add_reading_arguments, count, resamples

if TYPE_CHECKING:
    from crossin_metrics.runs.run import Run

_EPILOG = """\
what a FILE may be (told by its content):
  a prediction table      columns id, language, answer, gold (+ model, mode, prompt, logprobs ...): JSON Lines,
                          .gz, CSV, Parquet; answer and gold are option indices from 0, an empty answer is none
  a harness sample log    samples_<task>_<time>.jsonl of `lm_eval --log_samples`: crossin's tasks, and belebele,
                          global_mmlu(_full), mmlu_prox(_lite), mmmlu, m_mmlu, arc_<xx>, xcopa, xstorycloze, paws:
                          give the files of all languages, they are joined by question
  a SeaEval log           <model>/<set>/<mode>_p<N>.json, of its parallel sets: answers are read from the words
  a folder                every samples_*.jsonl and every SeaEval log below it

examples:
  crossin score predictions.jsonl.gz
  crossin score predictions.csv --languages en,zh,vi --json > scores.json
  crossin score out/my_model/samples_belebele_*.jsonl
  crossin score out/                                      (one row a model and task)
  crossin score samples_copa_*.jsonl --id-field doc.idx --language-from '^copa_([a-z]{2})$'

Questions that some language lacks are left out, with a warning. Exit code: 0 done, 2 a mistake in the input.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options; nothing heavy is imported."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="prediction tables, sample logs, or folders of these logs"
    )
    parser.add_argument("--languages", metavar="L,L", help="codes or names to score, comma-separated (default: all)")
    parser.add_argument(
        "--json", action="store_true", help="print a JSON object alone: scores, or {run: scores} of many runs"
    )
    parser.add_argument("--full", action="store_true", help="print every score of every run, not the headline ones")
    parser.add_argument(
        "--out", metavar="FILE", type=Path, help="write the output to FILE as well, whole or not at all"
    )
    parser.add_argument(
        "--bootstrap",
        metavar="N",
        type=resamples,
        default=1000,
        help="resamples of the questions for standard errors; 0: none",
    )
    parser.add_argument(
        "--seed",
        metavar="N",
        type=count,
        default=0,
        help="seed of the bootstrap and of --unanswered random (default: 0)",
    )
    add_reading_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Read, score and print; returns the exit code."""
    from crossin_metrics.commands.score_tables import many_runs, one_run
    from crossin_metrics.errors import CrossinError
    from crossin_metrics.runs.run import read_predictions
    from crossin_metrics.runs.sample_logs import LogFields

    fields = LogFields(args.id_field, args.language_from, args.gold_field)
    fields.pattern()  # a bad expression is said before long files are read
    languages = None
    if args.languages is not None:
        languages = [name.strip() for name in args.languages.split(",") if name.strip()]
        if not languages:
            raise CrossinError("--languages names no language; for example --languages en,zh,vi")
    progress = _progress()
    runs = read_predictions(
        args.files,
        languages,
        fields=fields,
        skip_mismatched=args.skip_mismatched,
        unanswered=args.unanswered,
        seed=args.seed,
        warn=_warn,
        progress=progress,
    )
    if progress is not None:
        progress("")  # the table starts on a clean line
    for scored in runs:
        for note in scored.notes:
            _warn(note)
        if len(scored.languages) == 1:
            _warn(f"run {scored.name}: only {scored.languages[0]}, so there is no consistency")
    results = [_scores(scored, args.bootstrap, args.seed, pairs=args.full) for scored in runs]
    if args.json:
        flat = [_flat(scores, errors) for scores, errors in results]
        named = dict(zip((scored.name for scored in runs), flat, strict=True))
        text = json.dumps(flat[0] if len(runs) == 1 else named, indent=1, ensure_ascii=False, allow_nan=False)
    elif len(runs) == 1 or args.full:
        text = "\n\n".join(
            one_run(scored, *result, full=args.full) for scored, result in zip(runs, results, strict=True)
        )
    else:
        text = many_runs(runs, results)
    if args.out is not None:
        from crossin_metrics.files import write_text

        write_text(args.out, text + "\n")
    print(text)
    return 0


def _scores(run: Run, n_resamples: int, seed: int, *, pairs: bool) -> tuple[dict[str, float], dict[str, float]]:
    """The run's scores and their standard errors (empty without a bootstrap; of language pairs only where asked)."""
    from crossin_metrics.scores.definitions import score_questions

    questions = run.questions()
    scores = score_questions(questions)
    errors: dict[str, float] = {}
    if n_resamples:
        from crossin_metrics.scores.uncertainty import bootstrap, standard_errors

        names = [f"consistency_{a}_{b}" for a in run.languages for b in run.languages if a < b]
        left_out = set() if pairs else set(names)
        keys = [key for key in scores if not key.startswith("n_") and key not in left_out]
        errors = standard_errors(bootstrap(questions, n_resamples=n_resamples, seed=seed, keys=keys))
    scores["n_incomplete"] = float(run.n_incomplete)
    return scores, errors


def _flat(scores: dict[str, float], errors: dict[str, float]) -> dict[str, float | int | None]:
    """One flat dict, counts as integers, `<score>_stderr` beside the scores that have one; undefined is null."""
    flat: dict[str, float | int | None] = {}
    for name, value in scores.items():
        flat[name] = int(value) if name.startswith("n_") else value if math.isfinite(value) else None
    for name, value in errors.items():
        if name in scores and not name.startswith("n_"):
            flat[f"{name}_stderr"] = value if math.isfinite(value) else None
    return flat


def _warn(text: str) -> None:
    print(f"crossin: warning: {text}", file=sys.stderr)


def _progress() -> Callable[[str], None] | None:
    """A line on standard error that overwrites itself; nothing where nobody watches."""
    if not sys.stderr.isatty():
        return None
    return lambda text: print(f"\r\x1b[K{text}", end="\r", file=sys.stderr, flush=True)
