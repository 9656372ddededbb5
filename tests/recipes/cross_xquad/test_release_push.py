"""Pushing a release: a pull request with every file, or a printed payload."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from recipes.cross_xquad.items import write_items
from tests.helpers.commit_hub import TOKEN, CommitHub, commit_hub
from tests.recipes.cross_xquad.released_items import FACTS, contents, mixed

_SCRIPT = """
import json, sys
from pathlib import Path
from crossin_metrics.errors import CrossinError
from recipes.cross_xquad.items import read_items
from recipes.cross_xquad.release.data_set import release
try:
    facts = json.loads(Path("facts.json").read_text(encoding="utf-8"))
    items = read_items(Path("items.jsonl"))
    made = release(items, Path("r"), facts, push_to_hub=sys.argv[2], dry_run=sys.argv[1] == "dry")
    print(made.get("pull_request"), file=sys.stderr)
except CrossinError as error:
    print(error, file=sys.stderr)
    sys.exit(2)
"""


@pytest.fixture
def hub() -> Iterator[CommitHub]:
    with commit_hub() as made:
        yield made


def push(
    folder: Path, how: str, hub: CommitHub, repository: str = "lab/x", **environment: str
) -> subprocess.CompletedProcess[str]:
    """In a process of its own, since the hub's library reads its address when it is imported."""
    write_items(folder / "items.jsonl", mixed())
    (folder / "facts.json").write_text(json.dumps(FACTS), encoding="utf-8")
    known = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
    known |= {"PYTHONPATH": str(Path(__file__).resolve().parents[3]), "HF_HOME": str(folder / "hf")}
    known |= {"HF_ENDPOINT": hub.url, "OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8", **environment}
    command = [sys.executable, "-c", _SCRIPT, how, repository]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", env=known, cwd=folder, timeout=120)


def test_a_dry_run_prints_the_payload_and_sends_nothing(tmp_path: Path, hub: CommitHub) -> None:
    done = push(tmp_path, "dry", hub, HF_TOKEN=TOKEN)
    assert (done.returncode, done.stderr) == (0, "None\n")
    payload = json.loads(done.stdout)
    assert (payload["repository"], payload["repo_type"], payload["create_pr"]) == ("lab/x", "dataset", True)
    assert payload["files"] == [
        {"path": name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in sorted(contents(tmp_path / "r").items())
    ]
    assert (hub.reads, hub.tokens, hub.commits) == ([], set(), [])
    assert TOKEN not in done.stdout


def test_a_push_opens_a_pull_request_with_every_file(tmp_path: Path, hub: CommitHub) -> None:
    done = push(tmp_path, "push", hub, HF_TOKEN=TOKEN)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert done.stderr.endswith(f"{hub.url}/lab/lion/discussions/7\n")
    (commit,) = hub.commits
    assert (commit["path"], commit["query"]) == ("/api/datasets/lab/x/commit/main", {"create_pr": ["1"]})
    assert hub.files() == contents(tmp_path / "r")
    assert hub.tokens == {f"Bearer {TOKEN}"}
    assert TOKEN not in done.stdout + done.stderr + str(commit)


def test_a_push_without_token_name_or_permission_is_an_error(tmp_path: Path, hub: CommitHub) -> None:
    without = push(tmp_path, "push", hub)
    assert (without.returncode, "HF_TOKEN" in without.stderr) == (2, True)
    named = push(tmp_path, "dry", hub, "cross_xquad")
    assert (named.returncode, "'cross_xquad'" in named.stderr) == (2, True)
    assert not (tmp_path / "r").exists()
    hub.status = 403
    refused = push(tmp_path, "push", hub, HF_TOKEN=TOKEN)
    assert refused.returncode == 2
    assert "lab/x: " in refused.stderr
    assert TOKEN not in refused.stderr
    assert hub.commits == []
    assert (tmp_path / "r" / "README.md").is_file()  # the set stays on this machine, to be pushed later
