"""The English rows to translate, from any source that the mix recipe reads."""

from __future__ import annotations

from dataclasses import dataclass

from crossin_metrics.errors import CrossinError
from recipes.mixes.readers import source_name
from recipes.mixes.sources import FIELDS, SourceSpec, find_licence, read_items, read_texts, row_licences


@dataclass(frozen=True)
class Row:
    """One row: its id, and the texts of `instruction`, `input` (may be empty) and `output`, stripped."""

    id: str
    fields: dict[str, str]


@dataclass(frozen=True)
class Source:
    """All rows in their order, and the provenance that every translated row states."""

    rows: list[Row]
    name: str
    licence: str


def read_source(source: SourceSpec, limit: int | None = None) -> Source:
    """Read the rows of a source of one language, or its first `limit` rows.

    Raises:
        CrossinError: unreadable, a field is missing or not text (file and line are named), duplicate id, no rows, no
            licence. Empty texts are not errors: such rows are set aside with their reason.
    """
    rows: list[Row] = []
    licences: set[str] = set()
    (language,) = source.languages
    for where, key, records in read_items(source):
        if len(rows) == limit:
            break
        try:
            texts = read_texts(source, records[language], language)
        except ValueError as error:
            raise CrossinError(f"{where}: {error}; --source_fields maps field names") from None
        rows.append(Row(key, {name: texts[name] for name in FIELDS}))
        licences |= row_licences(records)
    if not rows:
        raise CrossinError(f"{source.spec}: no rows")
    licence = find_licence(source, licences)
    if not licence:
        raise CrossinError(f"{source_name(source.spec)}: its rows state no licence; give it with --source_licence")
    return Source(rows, source_name(source.spec), licence)
