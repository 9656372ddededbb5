"""The estimate: counted operations against formulas, rows against built mixes, and a dry run that leaves no trace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from crossin_metrics.errors import CrossinError
from recipes.experiments.operations import (
    ARCHITECTURES,
    count_row,
    inference_operations,
    meta_model,
    model_config,
    training_operations,
)
from recipes.tuning.options import PAPER_TARGETS, ModelOptions, TuneOptions

PARAMETERS = {
    "google/gemma-2b": 2_506_172_416,
    "mistralai/Mistral-7B-v0.1": 7_241_732_096,
    "meta-llama/Meta-Llama-3-8B": 8_030_261_248,
    "demo:gemma-3-270m": 268_098_176,
}


def adapter(config: Any, whole: bool = True, rank: int = 64, targets: tuple[str, ...] = PAPER_TARGETS) -> Any:
    from recipes.tuning.model import plan_adapter

    model = ModelOptions(
        model_name_or_path="x",
        lora_r=rank,
        lora_target_modules=list(targets),
        lora_modules_to_save=["embed_tokens", "lm_head"] if whole else [],
    )
    return plan_adapter(config, None, TuneOptions(mix="m"), model)  # type: ignore[arg-type]


def small(kind: str = "mistral", layers: int = 4, **sizes: Any) -> Any:
    from transformers import AutoConfig

    chosen = {
        "vocab_size": 500,
        "hidden_size": 64,
        "intermediate_size": 160,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        **sizes,
    }
    return AutoConfig.for_model(kind, **chosen)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_architectures_have_the_published_sizes(name: str) -> None:
    assert adapter(model_config(name), rank=8, targets=("q_proj",)).n_base == PARAMETERS[name]


@pytest.mark.parametrize(
    ("kind", "checkpointing", "whole"),
    [
        ("mistral", False, False),
        ("mistral", True, False),
        ("llama", False, True),
        ("gemma", True, True),
        ("gemma3_text", False, False),
        ("gemma3_text", True, True),
    ],
)
def test_the_polynomial_is_what_the_whole_model_counts(kind: str, checkpointing: bool, whole: bool) -> None:
    config = small(kind, layers=5, head_dim=16)
    plan = adapter(config, whole, rank=4)
    count = training_operations(config, plan, checkpointing=checkpointing, recompute_head=False)
    model = meta_model(config, plan, checkpointing=checkpointing)
    for tokens, heads in ((37, 5), (200, 199)):
        assert count.of(tokens, tokens**2, heads) == pytest.approx(count_row(model, tokens, heads, backward=True))


def test_counts_agree_with_the_arithmetic_of_matrices() -> None:
    """Forward 2 N a token; backward twice that for what is trained, once for frozen weights that gradients pass."""
    config = small(layers=6)
    d, f, v, n, r = 64, 160, 500, 6, 4
    shapes = [(d, d), (d, d // 2), (d, d // 2), (d, d), (d, f), (d, f), (f, d)]
    frozen = n * sum(a * b for a, b in shapes)
    lora = n * sum(r * (a + b) for a, b in shapes)
    inference = inference_operations(config)
    assert inference.token == pytest.approx(2 * frozen)
    assert inference.square == pytest.approx(n * 4 * d)
    assert inference.head == pytest.approx(2 * d * v)
    plan = adapter(config, True, rank=r)
    plain = training_operations(config, plan, checkpointing=False, recompute_head=False)
    assert plain.token == pytest.approx(4 * frozen + 6 * lora, rel=0.01)
    assert plain.head == pytest.approx(6 * d * v)
    again = training_operations(config, plan, checkpointing=True, recompute_head=True)
    assert again.token == pytest.approx(6 * frozen + 8 * lora, rel=0.02)
    assert again.head == pytest.approx(8 * d * v)
    lora_only = training_operations(config, adapter(config, False, rank=r), checkpointing=False, recompute_head=False)
    assert lora_only.head == pytest.approx(4 * d * v)  # no gradient of the head's own weights


def test_a_counted_model_computes_the_same_on_real_numbers() -> None:
    """The meta device counts what the CPU counts."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode
    from transformers import AutoModelForCausalLM

    config = small(layers=3)
    config._attn_implementation = "eager"
    model = AutoModelForCausalLM.from_config(config)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(input_ids=torch.zeros(1, 50, dtype=torch.long), use_cache=False, logits_to_keep=7)
    assert counter.get_total_flops() == pytest.approx(inference_operations(config).of(50, 50**2, 7))


def test_padding_and_cutting() -> None:
    from recipes.experiments.lengths import Mix, _spread

    mix = Mix(np.array([1.0, 2, 3, 4, 5]), np.ones(5), 0.0, "")
    assert mix.padded(1).tolist() != []
    assert mix.padded(1).sum() == mix.lengths.sum()
    assert mix.padded(5).tolist() == [5.0] * 5
    spread = _spread([(10_000, 30.0, 70.0)], 0.0, 10.0, None, "")
    assert spread.lengths.mean() == pytest.approx(30 + 70 + 10 + 1, rel=0.01)
    assert spread.lengths.std() == pytest.approx(100, rel=0.02)  # an exponential's
    cut = _spread([(10_000, 30.0, 70.0)], 0.0, 10.0, 128, "")
    assert cut.lengths.max() == 128
    assert cut.losses.sum() < spread.losses.sum()


def experiment(folder: Path, **more: Any) -> Path:
    content = {
        "name": "tiny",
        "output_dir": str(folder / "run"),
        "seeds": [0, 1],
        "mix_config": "recipes/configs/mix/mini_x2x.yaml",
        "train_config": "recipes/configs/mini_x2x.yaml",
        "evaluate": {"e": {"tasks": "crossin_mini", "model": "hf"}},
        "arms": {"untuned": {"tune": False}, "base": {"mix": {"variant": "base_only", "n_samples": 0}}, "x2x": None},
        **more,
    }
    path = folder / "experiment.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def read(path: Path, *flags: str) -> Any:
    from recipes.common.options import parse
    from recipes.experiments.config import ExperimentOptions

    return parse(ExperimentOptions, ["--config", str(path), *flags], prog="t", description="")[0]


def test_a_dry_run_says_what_it_would_do_and_writes_nothing(tmp_path: Path, capsys: Any) -> None:
    from recipes.run_experiment import main

    path = experiment(tmp_path)
    assert main(["--config", str(path), "--dry_run", "true", "--gpu", "0.2:16", "--mfu", "0.5"]) == 0
    said = capsys.readouterr().out
    assert "3 arms, 5 runs, 13 stages" in said
    assert "0.2 TFLOP/s, 50% of it used" in said
    rows = {line.split()[0]: line.split() for line in said.splitlines() if line[:1].isalpha()}
    assert rows["base"][2] == "64"
    assert rows["x2x"][2] == "128"
    assert rows["x2x"][5] == "16"  # two passes of 128 rows in batches of 16
    assert {entry.name for entry in tmp_path.iterdir()} == {"experiment.yaml"}


def test_costs_follow_rate_and_share(tmp_path: Path) -> None:
    from recipes.experiments.estimate import estimate, totals
    from recipes.experiments.plan import make_plan

    path = experiment(tmp_path)
    slow, fast = (read(path, "--gpu", gpu) for gpu in ("100:80", "200:80"))
    a, b = (estimate(options, make_plan(options)) for options in (slow, fast))
    for one, other in zip(a, b, strict=True):
        assert one.hours["train"] == pytest.approx(2 * other.hours["train"])
        assert one.operations == other.operations
    x2x = next(cost for cost in a if cost.arm == "x2x")
    assert x2x.runs == 2
    assert x2x.padded >= x2x.tokens > 0
    assert x2x.trained == 15_187_968
    total = totals(slow, a)
    assert total["train"] == pytest.approx(sum(cost.runs * cost.hours["train"] for cost in a))
    assert total["peak"] > total["disk"]


def test_wrong_devices_are_refused() -> None:
    from recipes.experiments.estimate import accelerator

    assert accelerator("A100-80GB", 0.4).rate == 312e12
    for name, used in (("A1000", 0.4), ("312", 0.4), ("A100-80GB", 0.0), ("A100-80GB", 1.5)):
        with pytest.raises(CrossinError, match=r"gpu|mfu"):
            accelerator(name, used)


def test_question_tokens_are_the_benchmarks_own(shared: Path) -> None:
    """Against the sets themselves with a tokenizer that is here: Gemma's."""
    import json

    from crossin_metrics.harness.prompts import ENGLISH_PROMPTS
    from crossin_metrics.languages import language_code
    from crossin_metrics.sets.catalogue import SETS
    from recipes.experiments.estimate import QUESTION_TOKENS
    from recipes.experiments.lengths import local_tokenizer

    folder = local_tokenizer("demo:gemma-3-270m")
    if folder is None:
        pytest.skip("the small model is not made yet: crossin demo-model")
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(f"{folder}/tokenizer.json")
    for name in ("cross_mmlu", "cross_logiqa"):
        lines = (shared / "data" / "seaeval" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        assert len(lines) == SETS[name].n_questions
        sums: dict[str, int] = {}
        for line in lines:
            for key, value in json.loads(line).items():
                if isinstance(value, dict):
                    options = [choice[4:] if choice[:1] == "(" else choice for choice in value["choices"]]
                    text = ENGLISH_PROMPTS["p1"].render(value.get("context"), value["question"], options, "letter")
                    code = language_code(key)
                    sums[code] = sums.get(code, 0) + len(tokenizer.encode(text, add_special_tokens=False).ids)
        for code, stated in QUESTION_TOKENS["gemma"][name].items():
            assert stated == pytest.approx(sums[code] / len(lines), abs=1)


def test_evaluations_are_counted_by_their_options() -> None:
    from recipes.experiments.estimate import _asked

    with pytest.raises(CrossinError, match="unknown task 'belebele'"):
        _asked({"tasks": "belebele"}, "gemma")
    (letter,) = _asked({"tasks": "cross_mmlu"}, "gemma")
    assert letter == (600.0, (66 + 66 + 80 + 76) / 4, False)
    assert _asked({"tasks": "cross_mmlu_gen", "limit": 8}, "gemma")[0][::2] == (8, True)
    assert _asked({"tasks": "cross_logiqa_sea"}, "gemma")[0][0] == 176 * 7
    assert _asked({"tasks": "cross_mmlu", "metadata": {"languages": ["en", "fil"]}}, "gemma")[0][0] == 300
    assert len(_asked({"tasks": "crossin"}, "mistral")) == 3
    stock, shared_passages = (
        _asked({"tasks": "cross_xquad", "model": model}, "mistral")[0][1] for model in ("vllm", "crossin-vllm")
    )
    assert 0.3 < shared_passages / stock < 0.5
