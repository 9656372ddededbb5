"""Parallel multiple-choice sets: one question in several languages, options in the same order in each.

Sets come from a folder of the user's, from this package (`crossin_mini`) or from the hub, in the schema of the SeaEval
sets (arXiv 2309.04766): JSON Lines or Parquet, one question a line, `id`, then per language an object
`{context?, question, choices, answer}`, keyed by ISO code or English name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from importlib import import_module, resources
from pathlib import Path

from crossin_metrics.errors import DAMAGE, CrossinError, located
from crossin_metrics.hub import hub_records
from crossin_metrics.languages import language_codes
from crossin_metrics.records import SUFFIXES, Record, read_records
from crossin_metrics.sets.catalogue import DATA_DIR_VARIABLE, SETS
from crossin_metrics.sets.parallel_set import ParallelMCQ
from crossin_metrics.sets.schema import parse_rows


def load_parallel(
    name: str,
    *,
    languages: Sequence[str] | None = None,
    data_dir: str | Path | None = None,
    revision: str | None = None,
    **options: str | None,
) -> ParallelMCQ:
    """Load a parallel set by name and check it.

    Looks in `data_dir`, or else in the folder named by the environment variable `CROSSIN_DATA_DIR`; without either, in
    this package, then on the hub (or in its local cache when offline). A folder holds `<name>.jsonl`, `.jsonl.gz`,
    `.parquet` or `.json`, or a sub-folder `<name>/` with one of these or `test.jsonl` ...; or exactly one sub-folder
    of another name with such a file. A packaged set that the folder lacks comes from the package, and a set with a
    builder is built from the folder's raw files; any other set must be in the folder.

    Args:
        name: a set of the catalogue, or the name of a file in `data_dir`.
        languages: ISO codes or English names, in the order wanted; None: all of the set.
        data_dir: a folder, or a single file.
        revision: a branch, tag or commit on the hub; ignored for local sets.
        options: of the set's builder, as `articles` of `cross_xquad_spans`; None: not given.

    Raises:
        CrossinError: unknown name or option, folder or set not found, hub unreachable, or a row that breaks the schema.
    """
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise CrossinError(
            f"{name!r} is not a set name (letters, digits, '_', '-', '.'); to name a folder, use data_dir"
        )
    entry = SETS.get(name)
    codes = None if languages is None else language_codes(languages)
    options = {key: value for key, value in options.items() if value is not None}
    for key in options:
        if entry is None or key not in entry.options:
            having = ", ".join(other.name for other in SETS.values() if key in other.options) or "no set"
            raise CrossinError(f"{name} has no option {key!r}; only {having} has")
    folder = _data_folder(data_dir)
    if folder is not None and not options:
        path = find_file(folder, name, optional=_optional(name))
        if path is not None:
            return load_file(path, name=name, languages=codes)
    if entry is None:
        known = ", ".join(SETS)
        raise CrossinError(f"unknown parallel set {name!r}; known: {known}, or a file in data_dir")
    if entry.packaged:
        with resources.as_file(resources.files("crossin_metrics") / "data" / f"{name}.jsonl") as path:
            return parse_rows(_read(path), codes, name=name, source=f"packaged:{name}")
    if entry.builder is not None:
        builder = import_module(entry.builder)
        data: ParallelMCQ = builder.build(entry, languages=codes, data_dir=folder, revision=revision, **options)
        return data
    try:
        rows, source = hub_records(entry.hub, "test", revision)
    except CrossinError as error:
        raise CrossinError(f"{name}: no local file {name}.jsonl given, and {error}") from error
    return parse_rows(rows, codes, name=name, source=source)


def data_files(name: str, data_dir: str | Path | None = None) -> tuple[Path, ...]:
    """Local files that :func:`load_parallel` reads for a set; empty if it takes the set from the package or the hub."""
    folder = _data_folder(data_dir)
    if folder is None:
        return ()
    path = find_file(folder, name, optional=_optional(name))
    if path is not None:
        return (path,)
    entry = SETS[name]
    return () if entry.builder is None else tuple(import_module(entry.builder).data_files(entry, folder))


def _data_folder(data_dir: str | Path | None) -> Path | None:
    place = data_dir if data_dir is not None else os.environ.get(DATA_DIR_VARIABLE) or None
    return None if place is None else Path(place).expanduser()


def _optional(name: str) -> bool:
    """Whether a data folder may lack the set."""
    entry = SETS.get(name)
    return entry is not None and (entry.packaged or entry.builder is not None)


def load_file(path: str | Path, *, name: str | None = None, languages: Sequence[str] | None = None) -> ParallelMCQ:
    """Load a parallel set from one file (`.jsonl`, `.jsonl.gz`, `.parquet`, `.json`); errors as `load_parallel`."""
    path = Path(path)
    stem = path.name
    for suffix in SUFFIXES:
        stem = stem.removesuffix(suffix)
    try:
        return parse_rows(_read(path), languages, name=name or stem, source=f"file:{path.name}")
    except CrossinError:
        raise
    except DAMAGE as error:
        raise located(path, error) from error


def _read(path: Path) -> list[Record]:
    rows = list(read_records(path, unique_keys=True))
    if not rows:
        raise CrossinError(f"{path}: empty; a parallel set holds one question a line")
    return rows


def find_file(folder: Path, name: str, *, optional: bool = False) -> Path | None:
    """Find a set's file in a folder; a path that is a file is that file.

    Raises:
        CrossinError: folder not found, or, unless `optional`, no such set in it.
    """
    if folder.is_file():
        return folder
    if not folder.is_dir():
        raise CrossinError(
            f"{folder}: no such folder; data_dir ({DATA_DIR_VARIABLE}) must be the folder with {name}.jsonl"
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
        raise CrossinError(f"{folder}: set {name!r} is in several sub-folders ({shown}); use one of them as data_dir")
    if optional:
        return None
    there = sorted(path.name + ("/" if path.is_dir() else "") for path in folder.iterdir())
    shown = ", ".join(there[:20]) + (f" and {len(there) - 20} more" if len(there) > 20 else "")
    raise CrossinError(
        f"{folder / name}.jsonl not found (nor {', '.join(SUFFIXES[1:])}, nor a folder {name}/ with one of them); "
        f"{folder} holds: {shown or 'nothing'}"
    )
