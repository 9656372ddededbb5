"""Files that appear whole or not at all, and their hashes."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crossin_metrics.errors import CrossinError

if TYPE_CHECKING:
    pass


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path` to write to; it becomes `path` in one rename when the block has ended well.

    The folder must be there. Processes and threads that write the same file do not meet; the last one wins.

    Raises:
        OSError: it cannot be written or renamed; an older file is then still there, and nothing is left beside it.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal digits, read piece by piece.

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


def write_json(path: Path, content: Any) -> None:
    """Write to a temporary name, then rename."""
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False, default=str) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write to a temporary name, then rename.

    Raises:
        CrossinError: the disk is full or the folder is not writable.
    """
    try:
        with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise CrossinError(f"cannot write {path}: {error.strerror or error}") from error


def read_json(path: Path) -> dict[str, Any] | None:
    """A JSON file's mapping, None where it is absent or damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None
