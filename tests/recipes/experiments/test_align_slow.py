"""A grid with a mix, an alignment and both, run from data to report on a tiny model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from recipes.run_experiment import main
from tests.helpers.aligned import write_set
from tests.helpers.tiny_models import tiny_model


@pytest.mark.slow
def test_a_mix_then_an_alignment(tmp_path: Path) -> None:
    model, data = tiny_model(tmp_path / "gemma"), write_set(tmp_path / "set")
    common = {"model_name_or_path": str(model), "dtype": "float32", "bf16": False, "report_to": "none", "lora_r": 4}
    common |= {"per_device_train_batch_size": 2, "global_batch_size": 4, "max_length": 300, "lora_alpha": 8}
    (tmp_path / "train.yaml").write_text(yaml.safe_dump({**common, "lora_modules_to_save": []}), encoding="utf-8")
    align = {**common, "set": "bmlama17", "data_dir": str(data), "n_pairs": 8, "loss": "dco"}
    (tmp_path / "align.yaml").write_text(yaml.safe_dump(align), encoding="utf-8")
    experiment = {
        "name": "tiny",
        "output_dir": str(tmp_path / "out"),
        "mix_config": "recipes/configs/mix/mini_x2x.yaml",
        "mix": {"n_base": 4, "n_samples": 4},
        "train_config": str(tmp_path / "train.yaml"),
        "align_config": str(tmp_path / "align.yaml"),
        "arms": {
            "untuned": {"tune": False},
            "dco": {"align": {}},
            "x2x_dco": {"mix": {"variant": "x2x"}, "align": {"learning_rate": 1e-3}},
        },
        "evaluate": {
            "facts": {
                "tasks": "bmlama17_cf",
                "metadata": {"data_dir": str(data), "languages": ["en", "zh", "vi", "es"], "bootstrap": 0},
            }
        },
        "baseline": "untuned",
        "min_free_gb": 0.0,
    }
    (tmp_path / "e.yaml").write_text(yaml.safe_dump(experiment), encoding="utf-8")
    assert main(["--config", str(tmp_path / "e.yaml")]) == 0
    facts = json.loads((tmp_path / "out" / "experiment.json").read_text(encoding="utf-8"))
    assert set(facts["runs"]) == {"untuned/0", "dco/0", "x2x_dco/0"}
    folder = tmp_path / "out" / "arms" / "x2x_dco" / "seed0"
    parts = [
        json.loads((place / "manifest.json").read_text(encoding="utf-8")) for place in (folder, folder / "aligned")
    ]
    assert [part["recipe"]["name"] for part in parts] == ["sft_crossin", "align_crossin"]
    assert facts["runs"]["x2x_dco/0"]["tokens"] == sum(part["tokens_seen"] for part in parts)
    assert (tmp_path / "out" / "report" / "index.html").is_file()
