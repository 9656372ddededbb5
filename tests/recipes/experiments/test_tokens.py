"""Token counts: assumed mixes, padding, and the lengths of the benchmarks' questions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from recipes.experiments.estimate import model_config
from recipes.experiments.tokens import BASE_SET, QUESTION_CHARACTERS, mix_tokens, pad_batches, rows_of, translated


def test_padding() -> None:
    lengths = np.array([1.0, 2, 3, 4, 5])
    assert pad_batches(lengths, 1).sum() == lengths.sum()
    assert pad_batches(lengths, 5).tolist() == [5.0] * 5


def test_assumed_mixes_have_the_stated_means_and_are_truncated() -> None:
    config = model_config("mistralai/Mistral-7B-v0.1")
    mix = {"output_dir": "x", "variant": "base_only", "n_samples": 0, "base_set": "a/b", "seed_set": "c/d"}
    lengths, losses, how = mix_tokens(mix, "mistralai/Mistral-7B-v0.1", config, "plain", None)
    _, prompt, completion = BASE_SET
    assert len(lengths) == BASE_SET[0]
    assert losses.mean() == pytest.approx(completion / 3.2 + 1, rel=0.01)
    assert lengths.mean() == pytest.approx((prompt + completion) / 3.2 + 2.5, rel=0.01)
    assert lengths.std() == pytest.approx((prompt + completion) / 3.2, rel=0.02)  # an exponential's
    assert "assumed" in how
    cut, fewer, _ = mix_tokens(mix, "mistralai/Mistral-7B-v0.1", config, "plain", 128)
    assert cut.max() == 128
    assert fewer.sum() < losses.sum()


def test_question_lengths_are_the_benchmarks_own(shared: Path) -> None:
    """Against the sets themselves with Gemma's tokenizer, if it is here."""
    tokenizer_file = Path.home() / ".cache/crossin/gemma-3-270m/tokenizer.json"
    if not tokenizer_file.is_file():
        pytest.skip("the small model does not exist yet: crossin demo-model")
    from tokenizers import Tokenizer

    from crossin_metrics.harness.prompts import ENGLISH_PROMPTS
    from crossin_metrics.languages import language_code
    from crossin_metrics.sets.catalogue import SETS

    tokenizer = Tokenizer.from_file(str(tokenizer_file))
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
        for code, total in sums.items():
            assert translated(code, QUESTION_CHARACTERS[name], "gemma") == pytest.approx(
                total / len(lines), rel=0.25
            ), (name, code)


def test_rows_of_an_evaluation_follow_its_options() -> None:
    (letter,) = rows_of({"tasks": "cross_mmlu"}, "gemma")
    assert letter[::2] == (600.0, False)
    assert rows_of({"tasks": "cross_mmlu_gen", "limit": 8}, "gemma")[0][::2] == (8, True)
    assert rows_of({"tasks": "cross_logiqa_sea"}, "gemma")[0][0] == 176 * 7
    assert rows_of({"tasks": "cross_mmlu", "metadata": {"languages": ["en", "fil"]}}, "gemma")[0][0] == 300
    assert len(rows_of({"tasks": "crossin"}, "mistral")) == 3
    stock, shared_passages = (
        rows_of({"tasks": "cross_xquad", "model": model}, "mistral")[0][1] for model in ("vllm", "crossin-vllm")
    )
    assert 0.3 < shared_passages / stock < 0.5
