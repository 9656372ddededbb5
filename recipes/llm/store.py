"""Replies on disk: append-only JSON Lines, addressed by the request's key, written by one process.

What survives:

* `kill -9`: every reply for which :meth:`ReplyStore.add` returned. A half-written line is cut on the next start, and
  its request is sent again.
* a power cut: every reply older than `fsync_seconds` (0: each reply is synced before `add` returns).
* a full disk: `add` raises, the partial line is cut at once, and all earlier replies stay.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
import zlib
from pathlib import Path
from typing import Any

from crossin_metrics.errors import DAMAGE, CrossinError
from crossin_metrics.files import read_json, write_json


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True, sort_keys=True, separators=(",", ":"))


def checksum(key: str, value: dict[str, Any]) -> str:
    """CRC-32 of a reply with its key, 8 hex digits."""
    return f"{zlib.crc32((key + _dump(value)).encode('utf-8', 'surrogatepass')):08x}"


class ReplyStore(contextlib.AbstractContextManager["ReplyStore"]):
    """A folder with `replies-00000.jsonl` (older versions wrote several), one `{"key", "value", "crc"}` per line.

    Only keys and positions are held in memory (about 200 bytes per reply). Use as a context manager.

    Args:
        folder: created if missing.
        read_only: take no lock and change nothing; a half-written last line is then skipped.
        fsync_seconds: at most this much work is lost by a power cut.

    Attributes:
        cut: one line for each half-written end that was cut on opening, for the user to see.

    Raises:
        CrossinError: the folder cannot be used, another process writes here, or a line is damaged (with file and line).
    """

    def __init__(self, folder: Path, *, read_only: bool = False, fsync_seconds: float = 1.0) -> None:
        self.folder = folder
        self.cut: list[str] = []
        self._fsync_seconds = fsync_seconds
        self._read_only = read_only
        self._index: dict[str, tuple[Path, int, int]] = {}  # key -> file, offset, length
        self._open = contextlib.ExitStack()
        self._readers: dict[Path, Any] = {}
        self._writer: int | None = None
        self._synced = time.monotonic()
        try:
            if not read_only:
                folder.mkdir(parents=True, exist_ok=True)
                self._take_lock()
            files = sorted(folder.glob("replies-*.jsonl"))
            self._path = files[-1] if files else folder / "replies-00000.jsonl"
            for path in files:
                self._load(path)
        except OSError as error:
            self._open.close()
            raise CrossinError(f"{folder}: cannot be used ({error.strerror or error})") from error
        except BaseException:
            self._open.close()
            raise

    def __exit__(self, *error: object) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._index)

    def __contains__(self, key: object) -> bool:
        return key in self._index

    def get(self, key: str) -> dict[str, Any] | None:
        """The value stored under a key, or None."""
        if key not in self._index:
            return None
        path, offset, length = self._index[key]
        if path not in self._readers:
            self._readers[path] = self._open.enter_context(path.open("rb"))
        self._readers[path].seek(offset)
        value: dict[str, Any] = json.loads(self._readers[path].read(length))["value"]
        return value

    def add(self, key: str, value: dict[str, Any]) -> None:
        """Store a value; once this returns, killing the process does not lose it. The last value of a key counts.

        Raises:
            CrossinError: the write failed, such as on a full disk. Everything stored before is intact.
        """
        if self._read_only:
            raise CrossinError(f"{self.folder}: opened for reading only")
        if self.get(key) == value:
            return
        line = (_dump({"key": key, "value": value, "crc": checksum(key, value)}) + "\n").encode("ascii")
        start = -1
        try:
            if self._writer is None:
                self._writer = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
                self._open.callback(os.close, self._writer)
                self._open.callback(os.fsync, self._writer)
            start = os.fstat(self._writer).st_size
            written = 0
            while written < len(line):  # a nearly full disk may take a part and refuse the rest
                written += os.write(self._writer, line[written:])
            if time.monotonic() - self._synced >= self._fsync_seconds:
                os.fsync(self._writer)
                self._synced = time.monotonic()
        except OSError as error:
            if start >= 0 and self._writer is not None:
                os.ftruncate(self._writer, start)
            raise CrossinError(
                f"{self._path}: cannot write ({error.strerror}); the {len(self)} replies stored before are intact. "
                "Free disk space or choose another --output_dir, then rerun the same command to resume"
            ) from error
        self._index[key] = (self._path, start, len(line))

    def close(self) -> None:
        """Sync, and let the next writer in."""
        self._writer = None
        self._readers.clear()
        self._open.close()

    def _take_lock(self) -> None:
        from filelock import FileLock, Timeout

        lock = FileLock(self.folder / "writer.lock")  # the system frees it when the process dies, also by kill -9
        owner = self.folder / "writer.json"
        try:
            self._open.enter_context(lock.acquire(timeout=0))
        except Timeout:
            pid = (read_json(owner) or {}).get("pid", "unknown")
            raise CrossinError(
                f"{self.folder}: process {pid} is writing here. Wait for it, stop it, or choose another --output_dir"
            ) from None
        write_json(owner, {"pid": os.getpid(), "started": int(time.time())})

    def _load(self, path: Path) -> None:
        size = path.stat().st_size
        offset = 0
        with path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                end = offset + len(line)
                key = _read_key(line)
                if key is not None:
                    self._index[key] = path, offset, len(line)
                elif end < size or line.endswith(b"\n"):
                    raise CrossinError(
                        f"{path}:{number}: damaged line (not what was written there). Delete this line and run again: "
                        "only its request is sent again; or restore the file from a copy"
                    )
                elif not self._read_only:  # an interrupted write, of which `add` never returned
                    os.truncate(path, offset)
                    self.cut.append(
                        f"{path}:{number}: half-written line of {len(line)} bytes cut; its request is sent again"
                    )
                offset = end


def _read_key(line: bytes) -> str | None:
    """The key of an undamaged line."""
    try:
        record = json.loads(line)
        key, value, crc = record["key"], record["value"], record["crc"]
        whole = line.endswith(b"\n") and isinstance(key, str) and isinstance(value, dict)
        return key if whole and crc == checksum(key, value) else None
    except DAMAGE:
        return None
