"""Held-out texts: their loss is the model's own, and a run states it before and after training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from crossin_metrics.errors import CrossinError
from recipes.align_crossin import main
from recipes.tuning.held_out import MAX_TEXTS, MAX_TOKENS, load_texts, text_loss
from tests.helpers.aligned import align_arguments, write_set
from tests.helpers.tiny_models import tiny_model

ROWS: list[dict[str, Any]] = [
    {"id": "a", "en": "The house is red and the road is long.", "zh": {"instruction": "?", "output": "房子是红的。"}},
    {"id": "b", "en": "word " * 500, "vi": ""},
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("models") / "gemma")


@pytest.fixture
def passages(tmp_path: Path) -> Path:
    path = tmp_path / "passages.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS), encoding="utf-8")
    return path


def test_the_loss_is_the_models_own(model: Path, passages: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(model)
    network = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    texts = load_texts(str(passages), tokenizer)
    assert {code: len(found) for code, found in texts.items()} == {"en": 2, "zh": 1}
    assert len(texts["en"][1]) == MAX_TOKENS
    found = text_loss(network, texts, bf16=False)
    for code, several in texts.items():
        losses = [float(network(input_ids=torch.tensor([ids]), labels=torch.tensor([ids])).loss) for ids in several]
        weights = [len(ids) - 1 for ids in several]
        expected = sum(loss * n for loss, n in zip(losses, weights, strict=True)) / sum(weights)
        assert found[code] == pytest.approx(expected, abs=1e-5)


def test_the_packaged_seed(model: Path) -> None:
    texts = load_texts("packaged:seed_mini", AutoTokenizer.from_pretrained(model))
    assert {code: len(found) for code, found in texts.items()} == dict.fromkeys(("en", "zh", "vi", "es"), MAX_TEXTS)


def test_a_run_states_it_before_and_after(
    tmp_path: Path, model: Path, passages: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder, run = write_set(tmp_path / "set"), tmp_path / "run"
    assert main(align_arguments(run, model, folder, eval_texts=passages, learning_rate=0.01)) == 0
    facts = json.loads((run / "manifest.json").read_text(encoding="utf-8"))["held_out"]
    base = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    texts = load_texts(str(passages), AutoTokenizer.from_pretrained(model))
    assert facts["loss_before"] == pytest.approx(text_loss(base, texts, bf16=False), rel=1e-5)
    assert all(abs(facts["loss_after"][code] - facts["loss_before"][code]) > 1e-4 for code in texts)
    assert f"held-out texts, nats per token: en {facts['loss_before']['en']:.3f} -> " in capfd.readouterr().err


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("none.jsonl", "none.jsonl: no such file"),
        ("empty.jsonl", "eval_texts: {folder}/empty.jsonl: no row has a text by language"),
        ("packaged:seed", "no packaged set 'seed'"),
    ],
)
def test_mistakes_are_one_message_before_training(tmp_path: Path, model: Path, name: str, expected: str) -> None:
    (tmp_path / "empty.jsonl").write_text('{"id": "a", "text": "no language"}\n', encoding="utf-8")
    spec = name if name.startswith("packaged:") else str(tmp_path / name)
    with pytest.raises(CrossinError) as caught:
        main(align_arguments(tmp_path / "run", model, write_set(tmp_path / "set"), eval_texts=spec))
    assert expected.format(folder=tmp_path) in str(caught.value)
    assert not (tmp_path / "run" / "run.json").exists()
