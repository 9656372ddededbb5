"""Raw rows of parallel sets: read from a local file, or from the hub and its cache."""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO, cast

from crossin_metrics.errors import CrossinError

DATA_DIR_VARIABLE = "CROSSIN_DATA_DIR"  # the folder of local sets, where none is given
# Most preferred first: where a folder holds a set twice, this one is read.
SUFFIXES = (".jsonl", ".jsonl.gz", ".parquet", ".json")


@dataclass(frozen=True, slots=True)
class Located:
    """A raw row and where it stands ("cross_mmlu.jsonl, line 3")."""

    where: str
    value: Any


def read_bytes(path: Path) -> bytes:
    """Return a file's bytes, unpacked where its name ends in `.gz`.

    Raises:
        CrossinError: missing, a directory, unreadable, or a gzip file that is damaged or cut short.
    """
    if path.is_dir():
        raise CrossinError(f"{path}: is a directory, not a file; name the file inside it")
    try:
        data = path.read_bytes()
        return gzip.decompress(data) if path.name.endswith(".gz") else data
    except FileNotFoundError:
        raise CrossinError(f"{path}: no such file") from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise CrossinError(f"{path}: damaged or cut short gzip file ({error}); fetch it again") from error
    except OSError as error:
        raise CrossinError(f"{path}: cannot be read ({error.strerror or error})") from error


def read_text(path: Path) -> str:
    """Return a file's text (UTF-8, a byte-order mark dropped); `CrossinError` names the line that is not UTF-8."""
    data = read_bytes(path)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise CrossinError(f"{path}, line {line}: not UTF-8; save the file as UTF-8") from error


def read_rows(path: Path) -> list[Located]:
    """Read raw rows from `.jsonl`, `.jsonl.gz`, `.json` (an array) or `.parquet`.

    Raises:
        CrossinError: as `read_bytes`, or not JSON, not Parquet, empty, an unknown ending.
    """
    if path.name.endswith(".parquet"):
        rows = [Located(f"{path}, row {number}", row) for number, row in enumerate(_read_parquet(path), 1)]
    elif path.name.endswith(".json"):
        array = _parse_json(read_text(path), str(path))
        if not isinstance(array, list):
            raise CrossinError(f"{path}: must hold a JSON array of questions; one object a line belongs into a .jsonl")
        rows = [Located(f"{path}, row {number}", row) for number, row in enumerate(array, 1)]
    elif path.name.endswith((".jsonl", ".jsonl.gz")):
        # Not splitlines(): U+2028 and its like are no line ends in JSON Lines and do occur inside strings.
        rows = [
            Located(where := f"{path}, line {number}", _parse_json(line, where))
            for number, line in enumerate(read_text(path).split("\n"), 1)
            if line.strip()
        ]
    else:
        raise CrossinError(f"{path}: unknown kind of file; a parallel set ends in {', '.join(SUFFIXES)}")
    if not rows:
        raise CrossinError(f"{path}: empty; a parallel set holds one question a line")
    return rows


def _read_parquet(path: Path) -> list[dict[str, Any]]:
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    data = read_bytes(path)
    if not data:
        raise CrossinError(f"{path}: empty; a parallel set holds one question a row")
    try:
        return pq.read_table(io.BytesIO(data)).to_pylist()
    except pa.ArrowException as error:
        reason = str(error).splitlines()[0][:200]
        raise CrossinError(f"{path}: not a Parquet file, or cut short ({reason}); fetch it again") from error


def _parse_json(text: str, where: str) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise CrossinError(f"{where}: key {twice!r} stands twice in one object; Indonesian is named 'Indonesian'")
        return value

    try:
        return json.loads(text, object_pairs_hook=unique)
    except (json.JSONDecodeError, RecursionError) as error:
        reason = f"{error.msg}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else "nested too deep"
        raise CrossinError(
            f"{where}: not JSON ({reason}); the file may be cut short, fetch or write it again"
        ) from error


def open_text(path: Path) -> TextIO:
    """Open a text file, gzip or not, as UTF-8 (a byte order mark is skipped)."""
    try:
        with path.open("rb") as raw:
            magic = raw.read(2)
        if magic == b"\x1f\x8b":
            return cast(TextIO, gzip.open(path, "rt", encoding="utf-8-sig", newline=""))
        return path.open(encoding="utf-8-sig", newline="")
    except OSError as error:
        raise CrossinError(f"{path}: cannot be read: {error.strerror or error}") from None


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines with their numbers from 1, blank ones left out.

    Raises:
        CrossinError: the file cannot be read, is cut off inside its compression, or is not UTF-8.
    """
    number = 0
    try:
        with open_text(path) as stream:
            for number, line in enumerate(stream, 1):
                if not line.isspace():
                    yield number, line
    except UnicodeDecodeError as error:
        raise CrossinError(f"{path}:{number + 1}: not UTF-8 text ({error.reason}); save it as UTF-8") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise CrossinError(f"{path}: cut off after line {number} ({error}); copy or write it again") from None
    except OSError as error:
        raise CrossinError(f"{path}: cannot be read: {error.strerror or error}") from None


def json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a JSON Lines file with their line numbers.

    Raises:
        CrossinError: a line is no JSON object; the message names it and how many rows before it were good.
    """
    for good, (number, line) in enumerate(numbered_lines(path)):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
            raise CrossinError(
                f"{path}:{number}: not a whole JSON object ({reason}); {good} rows before it are good: "
                "the file was cut off or is no JSON Lines; write it again or remove that line"
            ) from None
        if not isinstance(row, dict):
            raise CrossinError(f"{path}:{number}: a JSON {type(row).__name__} where a row's object was expected")
        yield number, row


def csv_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    csv.field_size_limit(1 << 30)
    try:
        with open_text(path) as stream:
            reader = csv.DictReader(stream)
            if any(not (name or "").strip() for name in reader.fieldnames or [""]):
                raise CrossinError(f"{path}:1: an unnamed column; the first line must name the columns")
            for row in reader:
                if None in row or None in row.values():
                    raise CrossinError(
                        f"{path}:{reader.line_num}: {'too many' if None in row else 'too few'} values for the "
                        f"{len(reader.fieldnames or [])} columns; the line is cut off or a comma is not quoted"
                    )
                yield reader.line_num, row
    except csv.Error as error:
        raise CrossinError(f"{path}:{reader.line_num}: broken CSV ({error})") from None
    except UnicodeDecodeError as error:
        raise CrossinError(f"{path}: not UTF-8 text ({error.reason}); save it as UTF-8") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise CrossinError(f"{path}: cut off ({error}); copy or write it again") from None


def parquet_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(path) as parquet:
            for batch in parquet.iter_batches():
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
    except (pa.ArrowException, OSError) as error:
        raise CrossinError(f"{path}: not a whole Parquet file ({str(error).splitlines()[0]}); write it again") from None
