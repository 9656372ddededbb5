"""The small version of the mini study, with real training and evaluation: killed twice, it ends as if undisturbed."""

from __future__ import annotations

import csv
import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def command(repo: Path, folder: Path, *more: str) -> list[str]:
    config = repo / "recipes/configs/experiments/mini.yaml"
    return [
        sys.executable, str(repo / "recipes/run_experiment.py"), "--config", str(config),
        "--output_dir", str(folder), "--smoke", "true", "--jobs", "2", *more,
    ]  # fmt: skip


def environment(shared: Path) -> dict[str, str]:
    return {**os.environ, "CROSSIN_DATA_DIR": str(shared / "data"), "HF_HUB_OFFLINE": "1"}


def kill_when(process: subprocess.Popen[str], path: Path) -> None:
    """SIGKILL the experiment, not its stages, once a file is there."""
    for _ in range(3000):
        if path.exists():
            process.send_signal(signal.SIGKILL)
            process.wait()
            return
        assert process.poll() is None, "it ended too early"
        time.sleep(0.1)
    raise AssertionError(f"{path} did not come")


def answers(folder: Path) -> list[list[str]]:
    with gzip.open(folder / "predictions.csv.gz", "rt", encoding="utf-8") as file:
        return list(csv.reader(file))


@pytest.fixture(scope="module")
def undisturbed(repo: Path, shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mini") / "undisturbed"
    subprocess.run(command(repo, folder), env=environment(shared), check=True)
    return folder.with_name("undisturbed-smoke")


def test_killed_twice_is_undisturbed(repo: Path, shared: Path, tmp_path: Path, undisturbed: Path) -> None:
    killed = tmp_path / "killed-smoke"
    environ = environment(shared)
    first = subprocess.Popen(command(repo, tmp_path / "killed"), env=environ, text=True)
    kill_when(first, killed / "stages/base/0/mix.json")  # base is about to train
    second = subprocess.Popen(command(repo, tmp_path / "killed"), env=environ, text=True)
    kill_when(second, killed / "stages/x2x/0/mix.json")
    kept = {path: path.read_bytes() for path in (killed / "stages").rglob("*.json")}
    subprocess.run(command(repo, tmp_path / "killed"), env=environ, check=True)
    for path, content in kept.items():
        assert path.read_bytes() == content  # nothing that was done is done again

    assert answers(killed) == answers(undisturbed)
    ours, theirs = (json.loads((folder / "experiment.json").read_text()) for folder in (killed, undisturbed))
    assert ours["runs"].keys() == theirs["runs"].keys() == {"untuned/0", "base/0", "x2x/0"}
    for name, run in ours["runs"].items():
        for key in ("steps", "tokens_seen", "first_loss", "last_loss", "rows"):
            assert run.get(key) == theirs["runs"][name].get(key)
    for arm in ("base", "x2x"):
        adapters = [folder / f"arms/{arm}/seed0/adapter/adapter_model.safetensors" for folder in (killed, undisturbed)]
        assert adapters[0].read_bytes() == adapters[1].read_bytes()
    for name in ("index.html", "arms.csv", "scores.csv", "efficiency.csv"):
        assert (killed / "report" / name).stat().st_size > 0

    again = subprocess.run(command(repo, tmp_path / "killed"), env=environ, capture_output=True, text=True, check=True)
    assert "started (" not in again.stderr
    text = (killed / "report/tables.md").read_text() + (killed / "report/arms.md").read_text()
    assert "crossin|task:cross_xquad_spans_cf|data:" in text  # every figure with its signature


def test_the_report_names_a_failed_arm(repo: Path, shared: Path, tmp_path: Path, undisturbed: Path) -> None:
    """One arm's training cannot start; the others are up to date, and the report says what is missing."""
    shutil.copytree(undisturbed, tmp_path / "run-smoke")
    for parent in ("arms", "stages"):
        shutil.rmtree(tmp_path / "run-smoke" / parent / "x2x")
    config = (repo / "recipes/configs/experiments/mini.yaml").read_text(encoding="utf-8")
    broken = config.replace("  x2x: {mix: {variant: x2x}", "  x2x: {train: {memory_limit_gb: 0.1}, mix: {variant: x2x}")
    assert broken != config
    path = tmp_path / "broken.yaml"
    path.write_text(broken, encoding="utf-8")
    arguments = command(repo, tmp_path / "run")
    arguments[arguments.index("--config") + 1] = str(path)
    ended = subprocess.run(arguments, env=environment(shared), capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "failed: x2x/0/train: sft_crossin: " in ended.stderr
    assert "missing, and marked so in the report: x2x/0" in ended.stderr
    assert "Traceback" not in ended.stderr
    arms = (tmp_path / "run-smoke/report/arms.md").read_text(encoding="utf-8")
    assert "base" in arms
    assert "Missing:" in arms
    assert "- x2x" in arms
