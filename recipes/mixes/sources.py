"""Base and seed sets, checked once and laid out on disk for random access through a memory map.

A store has one row an item and the columns `id` and `<lang>.instruction`, `<lang>.input`, `<lang>.output`,
`<lang>.translatable`. The seed set is parallel: the same item in every language; a base set is the same thing with one
language. Building it streams, so memory does not grow with the data (a JSON list excepted, which is read whole);
reading gathers rows out of the map.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crossin_metrics.errors import CrossinError
from crossin_metrics.hub import hub_commit
from crossin_metrics.languages import LANGUAGES
from crossin_metrics.records import SUFFIXES, Record
from recipes.mixes.readers import fill, is_hub, per_language, source_name, source_records

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

FIELDS = ("instruction", "input", "output")
TEXT = "translatable"
"""Optional fourth field: what a translation pair translates where that is not the whole instruction; "" means it is."""

COLUMNS = (*FIELDS, TEXT)
BATCH_ROWS = 16384
MAX_DISORDER = 0.1
"""Share of rows whose languages disagree on having an input, above which the files are taken to differ in order."""

LICENCES = {
    "garage-bAInd/Open-Platypus": "mixed, stated per part on its hub page (some parts non-commercial)",
    "tatsu-lab/alpaca": "CC BY-NC 4.0",
    "yahma/alpaca-cleaned": "CC BY 4.0 on its hub page (made from CC BY-NC 4.0)",
    "packaged:base_mini": "Apache-2.0",
    "packaged:seed_mini": "Apache-2.0",
}
"""Licences as the sets' own pages give them; anything else comes from the rows or from the configuration."""

_REQUIRED = ("instruction", "output")
_DISORDER = "an input in some languages and none in others"


@dataclass(frozen=True)
class SourceSpec:
    """Where one set is and how to read it.

    Attributes:
        spec: `packaged:<name>`, hub id, file, folder with one file a language, or a path or id with `{lang}`.
        languages: the languages to read; the others in the set are ignored.
        fields: mapping from our field (`id` and `COLUMNS`) to theirs, dotted for nested ones and
            with `{lang}` for the language's code or `{language}` for its English name; "" means there is none.
        parallel: records hold an object per language, `{"en": {"instruction": ...}, "zh": ...}`, unless `fields` says
            otherwise.
        bad_rows: "error", or "drop" to leave out a bad row in all languages and count it.
    """

    spec: str
    languages: tuple[str, ...]
    fields: dict[str, str] = field(default_factory=dict)
    config: str | None = None
    split: str = "train"
    revision: str | None = None
    licence: str | None = None
    parallel: bool = False
    bad_rows: str = "error"


@dataclass(frozen=True)
class SourceInfo:
    """What a card says about a source. `sha256` covers ids and texts in order, whatever format they came in."""

    name: str
    licence: str
    revision: str | None
    languages: tuple[str, ...]
    n_rows: int
    dropped: dict[str, int]
    sha256: str


class Store:
    """Random access to a set laid out by `build_store`; opens the memory map on first use, also in another process."""

    def __init__(self, path: Path, info: SourceInfo) -> None:
        self.path = path
        self.info = info
        self._table: pa.Table | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_table": None}

    def __len__(self) -> int:
        return self.info.n_rows

    def gather(self, column: str, items: np.ndarray) -> list[str]:
        """The column's texts at `items` (int64, shape [n]), in that order: a list of n strings."""
        import numpy as np
        import pyarrow as pa

        if self._table is None:
            with pa.memory_map(str(self.path)) as source:
                self._table = pa.ipc.open_file(source).read_all()
        chunks = self._table[column].chunks
        out = np.empty(len(items), dtype=object)
        which = items // BATCH_ROWS
        for chunk in np.unique(which):
            here = np.flatnonzero(which == chunk)
            out[here] = chunks[chunk].take(pa.array(items[here] - chunk * BATCH_ROWS)).to_pylist()
        return out.tolist()


def parse_fields(mapping: list[str], option: str) -> dict[str, str]:
    """`["output=answer"]` -> `{"output": "answer"}`.

    Raises:
        CrossinError: not `ours=theirs`, or an unknown field of ours.
    """
    out: dict[str, str] = {}
    for item in mapping:
        ours, sign, theirs = item.partition("=")
        if not sign or ours not in ("id", *COLUMNS):
            raise CrossinError(
                f"{option}: {item!r} is not <id|instruction|input|output|translatable>=<field of the set>"
            )
        out[ours] = theirs
    return out


def build_store(source: SourceSpec, folder: Path) -> Store:
    """Read, check and lay out one set as an Arrow file in `folder`.

    Raises:
        CrossinError: unreadable source; languages of unequal length or order; repeated id; and, unless bad rows are
            dropped, a missing field or an empty instruction or output. Each names file, row or id, and language.
    """
    import pyarrow as pa

    if is_hub(source.spec) and "{lang" not in source.spec:
        source = replace(source, revision=hub_commit(source.spec.removeprefix("hub:"), source.revision))
    columns = ["id", *(f"{language}.{name}" for language in source.languages for name in COLUMNS)]
    schema = pa.schema([(column, pa.string()) for column in columns])
    digest = hashlib.sha256()
    seen: set[str] = set()
    dropped: Counter[str] = Counter()
    licences: set[str] = set()
    n_rows = 0
    folder.mkdir(parents=True, exist_ok=True)
    name = source_name(source.spec)
    path = folder / f"{hashlib.sha256(repr(source).encode()).hexdigest()[:16]}.arrow"
    rows: list[tuple[str, ...]] = []
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:

        def flush() -> None:
            arrays = [pa.array(values, pa.string()) for values in zip(*rows, strict=True)]
            writer.write_batch(pa.record_batch(arrays, schema=schema))
            rows.clear()

        for k, (where, records) in enumerate(_aligned(source)):
            key = _identity(source, records, k, where)
            if key in seen:
                raise CrossinError(f"{where}: id {key!r} stands there twice; ids must be unique")
            seen.add(key)
            row, reason = _texts(source, records)
            if row is None:
                if source.bad_rows == "error":
                    raise CrossinError(f"{where} (id {key!r}): {reason}; mend it, or set bad_rows: drop")
                dropped[reason] += 1
                continue
            licences |= _row_licences(records)
            rows.append((key, *row))
            n_rows += 1
            for text in rows[-1]:
                data = text.encode("utf-8")
                digest.update(len(data).to_bytes(8, "big") + data)
            if len(rows) == BATCH_ROWS:
                flush()
        if rows:
            flush()
    disorder = sum(count for reason, count in dropped.items() if _DISORDER in reason)
    if disorder > MAX_DISORDER * (n_rows + disorder):
        raise CrossinError(
            f"{name}: {disorder} of {n_rows + disorder} rows have {_DISORDER}: "
            "the languages' files are not in the same order; give every record an id, or sort them"
        )
    if not n_rows:
        raise CrossinError(f"{name}: no usable row in it" + (f" ({sum(dropped.values())} dropped)" if dropped else ""))
    licence = source.licence or LICENCES.get(name) or "; ".join(sorted(licences)) or "unknown"
    info = SourceInfo(name, licence, source.revision, source.languages, n_rows, dict(dropped), digest.hexdigest())
    return Store(path, info)


def _aligned(source: SourceSpec) -> Iterator[tuple[str, dict[str, dict[str, Any]]]]:
    """Items as (where, record per language); checks length and ids when every language has a place of its own."""
    if not per_language(source.spec, source.config, source.split):
        options = {"config": source.config, "split": source.split, "revision": source.revision}
        for where, record in source_records(source.spec, **options):  # type: ignore[arg-type]
            yield where, dict.fromkeys(source.languages, record)
        return
    readers = {language: _language_records(source, language) for language in source.languages}
    end = Record("", {})
    counts = dict.fromkeys(readers, 0)
    for records in zip_longest(*readers.values(), fillvalue=end):
        for language, place in zip(readers, records, strict=True):
            counts[language] += place is not end
        if end in records:
            for rest, language in zip(readers.values(), readers, strict=True):
                counts[language] += sum(1 for _ in rest)
            lengths = ", ".join(f"{language} {n}" for language, n in counts.items())
            raise CrossinError(f"{source.spec}: languages of unequal length ({lengths}); row k must be the same item")
        item = {language: found for language, (_, found) in zip(readers, records, strict=True)}
        keys = {language: _dig(found, source.fields.get("id") or "id") for language, found in item.items()}
        ids = {language: key for language, key in keys.items() if key is not None}
        if len(set(map(str, ids.values()))) > 1:
            shown = ", ".join(f"{language} {key!r}" for language, key in ids.items())
            raise CrossinError(f"{records[0][0]}: languages in different order (ids {shown}); row k must be one item")
        yield records[0][0], item


def _language_records(source: SourceSpec, language: str) -> Iterator[Record]:
    spec = source.spec
    if not is_hub(spec) and Path(spec).is_dir():
        names = [f"{stem}{suffix}" for stem in (language, LANGUAGES[language].english) for suffix in SUFFIXES]
        found = [Path(spec) / name for name in names if (Path(spec) / name).is_file()]
        if not found:
            raise CrossinError(f"{spec}: no file for language {language!r}; expected {Path(spec) / language}.json")
        spec = str(found[0])
    config = fill(source.config, language) if source.config else None
    split = fill(source.split, language)
    return source_records(fill(spec, language), config=config, split=split, revision=source.revision)


def _identity(source: SourceSpec, records: dict[str, dict[str, Any]], k: int, where: str) -> str:
    record = next(iter(records.values()))
    wanted = source.fields.get("id")
    value = _dig(record, wanted) if wanted else record.get("id")
    if value is None and wanted:
        raise CrossinError(f"{where}: no field {wanted!r} for the id")
    return str(k) if value is None else str(value)


def _texts(source: SourceSpec, records: dict[str, dict[str, Any]]) -> tuple[tuple[str, ...] | None, str]:
    """The item's texts, one a column and language, or None and the reason why it is bad."""
    out: list[str] = []
    nested = source.parallel and not source.fields and not per_language(source.spec, source.config, source.split)
    for language, record in records.items():
        if nested and not isinstance(record := _language_object(record, language, len(records)), dict):
            return None, f"no language {language!r}"
        for name in COLUMNS:
            theirs = source.fields.get(name)
            if theirs is None:
                value = record.get(name)
            elif theirs:
                value = _dig(record, fill(theirs, language))
            else:
                value = ""
            if value is None and name not in _REQUIRED:
                value = ""
            if value is None:
                return None, f"{language}: no field {fill(theirs or name, language)!r}"
            if not isinstance(value, str):
                return None, f"{language}: {name} is not text"
            value = value.strip()
            if not value and name in _REQUIRED:
                return None, f"{language}: empty {name}"
            if _has_lone_surrogate(value):
                return None, f"{language}: {name} is not valid Unicode"
            out.append(value)
    inputs = [bool(text) for text in out[COLUMNS.index("input") :: len(COLUMNS)]]
    if len(set(inputs)) > 1:
        having = ", ".join(lang for lang, has in zip(records, inputs, strict=True) if has)
        return None, f"{_DISORDER} (only {having})"
    return tuple(out), ""


def _language_object(record: dict[str, Any], language: str, n_languages: int) -> Any:
    """What a parallel record says in one language; a flat record will do where one language is all that is wanted."""
    flat = record if n_languages == 1 and "instruction" in record else None
    return record.get(language, record.get(LANGUAGES[language].english, flat))


def _has_lone_surrogate(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False


def _dig(record: dict[str, Any], path: str) -> Any:
    if path in record:
        return record[path]
    value: Any = record
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _row_licences(records: dict[str, dict[str, Any]]) -> set[str]:
    """Licences that rows state: their own, their provenance's, and those of the models that translated them."""
    found = set()
    for record in {id(record): record for record in records.values()}.values():
        provenance = record.get("provenance")
        provenance = provenance if isinstance(provenance, dict) else {}
        for place in (record, provenance):
            found |= {v for k in ("licence", "license") if isinstance(v := place.get(k), str) and v}
        translations = provenance.get("translations")
        for translation in translations.values() if isinstance(translations, dict) else ():
            if isinstance(translation, dict) and translation.get("licence"):
                found.add(f"translated by {translation.get('model')} ({translation['licence']})")
    return found
