"""The reply store: nothing stored is lost, and damage is noticed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossin_metrics.errors import CrossinError
from recipes.llm.store import ReplyStore


def test_the_store_keeps_what_it_was_given(tmp_path: Path) -> None:
    values = {f"{k:064x}": {"text": f"línea\n{k} 😀 \u2028", "finish_reason": "stop"} for k in range(200)}
    with ReplyStore(tmp_path) as store:
        for key, value in values.items():
            store.add(key, value)
            assert store.get(key) == value
        cut = next(iter(values))
        values[cut] = {"text": "asked again", "finish_reason": "stop"}
        store.add(cut, values[cut])  # the last one counts
    with ReplyStore(tmp_path, read_only=True) as store:
        assert len(store) == len(values)
        assert {key: store.get(key) for key in values} == values
        assert store.get("absent") is None
        with pytest.raises(CrossinError):
            store.add("new", {})


@settings(deadline=None)
@given(cut=st.integers(min_value=0, max_value=400))
def test_any_half_written_end_is_cut(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    folder = tmp_path_factory.mktemp("store")
    with ReplyStore(folder) as store:
        for k in range(4):
            store.add(f"{k:064x}", {"text": "x" * 20, "finish_reason": "stop"})
    path = folder / "replies-00000.jsonl"
    whole = path.read_bytes()
    cut = min(cut, len(whole))
    path.write_bytes(whole[: len(whole) - cut])
    left = whole[: len(whole) - cut].count(b"\n")
    with ReplyStore(folder) as store:
        assert len(store) == left
        assert len(store.cut) == (not whole[: len(whole) - cut].endswith(b"\n") and cut < len(whole))
        for k in range(4):
            store.add(f"{k:064x}", {"text": "x" * 20, "finish_reason": "stop"})
    assert path.read_bytes() == whole


def test_any_changed_byte_is_noticed(tmp_path: Path) -> None:
    with ReplyStore(tmp_path) as store:
        for k in range(3):
            store.add(f"{k:064x}", {"text": "hello", "finish_reason": "stop"})
    path = tmp_path / "replies-00000.jsonl"
    whole = path.read_bytes()
    first = whole.index(b"\n")
    for position in range(first + 1):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        with pytest.raises(CrossinError, match=r"replies-00000\.jsonl:1: damaged"):
            ReplyStore(tmp_path)
    path.write_bytes(whole)
    with ReplyStore(tmp_path) as store:
        assert len(store) == 3


def test_a_damaged_last_line_is_refused_and_only_a_half_written_one_is_cut(tmp_path: Path) -> None:
    with ReplyStore(tmp_path) as store:
        for k in range(2):
            store.add(f"{k:064x}", {"text": "hello", "finish_reason": "stop"})
    path = tmp_path / "replies-00000.jsonl"
    whole = path.read_bytes()
    start = whole.index(b"\n") + 1
    for position in range(start, len(whole) - 1, 3):
        damaged = whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :]
        path.write_bytes(damaged)
        with pytest.raises(CrossinError, match=r"replies-00000\.jsonl:2: damaged"):
            ReplyStore(tmp_path)
        assert path.read_bytes() == damaged
    path.write_bytes(whole[:-1])
    with ReplyStore(tmp_path) as store:
        assert len(store) == 1
        assert "half-written line" in store.cut[0]


def test_the_lock_dies_with_its_owner(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from recipes.llm.store import ReplyStore\n"
        f"store = ReplyStore(Path({str(tmp_path)!r})); print('open', flush=True); time.sleep(60)"
    )
    owner = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    assert owner.stdout.readline() == "open\n"
    with pytest.raises(CrossinError, match=f"process {owner.pid} is writing"):
        ReplyStore(tmp_path)
    owner.kill()
    owner.wait()
    with ReplyStore(tmp_path) as store:
        assert len(store) == 0
