"""The real script against a hub on this machine, through `datasets` itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.fake_hub import COMMIT, FakeHub
from tests.recipes.mixes.mix_sets import LANGUAGES, base_row, seed_item

ITEMS = [seed_item(k) for k in range(12)]


def lines(rows: list[dict[str, object]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def repositories() -> dict[str, dict[str, bytes]]:
    """An English base, a parallel seed in one table, and one with a configuration per language."""
    configs = "".join(f"- config_name: {code}\n  data_files: {code}.jsonl\n" for code in LANGUAGES)
    return {
        "garage-bAInd/Open-Platypus": {"train.jsonl": lines([base_row(k) for k in range(20)])},
        "someone/parallel": {"train.jsonl": lines(ITEMS)},
        "someone/by-language": {
            "README.md": f"---\nconfigs:\n{configs}---\n".encode(),
            **{f"{code}.jsonl": lines([item[code] for item in ITEMS]) for code in LANGUAGES},
        },
    }


def build(
    repo: Path, tmp_path: Path, endpoint: str, *flags: str, base: str = "garage-bAInd/Open-Platypus"
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(repo / "recipes/build_mix.py"), "--output_dir", str(tmp_path / "mix")]
    arguments = ["--base_set", base, "--n_samples", "30", *flags]
    env = {**os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_TELEMETRY": "1"}
    env["HF_HUB_OFFLINE"] = "0"  # the hub of this test is on this machine
    return subprocess.run([*command, *arguments], env=env, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize(
    "flags",
    [["--seed_set", "hub:someone/parallel"], ["--seed_set", "someone/by-language", "--seed_config", "{lang}"]],
    ids=["one table", "a configuration per language"],
)
def test_sets_of_the_hub(repo: Path, tmp_path: Path, flags: list[str]) -> None:
    with FakeHub(repositories()) as hub:
        done = build(repo, tmp_path, hub.url, *flags)
    assert done.returncode == 0, done.stderr
    sources = json.loads((tmp_path / "mix/manifest.json").read_text(encoding="utf-8"))["sources"]
    assert sources["base"]["name"] == "garage-bAInd/Open-Platypus"
    assert sources["base"]["licence"].startswith("mixed")
    assert [sources[role]["revision"] for role in ("base", "seed")] == [COMMIT, COMMIT]
    assert [sources[role]["n_rows"] for role in ("base", "seed")] == [20, 12]


def test_unknown_set_is_one_line(repo: Path, tmp_path: Path) -> None:
    with FakeHub(repositories()) as hub:
        done = build(repo, tmp_path, hub.url, base="someone/absent")
    assert done.returncode == 2
    said = [line for line in done.stderr.splitlines() if line.startswith("build_mix: ")]
    assert len(said) == 1
    assert "cannot load the data from the hub" in said[0]
    assert "someone/absent: " in said[0]
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "mix").exists()
