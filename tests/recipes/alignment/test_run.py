"""Complete alignments of a tiny model: the loss falls, runs resume exactly, references are cached, arms follow arms."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from crossin_metrics.errors import CrossinError
from recipes.align_crossin import main
from tests.helpers.aligned import align_arguments
from tests.helpers.tiny_models import read_log, tiny_model

LONG: dict[str, Any] = {"n_pairs": 120, "learning_rate": 5e-3, "save_steps": 10, "save_total_limit": 5}


@pytest.fixture(scope="module")
def through(tmp_path_factory: pytest.TempPathFactory, model: Path, houses: Path) -> Path:
    """30 steps of DCO."""
    run = tmp_path_factory.mktemp("runs") / "dco"
    assert main(align_arguments(run, model, houses, **LONG)) == 0
    return run


def test_thirty_steps_lower_the_loss(through: Path) -> None:
    curve = [entry["loss"] for entry in read_log(through)]
    assert len(curve) == 30
    assert sum(curve[-5:]) < 0.6 * sum(curve[:5])


@pytest.mark.parametrize("loss", ["calm", "dpo", "sft_gold"])
def test_thirty_steps_of_the_other_losses(tmp_path: Path, model: Path, houses: Path, loss: str) -> None:
    assert main(align_arguments(tmp_path / "run", model, houses, **LONG, loss=loss, lora_r=8)) == 0
    curve = [entry["loss"] for entry in read_log(tmp_path / "run")]
    assert sum(curve[-5:]) < 0.8 * sum(curve[:5])
    if loss in ("calm", "dpo"):
        assert curve[0] == pytest.approx(2 * 0.6931472, abs=1e-5)  # at the reference


def test_the_run_folder_is_complete(through: Path) -> None:
    names = {path.name for path in through.iterdir()}
    assert names == {"run.json", "config.yaml", "checkpoints", "adapter", "train_log.jsonl", "manifest.json"}
    facts = json.loads((through / "manifest.json").read_text(encoding="utf-8"))
    assert facts["steps"] == 30
    assert facts["mix"]["pairs"] == 120
    assert facts["mix"]["scored"] < facts["tokens_seen"] < 0.9 * facts["mix"]["tokens"]  # options share the sentence
    assert facts["recipe"]["name"] == "align_crossin"
    card = (through / "adapter" / "README.md").read_text(encoding="utf-8")
    assert "aligned on bmlama17 in en zh vi es" in card
    assert "arXiv 2603.04678" in card


def test_resuming_equals_running_through(tmp_path: Path, through: Path, model: Path, houses: Path) -> None:
    """From the state of a run killed while it wrote checkpoint 30; the reference is computed again."""
    run = tmp_path / "run"
    shutil.copytree(through, run)
    shutil.rmtree(run / "adapter")
    (run / "manifest.json").unlink()
    (run / "checkpoints" / "checkpoint-30" / "optimizer.pt").write_bytes(b"half")
    assert main(align_arguments(run, model, houses, **LONG, reference_cache=tmp_path / "new")) == 0
    for a, b in zip(read_log(run), read_log(through), strict=True):
        assert a == pytest.approx(b, abs=1e-6)
    ours, theirs = (load_file(r / "adapter" / "adapter_model.safetensors") for r in (run, through))
    for name, value in theirs.items():
        assert torch.allclose(ours[name], value, atol=1e-6), name
    facts = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    assert [(s["from_step"], s["to_step"]) for s in facts["sessions"]] == [(0, 30), (20, 30)]


def test_the_reference_is_computed_once(
    tmp_path: Path, model: Path, houses: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from recipes.alignment import scoring

    computed = []
    original = scoring.Reference._compute
    monkeypatch.setattr(
        scoring.Reference, "_compute", lambda self, wanted: computed.append(len(wanted)) or original(self, wanted)
    )
    settings = {"reference_cache": tmp_path / "cache", "max_steps": 1}
    for run, loss in (("a", "dco"), ("b", "dco")):
        assert main(align_arguments(tmp_path / run, model, houses, loss=loss, **settings)) == 0
    assert len(computed) == 1
    (path,) = (tmp_path / "cache").iterdir()
    path.write_bytes(path.read_bytes()[:-3])  # a damaged file counts as none
    assert main(align_arguments(tmp_path / "c", model, houses, **settings)) == 0
    assert main(align_arguments(tmp_path / "d", model, houses, seed=1, **settings)) == 0  # other pairs
    assert len(computed) == 3
    logs = [read_log(tmp_path / run) for run in ("a", "b", "c")]
    assert logs[0] == logs[1] == logs[2]


def test_an_alignment_continues_an_adapter(tmp_path: Path, through: Path, model: Path, houses: Path) -> None:
    """The reference is the model with the first adapter, so DPO starts at its reference, which is not the base."""
    start = {"start_adapter": through / "adapter", "learning_rate": 0.0, "loss": "dpo", "max_steps": 2}
    assert main(align_arguments(tmp_path / "run", model, houses, **start)) == 0
    assert read_log(tmp_path / "run")[0]["loss"] == pytest.approx(2 * 0.6931472, abs=1e-5)
    ours, theirs = (load_file(r / "adapter" / "adapter_model.safetensors") for r in (tmp_path / "run", through))
    assert all(torch.equal(ours[name], value) for name, value in theirs.items())  # learning rate 0
    assert max(value.abs().max() for name, value in theirs.items() if "lora_B" in name) > 0


def test_padded_batches_and_accumulation_equal_concatenated_ones(tmp_path: Path, model: Path, houses: Path) -> None:
    curves = []
    for name, extra in (
        ("flat", {}),
        ("padded", {"padding_free": False}),
        ("accumulated", {"per_device_train_batch_size": 1}),
    ):
        assert main(align_arguments(tmp_path / name, model, houses, **extra)) == 0
        curves.append([entry["loss"] for entry in read_log(tmp_path / name)])
    assert curves[1] == pytest.approx(curves[0], abs=2e-5)
    assert curves[2] == pytest.approx(curves[0], abs=2e-5)


def message(arguments: list[str]) -> str:
    with pytest.raises(CrossinError) as caught:
        main(arguments)
    assert len(str(caught.value)) < 500
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_start_of_another_base_or_rank(tmp_path: Path, through: Path, model: Path, houses: Path) -> None:
    other = tiny_model(tmp_path / "other", seed=1)
    start = {"start_adapter": through / "adapter"}
    assert "the reference must be the model that is trained" in message(
        align_arguments(tmp_path / "run", other, houses, **start)
    )
    assert "its r is 4; set lora_r to the same, not 8" in message(
        align_arguments(tmp_path / "run", model, houses, lora_r=8, **start)
    )
    assert "adapter_config.json" in message(align_arguments(tmp_path / "run", model, houses, start_adapter=model))
    assert not (tmp_path / "run" / "checkpoints").exists()
