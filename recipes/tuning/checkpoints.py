"""Complete checkpoints: a sealed list of files tells them from half-written ones."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

SEAL = "complete.json"
_NAME = re.compile(r"^checkpoint-(\d+)$")


def seal(folder: Path) -> None:
    """Flush every file to disk, then list their sizes in `complete.json`."""
    sizes = {}
    for file in sorted(path for path in folder.rglob("*") if path.is_file() and path.name != SEAL):
        with file.open("rb") as handle:
            os.fsync(handle.fileno())
        sizes[file.relative_to(folder).as_posix()] = file.stat().st_size
    with (folder / SEAL).open("w", encoding="utf-8") as handle:
        json.dump(sizes, handle, indent=1)
        handle.flush()
        os.fsync(handle.fileno())


def is_complete(folder: Path) -> bool:
    """Whether every sealed file is present with its full size."""
    try:
        sizes = json.loads((folder / SEAL).read_text(encoding="utf-8"))
        return bool(sizes) and all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, AttributeError):
        return False


def last_complete(folder: Path) -> tuple[Path | None, list[Path]]:
    """The latest complete checkpoint, and the incomplete ones after it.

    Args:
        folder: the checkpoints' parent folder; it may be absent.
    """
    if not folder.is_dir():
        return None, []
    found = [
        (int(match.group(1)), path) for path in folder.iterdir() if (match := _NAME.match(path.name)) and path.is_dir()
    ]
    incomplete: list[Path] = []
    for _, path in sorted(found, reverse=True):
        if is_complete(path):
            return path, incomplete
        incomplete.append(path)
    return None, incomplete
