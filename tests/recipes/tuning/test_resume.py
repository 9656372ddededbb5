"""A run killed with SIGKILL resumes from its last complete checkpoint and ends as if undisturbed."""

from __future__ import annotations

import multiprocessing
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from crossin_metrics.errors import CrossinError
from recipes.sft_crossin import main
from recipes.tuning.checkpoints import SEAL, is_complete, last_complete, seal
from tests.helpers.killed_run import run_and_die
from tests.helpers.tiny_models import arguments, read_log

# Dropout on, so that the random state counts; three epochs of 6 steps, so that a kill falls into the middle of one.
OPTIONS: dict[str, Any] = {"lora_dropout": 0.1, "num_train_epochs": 3, "save_steps": 2, "save_total_limit": 2}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, model: Path, long_mix: Path) -> Path:
    run = tmp_path_factory.mktemp("undisturbed") / "run"
    assert main(arguments(run, model, long_mix, **OPTIONS)) == 0
    return run


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


@pytest.fixture(scope="module")
def processes() -> Any:
    """Processes forked from a server that has imported what training needs, without any thread of torch's."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["recipes.tuning.trainer", "recipes.tuning.evaluate", "peft", "datasets"])
    return context


def kill(processes: Any, moment: str, options: list[str]) -> None:
    process = processes.Process(target=run_and_die, args=(moment, options))
    process.start()
    process.join(240)
    assert process.exitcode == -signal.SIGKILL


@pytest.mark.parametrize(
    "extra",
    [
        pytest.param({}, id="random"),
        pytest.param({"train_sampling_strategy": "group_by_length"}, id="by length", marks=pytest.mark.slow),
    ],
)
def test_killed_between_and_while_writing(
    tmp_path: Path, model: Path, long_mix: Path, undisturbed: Path, processes: Any, extra: dict[str, Any]
) -> None:
    run = tmp_path / "run"
    if extra:
        undisturbed = tmp_path / "undisturbed"
        assert main(arguments(undisturbed, model, long_mix, **OPTIONS, **extra)) == 0
    options = arguments(run, model, long_mix, **OPTIONS, **extra)
    for moment in ("write:1", "step:9") if not extra else ("step:9",):
        kill(processes, moment, options)
        assert not (run / "adapter").exists()
        assert all(is_complete(path) for path in (run / "checkpoints").glob("checkpoint-*"))
    assert main(options) == 0
    same_end(run, undisturbed)


@pytest.mark.slow
def test_killed_at_every_kind_of_moment(
    tmp_path: Path, model: Path, long_mix: Path, undisturbed: Path, processes: Any
) -> None:
    run = tmp_path / "run"
    options = arguments(run, model, long_mix, **OPTIONS)
    for moment in ("step:1", "write:1", "seal:1", "rename:2", "rotate:2", "step:7", "step:12", "write:2", "step:18"):
        kill(processes, moment, options)
    assert main(options) == 0
    same_end(run, undisturbed)


def test_a_full_disk_is_said_and_the_last_checkpoint_stays(
    tmp_path: Path, model: Path, long_mix: Path, undisturbed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full while the second checkpoint's optimizer is written; with space again, the run resumes."""
    run = tmp_path / "run"
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
        main(arguments(run, model, long_mix, **OPTIONS))
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == ["checkpoint-2", "sessions.json"]
    monkeypatch.setattr(torch, "save", original)
    assert main(arguments(run, model, long_mix, **OPTIONS)) == 0
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
