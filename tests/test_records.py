"""Damaged files of every format are refused with their name and the place."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crossin_metrics.errors import CrossinError
from crossin_metrics.records import read_records


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b'{"a": 1}\n{"id": \n', r"a.jsonl, line 2: not JSON"),
        ("a.jsonl", b'["not an object"]\n', "line 1: "),
        ("a.jsonl", b'{"id": "\xff"}\n', "line 1: not UTF-8"),
        ("a.json", b'[{"id": 1},', "a.json.*not JSON"),
        ("a.json", b"3", "a.json"),
        ("a.jsonl.gz", b"no gzip", "a.jsonl.gz"),
        ("a.jsonl.gz", gzip.compress(b'{"a": 1}\n' * 999, mtime=0)[:40], "a.jsonl.gz"),
        ("a.parquet", b"PAR1 no parquet PAR1", "not a Parquet file"),
        ("a.csv", b"a,b", "unknown format"),
    ],
)
def test_damaged_files(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CrossinError, match=message) as caught:
        list(read_records(tmp_path / name))
    assert "\n" not in str(caught.value)


def test_truncated_parquet(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_pylist([{"a": k} for k in range(99)]), path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(CrossinError, match="cut short"):
        list(read_records(path))


def test_a_missing_file_names_the_closest_beside_it(tmp_path: Path) -> None:
    (tmp_path / "predictions.csv").touch()
    with pytest.raises(CrossinError, match=r"prediction\.csv: no such file; did you mean '.*predictions\.csv'\?$"):
        list(read_records(tmp_path / "prediction.csv"))
    with pytest.raises(CrossinError, match=r"x\.csv: no such file$"):
        list(read_records(tmp_path / "nowhere" / "x.csv"))
    (tmp_path / "runs").mkdir()
    with pytest.raises(CrossinError, match=r"x\.csv: no such file; did you mean '.*runs'\?$"):
        list(read_records(tmp_path / "run" / "x.csv"))
