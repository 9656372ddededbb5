"""Two processes see every row once, and compute what one process computes at the same global batch."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from recipes.sft_crossin import main
from tests.helpers.tiny_models import MIX_ROWS, arguments, read_log, write_mix


def launch(options: list[str], repo: Path, processes: int = 2) -> subprocess.CompletedProcess[str]:
    """`torchrun` on CPUs, with gloo."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "torch.distributed.run", f"--nproc_per_node={processes}", f"--master_port={port}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [*command, "recipes/sft_crossin.py", *options],
        cwd=repo,
        env=environment,
        capture_output=True,
        text=True,
        timeout=400,
    )


@pytest.mark.slow
@pytest.mark.parametrize("padding_free", [True, False])
def test_two_processes_equal_one(tmp_path: Path, repo: Path, model: Path, padding_free: bool) -> None:
    if not torch.distributed.is_gloo_available():
        pytest.skip("this torch has no gloo")
    mix = write_mix(tmp_path / "mix.jsonl", MIX_ROWS[:7], copies=3)  # 21 rows: not a multiple of anything here
    settings = {"save_steps": 3, "padding_free": padding_free}
    assert main(arguments(tmp_path / "one", model, mix, **settings)) == 0
    done = launch([*arguments(tmp_path / "two", model, mix, **settings), "--ddp_backend", "gloo"], repo)
    assert done.returncode == 0, done.stderr[-3000:]
    one, two = (json.loads((tmp_path / name / "manifest.json").read_text(encoding="utf-8")) for name in ("one", "two"))
    assert (one["processes"], two["processes"]) == (1, 2)
    tokens = sum(part["tokens"] for part in two["mix"]["parts"].values())
    assert one["tokens_seen"] == two["tokens_seen"] == tokens + (0 if padding_free else 6)  # three rows of two pads
    assert one["steps"] == two["steps"] == 6
    assert len(two["peak_memory_bytes"]["resident"]) == 2
    curves = [[entry["loss"] for entry in read_log(tmp_path / name)] for name in ("one", "two")]
    assert curves[1] == pytest.approx(curves[0], abs=2e-5)
    adapters = [load_file(tmp_path / name / "adapter" / "adapter_model.safetensors") for name in ("one", "two")]
    for name, value in adapters[0].items():
        assert torch.allclose(adapters[1][name], value, atol=2e-4), name


@pytest.mark.slow
def test_two_processes_resume(tmp_path: Path, repo: Path, model: Path, long_mix: Path) -> None:
    """A run that loses its last checkpoint resumes from that of step 3 and ends the same."""
    options = [*arguments(tmp_path / "run", model, long_mix, save_steps=3, lora_dropout=0.1), "--ddp_backend", "gloo"]
    assert launch(options, repo).returncode == 0
    expected = load_file(tmp_path / "run" / "adapter" / "adapter_model.safetensors")
    (tmp_path / "run" / "manifest.json").unlink()
    (tmp_path / "run" / "checkpoints" / "checkpoint-6" / "optimizer.pt").unlink()
    done = launch(options, repo)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "resuming from" in done.stderr
    again = load_file(tmp_path / "run" / "adapter" / "adapter_model.safetensors")
    for name, value in expected.items():
        assert torch.allclose(again[name], value, atol=1e-6), name


@pytest.mark.slow
def test_two_processes_report_a_mistake_without_a_checkpoint(
    tmp_path: Path, repo: Path, model: Path, mix: Path
) -> None:
    done = launch([*arguments(tmp_path / "run", model, mix, max_length=20), "--ddp_backend", "gloo"], repo)
    assert done.returncode != 0
    assert "exceed max_length 20" in done.stderr
    assert not (tmp_path / "run" / "checkpoints").exists()
