"""Stage records: what a finished step was made from and what it made, so that it runs again only when that changed."""

from __future__ import annotations

import errno
import functools
import glob
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crossin_metrics.files import file_sha256, read_json, write_text

NOT_DONE = "not done yet"


@dataclass(frozen=True)
class StageRecord:
    """The JSON file that a finished stage leaves behind: `stage`, `inputs`, hashes of its results, and facts.

    Attributes:
        name: of the stage.
        path: of the record.
    """

    name: str
    path: Path

    def read(self) -> dict[str, Any] | None:
        """The record; None if the stage is not finished or the file is damaged."""
        return read_json(self.path)

    def why_stale(self, inputs: Mapping[str, Any], results: Mapping[str, Any]) -> str:
        """Why the stage must run (again); "" if its record holds.

        Args:
            inputs: everything that decides the result, JSON types only.
            results: the record's fields that hold hashes of the result; None as a hash means that a file is missing.
        """
        record = self.read()
        if record is None:
            return NOT_DONE
        if names := _differences(record.get("inputs"), inputs, "inputs"):
            return f"changed: {', '.join(names)}"
        if names := _differences({key: record.get(key) for key in results}, results, "results"):
            return f"its results were changed or removed: {', '.join(names)}"
        return ""

    def write(self, inputs: Mapping[str, Any], results: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        """Record that the stage has finished.

        Raises:
            CrossinError: the file cannot be written.
        """
        record = {"stage": self.name, "inputs": inputs, **results, **facts}
        text = json.dumps(record, ensure_ascii=False, indent=1, sort_keys=True, default=str)
        write_text(self.path, text + "\n")


def sha256_of(path: Path) -> str:
    """SHA-256 of a file; of names and contents of a folder's files, or of those that a `{lang}` pattern matches.

    A file is read once as long as its inode, size and times stay the same; cards and hidden files do not count.

    Raises:
        OSError: it cannot be read, or nothing matches.
    """
    pattern = glob.escape(str(path)).replace("{lang}", "*") if "{lang}" in str(path) else ""
    if pattern or path.is_dir():
        found = glob.glob(pattern) if pattern else [str(file) for file in path.iterdir() if file.suffix != ".md"]
        files = sorted(file for file in map(Path, found) if file.is_file() and not file.name.startswith("."))
        if not files:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        return hashlib.sha256("".join(f"{file.name} {sha256_of(file)}\n" for file in files).encode()).hexdigest()
    stat = path.stat()
    return _sha256(path, (stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns))


@functools.cache
def _sha256(path: Path, version: tuple[int, ...]) -> str:
    return file_sha256(path)


def _differences(before: Any, now: Any, name: str) -> list[str]:
    """Innermost keys at which two JSON values differ; `name` if the values themselves do."""
    if before == now:
        return []
    if not isinstance(before, Mapping) or not isinstance(now, Mapping):
        return [name]
    keys = sorted({*before, *now})
    return [n for key in keys for n in _differences(before.get(key), now.get(key), key)] or [name]
