"""A run killed with SIGKILL goes on from its last whole checkpoint and ends as if nothing had happened."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from crossin_metrics.errors import CrossinError
from recipes.sft_crossin import main
from recipes.tuning.checkpoints import SEAL, is_complete, last_complete, seal
from tests.helpers.tiny_models import arguments, read_log, tiny_model, write_mix

# Dropout on, so that the random state counts; three epochs of 6 steps, so that a kill falls into the middle of one.
OPTIONS: dict[str, Any] = {"lora_dropout": 0.1, "num_train_epochs": 3, "save_steps": 2, "save_total_limit": 2}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("models") / "gemma")


@pytest.fixture(scope="module")
def mix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mix(tmp_path_factory.mktemp("mix") / "mix.jsonl", copies=3)


def same_end(run: Path, undisturbed: Path) -> None:
    """Loss curves to 1e-6 and adapters to 1e-6; checkpoints of the same steps."""
    ours, theirs = read_log(run), read_log(undisturbed)
    assert [entry["step"] for entry in ours] == [entry["step"] for entry in theirs]
    for a, b in zip(ours, theirs, strict=True):
        assert a == pytest.approx(b, abs=1e-6)
    adapter, expected = (load_file(r / "adapter" / "adapter_model.safetensors") for r in (run, undisturbed))
    assert adapter.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.allclose(adapter[name], value, atol=1e-6, rtol=0), name
    names = [sorted(path.name for path in (r / "checkpoints").iterdir()) for r in (run, undisturbed)]
    assert names[0] == names[1]


def kill(moment: str, options: list[str], repo: Path) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.recipes.tuning.killed_run", moment, *options]
    done = subprocess.run(command, cwd=repo, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]


@pytest.mark.parametrize("extra", [{}, {"train_sampling_strategy": "group_by_length"}], ids=["random", "by length"])
def test_killed_between_and_while_writing(
    tmp_path: Path, model: Path, mix: Path, repo: Path, extra: dict[str, Any]
) -> None:
    undisturbed, run = tmp_path / "undisturbed", tmp_path / "run"
    assert main(arguments(undisturbed, model, mix, **OPTIONS, **extra)) == 0
    options = arguments(run, model, mix, **OPTIONS, **extra)
    for moment in ("write:1", "step:9") if not extra else ("step:9",):
        kill(moment, options, repo)
        assert not (run / "adapter").exists()
        assert all(is_complete(path) for path in (run / "checkpoints").glob("checkpoint-*"))
    assert main(options) == 0
    same_end(run, undisturbed)


@pytest.mark.slow
def test_killed_at_every_kind_of_moment(tmp_path: Path, model: Path, mix: Path, repo: Path) -> None:
    undisturbed, run = tmp_path / "undisturbed", tmp_path / "run"
    assert main(arguments(undisturbed, model, mix, **OPTIONS)) == 0
    options = arguments(run, model, mix, **OPTIONS)
    for moment in ("step:1", "write:1", "seal:1", "rename:2", "rotate:2", "step:7", "step:12", "write:2", "step:18"):
        kill(moment, options, repo)
    assert main(options) == 0
    same_end(run, undisturbed)


def test_a_full_disk_is_said_and_the_last_checkpoint_stays(
    tmp_path: Path, model: Path, mix: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No room while the second checkpoint's optimizer is written; later there is, and the run ends as undisturbed."""
    undisturbed, run = tmp_path / "undisturbed", tmp_path / "run"
    assert main(arguments(undisturbed, model, mix, **OPTIONS)) == 0
    original, count = torch.save, 0

    def full(content: Any, path: Any, *args: Any, **kwargs: Any) -> None:
        nonlocal count
        if str(path).endswith("optimizer.pt"):
            count += 1
            if count == 2:
                Path(path).write_bytes(b"half")
                raise OSError(28, "No space left on device")
        original(content, path, *args, **kwargs)

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(CrossinError, match=r"cannot write .*checkpoint-4 .*No space left on device"):
        main(arguments(run, model, mix, **OPTIONS))
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == ["checkpoint-2", "sessions.json"]
    monkeypatch.setattr(torch, "save", original)
    assert main(arguments(run, model, mix, **OPTIONS)) == 0
    same_end(run, undisturbed)


def test_a_checkpoint_without_one_of_its_files_does_not_count(tmp_path: Path) -> None:
    assert last_complete(tmp_path / "absent") == (None, [])
    for step in (2, 10, 9):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        (folder / "optimizer.pt").write_bytes(b"1234")
        (folder / "trainer_state.json").write_text("{}", encoding="utf-8")
        seal(folder)
    assert last_complete(tmp_path) == (tmp_path / "checkpoint-10", [])
    (tmp_path / "checkpoint-10" / "optimizer.pt").write_bytes(b"12")
    (tmp_path / "checkpoint-9" / SEAL).unlink()
    newest, half = last_complete(tmp_path)
    assert newest == tmp_path / "checkpoint-2"
    assert [path.name for path in half] == ["checkpoint-10", "checkpoint-9"]
    (tmp_path / "checkpoint-2" / SEAL).write_text("{", encoding="utf-8")
    assert last_complete(tmp_path)[0] is None
