"""Parallel multiple-choice sets: one question in several languages, options in the same order in each.

Sets come from a folder of the user's, from this package (`crossin_mini`) or from the hub, in the schema of the SeaEval
sets (arXiv 2309.04766): JSON Lines or Parquet, one question a line, `id`, then per language an object
`{context?, question, choices, answer}`, keyed by ISO code or English name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from crossin_metrics.errors import CrossinError
from crossin_metrics.hub import hub_rows
from crossin_metrics.records import DATA_DIR_VARIABLE, SUFFIXES, read_rows
from crossin_metrics.sets.catalogue import BUILT, HUB_SETS, PACKAGED
from crossin_metrics.sets.parallel_set import ParallelMCQ
from crossin_metrics.sets.schema import Checked, check_rows, unique_codes


def load_parallel(
    name: str,
    *,
    languages: Sequence[str] | None = None,
    data_dir: str | Path | None = None,
    revision: str | None = None,
) -> ParallelMCQ:
    """Load a parallel set by name and check it.

    Looked for in this order: `data_dir`; else the folder of the environment variable `CROSSIN_DATA_DIR`; else this
    package; else the hub, or its local cache where there is no network. A folder may hold `<name>.jsonl`,
    `.jsonl.gz`, `.parquet` or `.json`, or a sub-folder `<name>/` with one of these or `test.jsonl` ...; otherwise the
    one sub-folder of any name that holds such a file. A set of this package is taken from the package where the folder
    has none of its name; for any other set a folder without it is an error.

    Args:
        name: `crossin_mini`, `cross_xquad`, `cross_mmlu`, `cross_logiqa`, `cross_xquad_spans`, or a file's name in
            `data_dir`.
        languages: ISO codes or English names, in the order wanted; None takes all the set has.
        data_dir: a folder, or a single file.
        revision: a branch, tag or commit on the hub; ignored for local sets.

    Raises:
        CrossinError: unknown name, no such folder or set, an unreachable hub, or a row that breaks the schema.
    """
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise CrossinError(
            f"{name!r} is no set's name; letters, digits, '_', '-' and '.' make one, a folder is data_dir"
        )
    codes = None if languages is None else unique_codes(languages)
    folder = data_dir if data_dir is not None else os.environ.get(DATA_DIR_VARIABLE) or None
    if folder is not None:
        optional = name in PACKAGED or name in BUILT
        path = find_file(Path(folder).expanduser(), name, optional=optional)
        if path is not None:
            return load_file(path, name=name, languages=codes)
    if name in PACKAGED:
        with resources.as_file(resources.files("crossin_metrics") / "data" / f"{name}.jsonl") as path:
            return _build(name, check_rows(read_rows(path), codes), f"packaged:{name}")
    if name in BUILT:
        from crossin_metrics.sets.spans import cross_xquad_spans

        return cross_xquad_spans(languages=codes, data_dir=folder, revision=revision)[0]
    if name not in HUB_SETS:
        known = ", ".join((*PACKAGED, *HUB_SETS, *BUILT))
        raise CrossinError(f"unknown parallel set {name!r}; known: {known}, or a file's name together with data_dir")
    rows, source = hub_rows(HUB_SETS[name], "test", revision)
    return _build(name, check_rows(rows, codes), source)


def load_file(path: str | Path, *, name: str | None = None, languages: Sequence[str] | None = None) -> ParallelMCQ:
    """Load a parallel set from one file (`.jsonl`, `.jsonl.gz`, `.parquet`, `.json`); errors as `load_parallel`."""
    path = Path(path)
    stem = path.name
    for suffix in SUFFIXES:
        stem = stem.removesuffix(suffix)
    return _build(name or stem, check_rows(read_rows(path), languages), f"file:{path.name}")


def _build(name: str, checked: Checked, source: str) -> ParallelMCQ:
    return ParallelMCQ(name, checked.languages, checked.ids, checked.items, checked.gold, checked.groups, source)


def find_file(folder: Path, name: str, *, optional: bool = False) -> Path | None:
    """Find a set's file in a folder; a path that is a file is taken as it is.

    Raises:
        CrossinError: no such folder, or no such set in it (not where `optional`): lists what is there.
    """
    if folder.is_file():
        return folder
    if not folder.is_dir():
        raise CrossinError(
            f"{folder}: no such folder; name the one that holds {name}.jsonl (data_dir, {DATA_DIR_VARIABLE})"
        )
    inner = folder / name
    places = [(folder, name), (inner, name), (inner, "test")]
    for place, stem in places:
        for suffix in SUFFIXES:
            if (path := place / f"{stem}{suffix}").exists():
                return path
    below = sorted({path.parent for suffix in SUFFIXES for path in folder.glob(f"*/{name}{suffix}")})
    if len(below) == 1:
        return find_file(below[0], name)
    if len(below) > 1:
        shown = ", ".join(path.name for path in below)
        raise CrossinError(f"{folder}: set {name!r} is in several sub-folders ({shown}); name one of them as data_dir")
    if optional:
        return None
    there = sorted(path.name + ("/" if path.is_dir() else "") for path in folder.iterdir())
    shown = ", ".join(there[:20]) + (f" and {len(there) - 20} more" if len(there) > 20 else "")
    raise CrossinError(
        f"{folder}: no set {name!r} in it ({name} with ending {', '.join(SUFFIXES)}, or a folder {name}/ with one); "
        f"there is: {shown or 'nothing'}"
    )
