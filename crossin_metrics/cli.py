"""The `crossin` command: a table of sub-commands, each loaded only when it is called."""

from __future__ import annotations

import argparse
import importlib
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from crossin_metrics import __version__
from crossin_metrics.errors import CrossinError, did_you_mean, exit_code
from crossin_metrics.text_tables import show

# name -> (module, one-line help). The module has add_arguments(parser) and run(args) -> exit code.
COMMANDS: dict[str, tuple[str, str]] = {
    "score": ("crossin_metrics.commands.score", "scores of prediction tables and harness sample logs"),
    "compare": ("crossin_metrics.commands.compare", "is A better than B: paired tests over questions"),
    "report": ("crossin_metrics.commands.report", "tables, plots and one page from result folders"),
    "export": ("crossin_metrics.commands.export", "scores as hub evaluation results, Every Eval Ever, model card"),
    "artefacts": (
        "crossin_metrics.commands.artefacts",
        "shortcut baselines of a question set: what needs no understanding",
    ),
    "completion": (
        "crossin_metrics.commands.completion",
        'completion for bash and zsh: eval "$(crossin completion)"',
    ),
    "demo-model": ("crossin_metrics.commands.demo_model", "print the folder of a small real model, made on first use"),
}

_TASKS_PATH = "tasks-path"  # answered here: it takes no arguments

# name -> (module, help). The module has main(arguments) and parses them itself: their options are another program's.
PASS_THROUGH: dict[str, tuple[str, str]] = {
    "eval": (
        "crossin_metrics.harness.command",
        "evaluate models: lm_eval with --set, --models and crossin-hf, crossin-vllm, crossin-api",
    ),
}


# name -> (module of `recipes`, help). The same code as `python recipes/<module>.py`; loaded by name when called.
RECIPES: dict[str, tuple[str, str]] = {
    "mix": ("build_mix", "build an instruction mix"),
    "tune": ("sft_crossin", "train a LoRA adapter on a mix, merge and evaluate it"),
    "align": ("align_crossin", "align a model's languages on a parallel set, without gold labels"),
    "merge": ("merge_adapter", "merge an adapter into its base model and compare the logits"),
    "translate": ("translate_seed", "translate a seed set into a parallel one"),
    "build-set": ("build_cross_xquad", "build a parallel multiple-choice set"),
    "experiment": ("run_experiment", "run a grid of arms and training seeds"),
}


class _Parser(argparse.ArgumentParser):
    """Reports a mistake in one line, with the closest option or command."""

    def error(self, message: str) -> NoReturn:
        """Raise the mistake as a CrossinError of one line."""
        raise CrossinError(f"{message} (see {self.prog} --help)")

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse, but an unknown option comes before one that its misspelt name leaves missing."""
        chosen = _subparsers(self).get(args[0], self)
        options = [*self._option_string_actions, *chosen._option_string_actions]
        flags = [word.split("=")[0] for word in args if word.startswith("--")]
        misspelt = [flag for flag in flags if flag not in (*options, "--")]
        found, unknown = (None, misspelt) if misspelt else self.parse_known_args(args, namespace)
        if unknown:
            chosen.error(f"unknown argument {unknown[0]!r}{did_you_mean(unknown[0], options)}")
        return found


def _subparsers(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    (action,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return dict(action.choices)


def _help_formatter(prog: str) -> argparse.HelpFormatter:
    formatter = argparse.HelpFormatter(prog)
    formatter._action_max_length = 14  # of "experiment", indented by 4: argparse forgets the indent of sub-commands
    return formatter


def _parser(wanted: str | None) -> argparse.ArgumentParser:
    parser = _Parser(
        prog="crossin",
        description="Does a model know the same things in every language?",
        allow_abbrev=False,
        formatter_class=_help_formatter,
    )
    parser.add_argument("--version", action="version", version=f"crossin {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (module, summary) in {**PASS_THROUGH, **COMMANDS, **RECIPES}.items():  # as one uses them
        sub = subparsers.add_parser(name, help=summary, description=summary, allow_abbrev=False)
        if name == wanted and name in COMMANDS:  # only the command called is imported, so --help stays fast
            importlib.import_module(module).add_arguments(sub)
    subparsers.add_parser(_TASKS_PATH, help="print the folder of the task files, for lm_eval --include_path")
    return parser


def subcommand_options(name: str) -> list[str]:
    """The options of a command in COMMANDS, as `--languages`."""
    parser = argparse.ArgumentParser()
    importlib.import_module(COMMANDS[name][0]).add_arguments(parser)
    return [flag for flag in parser._option_string_actions if flag.startswith("--")]


def recipes_root() -> Path:
    """The folder that holds `recipes/`: the checkout, or `crossin_recipes` in an installation."""
    above = Path(__file__).resolve().parents[1]
    return above if (above / "recipes" / "build_mix.py").is_file() else above / "crossin_recipes"


def _run_recipe(name: str, arguments: Sequence[str]) -> int:
    root = str(recipes_root())
    if root not in sys.path:
        sys.path.insert(0, root)
    return int(importlib.import_module(f"recipes.{RECIPES[name][0]}").main(arguments) or 0)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one sub-command and return its exit code: 0 done, 2 a mistake in the input, 130 stopped by the user."""
    given = sys.argv[1:] if argv is None else argv
    arguments = [re.sub(r"^(--[\w-]+=|)~(?=/)", rf"\1{Path.home()}", word) for word in given]  # shells leave --out=~/x
    return exit_code("crossin", lambda: _run(arguments))


def _run(arguments: list[str]) -> int:
    if not arguments:
        _parser(None).print_help()
        return 0
    if arguments[0] in RECIPES:
        return _run_recipe(arguments[0], arguments[1:])
    if not arguments[0].startswith("-") and arguments[0] not in {*COMMANDS, *PASS_THROUGH, _TASKS_PATH}:
        known = [*COMMANDS, *PASS_THROUGH, *RECIPES, _TASKS_PATH]
        raise CrossinError(f"unknown command {arguments[0]!r}{did_you_mean(arguments[0], known)} (see crossin --help)")
    if arguments[0] in PASS_THROUGH:
        module = importlib.import_module(PASS_THROUGH[arguments[0]][0])
        return int(module.main(arguments[1:]) or 0)
    args = _parser(arguments[0]).parse_args(arguments)
    if args.command == _TASKS_PATH:
        from crossin_metrics.startup import tasks_path

        show(tasks_path())
        return 0
    return int(importlib.import_module(COMMANDS[args.command][0]).run(args) or 0)


if __name__ == "__main__":
    sys.exit(main())
