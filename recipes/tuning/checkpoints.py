"""Checkpoints that are whole or do not count."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

SEAL = "complete.json"
_NAME = re.compile(r"^checkpoint-(\d+)$")


def seal(folder: Path) -> None:
    """List every file and its size in `complete.json`, after all of them have reached the disk."""
    sizes = {}
    for file in sorted(path for path in folder.rglob("*") if path.is_file() and path.name != SEAL):
        with file.open("rb") as handle:
            os.fsync(handle.fileno())
        sizes[file.relative_to(folder).as_posix()] = file.stat().st_size
    with (folder / SEAL).open("w", encoding="utf-8") as handle:
        json.dump(sizes, handle, indent=1)
        handle.flush()
        os.fsync(handle.fileno())


def is_whole(folder: Path) -> bool:
    """Whether every file that was sealed is there in full."""
    try:
        sizes = json.loads((folder / SEAL).read_text(encoding="utf-8"))
        return bool(sizes) and all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, AttributeError):
        return False


def last_whole(folder: Path) -> tuple[Path | None, list[Path]]:
    """The whole checkpoint of the highest step, and the half ones that were passed over.

    Args:
        folder: where checkpoints are kept; it may be absent.
    """
    if not folder.is_dir():
        return None, []
    found = [
        (int(match.group(1)), path) for path in folder.iterdir() if (match := _NAME.match(path.name)) and path.is_dir()
    ]
    half: list[Path] = []
    for _, path in sorted(found, reverse=True):
        if is_whole(path):
            return path, half
        half.append(path)
    return None, half
