"""`crossin export` as a user runs it, and its pull requests against a hub on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helpers.commit_hub import TOKEN, CommitHub, commit_hub
from tests.helpers.parallel_runs import run_harness


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


@pytest.fixture
def hub() -> Iterator[CommitHub]:
    with commit_hub("---\nlicense: mit\n---\n# Lion\n") as made:
        yield made


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
    record, rows = sorted(set(written(out)) - names)
    assert record.startswith("data/cross_mmlu/lab/lion/")
    assert rows == record.replace(".json", "_samples.jsonl")
    before = written(out)
    crossin("model-card", table, "--model-id", "lab/lion", "--out", out, cwd=tmp_path)
    assert written(out) == before
    assert (hub.commits, hub.tokens, hub.reads) == ([], set(), [])


def test_no_resamples_are_no_errors(table: Path, tmp_path: Path) -> None:
    out, given = tmp_path / "out", ("--model-id", "lab/lion", "--bootstrap", "0", "--organization", "Lab")
    for kind, unsaid in (("hf-eval-results", "bootstrap"), ("every-eval-ever", "uncertainty"), ("model-card", "±")):
        done = crossin(kind, table, *given, "--out", out, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        assert not [name for name, text in written(out).items() if unsaid in text]


def test_logs_of_the_harness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("lm_eval")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    results = run_harness(tmp_path / "run", {"xcopa": ["xcopa_et", "xcopa_ht", "xcopa_zh"]})
    out, run = tmp_path / "published", tmp_path / "run" / "out"
    done = crossin("hf-eval-results", run, "--out", out, cwd=tmp_path)
    assert "unknown hub data set; give --dataset-id owner/name" in done.stderr
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
    sent = {name: content.decode() for name, content in hub.files().items()}
    assert sent == written(out)
    assert hub.tokens == {f"Bearer {TOKEN}"}
    assert TOKEN not in done.stdout + done.stderr + "".join(written(out).values()) + str(commit)
    if kind == "model-card":  # merged into the README that the hub has
        assert sent["README.md"].startswith("---\nlicense: mit\nmodel-index:\n")
        assert "# Lion\n" in sent["README.md"]


def test_push_that_fails_says_why_and_not_the_token(table: Path, tmp_path: Path, hub: CommitHub) -> None:
    push = ("hf-eval-results", table, "--out", tmp_path / "out", "--push")
    without = crossin(*push, "--model-id", "lab/lion", cwd=tmp_path, HF_ENDPOINT=hub.url)
    assert "needs a token with write access: set HF_TOKEN" in without.stderr
    hub.status = 403
    refused = crossin(*push, "--model-id", "lab/lion", cwd=tmp_path, HF_ENDPOINT=hub.url, HF_TOKEN=TOKEN)
    unnamed = crossin(*push, cwd=tmp_path, HF_ENDPOINT=hub.url, HF_TOKEN=TOKEN)
    assert "--push needs --model-id" in unnamed.stderr
    for done in (without, refused, unnamed):
        assert done.returncode == 2
        assert done.stderr.startswith("crossin: ")
        assert done.stderr.count("\n") == 1
        assert TOKEN not in done.stdout + done.stderr
    assert hub.commits == []


@pytest.mark.slow
def test_push_without_a_network(table: Path, tmp_path: Path) -> None:  # the hub's library tries for 20 seconds
    push = ("hf-eval-results", table, "--out", tmp_path / "out", "--push", "--model-id", "lab/lion")
    done = crossin(*push, cwd=tmp_path, HF_ENDPOINT="http://127.0.0.1:9", HF_TOKEN=TOKEN)
    assert done.returncode == 2
    assert done.stderr == "crossin: cannot push to lab/lion: [Errno 111] Connection refused\n"


def test_mistakes(table: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    half = tmp_path / "half.jsonl"
    half.write_text(table.read_text(encoding="utf-8")[:-9], encoding="utf-8")
    (tmp_path / "bad.md").write_text("---\nlicense: [\n---\n", encoding="utf-8")
    (tmp_path / "file").write_text("", encoding="utf-8")
    model = ("--model-id", "lab/lion")
    for arguments, message in (
        (("hf-eval-results", table), "its model is called '', which is not a hub id; give --model-id owner/name"),
        (("every-eval-ever", table, *model), "say --organization NAME"),
        (("hf-eval-results", "empty", *model), "empty: no samples_*.jsonl in this folder"),
        (("hf-eval-results", half, *model), "half.jsonl, line 90: not JSON"),
        (("hf-eval-results", table, *model, "--run", "*x"), "--run '*x' fits no run; there are cross_mmlu"),
        (("hf-eval-results", table, *model, "--keys", "rankc"), "rankc is undefined for this run"),
        (("hf-eval-results", table, *model, "--languages", "en"), "one language only, so there is no consistency"),
        (("model-card", table, *model, "--readme", "no.md"), "--readme no.md: no such file"),
        (("model-card", table, *model, "--readme", "bad.md"), "the README's metadata block is not valid YAML"),
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
