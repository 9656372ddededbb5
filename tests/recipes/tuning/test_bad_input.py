"""Every mistake is one clear message before any training, and nothing is left behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from crossin_metrics.errors import CrossinError
from recipes.sft_crossin import main
from recipes.tuning.checks import GIB, check_devices, estimate_memory
from recipes.tuning.model import load_config, load_tokenizer, plan_adapter
from recipes.tuning.options import TrainOptions, parse_options
from tests.helpers.tiny_models import arguments, tiny_model


def message(arguments_: list[str]) -> str:
    with pytest.raises(CrossinError) as caught:
        main(arguments_)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            {"lora_target_modules": ["p_proj", "k_proj"]},
            "'p_proj' matches no module of this gemma3_text model; did you mean",
        ),
        ({"lora_target_modules": ["q_proj", "lm_head"]}, "'lm_head' is the output head"),
        ({"lora_modules_to_save": ["embed_token"]}, "did you mean 'embed_tokens'?"),
        ({"trainable_tokens": ["a"]}, "trainable_tokens and lora_modules_to_save both"),
        (
            {"global_batch_size": 5},
            "global_batch_size 5 must be a multiple of per_device_train_batch_size 2 x 1 processes",
        ),
        ({"gradient_accumulation_steps": 3}, "gradient_accumulation_steps 3 contradicts global_batch_size 4"),
        ({"memory_limit_gb": 0.1}, "not enough memory: about"),
        ({"dtype": "bfloat16"}, "dtype bfloat16 without mixed precision"),
        ({"dtype": "bf16"}, "dtype: 'bf16' must be auto, bfloat16"),
        ({"save_only_model": True}, "save_only_model is not supported"),
        ({"eval_tasks": "crossin_mini", "eval_metadata": '{"data_dir": "nowhere"}'}, "no such folder: nowhere"),
        ({"packing": True, "packing_strategy": "wrapped"}, "packing_strategy 'wrapped'"),
        ({"completion_only_loss": False}, "completion_only_loss: false is not supported"),
        ({"load_best_model_at_end": True}, "load_best_model_at_end is not supported"),
        ({"resume_from_checkpoint": "x"}, "resume_from_checkpoint is not needed"),
        ({"use_peft": False}, "use_peft: false is not supported"),
        ({"model_name_or_path": "demo:gpt"}, "unknown model 'demo:gpt': choose demo:gemma-3-270m"),
        ({"model_name_or_path": "./nowhere"}, "model folder ./nowhere not found"),
        ({"mix": "nowhere.yaml"}, "mix nowhere.yaml not found"),
        ({"frame": "chat"}, "has no chat template"),
        ({"eval_tasks": "crossin_mnii", "merge": True}, "unknown task 'crossin_mnii'; did you mean 'crossin_mini'?"),
        ({"learning_rat": 1}, "unknown option '--learning_rat'; did you mean '--learning_rate'?"),
        ({"load_in_4bit": True}, "bitsandbytes"),
        ({"max_length": 20}, "exceed max_length 20"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_options(tmp_path: Path, model: Path, mix: Path, options: dict[str, Any], expected: str) -> None:
    run = tmp_path / "run"
    chosen = arguments(run, model, mix)
    for name, value in options.items():  # a later flag wins
        chosen += [f"--{name}", *map(str, value if isinstance(value, list) else [value])]
    assert expected in message(chosen)
    assert not (run / "checkpoints").exists()


def test_unknown_yaml_key(tmp_path: Path, model: Path, mix: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text("lora_rank: 8\n", encoding="utf-8")
    assert "unknown option 'lora_rank'" in message(["--config", str(config), *arguments(tmp_path / "r", model, mix)])


def test_model_folder_without_tokenizer(tmp_path: Path, mix: Path) -> None:
    folder = tiny_model(tmp_path / "bare")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    assert "has no tokenizer" in message(arguments(tmp_path / "run", folder, mix))


def test_model_folder_without_model(tmp_path: Path, mix: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert f"cannot read model {tmp_path / 'empty'}" in message(arguments(tmp_path / "run", tmp_path / "empty", mix))


def test_a_folder_of_something_else(tmp_path: Path, model: Path, mix: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "thesis.tex").write_text("precious", encoding="utf-8")
    for extra in ({}, {"overwrite": True}):
        assert "contains files that are not a run's (thesis.tex)" in message(arguments(run, model, mix, **extra))
    assert (run / "thesis.tex").read_text(encoding="utf-8") == "precious"


def test_output_that_is_a_file(tmp_path: Path, model: Path, mix: Path) -> None:
    (tmp_path / "run").write_text("x", encoding="utf-8")
    assert "must be a folder, not a file" in message(arguments(tmp_path / "run", model, mix))


def test_no_bf16_is_said_with_the_remedy(
    tmp_path: Path, model: Path, mix: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A GPU without bf16, as transformers reports it; there is none here, so its two questions are answered for it."""
    import torch
    from transformers import training_args

    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(training_args, "is_torch_bf16_gpu_available", lambda: False)
    said = message(arguments(tmp_path / "run", model, mix, use_cpu=None, bf16=True))
    assert "not supported by this device" in said
    assert "--bf16 false" in said


def test_as_a_command_it_is_one_line_and_code_2(tmp_path: Path, model: Path, mix: Path, repo: Path) -> None:
    command = [sys.executable, "recipes/sft_crossin.py", *arguments(tmp_path / "run", model, mix, max_length=20)]
    done = subprocess.run(command, cwd=repo, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("sft_crossin: all 8 rows of the mix exceed max_length 20")


def test_help_needs_no_model(repo: Path) -> None:
    done = subprocess.run(
        [sys.executable, "recipes/sft_crossin.py", "--help-all"], cwd=repo, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0
    assert "--long_rows" in done.stdout
    assert "Paper: 1e-4" in done.stdout


def test_counts_before_loading_equal_the_models(tmp_path: Path, mix: Path) -> None:
    """Parameters are counted on a model without weights: compare with the real thing, tied, untied and by token."""
    from recipes.tuning.model import load_model

    for kind, tied, extra in [
        ("gemma3_text", True, {}),
        ("gemma2", True, {"untied": True}),
        ("llama", False, {}),
        ("gemma3_text", True, {"lora_modules_to_save": None, "trainable_tokens": ["[zh]", "[es]"]}),
        ("mistral", False, {"lora_modules_to_save": None, "trainable_tokens": ["[zh]"], "use_dora": True}),
    ]:
        folder = tiny_model(tmp_path / f"{kind}-{tied}-{len(extra)}", kind, tied=tied)
        tune, train, options = parse_options(arguments(tmp_path / "run", folder, mix, **extra))
        if "lora_modules_to_save" in extra:
            options.lora_modules_to_save = []
        tokenizer = load_tokenizer(str(folder), "headers")
        plan = plan_adapter(load_config(str(folder), options), tokenizer, tune, options)
        model = load_model(str(folder), plan, options, train)
        assert sum(p.numel() for p in model.parameters() if p.requires_grad) == plan.n_trained, (kind, extra)
        saved = sum(
            p.numel() for name, p in model.named_parameters() if "lora_" not in name and "modules_to_save" not in name
        )
        assert plan.n_base <= saved + 260 * 32, (kind, extra)


def test_the_estimate_grows_with_what_costs_memory(tmp_path: Path, model: Path, mix: Path) -> None:
    def estimate(**extra: Any) -> float:
        tune, train, options = parse_options(arguments(tmp_path / "run", model, mix, **extra))
        config = load_config(str(model), options)
        plan = plan_adapter(config, load_tokenizer(str(model), "headers"), tune, options)
        return estimate_memory(config, plan, train, options, longest=400, labels=100).total

    plain = estimate()
    assert 0.5 * GIB < plain < 2 * GIB
    assert estimate(per_device_train_batch_size=4) > plain
    assert estimate(gradient_checkpointing=True) < plain
    assert estimate(untied=True) > plain


def test_one_process_with_several_gpus() -> None:
    """transformers would take four times the rows at once."""
    check_devices(cast(TrainOptions, SimpleNamespace(n_gpu=1)))
    with pytest.raises(CrossinError, match=r"one process sees 4 GPUs: .*--num_processes 4"):
        check_devices(cast(TrainOptions, SimpleNamespace(n_gpu=4)))
