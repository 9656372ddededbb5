"""What sub-commands share: argument types, how predictions are read, messages on standard error."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator

from crossin_metrics.errors import CrossinError, one_line, say


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
        help="count an unparsed answer as none, or as a pick among all options by --seed; the reference scorer guesses "
        "among tied options where its text match ties (default: none)",
    )
    logs = parser.add_argument_group("sample logs of other tasks, one task per language")
    logs.add_argument("--id-field", metavar="PATH", help="field with the question's id, as doc.link or doc.a+doc.b")
    logs.add_argument("--language-from", metavar="REGEX", help="searched in the task's name; its group is the language")
    logs.add_argument("--gold-field", metavar="PATH", help="field with the right option (index from 0, or letter)")


def at_least(lowest: int, reason: str = "") -> Callable[[str], int]:
    """An argument type: a whole number with a lower bound."""

    def parse(text: str) -> int:
        number = int(text)
        if number < lowest:
            raise argparse.ArgumentTypeError(f"must be {lowest} or more{reason and f': {reason}'}")
        return number

    parse.__name__ = "whole number"  # argparse: "invalid whole number value"
    return parse


count = at_least(0)


def resamples(text: str) -> int:
    """Parse a number of bootstrap resamples: 0 (none), or 2 and more."""
    number = count(text)
    if number == 1:
        raise argparse.ArgumentTypeError("must be 0, or 2 and more")
    return number


def names(text: str | None, flag: str) -> list[str] | None:
    """Names separated by commas, each once; None where the flag is not given.

    Raises:
        CrossinError: it is given without a name.
    """
    if text is None:
        return None
    found = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not found:
        raise CrossinError(f"{flag}: names expected, separated by commas")
    return found


def require_matplotlib() -> None:
    """Check that plots can be drawn.

    Raises:
        CrossinError: matplotlib is not installed.
    """
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        raise CrossinError("plots need matplotlib: pip install 'crossin[report]', or use --no-plots")


def warn(text: str) -> None:
    """Print a warning on standard error."""
    say(f"crossin: warning: {text}")


@contextlib.contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """A line on standard error that overwrites itself and is cleared at the end; nothing if that is not a terminal."""

    def show_line(text: str) -> None:
        if sys.stderr.isatty():
            print(f"\r\x1b[K{one_line(text)}", end="\r", file=sys.stderr, flush=True)  # noqa: T201

    try:
        yield show_line
    finally:
        show_line("")
