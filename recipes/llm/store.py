"""Replies on disk: append-only JSON Lines shards, addressed by the request's key, written by one process.

What survives what:

* `kill -9` of the process: every reply for which :meth:`ReplyStore.add` returned. A line half written at that moment
  is cut on the next start, and its request asked again.
* a power cut: every reply older than `fsync_seconds` (0: each reply is synced before `add` returns).
* a full disk: `add` raises, the partial line is cut at once, and all earlier replies stay.
"""

from __future__ import annotations

import json
import os
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from crossin_metrics.errors import CrossinError
from crossin_metrics.files import write_json

SHARD_BYTES = 64 * 2**20


def _checksum(key: str, value: dict[str, Any]) -> str:
    return f"{zlib.crc32((key + _dump(value)).encode('utf-8', 'surrogatepass')):08x}"


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True, sort_keys=True, separators=(",", ":"))


class ReplyStore:
    """A folder of shards `replies-00000.jsonl`, ..., one `{"key", "value", "crc"}` a line.

    Only keys and positions are held in memory (about 200 bytes a reply). Use as a context manager.

    Args:
        folder: made if missing.
        read_only: take no lock and change nothing; a half-written last line is then passed over.
        fsync_seconds: at most this much work is lost by a power cut.
        shard_bytes: a new shard is begun beyond this size.

    Attributes:
        cut: one line for each half-written end that was cut on opening, for the user to see.

    Raises:
        CrossinError: another process writes here, or a line is damaged (file and line are named).
    """

    def __init__(
        self, folder: Path, *, read_only: bool = False, fsync_seconds: float = 1.0, shard_bytes: int = SHARD_BYTES
    ) -> None:
        self.folder = folder
        self.cut: list[str] = []
        self._fsync_seconds = fsync_seconds
        self._shard_bytes = shard_bytes
        self._read_only = read_only
        self._index: dict[str, tuple[int, int, int]] = {}  # key -> shard, offset, length
        self._readers: dict[int, Any] = {}
        self._writer: int | None = None
        self._writer_shard = -1
        self._synced = time.monotonic()
        self._lock: Any = None
        if not read_only:
            folder.mkdir(parents=True, exist_ok=True)
            self._take_lock()
        try:
            for shard in self._shards():
                self._load(shard)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> ReplyStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._index)

    def __contains__(self, key: object) -> bool:
        return key in self._index

    def get(self, key: str) -> dict[str, Any] | None:
        """The value stored under a key, or None."""
        place = self._index.get(key)
        if place is None:
            return None
        shard, offset, length = place
        if shard not in self._readers:
            self._readers[shard] = open(self._path(shard), "rb")  # noqa: SIM115 - kept open, closed in close()
        reader = self._readers[shard]
        reader.seek(offset)
        value: dict[str, Any] = json.loads(reader.read(length))["value"]
        return value

    def add(self, key: str, value: dict[str, Any]) -> None:
        """Store a value; once this returns, a killed process does not lose it. A key stored already is left as it is.

        Raises:
            CrossinError: the write failed, such as on a full disk. Everything stored before is intact.
        """
        if key in self._index:
            return
        line = (_dump({"key": key, "value": value, "crc": _checksum(key, value)}) + "\n").encode("ascii")
        start = -1
        try:
            descriptor = self._open_writer()
            start = os.fstat(descriptor).st_size
            written = 0
            while written < len(line):  # a nearly full disk may take a part and refuse the rest
                written += os.write(descriptor, line[written:])
            if time.monotonic() - self._synced >= self._fsync_seconds:
                os.fsync(descriptor)
                self._synced = time.monotonic()
        except OSError as error:
            if start >= 0 and self._writer is not None:
                os.ftruncate(self._writer, start)
            raise CrossinError(
                f"{self._path(max(self._writer_shard, 0))}: cannot write ({error.strerror}); the {len(self)} replies "
                "stored before are intact. Make room or choose another --output_dir, then run the same command again"
            ) from error
        self._index[key] = (self._writer_shard, start, len(line))

    def close(self) -> None:
        """Sync, and let the next writer in."""
        if self._writer is not None:
            try:
                os.fsync(self._writer)
            finally:
                os.close(self._writer)
                self._writer = None
        for reader in self._readers.values():
            reader.close()
        self._readers.clear()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _take_lock(self) -> None:
        from filelock import FileLock, Timeout

        self._lock = FileLock(self.folder / "writer.lock")  # the system frees it when the process dies, also by kill -9
        owner = self.folder / "writer.json"
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            self._lock = None
            try:
                pid = json.loads(owner.read_text("utf-8"))["pid"]
            except (OSError, ValueError, KeyError):
                pid = "unknown"
            raise CrossinError(
                f"{self.folder}: process {pid} is writing here; one writer at a time. "
                "Wait for it, stop it, or choose another --output_dir"
            ) from None
        try:
            write_json(owner, {"pid": os.getpid(), "started": int(time.time())})
        except CrossinError:
            self._lock.release()
            raise

    def _path(self, shard: int) -> Path:
        return self.folder / f"replies-{shard:05d}.jsonl"

    def _shards(self) -> Iterator[int]:
        for path in sorted(self.folder.glob("replies-*.jsonl")):
            yield int(path.stem.removeprefix("replies-"))

    def _open_writer(self) -> int:
        if self._read_only:
            raise CrossinError(f"{self.folder}: opened for reading only")
        if self._writer is not None and os.fstat(self._writer).st_size < self._shard_bytes:
            return self._writer
        if self._writer is not None:
            os.fsync(self._writer)
            os.close(self._writer)
            self._writer = None
            self._writer_shard += 1
        else:
            self._writer_shard = max(self._shards(), default=0)
        self._writer = os.open(self._path(self._writer_shard), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        return self._writer

    def _load(self, shard: int) -> None:
        path = self._path(shard)
        size = path.stat().st_size
        offset = 0
        with open(path, "rb") as lines:
            for number, line in enumerate(lines, start=1):
                end = offset + len(line)
                key = self._read_key(line)
                if key is not None:
                    self._index.setdefault(key, (shard, offset, len(line)))
                elif end == size and not line.endswith(b"\n"):  # a write that was interrupted: nobody was told of it
                    self._cut(path, number, offset, len(line))
                else:
                    raise CrossinError(
                        f"{path}:{number}: damaged line (not what was written there). Delete this line and run again: "
                        "only its request will be asked anew; or restore the file from a copy"
                    )
                offset = end

    @staticmethod
    def _read_key(line: bytes) -> str | None:
        if not line.endswith(b"\n"):
            return None
        try:
            record = json.loads(line)
            key, value, crc = record["key"], record["value"], record["crc"]
        except (ValueError, KeyError, TypeError):
            return None
        return key if isinstance(key, str) and isinstance(value, dict) and crc == _checksum(key, value) else None

    def _cut(self, path: Path, number: int, offset: int, length: int) -> None:
        if self._read_only:
            return
        os.truncate(path, offset)
        self.cut.append(f"{path}:{number}: half-written line of {length} bytes cut; its request will be asked again")
