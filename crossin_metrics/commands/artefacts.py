"""`crossin artefacts DATA_OR_TASK`: shortcut baselines of a parallel set."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from crossin_metrics.commands.arguments import at_least, count, progress, require_matplotlib
from crossin_metrics.errors import say
from crossin_metrics.text_tables import show

if TYPE_CHECKING:
    from crossin_metrics.sets.parallel_set import ParallelMCQ
    from crossin_metrics.shortcuts.report import Report

_EPILOG = """\
DATA_OR_TASK is a file (.jsonl, .jsonl.gz, .parquet, .json), the name of a set (cross_xquad, cross_mmlu, cross_logiqa,
cross_xquad_spans, crossin_mini, or a file's name in --data_dir), or of a task (cross_mmlu_sea: the set and languages of
the task). A set's name takes all its languages.

Rules: longest and shortest option, overlap with the question, places; learned and cross-validated by passage: the
place and the kind of option that is right most often, a linear classifier of simple features of the options. Two rules
read the passage shallowly. --model asks a language model without the passage, then also without the question.
The null hypothesis is that each option is right with the same probability; all tests are corrected together.

examples:
  crossin artefacts cross_xquad_spans --data_dir data/xquad --languages en,zh,vi,es
  crossin artefacts my_set.jsonl --model "$(crossin demo-model)" --limit 100 --output_dir artefacts
  crossin artefacts cross_mmlu --json

--output_dir gets artefacts.md, artefacts.json and the plot (extra `report`). Exit code: 0 done, whatever was found;
2 a mistake in the input.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options; nothing heavy is imported."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument("data", metavar="DATA_OR_TASK", help="a parallel set's file or name, or a task's name")
    parser.add_argument("--languages", metavar="L,L", help="codes or names, comma-separated (default: all)")
    parser.add_argument(
        "--data_dir", metavar="DIR", help="folder with the set (default: CROSSIN_DATA_DIR, package, hub)"
    )
    parser.add_argument("--model", metavar="PATH", help="checkpoint folder or hub name, asked without the passage")
    parser.add_argument("--limit", metavar="N", type=at_least(1), help="questions the model is asked, drawn from all")
    parser.add_argument(
        "--prompt", default="p1", help="the model's wording: p1 ... p5, native, FILE.yaml#id (default: p1)"
    )
    parser.add_argument("--dtype", default="auto", help="of the model's weights (default: as stored)")
    parser.add_argument(
        "--permutations",
        metavar="N",
        type=at_least(99, "a p-value is at least 1 / (N + 1)"),
        default=4999,
        help="most draws in the learned rules' tests (default: 4999)",
    )
    parser.add_argument("--seed", metavar="N", type=count, default=0, help="of these draws (default: 0)")
    parser.add_argument("--json", action="store_true", help="print one JSON object alone")
    parser.add_argument("--output_dir", metavar="DIR", type=Path, help="write page, JSON and plot into this folder")
    parser.add_argument(
        "--no-plots", action="store_true", help="no plot in --output_dir (matplotlib is not needed then)"
    )


def run(args: argparse.Namespace) -> int:
    """Load, analyse, write and print; returns the exit code."""
    from crossin_metrics.errors import CrossinError
    from crossin_metrics.shortcuts.report import analyse

    for name in ("limit", "prompt", "dtype"):
        if args.model is None and getattr(args, name) not in (None, "p1", "auto"):
            raise CrossinError(f"--{name} is for the model: add --model PATH")
    if args.output_dir is not None and args.output_dir.exists() and not args.output_dir.is_dir():
        raise CrossinError(f"--output_dir {args.output_dir}: is a file; give another name")
    if args.output_dir is not None and not args.no_plots:
        require_matplotlib()
    data = _load(args.data, args.languages, args.data_dir)
    with progress() as bar:
        report = analyse(
            data,
            model=args.model,
            limit=args.limit,
            prompt=args.prompt,
            model_args={"dtype": args.dtype},
            n_permutations=args.permutations,
            seed=args.seed,
            progress=bar,
        )
    as_json = json.dumps(report.to_json(), indent=1, ensure_ascii=False, allow_nan=False)
    if args.output_dir is not None:
        _write(args.output_dir, report, as_json, plots=not args.no_plots)
        say(f"crossin: written to {args.output_dir}")
    if args.json:
        show(as_json)
    else:
        from crossin_metrics.shortcuts.render import text

        show(text(report))
    return 0


def _load(name: str, languages: str | None, data_dir: str | None) -> ParallelMCQ:
    """The set behind a file, a set's name or a task's name.

    Raises:
        CrossinError: nothing of that name, or a set that is broken.
    """
    from crossin_metrics.errors import CrossinError
    from crossin_metrics.languages import language_codes
    from crossin_metrics.sets.catalogue import SETS, all_tasks, set_of_task
    from crossin_metrics.sets.loading import SUFFIXES, load_file, load_parallel

    codes = None if languages is None else language_codes(languages)
    path = Path(name).expanduser()
    if path.is_file() or name.endswith(SUFFIXES):
        if data_dir is not None:
            raise CrossinError(f"{name} is a file: leave --data_dir out")
        return load_file(path, languages=codes)
    if path.is_dir():
        raise CrossinError(f"{name}: is a folder; name the set in it: crossin artefacts SET --data_dir {name}")
    if name not in SETS and name in all_tasks():
        task = set_of_task(name)
        name, codes = task.set.name, codes or task.languages
    return load_parallel(name, languages=codes, data_dir=data_dir)


def _write(folder: Path, report: Report, as_json: str, *, plots: bool) -> None:
    """Page, JSON and plot, each whole or not at all."""
    from crossin_metrics.files import atomic_path
    from crossin_metrics.shortcuts.render import markdown, plot

    files: dict[str, str | bytes] = {"artefacts.json": as_json + "\n"}
    if plots:
        files["artefacts.svg"], files["artefacts.png"] = plot(report)
    files["artefacts.md"] = markdown(report, figure="artefacts.png" if plots else None)
    for name, content in files.items():
        with atomic_path(folder / name) as temporary:
            temporary.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
