"""The report's folder: made beside its place and moved there whole, replacing nothing but a report."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from crossin_metrics import __version__
from crossin_metrics.errors import CrossinError

MARKER = ".crossin-report.json"  # says that the folder is a report, and what it holds


def check_target(out: Path) -> None:
    """Refuse a place that is no report of ours, before any work is done.

    Raises:
        CrossinError: the path is a file, or a folder that holds something other than a report of this command.
    """
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise CrossinError(f"--out {out}: not a folder; give another name")
    if not out.is_dir():
        return
    present = {str(path.relative_to(out)) for path in out.rglob("*") if not path.is_dir()}
    if not present:
        return
    if MARKER not in present:
        raise CrossinError(f"--out {out}: holds files and no report of crossin; give another folder or empty it")
    try:
        own = set(json.loads((out / MARKER).read_text(encoding="utf-8"))["files"])
    except (OSError, ValueError, KeyError, TypeError):
        raise CrossinError(f"--out {out}: its {MARKER} is broken; give another folder or remove this one") from None
    foreign = sorted(present - own - {MARKER})
    if foreign:
        raise CrossinError(
            f"--out {out}: holds {foreign[0]}, which no report wrote ({len(foreign)} such files); move it elsewhere"
        )


def write_report(out: Path, contents: Mapping[str, str | bytes]) -> None:
    """Write all files (relative path -> text or bytes) as a folder, whole or not at all.

    Raises:
        CrossinError: the target is refused (see :func:`check_target`) or cannot be written.
    """
    check_target(out)
    out = out.absolute()
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
    except OSError as error:
        raise CrossinError(f"--out {out}: cannot be written: {error.strerror or error}") from None
    try:
        for name, content in contents.items():
            path = made / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode("utf-8", "replace") if isinstance(content, str) else content)
        marker = {"crossin": __version__, "files": sorted(contents)}
        (made / MARKER).write_text(json.dumps(marker, indent=1) + "\n", encoding="utf-8")
        made.chmod(0o755)
        if out.is_dir():
            _swap(made, out)
        else:
            os.replace(made, out)
    except OSError as error:
        shutil.rmtree(made, ignore_errors=True)
        raise CrossinError(f"--out {out}: cannot be written: {error.strerror or error}") from None
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise


def _swap(made: Path, out: Path) -> None:
    """Put a new folder in an old one's place; where that fails the old one stays.

    A folder that is not empty cannot be replaced in one step: the old one is moved aside first.
    """
    aside = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}.old."))
    old = aside / out.name
    try:
        os.replace(out, old)
        os.replace(made, out)
    except BaseException:
        if old.is_dir() and not out.exists():
            old.rename(out)
        if not old.exists():
            aside.rmdir()
        raise
    shutil.rmtree(aside, ignore_errors=True)
