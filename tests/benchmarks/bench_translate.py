"""Rate, time to go on, and memory of translating a seed: `python tests/benchmarks/bench_translate.py --rows 52000`.

The real script runs in a process of its own, over HTTP against a server that answers at once, so that what is measured
is the client: planning, requests in flight, storing, gates, writing. Then the same command runs again with everything
stored, which is what going on after a stop costs before the first new request. Memory is the largest resident size of
the script's process. Rows are the packaged ones with a running number.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import hashlib
import json
import multiprocessing
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

REPO = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO))

from tests.helpers import scripted_server  # noqa: E402


@functools.cache
def _word(token: str, language: str) -> str:
    pick = int(hashlib.sha256(token.encode()).hexdigest()[:12], 16)
    words = scripted_server.WORDS[language]
    return words[pick % len(words)] + (words[pick // 7 % len(words)] if language == "Chinese" else "")


def _translate(text: str, language: str) -> str:
    blank = "" if language == "Chinese" else " "
    out = []
    for token in scripted_server._TOKEN.findall(text):
        kept = token[0] == "⟦" or not token[0].isalpha()
        out.append((token if token.strip() or "\n" in token else blank) if kept else _word(token, language))
    return "".join(out)


def serve(port: Any) -> None:
    """A server on a free port that answers at once; the port goes to the parent."""
    from aiohttp import web

    async def models(_: Any) -> Any:
        return web.json_response({"data": [{"id": "bench"}]})

    async def chat(request: Any) -> Any:
        body = await request.json()
        fields, language = scripted_server.read_prompt(body["messages"][0]["content"])
        content = json.dumps({name: _translate(text, language) for name, text in fields.items()}, ensure_ascii=False)
        return web.json_response({"choices": [{"message": {"content": content}, "finish_reason": "stop"}]})

    async def main() -> None:
        app = web.Application()
        app.router.add_get("/v1/models", models)
        app.router.add_post("/v1/chat/completions", chat)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port.put(site._server.sockets[0].getsockname()[1])
        await asyncio.Event().wait()

    asyncio.run(main())


def timed(argv: list[str]) -> tuple[float, float]:
    """Seconds and peak resident megabytes of a run of the script."""
    start = time.perf_counter()
    process = subprocess.Popen(argv, stderr=subprocess.DEVNULL)
    watched, peak = psutil.Process(process.pid), 0
    while process.poll() is None:
        try:
            peak = max(peak, watched.memory_info().rss)
        except psutil.NoSuchProcess:
            break
        time.sleep(0.05)
    if process.wait() != 0:
        raise SystemExit(f"failed with exit code {process.returncode}")
    return time.perf_counter() - start, peak / 1e6


def main() -> None:
    """Run and print one table."""
    parser = argparse.ArgumentParser(description="rate, time to go on and memory of translating a seed")
    parser.add_argument("--rows", type=int, default=52_000)
    parser.add_argument("--concurrency", type=int, default=64)
    options = parser.parse_args()
    packaged = (REPO / "crossin_metrics" / "data" / "seed_mini.jsonl").read_text("utf-8").splitlines()
    english = [json.loads(line)["en"] for line in packaged]
    port = multiprocessing.Queue()
    server = multiprocessing.Process(target=serve, args=(port,), daemon=True)
    server.start()
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source.jsonl"
        with source.open("w", encoding="utf-8") as file:
            for k in range(options.rows):
                row = {name: f"{text} Item {k}." if text else "" for name, text in english[k % len(english)].items()}
                file.write(json.dumps(row) + "\n")
        argv = [sys.executable, str(REPO / "recipes" / "translate_seed.py"), "--source", str(source)]
        argv += [
            "--source_licence",
            "Apache-2.0",
            "--output_dir",
            f"{folder}/out",
            "--model",
            "bench",
            "--licence",
            "none",
        ]
        argv += ["--base_url", f"http://127.0.0.1:{port.get()}/v1", "--concurrency", str(options.concurrency)]
        argv += ["--mask_numbers", "none"]  # else rows that differ only in a number share a request
        first = timed(argv)
        again = timed(argv)
        report = json.loads((Path(folder) / "out" / "report.json").read_text("utf-8"))
        stored = sum(path.stat().st_size for path in (Path(folder) / "out" / "replies").glob("*.jsonl")) / 1e6
    server.kill()
    requests = sum(sum(counts.values()) for counts in report["languages_by_outcome"].values())
    print("| run | seconds | requests a second | peak MB |\n|---|---|---|---|")
    rate = requests / first[0]
    print(f"| {requests:,} requests, {options.concurrency} in flight | {first[0]:.1f} | {rate:.0f} | {first[1]:.0f} |")
    print(f"| again, all stored ({stored:.0f} MB) | {again[0]:.1f} | | {again[1]:.0f} |")
    print(f"\nrows: {report['rows']}")


if __name__ == "__main__":
    main()
