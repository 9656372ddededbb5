"""Raw records out of hub sets, JSON, JSON Lines (.gz) and Parquet, each with the place it came from, for messages."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

from crossin_metrics.errors import CrossinError
from crossin_metrics.languages import LANGUAGES

Record = tuple[str, dict[str, Any]]
"""(where it stands, the record)"""

SUFFIXES = (".json", ".jsonl", ".jsonl.gz", ".json.gz", ".parquet")


def is_hub(spec: str) -> bool:
    """Whether a source names a hub data set: `hub:owner/name`, or `owner/name` that is no path here."""
    if spec.startswith("hub:"):
        return True
    looks = re.fullmatch(r"[A-Za-z0-9][\w.-]*/[\w.{}-]+", spec) is not None
    return looks and not spec.endswith(SUFFIXES) and not Path(spec).exists()


def source_name(spec: str) -> str:
    """A source's name for rows and cards: hub id, `packaged:` name or file name, never a folder of this machine."""
    if spec.startswith("packaged:"):
        return spec
    return spec.removeprefix("hub:") if is_hub(spec) else Path(spec).name


def per_language(spec: str, config: str | None, split: str) -> bool:
    """Whether each language is read from a place of its own, row k of one matching row k of the others."""
    return "{lang}" in f"{spec}{config or ''}{split}" or (not is_hub(spec) and Path(spec).is_dir())


def fill(text: str, language: str) -> str:
    """Put a language's code for `{lang}` and its English name for `{language}`."""
    return text.replace("{lang}", language).replace("{language}", LANGUAGES[language].english)


def read_records(
    spec: str, *, config: str | None = None, split: str = "train", revision: str | None = None
) -> Iterator[Record]:
    """Read one source, record by record.

    Args:
        spec: `packaged:<name>`, a hub id, or a file whose suffix names its format.
        config: hub configuration.
        split: hub split.
        revision: hub commit or tag.

    Raises:
        CrossinError: unreachable, missing, of unknown format, or broken; names file and line.
    """
    if spec.startswith("packaged:"):
        name = spec.removeprefix("packaged:")
        path = resources.files("crossin_metrics") / "data" / f"{name}.jsonl"
        if not path.is_file():
            raise CrossinError(f"no packaged set {name!r}; there are packaged:base_mini and packaged:seed_mini")
        with resources.as_file(path) as file:
            yield from _jsonl(file)
    elif is_hub(spec):
        yield from _hub(spec.removeprefix("hub:"), config, split, revision)
    else:
        yield from _file(Path(spec))


def hub_commit(spec: str, revision: str | None) -> str | None:
    """The commit that a hub set has now, for the card; what was asked for where the hub does not say (offline)."""
    from huggingface_hub import HfApi

    try:
        return HfApi().dataset_info(spec.removeprefix("hub:"), revision=revision).sha or revision
    except Exception:  # of several HTTP libraries; loading tells the user if the set really is out of reach
        return revision


def _file(path: Path) -> Iterator[Record]:
    if not path.is_file():
        raise CrossinError(f"{path}: no such file (a hub data set is written owner/name or hub:owner/name)")
    name = path.name.lower()
    if name.endswith((".jsonl", ".jsonl.gz")):
        yield from _jsonl(path)
    elif name.endswith((".json", ".json.gz")):
        yield from _json(path)
    elif name.endswith(".parquet"):
        yield from _parquet(path)
    else:
        raise CrossinError(f"{path}: unknown format; expected one of {', '.join(SUFFIXES)}")


def _jsonl(path: Path) -> Iterator[Record]:
    number = 0
    try:
        with gzip.open(path, "rb") if path.name.endswith(".gz") else path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield f"{path.name} line {number}", _mapping(json.loads(line), f"{path} line {number}")
    except json.JSONDecodeError as error:
        raise CrossinError(f"{path} line {number}: not valid JSON ({error.msg}, column {error.colno})") from error
    except UnicodeDecodeError as error:
        raise CrossinError(f"{path} line {number}: not UTF-8") from error
    except (OSError, EOFError) as error:
        raise CrossinError(f"{path}: cannot be read after line {number} ({error})") from error


def _json(path: Path) -> Iterator[Record]:
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.name.endswith(".gz") else path.open(encoding="utf-8") as f:
            content = json.load(f)
    except json.JSONDecodeError as error:
        raise CrossinError(f"{path} line {error.lineno}: not valid JSON ({error.msg})") from error
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise CrossinError(f"{path}: cannot be read ({error})") from error
    if isinstance(content, dict):  # {"data": [...]} and the like
        lists = [value for value in content.values() if isinstance(value, list)]
        content = lists[0] if len(lists) == 1 else content
    if not isinstance(content, list):
        raise CrossinError(f"{path}: expected a JSON list of records")
    for k, record in enumerate(content):
        yield f"{path.name} record {k}", _mapping(record, f"{path} record {k}")


def _parquet(path: Path) -> Iterator[Record]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    k = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=4096):
                for record in batch.to_pylist():
                    yield f"{path.name} row {k}", record
                    k += 1
    except (pa.ArrowInvalid, pa.ArrowException, OSError) as error:
        raise CrossinError(f"{path}: not a readable Parquet file after row {k} ({_first_line(error)})") from error


def _hub(name: str, config: str | None, split: str, revision: str | None) -> Iterator[Record]:
    from datasets import load_dataset

    try:
        data = load_dataset(name, config, split=split, revision=revision)
    except Exception as error:  # five libraries below raise a dozen unrelated types
        raise CrossinError(
            f"cannot load {name} ({config or 'default'}, {split}) from the hub: {type(error).__name__}: "
            f"{_first_line(error)}; check the name and the connection, or give a local file"
        ) from error
    for k, record in enumerate(data):
        yield f"{name} row {k}", record


def _mapping(record: Any, where: str) -> dict[str, Any]:
    if not isinstance(record, dict):
        raise CrossinError(f"{where}: expected an object with named fields, found {type(record).__name__}")
    return record


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
