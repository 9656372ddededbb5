"""A real vLLM server with a real small model builds a set out of real passages, and the harness evaluates it.

Minutes on a CPU. So small a model writes few options that pass; that these land in review with reasons, and that what
comes out of review is a set, is what is tested.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from crossin_metrics.sets.loading import load_parallel
from recipes import build_cross_xquad
from recipes.cross_xquad.items import Item, accepted, read_items
from recipes.cross_xquad.sources import load_source
from tests.helpers.vllm_server import Counter, free_port, model, vllm_server
from tests.recipes.cross_xquad.review_items import entry, write_decisions
from tests.recipes.cross_xquad.test_sources import options
from tests.recipes.cross_xquad.world import LANGUAGES

__all__ = ["model"]  # the fixture: the folder of the small real model

pytestmark = pytest.mark.slow

N_PASSAGES = 2


def arguments(shared: Path, output: Path, port: int, *stages: str) -> list[str]:
    chosen: dict[str, Any] = {
        "data_dir": shared / "data", "output_dir": output, "passages": N_PASSAGES, "questions_per_passage": 1,
        "model": "gemma", "licence": "Gemma Terms of Use", "base_url": f"http://127.0.0.1:{port}/v1",
        "api": "completions", "max_tokens": 160, "max_characters": 40, "regenerate": 1, "concurrency": 8,
    }  # fmt: skip
    argv = [part for name, value in chosen.items() for part in (f"--{name}", str(value))]
    return [*argv, "--stages", *stages]


def decide(shared: Path, output: Path, items: list[Item]) -> int:
    """What a reviewer would save: every item with all its languages accepted, with wrong options that people wrote.

    They are human answers to other questions on the passage, so the set is right whatever the model wrote.
    """
    source = load_source(options(shared / "data", passages=N_PASSAGES))
    entries = []
    for item in items:
        near = [other for other in source.neighbours if other.passage == item.passage and other.id != item.id]
        pairs = list(zip([index for index in range(4) if index != item.gold], near[:3], strict=True))
        edits = {code: {str(index): other.spans[code].answer for index, other in pairs} for code in LANGUAGES}
        whole = set(item.versions) == set(LANGUAGES)
        entries.append(entry(item, "accept" if whole else "reject", edits=edits if whole else {}))
    write_decisions(output / "decisions", "AB", entries)
    return sum(one["verdict"] == "accept" for one in entries)


def test_real_passages_through_a_real_server_end_in_a_set_that_the_harness_evaluates(
    model: str, shared: Path, tmp_path: Path
) -> None:
    port, output = free_port(), tmp_path / "out"
    counter = Counter(port)
    stages = ("distractors", "parallel", "check", "review")
    try:
        with vllm_server(model, port, tmp_path, max_model_len=4096):
            assert build_cross_xquad.main(arguments(shared, output, counter.port, *stages)) == 0
    finally:
        counter.close()
    assert counter.repeated == []
    items = read_items(output / "review" / "items.jsonl")
    assert len(items) == N_PASSAGES
    waiting = [item for item in items if item.findings]
    for item in waiting:
        assert item.attempts == 2
        assert item.id in (output / "review" / "index.html").read_text("utf-8")
    assert accepted(items) == [item for item in items if not item.findings]
    replies = [
        json.loads(line)["value"]
        for path in (output / "calls").glob("replies-*.jsonl")
        for line in path.read_text("utf-8").splitlines()
    ]
    assert len(replies) == len(counter.answered)
    whole = [json.loads(reply["text"]) for reply in replies if reply["finish_reason"] == "stop"]
    assert len(whole) * 2 >= len(replies)  # kept to the schema, and ended by it
    assert all(set(reply) == {"wrong_1", "wrong_2", "wrong_3"} for reply in whole)

    # without the server: people's decisions, and the release
    n_accepted = decide(shared, output, items)
    assert n_accepted >= 1
    assert build_cross_xquad.main(arguments(shared, output, counter.port, "review", "release")) == 0
    released = load_parallel("cross_xquad", data_dir=output / "release")
    assert len(released) == n_accepted
    assert released.languages == LANGUAGES

    command = [sys.executable, "-m", "lm_eval", "--tasks", "cross_xquad_cf", "--model", "hf", "--batch_size", "4"]
    command += ["--model_args", f"pretrained={model},dtype=float32", "--output_path", str(tmp_path / "eval")]
    command += ["--metadata", json.dumps({"data_dir": str(output / "release")})]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    (result,) = (tmp_path / "eval").rglob("results_*.json")
    scores = json.loads(result.read_text("utf-8"))["results"]["cross_xquad_cf"]
    assert 0 <= scores["acc,none"] <= 1
    assert "consistency,none" in scores


def test_the_model_in_the_building_process(model: str, shared: Path, tmp_path: Path) -> None:
    """Engine vllm, without a server."""
    argv = arguments(shared, tmp_path / "out", 9, "distractors")
    argv += ["--engine", "vllm", "--max_model_len", "4096", "--enforce_eager", "True"]
    argv[argv.index("gemma")] = model
    script = str(Path(build_cross_xquad.__file__))
    environment = {**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, script, *argv]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    items = read_items(tmp_path / "out" / "distractors" / "items.jsonl")
    assert len(items) == N_PASSAGES
    assert all(len(item.versions["en"].choices) == 4 for item in items if "en" in item.versions)
    assert any("en" in item.versions for item in items)
    again = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert "done before" in again.stderr  # nothing is loaded
