"""The hub's own client against a hub on this machine: repositories, commits, cache, failures."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from crossin_metrics.sets.loading import load_file
from tests.helpers.fake_hub import COMMIT, FakeHub
from tests.sets.parallel_cases import rows, write

LOAD = """
import sys
from crossin_metrics.errors import CrossinError
from crossin_metrics.sets.loading import load_parallel
for revision in sys.argv[1:] or [None]:
    try:
        data = load_parallel("cross_mmlu", languages=["en", "id"], revision=revision)
        print(data.hash, data.source)
    except CrossinError as error:
        print("error:", error)
"""


def load_from(url: str, cache: Path, repo: Path, *revisions: str, **environment: str) -> str:
    """What a fresh process prints, a line per revision: the hub's libraries read their settings once, at import."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "CROSSIN_"))}
    env |= {"HF_ENDPOINT": url, "HF_HOME": str(cache), "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    done = subprocess.run(
        [sys.executable, "-c", LOAD, *revisions],
        cwd=repo,
        env={**env, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


README = b"---\nconfigs:\n- config_name: cross_mmlu\n  data_files:\n  - split: test\n    path: cross_mmlu.json\n---\n"


def test_hub_then_cache_then_nothing(tmp_path: Path, repo: Path) -> None:
    expected = load_file(write(tmp_path / "x.jsonl", rows()), languages=["en", "id"]).hash
    source = f"hub:SeaEval/SeaEval_datasets/cross_mmlu@{COMMIT}"
    content = (tmp_path / "x.jsonl").read_bytes()
    with FakeHub({"SeaEval/SeaEval_datasets": {"README.md": README, "cross_mmlu.json": content}}) as hub:
        named, refused = load_from(hub.url, tmp_path / "cache", repo, COMMIT, "no_such_revision").splitlines()
        hub.broken = True
        assert load_from(hub.url, tmp_path / "cache", repo) == f"{expected} {source}"
    assert named == f"{expected} {source}"
    assert refused.startswith("error: cross_mmlu: ")
    assert "cannot load the data from the hub" in refused
    assert "RevisionNotFound" in refused
    # The hub is gone: the cache serves the commit it holds, and no other.
    cached, other = load_from(hub.url, tmp_path / "cache", repo, COMMIT, "beef").splitlines()
    assert cached == f"{expected} {source}"
    assert f"the cache has {COMMIT}, which may not be beef" in other
    assert load_from("https://huggingface.co", tmp_path / "cache", repo, HF_HUB_OFFLINE="1") == f"{expected} {source}"


def test_the_older_repository_is_the_fallback(tmp_path: Path, repo: Path) -> None:
    expected = load_file(write(tmp_path / "x.jsonl", rows()), languages=["en", "id"]).hash
    with FakeHub({"SeaEval/cross_mmlu": {"test.jsonl": (tmp_path / "x.jsonl").read_bytes()}}) as hub:
        printed = load_from(hub.url, tmp_path / "cache", repo)
    assert printed == f"{expected} hub:SeaEval/cross_mmlu@{COMMIT}"


def test_an_unreachable_hub_is_one_quick_message(tmp_path: Path, repo: Path) -> None:
    started = time.monotonic()
    printed = load_from("http://127.0.0.1:9", tmp_path / "cache", repo)  # the discard port: nothing listens
    assert time.monotonic() - started < 20  # the client's own retries alone take 23 s
    assert "cannot load the data from the hub or its local cache (no answer from http://127." in printed
    assert "data_dir or CROSSIN_DATA_DIR" in printed
    assert "HF_HUB_OFFLINE=1" in printed
    assert "\n" not in printed


def test_a_data_set_with_a_loading_script_is_not_run(tmp_path: Path, repo: Path) -> None:
    script = f"open({str(tmp_path / 'was_run')!r}, 'w')\n".encode()
    with FakeHub({"SeaEval/SeaEval_datasets": {"SeaEval_datasets.py": script}}) as hub:
        printed = load_from(hub.url, tmp_path / "cache", repo)
    assert "cannot load the data from the hub" in printed
    assert not (tmp_path / "was_run").exists()
