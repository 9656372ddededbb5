"""Base and seed sets, checked once and laid out on disk for random access through a memory map.

A store has one row per item and the columns `id` and `<lang>.instruction`, `<lang>.input`, `<lang>.output`,
`<lang>.translatable`. The seed set is parallel, the same item in every language; a base set has one language. Building
streams, so memory does not grow with the data (except for a JSON list, which is read whole).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import chain, islice, zip_longest
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
"""Optional field: what a translation pair translates, if not the whole instruction."""

COLUMNS = (*FIELDS, TEXT)
BATCH_ROWS = 16384
MAX_DISORDER = 0.1
"""Share of rows whose languages disagree on having an input, above which the files must be in different orders."""

LICENCES = {
    "garage-bAInd/Open-Platypus": "mixed, stated per part on its hub page (some parts non-commercial)",
    "tatsu-lab/alpaca": "CC BY-NC 4.0",
    "yahma/alpaca-cleaned": "CC BY 4.0 on its hub page (made from CC BY-NC 4.0)",
    "packaged:base_mini": "Apache-2.0",
    "packaged:seed_mini": "Apache-2.0",
}
"""Licences as the sets' own pages give them; anything else comes from the rows or from the configuration."""

REQUIRED = ("instruction", "output")
_DISORDER = "an input in some languages and none in others"


@dataclass(frozen=True)
class SourceSpec:
    """Where one set is and how to read it.

    Attributes:
        spec: `packaged:<name>`, hub id, file, folder with one file a language, or a path or id with `{lang}`.
        languages: the languages to read; the others in the set are ignored.
        fields: mapping from our field (`id` and `COLUMNS`) to theirs, dotted for nested ones and with `{lang}` for the
            language's code or `{language}` for its English name; "" means there is none. Where `instruction` is not
            mapped, a record may hold an object per language: `{"en": {"instruction": ...}, "zh": ...}`.
        bad_rows: "error", or "drop" to leave out a bad row in all languages and count it.
    """

    spec: str
    languages: tuple[str, ...]
    fields: dict[str, str] = field(default_factory=dict)
    config: str | None = None
    split: str = "train"
    revision: str | None = None
    licence: str | None = None
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
                f"{option}: {item!r} must be <id|instruction|input|output|translatable>=<field of the set>"
            )
        out[ours] = theirs
    return out


def build_store(source: SourceSpec, folder: Path) -> Store:
    """Read, check and lay out one set as an Arrow file in `folder`.

    Raises:
        CrossinError: unreadable source; languages of unequal length or order; duplicate id; and, unless bad rows are
            dropped, a missing field or an empty instruction or output. Each names file, row or id, and language.
    """
    import pyarrow as pa

    if is_hub(source.spec) and "{lang" not in source.spec:
        source = replace(source, revision=hub_commit(source.spec.removeprefix("hub:"), source.revision))
    columns = ["id", *(f"{language}.{name}" for language in source.languages for name in COLUMNS)]
    schema = pa.schema([(column, pa.string()) for column in columns])
    digest = hashlib.sha256()
    dropped: Counter[str] = Counter()
    licences: set[str] = set()
    n_rows = 0
    folder.mkdir(parents=True, exist_ok=True)
    name = source_name(source.spec)
    path = folder / f"{hashlib.sha256(repr(source).encode()).hexdigest()[:16]}.arrow"
    rows = _good_rows(source, dropped, licences)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        while batch := list(islice(rows, BATCH_ROWS)):
            n_rows += len(batch)
            for text in chain.from_iterable(batch):
                data = text.encode("utf-8")
                digest.update(len(data).to_bytes(8, "big") + data)
            arrays = [pa.array(values, pa.string()) for values in zip(*batch, strict=True)]
            writer.write_batch(pa.record_batch(arrays, schema=schema))
    disorder = sum(count for reason, count in dropped.items() if _DISORDER in reason)
    if disorder > MAX_DISORDER * (n_rows + disorder):
        raise CrossinError(
            f"{name}: {disorder} of {n_rows + disorder} rows have {_DISORDER}: "
            "the languages' files are not in the same order; give every record an id, or sort them"
        )
    if not n_rows:
        raise CrossinError(f"{name}: no usable rows" + (f" ({sum(dropped.values())} dropped)" if dropped else ""))
    licence = find_licence(source, licences) or "unknown"
    info = SourceInfo(name, licence, source.revision, source.languages, n_rows, dict(dropped), digest.hexdigest())
    return Store(path, info)


def read_items(source: SourceSpec) -> Iterator[tuple[str, str, dict[str, dict[str, Any]]]]:
    """Items as (place, id, record per language).

    Raises:
        CrossinError: unreadable source; languages of unequal length or order; missing or duplicate id.
    """
    seen: set[str] = set()
    wanted = source.fields.get("id")
    for number, (where, records) in enumerate(_aligned(source)):
        key = _dig(next(iter(records.values())), wanted or "id")
        if key is None and wanted:
            raise CrossinError(f"{where}: no field {wanted!r} for the id")
        key = str(number if key is None else key)
        if key in seen:
            raise CrossinError(f"{where}: duplicate id {key!r}")
        seen.add(key)
        yield where, key, records


def read_texts(source: SourceSpec, record: dict[str, Any], language: str) -> dict[str, str]:
    """A record's texts in one language by `COLUMNS`, stripped; "" for an optional field that is missing.

    Raises:
        ValueError: the reason why the record is bad.
    """
    if "instruction" not in source.fields and not per_language(source.spec, source.config, source.split):
        nested = record.get(language, record.get(LANGUAGES[language].english))
        if not isinstance(nested, dict) and len(source.languages) > 1:
            raise ValueError(f"no language {language!r}")
        record = nested if isinstance(nested, dict) else record
    texts: dict[str, str] = {}
    for name in COLUMNS:
        theirs = fill(source.fields.get(name, name), language)
        value = _dig(record, theirs) if theirs else ""
        if value is None and name not in REQUIRED:
            value = ""
        if value is None:
            raise ValueError(f"{language}: no field {theirs!r}")
        if not isinstance(value, str):
            raise ValueError(f"{language}: {name} is not text")
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise ValueError(f"{language}: {name} is not valid Unicode (a lone surrogate)")
        texts[name] = value.strip()
    return texts


def find_licence(source: SourceSpec, licences: set[str]) -> str:
    """The licence that the options, the table or the rows give; "" if none does."""
    return source.licence or LICENCES.get(source_name(source.spec)) or "; ".join(sorted(licences))


def row_licences(records: dict[str, dict[str, Any]]) -> set[str]:
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


def _good_rows(source: SourceSpec, dropped: Counter[str], licences: set[str]) -> Iterator[tuple[str, ...]]:
    """Id and texts of each item, one per column of the store; counts what is dropped and collects licences."""
    for where, key, records in read_items(source):
        try:
            texts = [read_texts(source, record, language) for language, record in records.items()]
            for language, found in zip(records, texts, strict=True):
                if empty := next((name for name in REQUIRED if not found[name]), None):
                    raise ValueError(f"{language}: empty {empty}")
            having = [language for language, found in zip(records, texts, strict=True) if found["input"]]
            if having and len(having) < len(texts):
                raise ValueError(f"{_DISORDER} (only {', '.join(having)})")
        except ValueError as error:
            if source.bad_rows == "error":
                raise CrossinError(f"{where} (id {key!r}): {error}; fix it, or set bad_rows: drop") from None
            dropped[str(error)] += 1
            continue
        licences |= row_licences(records)
        yield (key, *(text for found in texts for text in found.values()))


def _aligned(source: SourceSpec) -> Iterator[tuple[str, dict[str, dict[str, Any]]]]:
    """Items as (place, record per language); checks length and ids where every language has its own file or config."""
    if not per_language(source.spec, source.config, source.split):
        records = source_records(source.spec, config=source.config, split=source.split, revision=source.revision)
        for where, record in records:
            yield where, dict.fromkeys(source.languages, record)
        return
    readers = {language: _language_records(source, language) for language in source.languages}
    end = Record("", {})
    counts = dict.fromkeys(readers, 0)
    for found in zip_longest(*readers.values(), fillvalue=end):
        for language, place in zip(readers, found, strict=True):
            counts[language] += place is not end
        if end in found:
            for rest, language in zip(readers.values(), readers, strict=True):
                counts[language] += sum(1 for _ in rest)
            lengths = ", ".join(f"{language} {n}" for language, n in counts.items())
            raise CrossinError(f"{source.spec}: languages of unequal length ({lengths}); row k must be the same item")
        item = {language: record for language, (_, record) in zip(readers, found, strict=True)}
        keys = {language: _dig(record, source.fields.get("id") or "id") for language, record in item.items()}
        ids = {language: key for language, key in keys.items() if key is not None}
        if len(set(map(str, ids.values()))) > 1:
            shown = ", ".join(f"{language} {key!r}" for language, key in ids.items())
            raise CrossinError(f"{found[0].where}: languages in different order (ids {shown})")
        yield found[0].where, item


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


def _dig(record: dict[str, Any], path: str) -> Any:
    """The value at a dotted path, None if there is none."""
    if path in record:
        return record[path]
    value: Any = record
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value
