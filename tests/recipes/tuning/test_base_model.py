"""A hub model's commit: what training read is what is merged and evaluated, wherever the branch has moved."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from crossin_metrics.errors import CrossinError
from recipes.merge_adapter import main as merge_adapter
from recipes.sft_crossin import main
from recipes.tuning.evaluate import evaluate
from recipes.tuning.options import parse_options
from recipes.tuning.run_folder import check_base
from tests.helpers.tiny_models import arguments, tiny_model

COMMITS = {"v1": "1" * 40, "main": "2" * 40}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's cache with `lab/tiny` in two commits of different weights."""
    repository = tmp_path / "cache" / "models--lab--tiny"
    (repository / "refs").mkdir(parents=True)
    for seed, (name, commit) in enumerate(COMMITS.items()):
        (repository / "refs" / name).write_text(commit)
        tiny_model(repository / "snapshots" / commit, "llama", tied=False, seed=seed)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return repository


def test_the_commit_that_was_trained_is_merged_and_evaluated(tmp_path: Path, hub: Path, mix: Path) -> None:
    run = tmp_path / "run"
    config = tmp_path / "config.yaml"
    config.write_text("lora_modules_to_save: []\nmodel_revision: v1\n", encoding="utf-8")
    options = ["--config", str(config), *arguments(run, Path("lab/tiny"), mix, max_steps=1, learning_rate=0)]
    assert main(options) == 0
    manifest = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["model"] == {"id": "lab/tiny", "commit": COMMITS["v1"]}
    assert json.loads((run / "adapter" / "adapter_config.json").read_text())["revision"] == COMMITS["v1"]

    assert merge_adapter(["--adapter", str(run / "adapter"), "--output_dir", str(run / "merged")]) == 0
    merged = load_file(run / "merged" / "model.safetensors")
    ours, other = (load_file(hub / "snapshots" / COMMITS[name] / "model.safetensors") for name in ("v1", "main"))
    name = "model.embed_tokens.weight"
    assert torch.equal(merged[name], ours[name])
    assert not torch.equal(merged[name], other[name])

    (hub / "refs" / "v1").write_text(COMMITS["main"])  # the branch moves on
    with pytest.raises(CrossinError, match="another run: model_revision was '1111"):
        main(options)


def test_the_harness_gets_the_commit(tmp_path: Path, hub: Path, mix: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("lora_modules_to_save: []\nmodel_revision: v1\n", encoding="utf-8")
    options = arguments(tmp_path / "run", Path("lab/tiny"), mix, max_steps=1, eval_tasks="crossin_mini", eval_limit=4)
    monkeypatch.setenv("HF_HUB_CACHE", str(hub.parent))  # for the harness's process
    assert main(["--config", str(config), *options]) == 0
    (results,) = (tmp_path / "run" / "eval").rglob("results_*.json")
    content = json.loads(results.read_text(encoding="utf-8"))
    assert content["config"]["model_args"]["revision"] == COMMITS["v1"]


def test_an_adapter_is_not_evaluated_on_another_base(tmp_path: Path, model: Path, mix: Path) -> None:
    base = tmp_path / "base"
    shutil.copytree(model, base)
    config = tmp_path / "config.yaml"
    config.write_text("lora_modules_to_save: []\n", encoding="utf-8")
    options = ["--config", str(config), *arguments(tmp_path / "run", base, mix, max_steps=1)]
    assert main(options) == 0
    check_base(tmp_path / "run" / "adapter", str(base))
    tiny_model(base, seed=5)
    tune, _, _ = parse_options([*options, "--eval_tasks", "crossin_mini"])
    with pytest.raises(CrossinError, match="is not the model that"):
        evaluate(tmp_path / "run", str(base), tune)
