"""Raw rows of parallel sets: read from a local file, or from the hub and its cache."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crossin_metrics.errors import CrossinError

DATA_DIR_VARIABLE = "CROSSIN_DATA_DIR"  # the folder of local sets, where none is given
# Most preferred first: where a folder holds a set twice, this one is read.
SUFFIXES = (".jsonl", ".jsonl.gz", ".parquet", ".json")

_REFUSED = (401, 403, 404)  # the hub knows no such repository or revision, or gives no access: the next place is asked
_HUB_TIMEOUT = 10.0  # seconds for the one reachability request; the client's own retries take 23 s without a network


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


def hub_rows(places: Sequence[tuple[str, str | None]], split: str, revision: str | None) -> tuple[list[Located], str]:
    """Read raw rows from the first hub data set of `places` (repository, config or None) that has them.

    One short request asks whether the hub is there, because its client's own retries take half a minute; without an
    answer only the local cache is tried. Data sets with loading scripts are refused (`trust_remote_code` is never set).

    Returns:
        The rows, and the source as `hub:<repository>[/<config>]@<commit, or "cache">`.

    Raises:
        CrossinError: none of the places gave the set; says why for each, and what to do instead.
    """
    import datasets
    import huggingface_hub
    from huggingface_hub.errors import HfHubHTTPError

    online = not huggingface_hub.constants.HF_HUB_OFFLINE
    reasons = [] if online else ["HF_HUB_OFFLINE is set"]
    for repo, config in places:
        label = f"{repo}/{config}" if config else repo
        commit: str | None = None
        if online:
            try:
                commit = huggingface_hub.HfApi().dataset_info(repo, revision=revision, timeout=_HUB_TIMEOUT).sha
            except Exception as error:  # which class depends on the client's transport
                status = getattr(getattr(error, "response", None), "status_code", None)
                if isinstance(error, HfHubHTTPError) and status in _REFUSED:
                    reasons.append(f"{label}: {_reason(error)}")
                    continue
                online = False
                reasons.append(f"no answer from {huggingface_hub.constants.ENDPOINT}: {_reason(error)}")
        try:
            with nullcontext() if online else _hub_offline():
                table = datasets.load_dataset(repo, config, split=split, revision=commit or revision)
        except Exception as error:  # whatever the library raises becomes part of the one message below
            absent = not online and isinstance(error, ConnectionError)
            reasons.append(f"{label}: {'not in the cache' if absent else _reason(error)}")
            continue
        commit = commit or _cached_commit(table)
        if revision is not None and not online and not commit.startswith(revision):
            reasons.append(f"{label}: the cache has {commit}, which cannot be told to be {revision}")
            continue
        where = f"hub:{label}@{commit}"
        return [Located(f"{where}, row {number}", row) for number, row in enumerate(table.to_list(), 1)], where
    raise CrossinError(
        f"cannot get the data from the hub or its local cache ({'; '.join(reasons)}); "
        "put the files into a folder and name it by data_dir or CROSSIN_DATA_DIR, "
        "or load the set once with a network and set HF_HUB_OFFLINE=1 afterwards"
    )


def _cached_commit(table: Any) -> str:
    """The commit a cached data set was made from: the name of its folder (the library keeps no other record of it)."""
    files = table.cache_files
    return Path(files[0]["filename"]).parent.name if files else "cache"


def _reason(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__} {lines[0][:160] if lines else ''}".rstrip()


@contextmanager
def _hub_offline() -> Iterator[None]:
    """Make both libraries use their caches at once, as HF_HUB_OFFLINE=1 would; they read it only at import."""
    import datasets
    import huggingface_hub

    before = datasets.config.HF_HUB_OFFLINE, huggingface_hub.constants.HF_HUB_OFFLINE
    datasets.config.HF_HUB_OFFLINE = huggingface_hub.constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        datasets.config.HF_HUB_OFFLINE, huggingface_hub.constants.HF_HUB_OFFLINE = before
