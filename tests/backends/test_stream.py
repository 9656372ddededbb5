"""Requests go through a backend in chunks, and a killed run asks again only what was in flight."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from lm_eval.api.instance import Instance
from lm_eval.api.model import CachingLM

from crossin_metrics.backends import stream
from crossin_metrics.backends.hf import CrossinHF
from crossin_metrics.backends.stream import chunks
from tests.backends import tiny

ARGUMENTS: dict[str, Any] = {"batch_size": 3, "max_length": 160, "pack_tokens": 64}


def requests() -> list[Instance]:
    pairs = [
        (f"{'An example. ' * 5}Q: {stem * 5}\nAnswer:", f" {option}")
        for stem in "ABCDEFGHkl"
        for option in ("A", "ka", "ke", "ki po")
    ]
    return [Instance("loglikelihood", {}, pair, number) for number, pair in enumerate(pairs)]


def test_chunks_cut_between_contexts() -> None:
    parts = list(chunks(requests(), 40))
    assert [request for part in parts for request in part] == requests()
    assert len(parts) > 3
    contexts = [{request.args[0] for request in part} for part in parts]
    assert all(left.isdisjoint(right) for left, right in pairwise(contexts))
    assert list(chunks([], 40)) == []


def test_few_requests_are_tokenized_at_a_time_and_the_bar_counts_all(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = CrossinHF(tiny.model("llama"), tokenizer=tiny.tokenizer(), **ARGUMENTS)
    whole = made.loglikelihood(requests(), disable_tqdm=True)
    sizes, carried = [], []
    forward = made._forward
    monkeypatch.setattr(
        made, "_forward", lambda pack, past, keep: carried.append(len(pack.past)) or forward(pack, past, keep)
    )
    scored = made._loglikelihood_tokens
    monkeypatch.setattr(stream, "CHUNK", 80)
    monkeypatch.setattr(made, "_loglikelihood_tokens", lambda part, **k: sizes.append(len(part)) or scored(part, **k))
    capsys.readouterr()
    again = made.loglikelihood(requests())
    assert [value for value, _ in again] == pytest.approx([value for value, _ in whole], abs=1e-5)
    assert (sum(sizes), max(sizes)) == (40, 4)
    assert min(carried[1:]) >= 50  # what a chunk shares with the one before is not computed again
    said = capsys.readouterr().err
    assert "40/40" in said.splitlines()[-1].split("\r")[-1]
    assert "Tokenizing" not in said


def run(cache: Path, asked: Path, kill_at: int = 0) -> list[float]:
    """Score all requests, writing down what each pack asks; SIGKILL just before pack `kill_at`."""
    made = CrossinHF(tiny.model("llama"), tokenizer=tiny.tokenizer(), **ARGUMENTS)
    made._packs_work()
    read, packs = made._read, 0
    keep = made._keep

    def reading(*given: Any) -> Any:
        nonlocal packs
        packs += 1
        if packs == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return read(*given)

    def keeping(answered: Any) -> None:
        with asked.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(key) + "\n" for key, _ in answered)
        keep(answered)

    made._read, made._keep = reading, keeping  # type: ignore[method-assign]
    return [value for value, _ in CachingLM(made, str(cache)).loglikelihood(requests())]


def test_what_was_answered_before_a_kill_is_not_asked_again(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from tests.backends.test_stream import run; "
    code += "run(Path(sys.argv[1]), Path(sys.argv[2]), 3)"
    files = [str(tmp_path / "cache.db"), str(tmp_path / "before.jsonl")]
    done = subprocess.run([sys.executable, "-c", code, *files], capture_output=True, timeout=300)
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]
    values = run(tmp_path / "cache.db", tmp_path / "after.jsonl")
    before, after = (
        (tmp_path / name).read_text(encoding="utf-8").splitlines() for name in ("before.jsonl", "after.jsonl")
    )
    assert 0 < len(before) < 40
    assert set(before).isdisjoint(after)
    assert sorted(before + after) == sorted(json.dumps(request.args) for request in requests())
    assert values == pytest.approx(run(tmp_path / "fresh.db", tmp_path / "all.jsonl"), abs=1e-5)
