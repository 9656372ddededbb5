"""`crossin export` as a user runs it, and its pull requests against a hub on this machine."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from tests.commands.parallel_runs import run_harness

TOKEN = "hf_ThisMustNeverBeSeenAnywhere"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def crossin(*arguments: Any, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    repo = Path(__file__).resolve().parents[2]
    known = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
    known |= {"PYTHONPATH": str(repo), "OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8", "HF_HOME": str(cwd / "hf")}
    command = [sys.executable, "-m", "crossin_metrics.cli", "export", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, encoding="utf-8", env=known | environment, cwd=cwd, timeout=300
    )


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rows = [
        {"id": i, "language": code, "answer": (i * j + i // 3) % 4, "gold": i % 4, "n_choices": 4}
        for i in range(30)
        for j, code in enumerate(("en", "zh", "vi"), 1)
    ]
    path = tmp_path / "cross_mmlu.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


class CommitHub:
    """The addresses that a pull request with small files touches: README, metadata check, preupload, commit."""

    def __init__(self, readme: str | None = None, status: int = 200) -> None:
        self.readme, self.status = readme, status
        self.commits: list[dict[str, Any]] = []
        self.tokens: set[str | None] = set()
        self.reads: list[str] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def answer(self, status: int, body: Any, **headers: str) -> None:
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                for name, value in {"Content-Length": str(len(data)), **headers}.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data)

            def do_GET(self) -> None:
                hub.reads.append(self.path)
                if not self.path.endswith("/resolve/main/README.md") or hub.readme is None:
                    self.answer(404, b"", X_Error_Code="EntryNotFound", X_Repo_Commit=COMMIT)
                else:
                    self.answer(200, hub.readme.encode(), ETag='"abc"', X_Repo_Commit=COMMIT)

            do_HEAD = do_GET

            def do_POST(self) -> None:
                hub.tokens.add(self.headers.get("Authorization"))
                body = self.rfile.read(int(self.headers["Content-Length"]))
                url = urlsplit(self.path)
                if hub.status != 200:
                    self.answer(hub.status, {"error": f"refused {self.headers.get('Authorization')}"})
                elif url.path == "/api/validate-yaml":
                    self.answer(200, {"errors": [], "warnings": []})
                elif "/preupload/" in url.path:
                    files = [
                        {**file, "uploadMode": "regular", "shouldIgnore": False} for file in json.loads(body)["files"]
                    ]
                    self.answer(200, {"files": files})
                else:
                    lines = [json.loads(line) for line in body.splitlines()]
                    hub.commits.append({"path": url.path, "query": parse_qs(url.query), "lines": lines})
                    made = {"commitUrl": f"{hub.url}/lab/lion/commit/{COMMIT}", "commitOid": COMMIT}
                    self.answer(200, {**made, "pullRequestUrl": f"{hub.url}/lab/lion/discussions/7"})

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def files(self) -> dict[str, str]:
        """What the one pull request holds."""
        (commit,) = self.commits
        values = [line["value"] for line in commit["lines"] if line["key"] == "file"]
        assert all(value["encoding"] == "base64" for value in values)
        return {value["path"]: base64.b64decode(value["content"]).decode() for value in values}


@pytest.fixture
def hub() -> Iterator[CommitHub]:
    made = CommitHub("---\nlicense: mit\n---\n# Lion\n")
    threading.Thread(target=made.server.serve_forever, daemon=True).start()
    yield made
    made.server.shutdown()
    made.server.server_close()


def written(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text(encoding="utf-8") for path in folder.rglob("*") if path.is_file()
    }


def test_files_are_written_and_nothing_is_sent(table: Path, tmp_path: Path, hub: CommitHub) -> None:
    environment = {"HF_ENDPOINT": hub.url, "HF_TOKEN": TOKEN}
    out = tmp_path / "out"
    for arguments in (["hf-eval-results", "--eval-yaml"], ["every-eval-ever", "--organization", "Lab"], ["model-card"]):
        done = crossin(*arguments, table, "--model-id", "lab/lion", "--out", out, cwd=tmp_path, **environment)
        assert (done.returncode, done.stderr) == (0, "")
        assert {str(Path(line).relative_to(out)) for line in done.stdout.splitlines()} <= set(written(out))
    names = {".eval_results/cross_mmlu.yaml", "benchmark/eval.yaml", "README.md"}
    assert names <= set(written(out))
    (record,) = set(written(out)) - names
    assert record.startswith("data/cross_mmlu/lab/lion/")
    before = written(out)
    crossin("model-card", table, "--model-id", "lab/lion", "--out", out, cwd=tmp_path)
    assert written(out) == before
    assert (hub.commits, hub.tokens, hub.reads) == ([], set(), [])


def test_logs_of_the_harness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("lm_eval")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    results = run_harness(tmp_path / "run", {"xcopa": ["xcopa_et", "xcopa_ht", "xcopa_zh"]})
    out, run = tmp_path / "published", tmp_path / "run" / "out"
    done = crossin("hf-eval-results", run, "--out", out, cwd=tmp_path)
    assert "the hub data set of its questions is not known; say --dataset-id owner/name" in done.stderr
    done = crossin("hf-eval-results", run, "--out", out, "--dataset-id", "cambridgeltl/xcopa", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    acc, *_ = yaml.safe_load((out / ".eval_results" / "xcopa.yaml").read_text(encoding="utf-8"))
    stated = [results["results"][f"xcopa_{code}"]["acc,none"] for code in ("et", "ht", "zh")]
    assert acc["dataset"] == {"id": "cambridgeltl/xcopa", "task_id": "xcopa_acc"}
    assert acc["value"] == pytest.approx(sum(stated) / 3, abs=1e-6)
    assert "langs:et,ht,zh" in acc["notes"]


@pytest.mark.parametrize("kind", ["hf-eval-results", "model-card", "every-eval-ever"])
def test_push_opens_a_pull_request(table: Path, tmp_path: Path, hub: CommitHub, kind: str) -> None:
    out = tmp_path / "out"
    done = crossin(
        *(kind, table, "--model-id", "lab/lion", "--out", out, "--push", "--organization", "Lab"),
        cwd=tmp_path,
        HF_ENDPOINT=hub.url,
        HF_TOKEN=TOKEN,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == f"pull request: {hub.url}/lab/lion/discussions/7\n"
    (commit,) = hub.commits
    assert commit["query"] == {"create_pr": ["1"]}
    repository = "datasets/evaleval/EEE_datastore" if kind == "every-eval-ever" else "models/lab/lion"
    assert commit["path"] == f"/api/{repository}/commit/main"
    assert hub.files() == written(out)
    assert hub.tokens == {f"Bearer {TOKEN}"}
    assert TOKEN not in done.stdout + done.stderr + "".join(written(out).values()) + str(commit)
    if kind == "model-card":  # merged into the README that the hub has
        assert hub.files()["README.md"].startswith("---\nlicense: mit\nmodel-index:\n")
        assert "# Lion\n" in hub.files()["README.md"]


def test_push_that_fails_says_why_and_not_the_token(table: Path, tmp_path: Path, hub: CommitHub) -> None:
    push = ("hf-eval-results", table, "--out", tmp_path / "out", "--push")
    without = crossin(*push, "--model-id", "lab/lion", cwd=tmp_path, HF_ENDPOINT=hub.url)
    assert "--push needs a token of the hub: set HF_TOKEN" in without.stderr
    hub.status = 403
    refused = crossin(*push, "--model-id", "lab/lion", cwd=tmp_path, HF_ENDPOINT=hub.url, HF_TOKEN=TOKEN)
    unnamed = crossin(*push, cwd=tmp_path, HF_ENDPOINT=hub.url, HF_TOKEN=TOKEN)
    assert "--push needs --model-id" in unnamed.stderr
    for done in (without, refused, unnamed):
        assert done.returncode == 2
        assert done.stderr.startswith("crossin: --push ")
        assert done.stderr.count("\n") == 1
        assert TOKEN not in done.stdout + done.stderr
    assert hub.commits == []


@pytest.mark.slow
def test_push_without_a_network(table: Path, tmp_path: Path) -> None:  # the hub's library tries for 20 seconds
    push = ("hf-eval-results", table, "--out", tmp_path / "out", "--push", "--model-id", "lab/lion")
    done = crossin(*push, cwd=tmp_path, HF_ENDPOINT="http://127.0.0.1:9", HF_TOKEN=TOKEN)
    assert done.returncode == 2
    assert done.stderr == "crossin: --push to lab/lion: [Errno 111] Connection refused\n"


def test_mistakes(table: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    half = tmp_path / "half.jsonl"
    half.write_text(table.read_text(encoding="utf-8")[:-9], encoding="utf-8")
    (tmp_path / "bad.md").write_text("---\nlicense: [\n---\n", encoding="utf-8")
    (tmp_path / "file").write_text("", encoding="utf-8")
    model = ("--model-id", "lab/lion")
    for arguments, message in (
        (("hf-eval-results", table), "its model is called '', which is no hub id; say --model-id owner/name"),
        (("every-eval-ever", table, *model), "say --organization NAME"),
        (("hf-eval-results", "empty", *model), "empty: no samples_*.jsonl in this folder"),
        (("hf-eval-results", half, *model), "half.jsonl:90: not a whole JSON object"),
        (("hf-eval-results", table, *model, "--run", "*x"), "--run '*x' fits no run; there are cross_mmlu"),
        (("hf-eval-results", table, *model, "--keys", "rankc"), "rankc is not defined for this run"),
        (("hf-eval-results", table, *model, "--languages", "en"), "one language only, so there is no consistency"),
        (("model-card", table, *model, "--readme", "no.md"), "--readme no.md: no such file"),
        (("model-card", table, *model, "--readme", "bad.md"), "the README's metadata block is no YAML"),
    ):
        done = crossin(*arguments, "--out", "out", cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, ""), arguments
        assert message in done.stderr
        assert done.stderr.count("\n") == 1
        assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
    done = crossin("hf-eval-results", table, *model, "--out", "file", cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "cannot write" in done.stderr
