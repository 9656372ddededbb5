"""Stage records: what a finished step was made from and what it made, so that it runs again only when that changed."""

from __future__ import annotations

import functools
import json
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
    """SHA-256 of a file; read once as long as its size and modification time stay the same.

    Raises:
        OSError: the file cannot be read.
    """
    stat = path.stat()
    return _sha256(path, stat.st_size, stat.st_mtime_ns)


@functools.cache
def _sha256(path: Path, size: int, modified: int) -> str:
    return file_sha256(path)


def _differences(before: Any, now: Any, name: str) -> list[str]:
    """Innermost keys at which two JSON values differ; `name` if the values themselves do."""
    if before == now:
        return []
    if not isinstance(before, Mapping) or not isinstance(now, Mapping):
        return [name]
    keys = sorted({*before, *now})
    return [n for key in keys for n in _differences(before.get(key), now.get(key), key)] or [name]
