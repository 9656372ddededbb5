"""Every YAML file of the recipes is parsed into the real dataclasses, says how it is launched, and what it needs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from recipes.alignment.options import parse_options as alignment_options
from recipes.common.options import parse
from recipes.common.provenance import REPO
from recipes.experiments.estimate import model_config
from recipes.mixes.config import MixConfig
from recipes.tuning.checks import GIB, estimate_memory
from recipes.tuning.model import plan_adapter
from recipes.tuning.options import PAPER_TARGETS, ModelOptions, TrainOptions, TuneOptions, parse_options

CONFIGS = REPO / "recipes" / "configs"
FILES = sorted(CONFIGS.glob("*.yaml"))
# Each kind of configuration has its folder and its own test of this sort; a new folder has to be named here.
FOLDERS = {"accelerate", "align", "cross_xquad", "experiments", "mix", "slurm", "translate"}

PARAMETERS = {
    "google/gemma-2b": 2_506_172_416,
    "mistralai/Mistral-7B-v0.1": 7_241_732_096,
    "meta-llama/Meta-Llama-3-8B": 8_030_261_248,
}
MODELS = ("mistral_7b", "gemma_2b", "llama3_8b")


def read(path: Path, *flags: str) -> tuple[TuneOptions, TrainOptions, ModelOptions]:
    return parse_options(["--config", str(path), "--output_dir", "unused", *flags])


def header(path: Path) -> str:
    lines = path.read_text(encoding="utf-8").splitlines()
    return " ".join(line[1:].strip() for line in lines[: lines.index("")])


def test_every_yaml_belongs_to_a_kind_that_is_tested() -> None:
    assert {path.name for path in CONFIGS.iterdir() if path.is_dir()} <= FOLDERS
    assert not list(CONFIGS.rglob("*.yml"))


def test_alignments_are_read() -> None:
    for path in sorted((CONFIGS / "align").iterdir()):
        align, _, _ = alignment_options(["--config", str(path), "--output_dir", "unused"])
        assert align.set


def readme_rows() -> list[tuple[str, list[str]]]:
    """Rows and flags of the table "Paper's row -> command"."""
    text = (CONFIGS / "README.md").read_text(encoding="utf-8").split("| row | overrides |")[1].split("\n\n")[0]
    rows = re.findall(r"^\| (.*?) \| (?:`(.*)`|\(none\)) \|$", text, re.M)
    return [(name, flags.split()) for name, flags in rows]


def mix_of(tune: TuneOptions) -> MixConfig:
    flags = [part for item in tune.mix_options for part in (f"--{item.split('=')[0]}", item.split("=")[1])]
    arguments = ["--config", str(REPO / tune.mix), "--output_dir", "unused", *flags]
    return parse(MixConfig, arguments, prog="t", description="")[0]


@pytest.mark.parametrize(("row", "flags"), readme_rows(), ids=lambda value: value if isinstance(value, str) else "")
def test_the_rows_of_the_readme_are_valid_commands(row: str, flags: list[str]) -> None:
    tune, _, model = read(CONFIGS / "mistral_7b.yaml", *flags)
    mix = mix_of(tune)
    variants = {"en2x": "en2x", "x2en": "x2en", "Platypus": "base_only", "Alpaca": "seed_only"}
    variants |= {"same-language": "same_language", "English samples": "more_english"}
    assert mix.variant == next((variant for word, variant in variants.items() if word in row), "x2x")
    assert mix.trans == ("translation pairs" in row)
    assert (mix.n_samples == 1000) == ("1,000" in row)
    lora_only = "LoRA" in row
    assert model.lora_modules_to_save == ([] if lora_only else ["embed_tokens", "lm_head"])
    assert ("q_proj" in (model.lora_target_modules or [])) != ("as released" in row)
    assert model.load_in_4bit == ("QLoRA" in row)
    assert bool(tune.trainable_tokens) == ("embeddings" in row)
    assert bool(flags) == (row != "Table 3, x2x")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_config(path: Path) -> None:
    tune, train, model = read(path)
    text = header(path)
    assert "Prerequisites:" in text
    assert f"--config recipes/configs/{path.name}" in text
    assert yaml.safe_load(path.read_text(encoding="utf-8"))["output_dir"] == f"runs/{path.stem}"
    assert mix_of(tune).variant == "x2x"
    override = text.split("Override:")[1].split("Memory:")[0].split("...")[1].split()
    assert [vars(options) for options in read(path, *override)] != [vars(options) for options in (tune, train, model)]
    batch = 8 if path.stem.startswith("mini_xquad") else 16  # the file says why
    assert (tune.global_batch_size, train.learning_rate, train.warmup_steps) == (batch, 1e-4, 0.03)
    assert (model.lora_r, model.lora_alpha, model.lora_dropout) == (64, 128, 0.05)
    assert (train.lr_scheduler_type, train.optim) == ("cosine", "adamw_torch")
    assert model.lora_target_modules == list(PAPER_TARGETS)
    assert model.lora_modules_to_save == (["embed_tokens", "lm_head"] if path.stem in MODELS else [])


def test_models_differ_in_their_name_only() -> None:
    contents = [yaml.safe_load((CONFIGS / f"{model}.yaml").read_text(encoding="utf-8")) for model in MODELS]
    for content in contents:
        del content["model_name_or_path"], content["output_dir"]
    assert all(content == contents[0] for content in contents)


@pytest.mark.parametrize("path", [p for p in FILES if not p.stem.startswith("mini")], ids=lambda path: path.stem)
def test_the_memory_stated_is_the_estimate(path: Path) -> None:
    tune, train, model = read(path)
    config = model_config(str(model.model_name_or_path))
    train.use_cpu, train.padding_free = False, False  # as on the GPU these are for
    plan = plan_adapter(config, None, tune, model)  # type: ignore[arg-type]
    assert plan.n_base == PARAMETERS[str(model.model_name_or_path)]
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
