"""Draws of questions, languages and options; the majority's answers; weights by direction."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from crossin_metrics.errors import CrossinError
from recipes.alignment.options import AlignOptions
from recipes.alignment.pairs import Pairs, all_pairs, draw_pairs, majority_pairs

N_OPTIONS, GOLD = np.array([4, 3, 2, 5]), np.array([0, 2, 1, 4])
LANGUAGES = {(0, 1): 1.0, (0, 2): 1.0, (1, 2): 2.0}


@pytest.mark.parametrize("preferred", ["random", "gold", "not_gold"])
def test_options_are_different_and_in_range(preferred: str) -> None:
    drawn = draw_pairs(N_OPTIONS, GOLD, LANGUAGES, 2000, 0, preferred=preferred)
    gold, k = GOLD[drawn.question], N_OPTIONS[drawn.question]
    assert (drawn.preferred != drawn.other).all()
    for option in (drawn.preferred, drawn.other):
        assert ((option >= 0) & (option < k)).all()
    assert (drawn.first < drawn.second).all()
    if preferred == "gold":
        assert (drawn.preferred == gold).all()
    if preferred == "not_gold":
        assert (drawn.preferred != gold).all()
        assert (drawn.other != gold).all()
        assert 2 not in drawn.question  # two options: nothing is left without gold
    for question in set(drawn.question):  # every allowed ordered pair occurs, about equally often
        mine = drawn.question == question
        pairs, counts = np.unique(np.stack([drawn.preferred[mine], drawn.other[mine]]), axis=1, return_counts=True)
        n = N_OPTIONS[question]
        expected = {"random": n * (n - 1), "gold": n - 1, "not_gold": (n - 1) * (n - 2)}[preferred]
        assert pairs.shape[1] == expected
        assert counts.min() > 0.5 * counts.mean()


def test_questions_pass_by_pass_and_language_pairs_by_weight() -> None:
    drawn = draw_pairs(N_OPTIONS, GOLD, LANGUAGES, 4000, 3, preferred="random")
    assert sorted(drawn.question[:4]) == [0, 1, 2, 3]
    share = np.mean((drawn.first == 1) & (drawn.second == 2))
    assert 0.46 < share < 0.54
    assert 0.23 < np.mean((drawn.first == 0) & (drawn.second == 1)) < 0.27


def test_losses_are_compared_on_the_same_questions_and_languages() -> None:
    one = draw_pairs(N_OPTIONS, GOLD, LANGUAGES, 100, 5, preferred="random")
    two = draw_pairs(N_OPTIONS, GOLD, LANGUAGES, 60, 5, preferred="gold")
    for name in ("question", "first", "second"):
        assert (getattr(one, name)[:60] == getattr(two, name)).all()


def test_the_majority_is_preferred_to_another_languages_answer() -> None:
    answers = np.array([[0, 0, 1, 2], [3, 3, 3, 3], [1, 2, 1, 2], [4, 0, 0, 0]])
    drawn = draw_pairs(np.full(4, 5), np.zeros(4, int), {(0, 1): 1.0}, 40, 0, preferred="random")
    voted, replaced = majority_pairs(drawn, answers, 0)
    assert len(voted) == 40
    assert replaced == 10  # each question ten times, and in one of them all agree
    assert 1 not in voted.question
    for question, preferred, others in ((0, 0, {1, 2}), (2, 1, {2}), (3, 0, {4})):
        mine = voted.question == question
        assert set(voted.preferred[mine]) == {preferred}
        assert set(voted.other[mine]) == others


def test_nothing_to_reject_is_said() -> None:
    drawn = Pairs(*(np.zeros(3, int) for _ in range(5)))
    with pytest.raises(CrossinError, match="nothing to reject"):
        majority_pairs(drawn, np.zeros((1, 4), int), 0)
    with pytest.raises(CrossinError, match="no question has 3 options"):
        draw_pairs(np.array([2, 2]), np.array([0, 0]), LANGUAGES, 3, 0, preferred="not_gold")


def test_directions() -> None:
    options = AlignOptions(set="s", languages=["en", "zh", "vi"], beta=2.0, follow=["zh-en=3", "en-zh=0"])
    assert options.weight("vi", "en") == 2.0  # the later language follows by beta
    assert options.weight("en", "vi") == 0.5
    assert options.weight("zh", "en") == 3.0
    assert options.weight("en", "zh") == 0.0
    assert len(all_pairs(options.languages)) == 3


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"beta": 0.0}, "beta: 0 must be above 0"),
        ({"beta": -1.0}, "beta: -1 must be above 0"),
        ({"languages": ["en"]}, "languages: en alone; alignment needs two or more"),
        ({"languages": ["en", "en"]}, "different languages"),
        ({"n_pairs": 0}, "n_pairs: 0 must be at least 1"),
        ({"loss": "dpo", "follow": ["zh-en=1"]}, "follow: only loss dco has it"),
        ({"loss": "sft_gold", "beta": 1.0}, "beta: loss sft_gold has none"),
        ({"language_pairs": ["en-fr"]}, "fr is not in languages"),
        ({"language_pairs": ["en-zh=-1"]}, "must be two languages and a weight, as en-zh=2"),
        ({"language_pairs": ["en-zh=0"]}, "all weights are 0"),
        ({"follow": ["en-en=1"]}, "one language given twice"),
        ({"calm_samples": 4}, "calm_samples: only loss calm has it, and loss is dco"),
        ({"loss": "calm", "calm_samples": -1}, "calm_samples: -1 must not be negative"),
        ({"loss": "doc"}, "loss: 'doc' must be one of dco, calm, dpo, sft_gold"),
        ({"eval_metadata": "{en}"}, "must be a JSON object"),
        ({"eval_before": True}, "eval_before needs eval_tasks"),
    ],
)
def test_options_that_contradict(options: dict[str, Any], expected: str) -> None:
    with pytest.raises(CrossinError, match=expected):
        AlignOptions(**{"set": "s", **options})


def test_sampled_answers_follow_the_models_probabilities(model: Path, houses: Path) -> None:
    """Option k of a question in language l has probability proportional to exp(weights[l][k])."""
    from transformers import AutoTokenizer

    from recipes.alignment.recipe import answers
    from recipes.alignment.sequences import load_questions

    questions = load_questions(
        AlignOptions(set="bmlama17", data_dir=str(houses)), AutoTokenizer.from_pretrained(model), None
    )
    weights = np.log(np.array([[8, 4, 2, 1], [1, 1, 1, 1], [1, 0.01, 0.01, 20], [3, 3, 1, 1]]))
    reference: Any = SimpleNamespace(logps=lambda flat: np.tile(weights.ravel() - 50, 2).astype(np.float32))
    drawn = Pairs(np.array([5, 2, 5]), *(np.zeros(3, int) for _ in range(4)))
    voted = answers(questions, drawn, reference, samples=4000, seed=1)
    assert voted.shape == (8, 4 * 4000)
    assert (voted[[0, 1, 3, 4, 6, 7]] == -1).all()
    for q in (2, 5):
        shares = np.array([np.bincount(one, minlength=4) / 4000 for one in voted[q].reshape(4, 4000)])
        expected = np.exp(weights) / np.exp(weights).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(shares, expected, atol=0.04)  # five standard errors of a share of 0.5
    assert (voted == answers(questions, drawn, reference, samples=4000, seed=1)).all()
    assert (voted != answers(questions, drawn, reference, samples=4000, seed=2)).any()
    assert answers(questions, drawn, reference)[2].tolist() == [0, 0, 3, 0]


def test_sequences_are_those_of_the_task(model: Path, houses: Path) -> None:
    """What is scored is the option and the rest of the sentence, as in `bmlama17_cf`."""
    from transformers import AutoTokenizer

    from recipes.alignment.sequences import load_questions

    tokenizer = AutoTokenizer.from_pretrained(model)
    questions = load_questions(AlignOptions(set="bmlama17", data_dir=str(houses)), tokenizer, None)
    shown = []
    for language in range(4):
        one = questions.sequence(1, language, 2)
        shown.append((tokenizer.decode(one.ids[1 : one.start]), tokenizer.decode(one.ids[one.start :])))
    assert shown == [
        ("House 1 is", " blue."),
        ("1号房子是", "蓝色的。"),
        ("Nhà 1 màu", " xanh."),
        ("La casa 1 es", " azul."),
    ]
