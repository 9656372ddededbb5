"""Reading JSON Lines, JSON, CSV and Parquet files: records with their places, and errors that name file and line."""

from __future__ import annotations

import csv
import gzip
import itertools
import json
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from crossin_metrics.errors import DAMAGE, CrossinError, closest, one_line
from crossin_metrics.text_tables import csv_value

# Formats of `read_records`. Most preferred first: where a folder holds a set twice, this one is read.
SUFFIXES = (".jsonl", ".jsonl.gz", ".parquet", ".json", ".json.gz")


_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class Record(NamedTuple):
    """One record of a file and its place, for messages: "set.jsonl, line 3" or "set.parquet, row 3"."""

    where: str
    value: dict[str, Any]


def read_records(path: Path, *, unique_keys: bool = False) -> Iterator[Record]:
    """Records of a file whose name ends in one of :data:`SUFFIXES`, without loading JSON Lines and Parquet whole.

    Args:
        path: the file. A `.json` file holds an array of objects, an object with one array in it, or JSON Lines.
        unique_keys: refuse JSON objects with a duplicate key (slower).

    Raises:
        CrossinError: missing, unreadable, damaged or of another format; with file and line.
    """
    name = path.name.lower().removesuffix(".gz")
    if not path.is_file():
        raise CrossinError(f"{path}: is a directory, not a file") if path.is_dir() else _missing(path)
    if name.endswith(".jsonl"):
        return json_lines(path, unique_keys=unique_keys)
    if name.endswith(".json"):
        return _json_array(path, unique_keys)
    if path.name.lower().endswith(".parquet"):
        return parquet_rows(path)
    raise CrossinError(f"{path}: unknown format; expected one of {', '.join(SUFFIXES)}")


def json_lines(path: Path, *, unique_keys: bool = False) -> Iterator[Record]:
    """The objects of a JSON Lines file; blank lines are skipped.

    Raises:
        CrossinError: unreadable, or a line is not a JSON object; with file and line.
    """
    for number, line in enumerate(text_lines(path), 1):
        if not line.isspace():
            where = f"{path}, line {number}"
            yield Record(where, _object(parse_json(line, where, unique_keys=unique_keys), where))


def other_kind(value: Any) -> str:
    """What a file with this record (or value) is, and which command takes it, for messages; else nothing."""
    if not isinstance(value, dict):
        return ""
    said = ""
    if "doc" in value:
        said = "a sample log of the harness: crossin score, compare, report and export read it"
    elif {"id", "language", "gold"} <= value.keys():
        said = "a prediction table: crossin score, compare, report and export read it"
    elif isinstance(value.get("results"), dict):
        said = "the harness's scores: give the samples_*.jsonl beside it to crossin score, compare, report or export"
    elif {"prompt", "completion"} <= value.keys():
        said = "a mix: crossin tune trains on it"
    elif any(isinstance(part, dict) and {"question", "choices"} <= part.keys() for part in value.values()):
        said = "a question set: crossin eval --set FILE asks a model its questions"
    return said and f"; this is {said}"


def csv_columns(line: str) -> tuple[list[str], str]:
    """The column names in a CSV file's first line, without blanks, and the separator: comma, ";", "|" or tab."""
    separator = max(",;\t|", key=re.sub('"[^"]*"', "", line).count)
    return [name.strip() for name in next(csv.reader([line], delimiter=separator), [])], separator


def csv_rows(path: Path) -> Iterator[Record]:
    """The rows of a CSV file by column name; every value is a string, without the apostrophe of `text_tables.csv_cell`.

    The separator is a comma, ";", "|" or tab. Blank rows are skipped, and so is a first column without a name that
    numbers the rows from 0 (pandas' index).

    Raises:
        CrossinError: unreadable, an unnamed or duplicate column, or a row of another length than the header; with file
            and line.
    """
    csv.field_size_limit(1 << 30)
    lines = text_lines(path)
    head = next(lines, "")
    if "\0" in head:
        raise CrossinError(f"{path}, line 1: NUL bytes, as in UTF-16; save the file as UTF-8")
    try:
        columns, separator = csv_columns(head)
    except csv.Error as error:
        raise CrossinError(f"{path}, line 1: broken CSV ({error})") from None
    if twice := next((name for name in columns if columns.count(name) > 1 and name), None):
        raise CrossinError(f"{path}, line 1: duplicate column {twice!r}; remove one")
    if not any(columns) or not all(columns[1:]):
        raise CrossinError(f"{path}, line 1: unnamed column; the first line must name all columns")
    reader = csv.DictReader(itertools.chain([head], lines), delimiter=separator)
    reader.fieldnames = columns
    number = -1
    try:
        next(reader.reader)
        for row in reader:
            where = f"{path}, line {reader.line_num}"
            if not any(row.values()):
                continue
            number += 1
            if not columns[0] and row.pop("") != str(number):
                raise CrossinError(f"{path}, line 1: unnamed column; the first line must name all columns")
            if None in row or None in row.values():
                raise CrossinError(
                    f"{where}: too {'many' if None in row else 'few'} values for the "
                    f"{len(reader.fieldnames or [])} columns; is the line cut off, or a comma not quoted?"
                )
            yield Record(where, {name: csv_value(cell) for name, cell in row.items()})
    except csv.Error as error:
        raise CrossinError(f"{path}, line {reader.line_num}: broken CSV ({error})") from None


def parquet_rows(path: Path) -> Iterator[Record]:
    """The rows of a Parquet file, read in batches.

    Raises:
        CrossinError: not a Parquet file, or damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(path) as parquet:
            names = parquet.schema_arrow.names
            if twice := next((name for name in names if names.count(name) > 1), None):
                raise CrossinError(f"{path}: duplicate column {twice!r}; remove one")
            for batch in parquet.iter_batches(batch_size=4096):
                for row in batch.to_pylist():
                    number += 1
                    yield Record(f"{path}, row {number}", row)
    except CrossinError:
        raise
    except (pa.ArrowException, OSError, *DAMAGE) as error:
        reason = " ".join(str(error).split())[:200]
        raise CrossinError(
            f"{path}: not a Parquet file, or cut short after row {number} ({reason}); fetch or write it again"
        ) from error


def read_json(path: Path, *, unique_keys: bool = False) -> Any:
    """The value of a JSON file, gzip or not.

    Raises:
        CrossinError: unreadable or not JSON; with file and line.
    """
    return parse_json(read_text(path), str(path), unique_keys=unique_keys)


def parse_json(text: str, where: str, *, unique_keys: bool = False) -> Any:
    """Parse a JSON text; errors name `where`, as in :func:`read_json`."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise CrossinError(f"{where}: duplicate key {twice!r} in one object")
        return value

    try:
        value = json.loads(text, object_pairs_hook=unique if unique_keys else None)
        if _SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode()  # half of a pair of \\u escapes is no text
        return value
    except json.JSONDecodeError as error:
        line = f", line {error.lineno}" if ", line " not in where else ""
        reason = f"{error.msg}, column {error.colno}"
        raise CrossinError(
            f"{where}{line}: not JSON ({reason}); the file may be cut short, fetch or write it again"
        ) from error
    except CrossinError:
        raise
    except RecursionError as error:
        raise CrossinError(f"{where}: not JSON (nested too deep)") from error
    except UnicodeEncodeError as error:
        raise CrossinError(f"{where}: half of a surrogate pair (\\ud800 ... \\udfff) is not text; remove it") from error
    except ValueError as error:  # Python reads no integer of more than 4,300 digits
        raise CrossinError(f"{where}: a number with too many digits") from error
    except MemoryError as error:
        raise CrossinError(f"{where}: not JSON (nested too deep)") from error


def read_yaml(path: Path) -> Any:
    """The value of a YAML file of plain values.

    Raises:
        CrossinError: unreadable, not YAML, or a duplicate key; with file and, where known, line.
    """
    import yaml

    class UniqueKeys(yaml.SafeLoader):
        pass

    def mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
        seen = []
        for key_node, _ in node.value:
            if key_node.tag.endswith(":merge"):  # <<: *anchor
                continue
            if (key := loader.construct_object(key_node)) in seen:
                raise CrossinError(f"{path}, line {key_node.start_mark.line + 1}: duplicate key {key!r}")
            seen.append(key)
        return dict(yaml.SafeLoader.construct_mapping(loader, node, deep=True))

    UniqueKeys.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)
    text = read_text(path)
    if re.search(r"(?:[\[{]\s*){100}", text):  # PyYAML needs seconds for these
        raise CrossinError(f"{path}: not valid YAML (nested too deep); fix it")
    try:
        return yaml.load(text, Loader=UniqueKeys)
    except CrossinError:
        raise
    except (yaml.YAMLError, *DAMAGE) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark is not None else ""
        raise CrossinError(f"{path}{line}: not valid YAML ({one_line(error, 200)}); fix it") from error


def read_text(path: Path) -> str:
    """A UTF-8 text file's content, gzip or not; a byte order mark is dropped.

    Raises:
        CrossinError: as :func:`text_lines`.
    """
    return "".join(text_lines(path))


def text_lines(path: Path) -> Iterator[str]:
    """Lines of a UTF-8 text file, gzip or not (by its content), with their line ends; a byte order mark is dropped.

    Raises:
        CrossinError: missing, unreadable, a damaged gzip file, or not UTF-8; with file and line.
    """
    number = 0
    try:
        with path.open("rb") as raw, gzip.open(raw) if raw.peek(2)[:2] == b"\x1f\x8b" else raw as stream:
            for number, line in enumerate(stream, 1):
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise CrossinError(f"{path}, line {number}: {_not_utf8(path)}") from error
    except (EOFError, zlib.error, gzip.BadGzipFile, struct.error) as error:
        raise CrossinError(
            f"{path}: gzip file damaged or cut short after line {number}; fetch or write it again"
        ) from error
    except FileNotFoundError:
        raise _missing(path) from None
    except OSError as error:
        raise CrossinError(f"{path}: cannot be read ({error.strerror or error})") from error


def _not_utf8(path: Path) -> str:
    """What a file is that is not UTF-8, and what to do."""
    with path.open("rb") as raw:
        start = raw.read(6)
    if start.startswith(b"PK\x03\x04"):
        return "a zip or Excel file; save its table as CSV in UTF-8"
    if start.startswith((b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")):
        return "compressed, but not with gzip; unpack it"
    return "not UTF-8; save the file as UTF-8"


def _json_array(path: Path, unique_keys: bool) -> Iterator[Record]:
    filled = (line for line in text_lines(path) if not line.isspace())
    first, second = next(filled, "").strip(), next(filled, "")
    if second.startswith("{") and first.startswith("{") and first.endswith("}"):
        yield from json_lines(path, unique_keys=unique_keys)
        return
    content = read_json(path, unique_keys=unique_keys)
    if isinstance(content, dict):  # {"data": [...]} and the like
        arrays = [value for value in content.values() if isinstance(value, list)]
        content = arrays[0] if len(arrays) == 1 else content
    if not isinstance(content, list):
        kind = other_kind(content) or "; one object a line belongs into a .jsonl file"
        raise CrossinError(f"{path}: expected a JSON array of objects{kind}")
    for number, value in enumerate(content, 1):
        where = f"{path}, row {number}"
        yield Record(where, _object(value, where))


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise CrossinError(f"{where}: expected a JSON object, found {type(value).__name__}")
    return value


def _missing(path: Path) -> CrossinError:
    """Names the closest file or folder beside what is missing: the file, or a folder above it."""
    lost = path
    while not lost.parent.exists():
        lost = lost.parent
    try:
        close = closest(lost.name, (other.name for other in lost.parent.iterdir()))
    except OSError:
        close = None
    return CrossinError(f"{path}: no such file" + (f"; did you mean {str(lost.with_name(close))!r}?" if close else ""))
