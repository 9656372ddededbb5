"""The estimate: FLOPs as torch counts them, and a dry run that writes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from crossin_metrics.errors import CrossinError
from recipes.common.options import parse
from recipes.experiments.config import ExperimentOptions
from recipes.experiments.estimate import SIZES, device_of, estimate, inference_flops, totals, training_flops
from recipes.tuning.options import PAPER_TARGETS, ModelOptions, TuneOptions
from tests.helpers.tiny_models import tiny_model


def adapter(config: Any, whole: bool = True, rank: int = 64, targets: tuple[str, ...] = PAPER_TARGETS) -> Any:
    from recipes.tuning.model import plan_adapter

    model = ModelOptions(
        model_name_or_path="x",
        lora_r=rank,
        lora_target_modules=list(targets),
        lora_modules_to_save=["embed_tokens", "lm_head"] if whole else [],
    )
    return plan_adapter(config, None, TuneOptions(mix="m"), model)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "checkpointing", "whole"),
    [("mistral", True, False), ("llama", False, True), ("gemma", True, True), ("gemma3_text", False, False)],
)
def test_flops_are_what_torch_counts(kind: str, checkpointing: bool, whole: bool) -> None:
    """torch's counter on the model with its adapter, on the meta device; edges of the first layer differ."""
    import torch
    from peft import get_peft_model
    from torch.utils.flop_counter import FlopCounterMode
    from transformers import AutoConfig, AutoModelForCausalLM

    sizes = dict(zip(SIZES, (500, 64, 160, 8, 4, 2, 16), strict=True))
    config = AutoConfig.for_model(kind, **sizes)
    config._attn_implementation = "eager"
    plan = adapter(config, whole, rank=4)
    with torch.device("meta"):
        model: Any = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.tie_weights()

    def count(tokens: int, heads: int, backward: bool) -> int:
        ids = torch.zeros(1, tokens, dtype=torch.long, device="meta")
        mask = torch.zeros(1, 1, tokens, tokens, dtype=torch.bfloat16, device="meta")
        with FlopCounterMode(display=False) as counter, torch.set_grad_enabled(backward):
            logits = model(input_ids=ids, attention_mask=mask, use_cache=False, logits_to_keep=heads).logits
            if backward:
                logits.sum().backward()
        return counter.get_total_flops()

    assert inference_flops(config).of(200, 200**2, 50) == pytest.approx(count(200, 50, False), rel=1e-6)
    model = get_peft_model(model, plan.config, autocast_adapter_dtype=False).train()
    if checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        model.enable_input_require_grads()
    ours = training_flops(config, plan, checkpointing=checkpointing, recompute_head=False)
    assert ours.of(200, 200**2, 50) == pytest.approx(count(200, 50, True), rel=0.05)


def experiment(folder: Path, *flags: str, **more: Any) -> list[str]:
    content = {
        "name": "tiny",
        "output_dir": str(folder / "run"),
        "seeds": [0, 1],
        "mix_config": "recipes/configs/mix/mini_x2x.yaml",
        "train_config": "recipes/configs/mini_x2x.yaml",
        "train": {"model_name_or_path": str(tiny_model(folder / "model", "llama"))},  # its tokenizer counts
        "evaluate": {"e": {"tasks": "crossin_mini", "model": "hf"}},
        "arms": {"untuned": {"tune": False}, "base": {"mix": {"variant": "base_only", "n_samples": 0}}, "x2x": None},
        **more,
    }
    path = folder / "experiment.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return ["--config", str(path), *flags]


def read(arguments: list[str]) -> ExperimentOptions:
    return parse(ExperimentOptions, arguments, prog="t", description="")[0]


def test_a_dry_run_prints_the_plan_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from recipes.run_experiment import main

    assert main(experiment(tmp_path, "--dry_run", "true", "--gpu", "0.2:16", "--mfu", "0.5")) == 0
    printed = capsys.readouterr().out
    assert "3 arms, 5 runs, 13 stages" in printed
    assert "0.2 TFLOP/s, 50% in use" in printed
    rows = {line.split()[0]: line.split() for line in printed.splitlines() if line[:1].isalpha()}
    assert rows["base"][2] == "64"
    assert rows["x2x"][2] == "128"
    assert rows["x2x"][5] == "16"  # two epochs of 128 rows in batches of 16
    assert {entry.name for entry in tmp_path.iterdir()} == {"experiment.yaml", "model"}


def test_hours_scale_with_the_rate(tmp_path: Path) -> None:
    slow, fast = (read(experiment(tmp_path, "--gpu", gpu)) for gpu in ("100:80", "200:80"))
    a, b = estimate(slow), estimate(fast)
    for one, other in zip(a, b, strict=True):
        assert one.hours["train"] == pytest.approx(2 * other.hours["train"])
        assert one.flops == other.flops
    x2x = next(cost for cost in a if cost.arm == "x2x")
    assert x2x.runs == 2
    assert x2x.padded >= x2x.tokens > 0
    total = totals(slow, a)
    assert total["train"] == pytest.approx(sum(cost.runs * cost.hours["train"] for cost in a))
    assert total["peak"] > total["disk"]


def test_unknown_devices_and_tasks_are_errors(tmp_path: Path) -> None:
    assert device_of("A100-80GB", 0.4).rate == 312e12
    for name, used in (("A1000", 0.4), ("312", 0.4), ("A100-80GB", 0.0), ("A100-80GB", 1.5)):
        with pytest.raises(CrossinError, match=r"gpu|mfu"):
            device_of(name, used)
    options = read(experiment(tmp_path, evaluate={"e": {"tasks": "cross_mmlu,belebele"}}))
    with pytest.raises(CrossinError, match=r"arms: .*unknown task 'belebele'"):
        estimate(options)
