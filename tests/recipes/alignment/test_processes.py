"""Two processes compute what one process computes at the same global batch."""

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

from recipes.align_crossin import main
from tests.helpers.aligned import align_arguments
from tests.helpers.tiny_models import read_log


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["dco", "calm"])
def test_two_processes_equal_one(tmp_path: Path, repo: Path, model: Path, houses: Path, loss: str) -> None:
    if not torch.distributed.is_gloo_available():
        pytest.skip("this torch has no gloo")
    one = align_arguments(tmp_path / "one", model, houses, loss=loss, reference_cache=tmp_path / "c1")
    assert main(one) == 0
    two = align_arguments(tmp_path / "two", model, houses, loss=loss, reference_cache=tmp_path / "c2")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", f"--master_port={port}"]
    done = subprocess.run(
        [*command, "recipes/align_crossin.py", *two, "--ddp_backend", "gloo"],
        cwd=repo,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    facts = [json.loads((tmp_path / name / "manifest.json").read_text(encoding="utf-8")) for name in ("one", "two")]
    assert [f["processes"] for f in facts] == [1, 2]
    assert facts[0]["tokens_seen"] == facts[1]["tokens_seen"]
    curves = [[entry["loss"] for entry in read_log(tmp_path / name)] for name in ("one", "two")]
    assert curves[1] == pytest.approx(curves[0], rel=2e-5)
    adapters = [load_file(tmp_path / name / "adapter" / "adapter_model.safetensors") for name in ("one", "two")]
    for name, value in adapters[0].items():
        assert torch.allclose(adapters[1][name], value, atol=2e-4), name
