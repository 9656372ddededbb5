"""Every YAML file of the recipes is parsed into the real dataclasses, says how it is launched, and what it needs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from recipes.tuning.checks import GIB, estimate_memory
from recipes.tuning.model import plan_adapter
from recipes.tuning.options import PAPER_TARGETS, ModelOptions, TrainOptions, TuneOptions, parse_options

CONFIGS = Path(__file__).resolve().parents[3] / "recipes" / "configs"
FILES = sorted(CONFIGS.glob("*.yaml"))
# Each kind of configuration has its folder and its own test of this sort; a new folder has to be named here.
FOLDERS = {"accelerate", "cross_xquad", "experiments", "mix", "slurm", "translate"}

# The sizes of the full-scale models, from their published config.json.
MISTRAL = {
    "vocab_size": 32000,
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
}
MODELS: dict[str, tuple[str, dict[str, Any], int]] = {  # id -> (architecture, sizes, parameters)
    "google/gemma-2b": (
        "gemma",
        {
            "vocab_size": 256000,
            "hidden_size": 2048,
            "intermediate_size": 16384,
            "num_hidden_layers": 18,
            "num_attention_heads": 8,
            "num_key_value_heads": 1,
            "head_dim": 256,
        },
        2_506_172_416,
    ),
    "mistralai/Mistral-7B-v0.1": ("mistral", MISTRAL, 7_241_732_096),
    "meta-llama/Meta-Llama-3-8B": ("llama", {**MISTRAL, "vocab_size": 128256}, 8_030_261_248),
}


def read(path: Path, *flags: str) -> tuple[TuneOptions, TrainOptions, ModelOptions]:
    return parse_options(["--config", str(path), "--output_dir", "unused", *flags])


def header(path: Path) -> str:
    lines = path.read_text(encoding="utf-8").splitlines()
    return " ".join(line[1:].strip() for line in lines[: lines.index("")])


def test_every_yaml_belongs_to_a_kind_that_is_tested() -> None:
    assert {path.name for path in CONFIGS.iterdir() if path.is_dir()} <= FOLDERS
    assert not list(CONFIGS.rglob("*.yml"))


def test_the_papers_rows_are_there() -> None:
    names = {path.stem for path in FILES}
    arms = {"alpaca", "platypus", "en2x", "x2en", "x2x"}
    ablations = {"x2x_trans", "en2x_trans", "x2en_trans", *(f"x2x_{n}" for n in (0, 1000, 3000, 10000, 20000))}
    promised = {f"{model}_{arm}" for model in ("gemma_2b", "mistral_7b") for arm in arms | ablations}
    promised |= {f"llama3_8b_{arm}" for arm in arms}
    promised |= {f"mistral_7b_x2x_{kind}" for kind in ("as_released", "lora_only", "trainable_tokens", "qlora")}
    promised |= {"mini_x2x", "mini_en2x", "mini_x2en", "mini_base", "llama3_8b_x2x_fsdp2", "llama3_8b_x2x_zero3"}
    assert promised <= names


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_config(path: Path) -> None:
    tune, train, model = read(path)
    said = header(path)
    assert "Prerequisites:" in said
    assert f"--config recipes/configs/{path.name}" in said
    assert yaml.safe_load(path.read_text(encoding="utf-8"))["output_dir"] == f"runs/{path.stem}"
    mix = CONFIGS.parents[1] / tune.mix
    assert mix.is_file()
    override = said.split("Override:")[1].split("Memory:")[0].split("...")[1].split()
    assert [vars(options) for options in read(path, *override)] != [vars(options) for options in (tune, train, model)]
    batch = 8 if path.stem.startswith("mini_xquad") else 16  # the file says why
    assert (tune.global_batch_size, train.learning_rate, train.warmup_steps) == (batch, 1e-4, 0.03)
    assert (model.lora_r, model.lora_alpha, model.lora_dropout) == (64, 128, 0.05)
    assert (train.lr_scheduler_type, train.optim) == ("cosine", "adamw_torch")
    assert model.lora_target_modules == [
        name for name in PAPER_TARGETS if not (name == "q_proj" and "as_released" in path.stem)
    ]
    whole = not any(kind in path.stem for kind in ("lora_only", "trainable_tokens", "qlora")) and (
        not path.stem.startswith("mini") or path.stem == "mini_x2x_whole"
    )
    assert model.lora_modules_to_save == (["embed_tokens", "lm_head"] if whole else [])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_mix_is_what_the_name_says(path: Path) -> None:
    from recipes.common.options import parse
    from recipes.mixes.config import MixConfig

    tune, _, _ = read(path)
    flags = [part for item in tune.mix_options for part in (f"--{item.split('=')[0]}", item.split("=")[1])]
    source = str(CONFIGS.parents[1] / tune.mix)
    (mix,) = parse(MixConfig, ["--config", source, "--output_dir", "unused", *flags], prog="t", description="")
    arm = re.sub(r"^(gemma_2b|mistral_7b|llama3_8b|mini_xquad|mini)_", "", path.stem)
    variants = {"alpaca": "seed_only", "platypus": "base_only", "base": "base_only"}
    first = arm if arm in ("same_language", "more_english") else arm.split("_")[0]
    assert mix.variant == variants.get(first, first)
    assert mix.trans == ("trans" in arm.split("_"))
    number = next((int(part) for part in arm.split("_") if part.isdigit()), None)
    if number is not None:
        assert mix.n_samples == number


def test_arms_of_a_model_differ_in_the_mix_only() -> None:
    for model in ("gemma_2b", "mistral_7b", "llama3_8b"):
        special = ("as_released", "lora_only", "trainable_tokens", "qlora", "fsdp2", "zero3")
        arms = [path for path in FILES if path.stem.startswith(model) and not path.stem.endswith(special)]
        contents = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in arms]
        for content in contents:
            del content["mix"], content["output_dir"]
            content.pop("mix_options", None)
        assert len(contents) >= 5
        assert all(content == contents[0] for content in contents)


@pytest.mark.parametrize("path", [p for p in FILES if not p.stem.startswith("mini")], ids=lambda path: path.stem)
def test_the_memory_stated_is_the_estimate(path: Path) -> None:
    from transformers import AutoConfig

    tune, train, model = read(path)
    kind, sizes, parameters = MODELS[str(model.model_name_or_path)]
    config = AutoConfig.for_model(kind, **sizes)
    tune.trainable_tokens = []  # a few rows of the embedding; their tokenizer is not here
    train.use_cpu, train.padding_free = False, False  # as on the GPU these are for
    plan = plan_adapter(config, None, tune, model)  # type: ignore[arg-type]
    assert plan.n_base == parameters
    rows = train.per_device_train_batch_size
    estimate = estimate_memory(config, plan, train, model, longest=train.max_length or 0, labels=rows * 512)
    stated = float(re.search(r"about (\d+(?:\.\d+)?) GB", header(path)).group(1))  # type: ignore[union-attr]
    assert stated == pytest.approx(estimate.total / GIB, rel=0.05)


@pytest.mark.parametrize("path", sorted((CONFIGS / "accelerate").glob("*.yaml")), ids=lambda path: path.stem)
def test_launchers_are_read_by_accelerate(path: Path) -> None:
    from accelerate.commands.config.config_args import ClusterConfig

    config = ClusterConfig.from_yaml_file(str(path))  # an unknown key is an error there too
    assert config.mixed_precision == "bf16"
    expected = {"multi_gpu": "MULTI_GPU", "fsdp2": "FSDP", "zero3": "DEEPSPEED"}
    assert str(config.distributed_type).endswith(expected[path.stem])
    assert f"--config_file recipes/configs/accelerate/{path.name}" in header(path)


def test_the_slurm_script_is_shell() -> None:
    import subprocess

    for script in (CONFIGS / "slurm").iterdir():
        assert subprocess.run(["bash", "-n", str(script)], capture_output=True).returncode == 0


def test_defaults_are_the_papers() -> None:
    tune, train, model = parse_options(["--output_dir", "unused", "--mix", "m", "--model_name_or_path", "x"])
    assert (train.learning_rate, train.num_train_epochs, train.weight_decay, train.bf16) == (1e-4, 1, 0.0, True)
    assert (tune.global_batch_size, train.warmup_steps, train.optim) == (16, 0.03, "adamw_torch")
    assert (model.lora_r, model.lora_alpha, model.lora_dropout) == (64, 128, 0.05)
    assert model.lora_target_modules == list(PAPER_TARGETS)
    assert model.lora_modules_to_save == ["embed_tokens", "lm_head"]
    assert train.packing is False
