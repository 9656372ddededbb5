"""Of another version of the harness, our tasks say so in one line instead of reporting wrong scores."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPO


def load_task(folder: Path, version: str, module: str) -> subprocess.CompletedProcess[str]:
    """Import `module` in a process that has the harness's metadata of this version."""
    info = folder / f"lm_eval-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: lm_eval\nVersion: {version}\n", encoding="utf-8")
    path = os.pathsep.join([str(folder), str(REPO)])
    command = [sys.executable, "-c", f"from crossin_metrics.harness import {module}"]
    return subprocess.run(
        command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False, cwd=folder
    )


@pytest.mark.parametrize("version", ["0.5.0.dev1", "0.5.0", "1.0", "0.4.12"])
def test_another_harness_is_refused_in_one_line(tmp_path: Path, version: str) -> None:
    done = load_task(tmp_path, version, "ParallelMCQTask")
    assert done.returncode != 0
    assert done.stderr == (
        f"crossin: lm-evaluation-harness {version} is not supported, scores across languages would be missing or "
        "wrong: pip install 'lm-eval[hf]>=0.4.13,<0.5'\n"
    )


def test_metrics_for_other_tasks_are_refused_too(tmp_path: Path) -> None:
    done = load_task(tmp_path, "0.5.0.dev1", "plugins")
    assert "lm-evaluation-harness 0.5.0.dev1 is not supported" in done.stderr
