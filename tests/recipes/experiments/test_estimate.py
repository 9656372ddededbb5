"""The estimate: FLOPs as torch counts them, and a dry run that writes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from crossin_metrics.errors import CrossinError
from recipes.common.options import parse
from recipes.experiments.config import ExperimentOptions
from recipes.experiments.estimate import (
    BASE_SET,
    LAYER_SECONDS,
    SIZES,
    device_of,
    estimate,
    forward_flops,
    mix_tokens,
    model_config,
    pad_batches,
    rows_of,
    tokens_of,
)
from tests.helpers.tiny_models import tiny_model


@pytest.mark.parametrize(
    ("kind", "checkpointing"), [("mistral", True), ("llama", False), ("gemma", True), ("gemma3_text", False)]
)
def test_flops_are_what_torch_counts(kind: str, checkpointing: bool) -> None:
    """torch's counter on the model with a small adapter; attention scores are left out."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoConfig, AutoModelForCausalLM

    sizes = dict(zip(SIZES, (500, 512, 1280, 8, 8, 4, 64), strict=True))
    config = AutoConfig.for_model(kind, **sizes)
    config._attn_implementation = "eager"
    model: Any = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.tie_weights()

    def count(tokens: int, heads: int, backward: bool) -> int:
        from torch.utils.flop_counter import FlopCounterMode

        ids = torch.zeros(1, tokens, dtype=torch.long)
        mask = torch.zeros(1, 1, tokens, tokens)
        with FlopCounterMode(display=False) as counter, torch.set_grad_enabled(backward):
            logits = model(input_ids=ids, attention_mask=mask, use_cache=False, logits_to_keep=heads).logits
            if backward:
                logits.sum().backward()
        return counter.get_total_flops()

    token, head = forward_flops(config)
    assert 60 * token + 30 * head == pytest.approx(count(60, 30, False), rel=0.03)
    model = get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj"]), autocast_adapter_dtype=False).train()
    if checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        model.enable_input_require_grads()
    expected = (2 + checkpointing) * 60 * token + 2 * 30 * head
    assert expected == pytest.approx(count(60, 30, True), rel=0.1)


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
    assert rows["x2x"][4] == "16"  # two epochs of 128 rows in batches of 16
    assert {entry.name for entry in tmp_path.iterdir()} == {"experiment.yaml", "model"}


def test_a_dry_run_reads_every_option(tmp_path: Path) -> None:
    from recipes.run_experiment import main

    with pytest.raises(CrossinError, match="unknown option 'n_sample'; did you mean 'n_samples'"):
        main(experiment(tmp_path, "--dry_run", "true", mix={"n_sample": 10}))


def test_a_dry_run_asks_no_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a network, the hub's client retries for half a minute."""
    from recipes.run_experiment import main

    asked: list[str] = []
    monkeypatch.setattr("recipes.experiments.plan.pin", lambda *arguments: asked.append(arguments[2]))
    configs = ("experiments/known_facts.yaml", "mistral_7b_lora.yaml", "align/mistral_7b_dco.yaml")
    flags = ("--config", "--train_config", "--align_config")
    chosen = [part for flag, name in zip(flags, configs, strict=True) for part in (flag, f"recipes/configs/{name}")]
    rest = ["--output_dir", str(tmp_path / "out"), "--only", "x2x/0", "dco/0"]
    assert main([*chosen, *rest, "--dry_run", "true"]) == 0
    assert asked == []
    assert main([*chosen, *rest, "--status", "true"]) == 0
    assert "mistralai/Mistral-7B-v0.1" in asked


def test_hours_scale_with_the_rate(tmp_path: Path) -> None:
    gpus = ("1e-4:80", "2e-4:80", "1e9:80")
    a, b, fastest = (estimate(read(experiment(tmp_path, "--gpu", gpu))) for gpu in gpus)
    for one, other in zip(a, b, strict=True):
        assert one.hours["train"] == pytest.approx(2 * other.hours["train"])
        assert one.flops == other.flops
    for one in fastest:  # launching kernels takes longer than computing
        assert one.hours["train"] >= one.steps * LAYER_SECONDS / 3600
    x2x = next(cost for cost in a if cost.arm == "x2x")
    assert x2x.runs == 2
    assert x2x.tokens > x2x.rows > 0
    assert x2x.checkpoints > 0


def test_unknown_devices_and_tasks_are_errors(tmp_path: Path) -> None:
    assert device_of("A100-80GB", 0.4).rate == 312e12
    for name, used in (("A1000", 0.4), ("312", 0.4), ("A100-80GB", 0.0), ("A100-80GB", 1.5)):
        with pytest.raises(CrossinError, match=r"gpu|mfu"):
            device_of(name, used)
    options = read(experiment(tmp_path, evaluate={"e": {"tasks": "cross_mmlu,belebele"}}))
    with pytest.raises(CrossinError, match=r"arms: .*unknown task 'belebele'"):
        estimate(options)


def test_padding() -> None:
    lengths = np.array([1.0, 2, 3, 4, 5])
    assert pad_batches(lengths, 1).sum() == lengths.sum()
    assert pad_batches(lengths, 5).tolist() == [5.0] * 5


def test_mixes_of_absent_sources_are_assumed_and_truncated() -> None:
    config = model_config("mistralai/Mistral-7B-v0.1")
    mix = {"output_dir": "x", "variant": "base_only", "n_samples": 0, "base_set": "a/b", "seed_set": "c/d"}
    lengths, losses, how = mix_tokens(mix, "mistralai/Mistral-7B-v0.1", config, "plain", None)
    n_rows, prompt, completion = BASE_SET
    assert len(lengths) == n_rows
    assert lengths.mean() == pytest.approx((prompt + completion) * 0.31, rel=0.01)
    assert losses.mean() == pytest.approx(completion * 0.31, rel=0.01)
    assert "assumed" in how
    cut, fewer, _ = mix_tokens(mix, "mistralai/Mistral-7B-v0.1", config, "plain", 128)
    assert cut.max() == 128
    assert fewer.sum() < losses.sum()


def test_question_lengths_are_near_the_benchmarks_own(shared: Path) -> None:
    """Against the sets themselves with Gemma's tokenizer, if it is here."""
    tokenizer_file = Path.home() / ".cache/crossin/gemma-3-270m/tokenizer.json"
    if not tokenizer_file.is_file():
        pytest.skip("the small model does not exist yet: crossin demo-model")
    from tokenizers import Tokenizer

    from crossin_metrics.harness.prompts import ENGLISH_PROMPTS
    from crossin_metrics.sets.loading import load_parallel

    tokenizer, config = Tokenizer.from_file(str(tokenizer_file)), model_config("demo:gemma-3-270m")
    for name in ("cross_mmlu", "cross_logiqa"):
        data = load_parallel(name, data_dir=shared / "data" / "seaeval")
        ((_, assumed, _),) = rows_of({"tasks": name, "metadata": {"languages": data.languages}}, config)
        texts = [
            ENGLISH_PROMPTS["p1"].render(item.context, item.question, item.choices, "letter")
            for column in data.items.values()
            for item in column
        ]
        tokens = sum(len(tokenizer.encode(text, add_special_tokens=False).ids) for text in texts) / len(texts)
        assert assumed == pytest.approx(tokens, rel=0.35), name


def test_rows_of_an_evaluation_follow_its_options() -> None:
    config = model_config("demo:gemma-3-270m")
    (letter,) = rows_of({"tasks": "cross_mmlu"}, config)
    assert letter[::2] == (600.0, False)
    assert rows_of({"tasks": "cross_mmlu_gen", "limit": 8}, config)[0][::2] == (8, True)
    assert rows_of({"tasks": "cross_logiqa_sea"}, config)[0][0] == 176 * 7
    assert rows_of({"tasks": "cross_mmlu", "metadata": {"languages": ["en", "fil"]}}, config)[0][0] == 300
    assert len(rows_of({"tasks": "crossin"}, config)) == 3
    assert tokens_of("sw", config) > tokens_of("en", config)  # unlisted: the mean
