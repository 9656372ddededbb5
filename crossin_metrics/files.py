"""Files that appear whole or not at all, and their hashes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def appearing(path: Path) -> Iterator[Path]:
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
