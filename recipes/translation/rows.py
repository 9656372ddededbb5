"""The English rows to translate, out of any source the mix recipe can read too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crossin_metrics.errors import CrossinError
from crossin_metrics.languages import LANGUAGES
from recipes.mixes.readers import source_name, source_records
from recipes.mixes.sources import FIELDS, LICENCES


@dataclass(frozen=True)
class Row:
    """One row: its id, and the texts of `instruction`, `input` (perhaps empty) and `output`, without outer blanks."""

    id: str
    fields: dict[str, str]


@dataclass(frozen=True)
class Source:
    """All rows in their order, and what every translated row says of where it comes from."""

    rows: list[Row]
    name: str
    licence: str


def read_source(
    spec: str,
    language: str,
    *,
    fields: Mapping[str, str] | None = None,
    config: str | None = None,
    split: str = "train",
    revision: str | None = None,
    licence: str | None = None,
    limit: int | None = None,
) -> Source:
    """Read the rows of one language.

    Args:
        spec: see `recipes.mixes.readers.source_records`.
        language: their language; a record that holds an object per language is read at this one.
        fields: our field (`id`, `instruction`, `input`, `output`) -> theirs, dotted for nested ones; "" for none.
        config, split, revision: of a hub set.
        licence: of the texts; by default what the set's page or its rows say.
        limit: read the first so many rows.

    Raises:
        CrossinError: unreadable, a field is missing or no text (file and line are named), an id stands twice, no rows.
            Empty texts are no error here: such rows are set aside with their reason.
    """
    rows: list[Row] = []
    seen: set[str] = set()
    licences: set[str] = set()
    mapping = dict(fields or {})
    for position, (where, record) in enumerate(source_records(spec, config=config, split=split, revision=revision)):
        if limit is not None and position >= limit:
            break
        row = Row(_id(record, mapping, position, where), _texts(record, mapping, language, where))
        if row.id in seen:
            raise CrossinError(f"{where}: id {row.id!r} stands there twice; ids must be unique")
        seen.add(row.id)
        rows.append(row)
        provenance = record.get("provenance")
        for place in (record, provenance if isinstance(provenance, dict) else {}):
            licences |= {value for key in ("licence", "license") if isinstance(value := place.get(key), str) and value}
    if not rows:
        raise CrossinError(f"{spec}: no rows in it")
    name = source_name(spec)
    known = licence or LICENCES.get(name) or "; ".join(sorted(licences))
    if not known:
        raise CrossinError(f"{name}: no licence in its rows; say which one it has with --source_licence")
    return Source(rows, name, known)


def _id(record: Mapping[str, Any], mapping: Mapping[str, str], position: int, where: str) -> str:
    wanted = mapping.get("id")
    value = _dig(record, wanted) if wanted else record.get("id")
    if value is None and wanted:
        raise CrossinError(f"{where}: no field {wanted!r} for the id")
    return str(position) if value is None else str(value)


def _texts(record: Mapping[str, Any], mapping: Mapping[str, str], language: str, where: str) -> dict[str, str]:
    if "instruction" not in mapping and "instruction" not in record:
        nested = record.get(language, record.get(LANGUAGES[language].english))
        record = nested if isinstance(nested, dict) else record
    texts: dict[str, str] = {}
    for name in FIELDS:
        theirs = mapping.get(name, name)
        value = _dig(record, theirs) if theirs else ""
        if value is None and name == "input":
            value = ""
        if value is None:
            raise CrossinError(f"{where}: no field {theirs!r} for the {name}; name theirs with --source_fields")
        if not isinstance(value, str):
            raise CrossinError(f"{where}: {name} is {type(value).__name__}, not text")
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise CrossinError(f"{where}: {name} is not valid Unicode (a lone surrogate)") from None
        texts[name] = value.strip()
    return texts


def _dig(record: Mapping[str, Any], path: str) -> Any:
    if path in record:
        return record[path]
    value: Any = record
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
