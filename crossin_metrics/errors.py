"""Errors that the user can fix (bad files, unknown names, missing packages), and how commands end with them."""

from __future__ import annotations

import contextlib
import difflib
import itertools
import os
import re
import sys
import threading
from collections.abc import Callable, Iterable, Iterator

from crossin_metrics.secrets import masked

# What damaged contents raise in the code that reads them; readers turn it into a CrossinError with the place.
DAMAGE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError, EOFError)
_LONGEST = 480  # characters of a message


class CrossinError(ValueError):
    """The input or the set-up is wrong.

    The message says what is wrong, where (file, line or id, language) and what to do. Command lines print it as
    one line, without a traceback, and exit with a code other than 0.
    """


def located(where: object, error: BaseException) -> CrossinError:
    """The error with its place in front: the message of a CrossinError, else what the content of a file raised."""
    if isinstance(error, CrossinError):
        return CrossinError(f"{where}: {error}")
    return CrossinError(
        f"{where}: cannot be read, its content is damaged ({type(error).__name__}: {one_line(error, 150)})"
    )


def one_line(message: object, longest: int = _LONGEST) -> str:
    """The message on one line, without control characters and secrets; a longer one than `longest` loses its middle."""
    text = str(message)
    if len(text) > 4 * longest:
        text = text[: 2 * longest] + text[-2 * longest :]
    text = masked(text)
    text = " ".join("".join(c if c.isprintable() else " " if c.isspace() else ascii(c)[1:-1] for c in text).split())
    half = longest // 2
    return text if len(text) <= longest else f"{text[: longest - half]} ... {text[5 - half :]}"


def closest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known word most like `word`, if their similarity (0 to 1) reaches the cutoff.

    The same parts in another order win.
    """
    words = list(known)
    same = [other for other in words if sorted(other.split("_")) == sorted(word.split("_"))]
    return next(iter(same or difflib.get_close_matches(word, words, n=1, cutoff=cutoff)), None)


def did_you_mean(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """`; did you mean 'X'?` for the closest of the known words, or `otherwise` if none is like it."""
    close = closest(word, known)
    return otherwise if close is None else f"; did you mean {close!r}?"


def say(message: object) -> None:
    """Print a message on standard error, as :func:`one_line` makes it."""
    print(one_line(message), file=sys.stderr, flush=True)  # noqa: T201


@contextlib.contextmanager
def waiting(what: str) -> Iterator[None]:
    """Say what takes seconds, such as loading a library; on a terminal, count them meanwhile."""
    say(what)

    def show(seconds: int) -> None:  # the next line overwrites it
        print(f"\r{seconds} s", end="\r", file=sys.stderr, flush=True)  # noqa: T201

    with each_second(show):
        yield


@contextlib.contextmanager
def each_second(show: Callable[[int], object]) -> Iterator[None]:
    """Call `show` with the seconds passed once a second, where standard error is a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    done = threading.Event()

    def count() -> None:
        for seconds in itertools.count(1):
            if done.wait(1):
                return
            show(seconds)

    counter = threading.Thread(target=count, daemon=True)
    counter.start()
    try:
        yield
    finally:
        done.set()
        counter.join()
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)  # noqa: T201


def exit_code(prog: str, command: Callable[[], int]) -> int:
    """Run a command: a user's mistake becomes one line on standard error; a bug keeps its traceback.

    Returns:
        The command's exit code; 2 for a mistake or output that cannot be written, 130 if the user stopped it.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):  # a terminal in latin-1 must not end the command
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        code = command()
        sys.stdout.flush()
        return code
    except CrossinError as error:
        say(f"{prog}: {error}")
        return 2
    except BrokenPipeError:
        _drop_output()
        return 0
    except KeyboardInterrupt:
        say(f"{prog}: stopped")
        return 130
    except ModuleNotFoundError as error:
        if (extra := _extra_with(error.name or "")) is None:
            raise
        say(f"{prog}: {error.name} is not installed: pip install 'crossin[{extra}]'")
        return 2
    except OSError as error:
        if error.errno is None:
            raise
        what = "cannot write the output" if error.filename is None else str(error.filename)
        if error.filename is None:
            _drop_output()
        say(f"{prog}: {what}: {error.strerror}")
        return 2


def _extra_with(module: str) -> str | None:
    """The first extra of this package that installs a module; None if none does."""
    from importlib.metadata import PackageNotFoundError, requires

    name = {"yaml": "pyyaml"}.get(module, module).partition(".")[0].replace("_", "-")
    with contextlib.suppress(PackageNotFoundError):
        for line in requires("crossin") or ():
            if (found := re.fullmatch(r"([\w-]+).*extra == ['\"](\w+)['\"].*", line)) and found[1].lower() == name:
                return found[2]
    return None


def _drop_output() -> None:
    """Discard unwritten output, so that the interpreter's exit does not fail on it."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
