"""Files and folders that appear whole or not at all, and their hashes."""

from __future__ import annotations

import contextlib
import errno
import glob
import hashlib
import json
import os
import platform
import shutil
import tempfile
import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from crossin_metrics.errors import CrossinError


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; it is renamed to `path` when the block succeeds.

    Makes missing parent folders. Concurrent writers of one file do not disturb each other; the last one wins. What a
    killed process left of the file is removed.

    Raises:
        CrossinError: it cannot be written; an older file is then unchanged, and nothing is left beside it.
    """
    machine = hashlib.sha256(platform.node().encode()).hexdigest()[:8]  # a folder may be shared by several
    temporary = path.with_name(f".{path.name}.{machine}.{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        with _write_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            for leftover in path.parent.glob(f".{glob.escape(path.name)}.{machine}.*.tmp"):
                if not _alive(leftover.name.split(".")[-3]):
                    leftover.unlink(missing_ok=True)
            yield temporary
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


@contextlib.contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """Yield an empty folder beside `target`; it replaces `target` when the block succeeds.

    A folder that is still empty then replaces nothing. Its parent, `.{target.name}.*.building`, is scratch space on the
    same disk and is removed at the end. What a killed process left there is cleaned up by the next call, and a
    `target` that it had moved aside is put back. Whether an existing `target` may be replaced is for the caller to
    check first: see :func:`check_replaceable`. Of several processes that write one folder, the last one wins.

    Raises:
        CrossinError: it cannot be written; an older folder is then unchanged.
    """
    parent = target.absolute().parent
    with _write_errors(target):
        parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(target)
        with contextlib.ExitStack() as stack:
            for _ in range(3):
                made = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".new", dir=parent))
                with contextlib.suppress(FileNotFoundError):  # another process took it for a leftover
                    _locked(stack.enter_context((made / "lock").open("wb")))
                    scratch = made.rename(made.with_suffix(".building"))  # not before it is locked
                    break
            else:
                raise FileNotFoundError(errno.ENOENT, "other processes keep removing its new folder", str(made))
            try:
                folder = scratch / target.name
                folder.mkdir()
                yield folder
                if any(folder.iterdir()):
                    swap_in(folder, target)
            finally:
                _remove_scratch(scratch, target)


def swap_in(folder: Path, target: Path) -> None:
    """Put a finished folder in the place of `target`, on the same disk; an existing one comes back if that fails.

    A folder that is not empty cannot be replaced in one step, so the old one is first moved beside `folder`.

    Raises:
        OSError: it cannot be moved, or `target` is a file.
    """
    if target.exists() and not target.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(target))
    for attempt in range(3):
        old = folder.with_name(f"{attempt}.old")
        with contextlib.suppress(FileNotFoundError):
            os.replace(target, old)
        try:
            os.replace(folder, target)
        except BaseException as error:
            if isinstance(error, OSError) and error.errno in (errno.ENOTEMPTY, errno.EEXIST) and attempt < 2:
                continue  # another process put its own there in between; the last one wins
            _put_back(folder.parent, target)
            raise
        shutil.rmtree(old, ignore_errors=True)
        return


def check_replaceable(
    target: Path, marker: str, what: str, own_files: Callable[[], Collection[str]], option: str = ""
) -> bool:
    """Whether `target` holds something that a new folder may replace; False when it is absent or empty.

    Args:
        target: the folder to write.
        marker: file that every folder of this kind holds.
        what: the kind, for messages: "report", "mix".
        own_files: relative paths of the files that belong to the folder besides the marker, read from the marker.
        option: the command-line option that named the folder, for messages.

    Raises:
        CrossinError: it is a file or a link, is not of this kind, its marker is damaged, or it also holds other files.
    """
    where = f"{option} {target}".strip()
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise CrossinError(f"{where}: not a folder; choose another one")
    present = {
        path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_symlink() or not path.is_dir()
    }
    if not present:
        return False
    if marker not in present:
        raise CrossinError(f"{where}: holds files but no {what}; choose another folder or empty it")
    try:
        own = own_files()
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise CrossinError(f"{where}: its {marker} is damaged; choose another folder or remove this one") from error
    foreign = sorted(present - {marker, *own})
    if foreign:
        raise CrossinError(
            f"{where}: holds {foreign[0]}, which does not belong to the {what} ({len(foreign)} such "
            f"{'file' if len(foreign) == 1 else 'files'}); move it elsewhere or choose another folder"
        )
    return True


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file whole or not at all; see :func:`atomic_path`."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, content: Any) -> None:
    """Write JSON, one value a line; see :func:`atomic_path`."""
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False, default=str) + "\n")


def write_jsonl(path: Path, rows: Iterable[Any]) -> int:
    """Write JSON Lines and return their number; see :func:`atomic_path`."""
    n = 0
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            n += 1
    return n


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in a JSON file; None if it is absent, damaged or something else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes in hexadecimal.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def canonical(value: Any) -> str:
    """JSON text that is the same for equal values on any machine."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


@contextlib.contextmanager
def _write_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CrossinError(f"cannot write {path}: {error.strerror or error}") from error


def _alive(pid: str) -> bool:
    """Whether a process of this machine runs, as far as can be told."""
    if os.name == "nt":  # signal 0 is Ctrl-C there
        return True
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except (OSError, ValueError):  # another user's, or not a name of ours
        pass
    return True


def _locked(file: IO[bytes]) -> bool:
    """Whether this process now holds the file's lock; False too where the system or the file system has none."""
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (ImportError, OSError):
        return False
    return True


def remove_leftovers(target: Path) -> None:
    """Remove what killed processes left; a folder that a living one has made and not locked yet is made again."""
    parent = target.absolute().parent
    for leftover in parent.glob(f".{glob.escape(target.name)}.*.building"):
        with contextlib.suppress(FileNotFoundError), (leftover / "lock").open("r+b") as lock:
            if _locked(lock):  # its process has ended, killed or not
                _remove_scratch(leftover, target)
    for leftover in parent.glob(f".{glob.escape(target.name)}.*.new"):
        with contextlib.suppress(OSError):
            leftover.rmdir()
        with contextlib.suppress(OSError), (leftover / "lock").open("r+b") as lock:
            if _locked(lock):
                shutil.rmtree(leftover, ignore_errors=True)


def _put_back(scratch: Path, target: Path) -> None:
    """Move the folder that `swap_in` had moved aside to its place again, unless there is another one."""
    old = sorted(scratch.glob("*.old"))
    if old and not target.exists():
        os.replace(old[-1], target)


def _remove_scratch(scratch: Path, target: Path) -> None:
    _put_back(scratch, target)
    shutil.rmtree(scratch, ignore_errors=True)
