"""The lower bounds of pyproject.toml work: an environment with exactly these, and some fast tests of every journey."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPO

SOME = (
    "tests/scores/test_definitions.py",
    "tests/harness/test_aggregate.py",
    "tests/runs/test_sample_logs.py",
    "tests/recipes/mixes/test_rows.py",
    "tests/recipes/tuning/test_loss_masks.py",
    "tests/exports",
)


@pytest.mark.slow
@pytest.mark.skipif("CROSSIN_BOUNDS" not in os.environ, reason="CROSSIN_BOUNDS is not set: bounds not installed")
def test_lower_bounds(tmp_path: Path) -> None:
    folder = tmp_path / "lowest"
    command = ["bash", str(REPO / "tests" / "bounds.sh"), "lowest-direct", str(folder), "-q", *SOME]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["PYTHON"] = sys.executable
    if links := os.environ.get("PIP_FIND_LINKS"):
        environment["UV_FIND_LINKS"] = links
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if not (folder / "versions.txt").exists() and "No matching distribution found for uv" in done.stdout + done.stderr:
        pytest.skip("no package registry can be reached")
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    assert "lm-eval==0.4.13" in (folder / "versions.txt").read_text(encoding="utf-8")
