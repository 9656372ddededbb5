"""The passage-free model: what it is shown, and that its likelihoods are the model's own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crossin_metrics.errors import CrossinError
from crossin_metrics.sets.parallel_set import Item, ParallelMCQ
from crossin_metrics.shortcuts.report import ALL, analyse
from tests.helpers.planted import plain

pytest.importorskip("torch")

from crossin_metrics.shortcuts.model import MODEL_RULES, SHOW_QUESTION, passage_free_scores
from tests.helpers.tiny_models import tiny_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_model(tmp_path_factory.mktemp("model"), "llama"))


def other_passages(data: ParallelMCQ) -> ParallelMCQ:
    items = {code: tuple(replace(i, context="Something else.") for i in col) for code, col in data.items.items()}
    return replace(data, items=items)


def likelihood(model: str, context: str, continuation: str) -> float:
    """By the model's ordinary forward pass; every byte is a token."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    before, whole = tokenizer(context)["input_ids"], tokenizer(context + continuation)["input_ids"]
    with torch.no_grad():
        logits = AutoModelForCausalLM.from_pretrained(model)(torch.tensor([whole])).logits[0]
    steps = torch.log_softmax(logits.float(), -1)[:-1].gather(1, torch.tensor(whole[1:])[:, None])[:, 0]
    return float(steps[len(before) - 1 :].sum())


def test_likelihoods_are_those_of_question_and_options_alone(model: str) -> None:
    data = plain(6)
    numbers = [1, 4]
    scores = passage_free_scores(data, numbers, model, device="cpu", dtype="float32")
    assert set(scores) == set(MODEL_RULES)
    assert all(values.shape == (2, 2, 4) for values in scores.values())
    item = data.items["es"][4]
    question, option = f"Question: {item.question}\n", item.choices[2]
    listed = "".join(f"{letter}. {text}\n" for letter, text in zip("ABCD", item.choices, strict=True))
    asked = likelihood(model, f"{question}Answer:", f" {option}")
    bare = likelihood(model, "Answer:", f" {option}")
    at = (1, 1, 2)
    for name, wanted in {
        "model_question": asked,
        "model_question_norm": asked / len(option),
        "model_options": bare,
        "model_options_norm": bare / len(option),
        "model_pmi": asked - bare,
        "model_letter": likelihood(model, f"{question}{listed}Answer:", " C"),
        "model_letter_options": likelihood(model, f"{listed}Answer:", " C"),
    }.items():
        assert scores[name][at] == pytest.approx(wanted, rel=1e-4, abs=1e-3), name
    again = passage_free_scores(other_passages(data), numbers, model, device="cpu", dtype="float32")
    assert all((scores[name] == again[name]).all() for name in MODEL_RULES)


def test_the_report_asks_as_many_as_told_and_measures_agreement(model: str) -> None:
    data = plain(20)
    report = analyse(data, model=model, limit=8, n_permutations=99, model_args={"dtype": "float32"})
    tests = [test for test in report.tests if test.kind == "model"]
    assert {(test.rule, test.language) for test in tests} == {(r, c) for r in MODEL_RULES for c in ("en", "es", ALL)}
    assert {test.n for test in tests if test.language != ALL} == {8}
    assert report.settings["n_asked"] == 8
    assert set(MODEL_RULES) <= set(report.agreement)
    again = analyse(data, model=model, limit=8, n_permutations=99, model_args={"dtype": "float32"})
    assert again == report


def test_questions_that_have_no_passage_are_not_asked_without_it(model: str) -> None:
    data = plain(10, passage=False)
    report = analyse(data, model=model, n_permutations=99)
    asked = {test.rule for test in report.tests if test.kind == "model"}
    assert asked == set(MODEL_RULES) - set(SHOW_QUESTION)
    assert "10 questions have no passage to hide" in " ".join(report.notes)
    some = {
        code: tuple(replace(item, context="A passage.") if n < 4 else item for n, item in enumerate(column))
        for code, column in data.items.items()
    }
    report = analyse(replace(data, items=some), model=model, n_permutations=99)
    counts = {test.rule: test.n for test in report.tests if test.kind == "model" and test.language == "en"}
    assert (counts["model_question"], counts["model_options"]) == (4, 10)


def test_options_that_are_likelier_when_right_are_found(model: str) -> None:
    """Plant the model's own preference: the right option is the one it finds likeliest by itself."""
    data = plain(40, languages=("en",))
    likely = passage_free_scores(data, range(40), model, device="cpu")["model_options"][:, 0].argmax(axis=1)
    planted = replace(data, gold=tuple(int(right) for right in likely))
    report = analyse(planted, model=model, n_permutations=99, model_args={"device": "cpu"})
    (test,) = [test for test in report.tests if test.rule == "model_options"]
    assert (test.share, test.flag) == (1.0, "above")


def test_different_numbers_of_options(model: str) -> None:
    rows = (Item("P.", "Who?", ("a", "b")), Item("P.", "Why?", ("a", "b", "c")))
    data = ParallelMCQ("odd", ("en",), ("1", "2"), {"en": rows}, (0, 2), ("1", "2"), "test")
    scores = passage_free_scores(data, [0, 1], model, device="cpu")
    for values in scores.values():
        assert np.isneginf(values[0, 0, 2])
        assert np.isfinite(values[1]).all()
        assert np.isfinite(values[0, 0, :2]).all()


def test_what_is_refused(model: str, tmp_path: Path) -> None:
    with pytest.raises(CrossinError, match="no such model folder"):
        passage_free_scores(plain(3), [0], str(tmp_path / "absent"))
    with pytest.raises(CrossinError, match="unknown prompt 'p9'"):
        passage_free_scores(plain(3), [0], model, prompt="p9")
    wide = Item("P.", "Who?", tuple(f"option {n}" for n in range(11)))
    data = ParallelMCQ("wide", ("en",), ("q",), {"en": (wide,)}, (0,), ("q",), "test")
    with pytest.raises(CrossinError, match="id q: 11 options; 10 can be named by letters"):
        passage_free_scores(data, [0], model)
