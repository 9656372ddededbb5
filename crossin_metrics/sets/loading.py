"""Parallel multiple-choice sets: one question in several languages, options in the same order in each.

Sets come from a folder of the user's, from this package (`crossin_mini`) or from the hub, in the schema of the SeaEval
sets (arXiv 2309.04766): JSON Lines or Parquet, one question a line, `id`, then per language an object
`{context?, question, choices, answer}`, keyed by ISO code or English name.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

from crossin_metrics.errors import CrossinError
from crossin_metrics.files import appearing
from crossin_metrics.records import DATA_DIR_VARIABLE, SUFFIXES, hub_rows, read_rows
from crossin_metrics.sets.schema import Checked, Item, check_rows, english_name, unique_codes

__all__ = [
    "DATA_DIR_VARIABLE",
    "HUB_SETS",
    "PACKAGED",
    "Item",
    "ParallelMCQ",
    "find_file",
    "load_file",
    "load_parallel",
    "write_parallel",
]

PACKAGED = ("crossin_mini",)
# Hub places in the order tried: the suite's one repository with a config a set, then the older one a set.
HUB_SETS: dict[str, tuple[tuple[str, str | None], ...]] = {
    name: (("SeaEval/SeaEval_datasets", name), (f"SeaEval/{name}", None))
    for name in ("cross_xquad", "cross_mmlu", "cross_logiqa")
}
BUILT = ("cross_xquad_spans",)  # made from other files, see crossin_metrics.sets.spans


@dataclass(frozen=True)
class ParallelMCQ:
    """A parallel multiple-choice set of n questions in L languages.

    Attributes:
        name: the set's name, as in `cross_mmlu`.
        languages: L ISO codes.
        ids: n question ids, unique.
        items: language -> n items, in the order of `ids`.
        gold: n indices of the right option (from 0), the same in every language.
        groups: n passage keys; two questions with the same key share a passage in at least one language. A question
            that shares its passage with none has a key of its own.
        source: where it came from: `hub:<repository>/<config>@<commit>`, `file:<file name>` or `packaged:<name>`.

    Raises:
        CrossinError: on construction, where lengths, ids, indices or languages do not fit together.
    """

    name: str
    languages: tuple[str, ...]
    ids: tuple[str, ...]
    items: dict[str, tuple[Item, ...]]
    gold: tuple[int, ...]
    groups: tuple[str, ...]
    source: str

    def __post_init__(self) -> None:
        if not self.ids:
            raise CrossinError(f"{self.name}: no questions")
        if len(set(self.ids)) < len(self.ids):
            raise CrossinError(f"{self.name}: question ids are not unique")
        if not self.languages or set(self.languages) != set(self.items):
            raise CrossinError(
                f"{self.name}: languages {self.languages} are not those of the items {tuple(self.items)}"
            )
        lengths = {len(self.ids), len(self.gold), len(self.groups), *map(len, self.items.values())}
        if len(lengths) > 1:
            raise CrossinError(f"{self.name}: ids, gold, groups and items differ in length")
        for number, (identifier, gold) in enumerate(zip(self.ids, self.gold, strict=True)):
            counts = {len(self.items[code][number].choices) for code in self.languages}
            if len(counts) > 1 or not 0 <= gold < max(counts):
                raise CrossinError(f"{self.name}, id {identifier}: gold index {gold} with {sorted(counts)} choices")

    def __len__(self) -> int:
        return len(self.ids)

    def select(self, languages: Sequence[str]) -> ParallelMCQ:
        """The same questions in some of the languages, in the order given.

        Raises:
            CrossinError: a language is unknown, named twice, or not in the set.
        """
        codes = unique_codes(languages)
        for code in codes:
            if code not in self.items:
                raise CrossinError(f"{self.name}: no language {code}; it has {', '.join(self.languages)}")
        items = {code: self.items[code] for code in codes}
        return ParallelMCQ(self.name, codes, self.ids, items, self.gold, self.groups, self.source)

    @cached_property
    def hash(self) -> str:
        """12 hexadecimal digits of the SHA-256 of what a model can be shown: ids, texts, options, gold, by language.

        Depends on the languages (not on their order) and on the order of the questions; not on name, source, file
        format, key order or machine.
        """
        content = []
        for number, (identifier, gold) in enumerate(zip(self.ids, self.gold, strict=True)):
            row = {code: self.items[code][number] for code in self.languages}
            texts = {code: [item.context, item.question, *item.choices] for code, item in row.items()}
            content.append([identifier, gold, texts])
        canonical = json.dumps(content, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode("ascii")).hexdigest()[:12]


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


def write_parallel(data: ParallelMCQ, path: str | Path) -> None:
    """Write a set as `.jsonl`, `.jsonl.gz` or `.parquet`; reading it back gives the same hash.

    The file appears whole or not at all (temporary name, then renamed). Languages are keyed by their English names, as
    on the hub.

    Raises:
        CrossinError: an ending that is none of the three, or a folder that cannot be written to.
    """
    path = Path(path)
    rows: list[dict[str, Any]] = []
    for number, (identifier, gold) in enumerate(zip(data.ids, data.gold, strict=True)):
        row: dict[str, Any] = {"id": identifier}
        for code in data.languages:
            item = data.items[code][number]
            row[english_name(code)] = {
                **({} if item.context is None else {"context": item.context}),
                "question": item.question,
                "choices": list(item.choices),
                "answer": item.choices[gold],
            }
        rows.append(row)
    if path.name.endswith((".jsonl", ".jsonl.gz")):
        content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode("utf-8")
        if path.name.endswith(".gz"):
            content = gzip.compress(content, mtime=0)  # the same bytes whenever it is written
    elif path.name.endswith(".parquet"):
        content = _parquet(rows)
    else:
        raise CrossinError(f"{path}: cannot be written; a parallel set ends in .jsonl, .jsonl.gz or .parquet")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with appearing(path) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        raise CrossinError(f"{path}: cannot be written ({error.strerror or error})") from error


def _parquet(rows: list[dict[str, Any]]) -> bytes:
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), buffer)
    return buffer.getvalue()
