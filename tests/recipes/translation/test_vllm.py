"""A real vLLM server with a real small model translates the packaged instructions, and is killed in the middle.

Minutes on a CPU. The path matters here, not the quality of 270 million weights; the gates sort out what is no good.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from recipes import translate_seed
from recipes.llm.store import ReplyStore
from recipes.mixes.sources import SourceSpec
from recipes.translation.config import EngineOptions
from recipes.translation.engines.openai_endpoint import OpenAIEndpoint
from recipes.translation.kinds import KINDS
from recipes.translation.rows import read_source
from recipes.translation.run import Translation
from tests.helpers import vllm_server as real
from tests.helpers.vllm_server import Counter, free_port, kill_all, vllm_server, wait_until

pytestmark = pytest.mark.slow
model = real.model

ROWS = 24


def stored_keys(output: Path) -> set[str]:
    keys = set()
    for path in (output / "replies").glob("replies-*.jsonl"):
        keys |= {json.loads(line)["key"] for line in path.read_bytes().split(b"\n")[:-1]}
    return keys


def test_a_real_server_killed_and_restarted_repeats_nothing(model: str, tmp_path: Path) -> None:
    port, output = free_port(), tmp_path / "out"
    counter = Counter(port)
    engine_options = {
        "model": "gemma", "licence": "Gemma Terms of Use", "base_url": f"http://127.0.0.1:{counter.port}/v1",
        "api": "completions", "answer_format": "fields", "max_tokens": 64, "concurrency": 6, "patience_seconds": 400.0,
        "backoff_max_seconds": 5.0,
    }  # fmt: skip
    argv = [sys.executable, str(Path(translate_seed.__file__)), "--source", "packaged:seed_mini", "--languages", "es"]
    argv += ["--limit", str(ROWS), "--output_dir", str(output)]
    for name, value in engine_options.items():
        argv += [f"--{name}", str(value)]

    # the bodies of all requests that can be asked, by their key in the store
    engine = OpenAIEndpoint(EngineOptions(**engine_options))  # type: ignore[arg-type]
    rows = read_source(SourceSpec("packaged:seed_mini", ("en",)), ROWS).rows
    with ReplyStore(tmp_path / "empty") as empty:
        plan = Translation(rows, engine, empty, "en", ["es"], [], kinds=KINDS)
        parts = [part for row, language in plan.work() for k in (0, 1) for part in plan.parts(row, language, k)]
    bodies = {part.request.key: json.dumps(engine.body(part.request), sort_keys=True) for part in parts}

    try:
        with vllm_server(model, port, tmp_path) as server:
            first = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True)
            wait_until(lambda: len(counter.answered) >= 12, 120, "twelve replies")
            kill_all(server)
        time.sleep(2)
        assert first.poll() is None, "the client must wait for a server that is away"
        answered_before = len(counter.answered)
        with vllm_server(model, port, tmp_path):
            wait_until(lambda: len(counter.answered) >= answered_before + 6, 120, "six more replies")
            first.send_signal(signal.SIGKILL)
            first.wait()
            keys = stored_keys(output)
            assert keys  # cut replies are not stored: the next run asks them again
            asked_by_first = list(counter.asked)
            assert counter.repeated == []  # through the restart of the server, within one run
            second = subprocess.run(argv, capture_output=True, text=True, timeout=400, check=False)
    finally:
        counter.close()
    assert second.returncode in (0, 1), second.stderr  # 1: no row passed the gates
    assert "Traceback" not in second.stderr

    asked_by_second = counter.asked[len(asked_by_first) :]
    stored = {bodies[key] for key in keys}
    assert not stored & set(asked_by_second), "a request was repeated although its reply was stored"
    assert len(asked_by_second) == len(set(asked_by_second))
    needed = {bodies[key] for key in stored_keys(output)}
    assert stored < needed <= stored | set(asked_by_second)

    report = json.loads((output / "report.json").read_text("utf-8"))
    print(report)
    assert report["rows"]["read"] == ROWS == report["rows"]["written"] + report["rows"]["set_aside_after"]
    texts = [(output / name).read_text("utf-8") for name in ("seed.jsonl", "rejects.jsonl")]
    lines = [json.loads(line) for text in texts for line in text.splitlines()]
    assert sorted(line["id"] for line in lines) == sorted(row.id for row in rows)


def test_a_real_server_keeps_to_the_schema(model: str, tmp_path: Path) -> None:
    """All fields in one JSON object, kept to its schema by the server: what comes back can always be read."""
    port, output = free_port(), tmp_path / "out"
    argv = ["--source", "packaged:seed_mini", "--languages", "es", "--limit", "6", "--output_dir", str(output)]
    argv += ["--model", "gemma", "--licence", "Gemma Terms of Use", "--base_url", f"http://127.0.0.1:{port}/v1"]
    argv += ["--api", "completions", "--answer_format", "json_schema", "--concurrency", "6"]
    with vllm_server(model, port, tmp_path):
        assert translate_seed.main(argv) in (0, 1)  # 1: no row passed the gates
    outcomes = json.loads((output / "report.json").read_text("utf-8"))["languages_by_outcome"]["es"]
    assert sum(outcomes.values()) == 6
    assert "format" not in outcomes
