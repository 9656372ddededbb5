"""The report's folder: written whole or not at all, replacing nothing but an earlier report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from crossin_metrics import __version__
from crossin_metrics.files import atomic_folder, check_replaceable

MARKER = ".crossin-report.json"  # lists the files of the report


def check_target(out: Path) -> None:
    """Refuse a folder that holds anything but a report.

    Raises:
        CrossinError: the path is a file or a link, or a folder that holds other files.
    """

    def files() -> list[str]:
        return list(json.loads((out / MARKER).read_text(encoding="utf-8"))["files"])

    check_replaceable(out, MARKER, "report of crossin", files, "--out")


def write_report(out: Path, contents: Mapping[str, str | bytes]) -> None:
    """Write all files (relative path -> text or bytes) as a folder, whole or not at all.

    Raises:
        CrossinError: the target is refused (see :func:`check_target`) or cannot be written.
    """
    check_target(out)
    marker = json.dumps({"crossin": __version__, "files": sorted(contents)}, indent=1) + "\n"
    with atomic_folder(out) as folder:
        for name, content in {**contents, MARKER: marker}.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode("utf-8", "replace") if isinstance(content, str) else content)
