"""Agreement beyond accuracy on models whose truth is planted."""

from __future__ import annotations

import numpy as np
import pytest

from crossin_metrics.scores.answer_matrix import AnswerMatrix, answer_matrix
from crossin_metrics.scores.causes.excess import beyond_accuracy, fit_difficulty
from crossin_metrics.scores.uncertainty import score_intervals

LANGUAGES = ["en", "es", "vi", "zh"]


def planted(seed: int, *, shared_errors: float = 0.0, difficulty: float = 1.5, n: int = 1500) -> AnswerMatrix:
    """Right by ability and difficulty; a share of the questions has one wrong answer for all languages."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0.0, difficulty, (n, 1)) + np.array([0.8, 0.2, -0.3, -0.6])
    gold = rng.integers(0, 4, n)
    wrong = (gold[:, None] + rng.integers(1, 4, (n, 4))) % 4
    wrong = np.where(rng.random((n, 1)) < shared_errors, wrong[:, :1], wrong)
    answers = np.where(rng.random((n, 4)) < 1.0 / (1.0 + np.exp(-logits)), gold[:, None], wrong)
    return answer_matrix(answers, gold, LANGUAGES, n_choices=4)


@pytest.mark.parametrize("difficulty", [0.5, 3.0])
def test_languages_that_share_only_difficulty_have_no_excess(difficulty: float) -> None:
    found = beyond_accuracy(planted(0, difficulty=difficulty), n_resamples=200)
    assert found.estimate["excess_consistency"] == pytest.approx(0.0, abs=0.012)
    low, high = score_intervals(found)["wrong_agreement"]
    assert low < 1 / 3 < high
    assert found.estimate["baseline_wrong_agreement"] == pytest.approx(1 / 3)


def test_shared_errors_are_found_and_sized() -> None:
    found = beyond_accuracy(planted(1, shared_errors=0.4), n_resamples=200)
    low, high = score_intervals(found)["wrong_agreement"]
    assert low < 0.4 + 0.6 / 3 < high
    assert score_intervals(found)["excess_consistency"][0] > 0.03


def test_copies_agree_on_every_error() -> None:
    one = planted(2)
    copies = answer_matrix(np.repeat(one.answers[:1].T, 4, axis=1), one.gold, LANGUAGES, n_choices=4)
    found = beyond_accuracy(copies, n_resamples=50).estimate
    assert found["wrong_agreement"] == 1.0
    errors = float((one.answers[0] != one.gold).mean())
    assert found["excess_consistency"] == pytest.approx(errors * (1 - 1 / 9), abs=0.01)


def test_a_pair_that_shares_more_than_all_do_stands_out() -> None:
    one = planted(3)
    answers = one.answers.T.copy()
    answers[:, 1] = np.where(np.random.default_rng(3).random(len(answers)) < 0.5, answers[:, 0], answers[:, 1])
    found = beyond_accuracy(answer_matrix(answers, one.gold, LANGUAGES, n_choices=4), n_resamples=50).estimate
    pairs = {key: value for key, value in found.items() if key.startswith("excess_consistency_")}
    assert max(pairs, key=pairs.__getitem__) == "excess_consistency_en_es"


def test_unanswered_rows_are_no_shared_errors() -> None:
    one = planted(4)
    answers = np.where(np.random.default_rng(4).random(one.answers.T.shape) < 0.3, -1, one.answers.T)
    found = beyond_accuracy(answer_matrix(answers, one.gold, LANGUAGES, n_choices=4), n_resamples=200)
    low, high = score_intervals(found)["wrong_agreement"]
    assert low < 1 / 3 < high
    assert found.estimate["excess_consistency"] == pytest.approx(0.0, abs=0.02)


def test_the_fit_recovers_abilities() -> None:
    one = planted(5, n=20_000)
    right = one.answers == one.gold
    n_right = np.bincount(right.sum(axis=0), minlength=5) / 20_000
    theta, weights = fit_difficulty(n_right, right.mean(axis=1))
    assert theta - theta[0] == pytest.approx(np.array([0.0, -0.6, -1.1, -1.4]), abs=0.1)
    assert weights.sum() == pytest.approx(1.0)


def test_one_language_alone_and_no_common_error_are_left_out() -> None:
    assert beyond_accuracy(answer_matrix([[0], [1]], [0, 1], ["en"], n_choices=4), n_resamples=2).estimate == {}
    perfect = answer_matrix([[0, 0], [1, 1]], [0, 1], ["en", "zh"], n_choices=4)
    assert beyond_accuracy(perfect, n_resamples=2).estimate.keys() == {"excess_consistency", "excess_consistency_en_zh"}
