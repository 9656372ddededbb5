"""Arguments that several sub-commands share: how predictions and logs are read."""

from __future__ import annotations

import argparse


def add_reading_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of :func:`crossin_metrics.runs.run.read_predictions` that a user may set."""
    parser.add_argument(
        "--skip-mismatched",
        action="store_true",
        help="leave out questions whose gold or number of choices differs between languages, instead of stopping",
    )
    parser.add_argument(
        "--unanswered",
        choices=("none", "random"),
        default="none",
        help="an answer that cannot be read is none, or a random pick by --seed (default: none)",
    )
    logs = parser.add_argument_group("sample logs of other tasks, one task a language")
    logs.add_argument("--id-field", metavar="PATH", help="field that is the question's id, as doc.link or doc.a+doc.b")
    logs.add_argument("--language-from", metavar="REGEX", help="searched in the task's name; its group is the language")
    logs.add_argument("--gold-field", metavar="PATH", help="field of the right option (index from 0, or letter)")


def count(text: str) -> int:
    """Parse a whole number from 0; raises argparse's error otherwise."""
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError("must be 0 or more")
    return number


def resamples(text: str) -> int:
    """Parse a number of bootstrap resamples: 0 (none), or 2 and more."""
    number = count(text)
    if number == 1:
        raise argparse.ArgumentTypeError("must be 0, or 2 and more")
    return number
