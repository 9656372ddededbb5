"""The `crossin` command: a table of sub-commands, each loaded only when it is called."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from crossin_metrics import __version__
from crossin_metrics.errors import CrossinError

# name -> (module, one-line help). The module has add_arguments(parser) and run(args) -> exit code.
COMMANDS: dict[str, tuple[str, str]] = {
    "score": ("crossin_metrics.commands.score", "scores of prediction tables and harness sample logs"),
    "compare": ("crossin_metrics.commands.compare", "is A better than B: paired tests over questions"),
    "report": ("crossin_metrics.commands.report", "tables, plots and one page from result folders"),
    "export": ("crossin_metrics.commands.export", "scores as hub evaluation results, Every Eval Ever, model card"),
    "artefacts": (
        "crossin_metrics.commands.artefacts",
        "shortcut baselines of a set: what needs no understanding",
    ),
    "demo-model": ("crossin_metrics.commands.demo_model", "print the folder of a small real model, made on first use"),
}

_TASKS_PATH = "tasks-path"  # answered here: it takes no arguments

# name -> (module, help). The module has main(arguments) and parses them itself: their options are another program's.
PASS_THROUGH: dict[str, tuple[str, str]] = {
    "eval": (
        "crossin_metrics.harness.command",
        "lm_eval itself, with --model crossin-hf, crossin-vllm and crossin-api known",
    ),
}


def _parser(wanted: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="crossin", description="Does a model know the same things in every language?", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"crossin {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    subparsers.add_parser(_TASKS_PATH, help="print the folder of the harness task files, for lm_eval --include_path")
    for name, (module, summary) in {**COMMANDS, **PASS_THROUGH}.items():
        sub = subparsers.add_parser(name, help=summary, description=summary, allow_abbrev=False)
        if name == wanted and name in COMMANDS:  # only the command called is imported, so --help stays fast
            importlib.import_module(module).add_arguments(sub)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one sub-command and return its exit code: 0 done, 2 a mistake in the input, 130 stopped by the user."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        if arguments and arguments[0] in PASS_THROUGH:
            module = importlib.import_module(PASS_THROUGH[arguments[0]][0])
            return int(module.main(arguments[1:]) or 0)
        args = _parser(arguments[0] if arguments else None).parse_args(arguments)
        if args.command == _TASKS_PATH:
            from crossin_metrics.harness import tasks_path

            print(tasks_path())
            return 0
        return int(importlib.import_module(COMMANDS[args.command][0]).run(args) or 0)
    except CrossinError as error:
        print(f"crossin: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        return 0
    except KeyboardInterrupt:
        print("crossin: stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
