"""Unequal harm on systems whose truth is planted."""

from __future__ import annotations

import numpy as np
import pytest

from crossin_metrics.errors import CrossinError
from crossin_metrics.scores.answer_matrix import AnswerMatrix, answer_matrix
from crossin_metrics.scores.causes.unequal_change import unequal_changes

LANGUAGES = ["en", "es", "vi", "zh"]


def two(seed: int, loss: list[float], n: int = 150) -> tuple[AnswerMatrix, AnswerMatrix]:
    """A loses so many logits in each language; both share each question's difficulty."""
    rng = np.random.default_rng(seed)
    gold, easy = rng.integers(0, 4, n), rng.normal(0.3, 1.5, (n, 1))
    made = []
    for logits in (easy - np.array(loss), easy + np.zeros(4)):
        right = rng.random((n, 4)) < 1.0 / (1.0 + np.exp(-logits))
        answers = np.where(right, gold[:, None], (gold[:, None] + rng.integers(1, 4, (n, 4))) % 4)
        made.append(answer_matrix(answers, gold, LANGUAGES, n_choices=4))
    return made[0], made[1]


def test_a_loss_that_is_equal_everywhere_is_called_unequal_in_5_of_100_cases() -> None:
    runs = [unequal_changes(*two(seed, [0.8] * 4, 60), n_resamples=200, seed=seed) for seed in range(200)]
    assert np.mean([any(one.significant for one in run) for run in runs]) < 0.09


def test_one_language_that_is_harmed_more_is_found_and_sized() -> None:
    found = {one.name: one for one in unequal_changes(*two(0, [0, 0, 0, 2.0], 400), n_resamples=1000)}
    assert found["zh"].significant
    assert found["zh"].high < 0.0
    assert not found["es"].significant
    assert not found["vi"].significant
    assert found["zh"].against == "en"
    assert found["zh"].unequal == pytest.approx(found["zh"].change - (-0.01), abs=0.08)
    assert {"en es", "en zh", "vi zh"} < found.keys()


def test_intervals_cover_all_true_differences_at_once() -> None:
    truth = unequal_changes(*two(1, [0, 0.5, 1.0, 1.5], 200_000), n_resamples=2)
    covered = []
    for seed in range(100):
        found = unequal_changes(*two(seed, [0, 0.5, 1.0, 1.5], 150), n_resamples=200, seed=seed)
        covered.append(all(a.low <= b.unequal <= a.high for a, b in zip(found, truth, strict=True)))
    assert np.mean(covered) >= 0.9


def test_the_difference_is_the_language_s_change_minus_english_s() -> None:
    a, b = two(2, [0.2, 0.4, 0.0, 1.0])
    right = [(one.answers == one.gold).mean(axis=1) for one in (a, b)]
    english, *others = unequal_changes(a, b, n_resamples=50)[:4]
    assert (english.name, english.against) == ("en", "other languages")
    assert english.unequal == pytest.approx(english.change - np.mean([one.change for one in others]))
    for i, one in enumerate(others, 1):
        assert one.change == pytest.approx(right[0][i] - right[1][i])
        assert one.unequal == pytest.approx(one.change - (right[0][0] - right[1][0]))


def test_without_english_a_language_is_compared_with_the_others() -> None:
    a, b = (answer_matrix(one.answers.T, one.gold, ["de", "es", "vi", "zh"], n_choices=4) for one in two(3, [0.0] * 4))
    found = unequal_changes(a, b, n_resamples=50)
    assert [one.against for one in found[:4]] == ["other languages"] * 4
    assert sum(one.unequal for one in found[:4]) == pytest.approx(0.0)


def test_the_same_answers_change_nothing_and_one_language_is_refused() -> None:
    a, _ = two(4, [0.0] * 4)
    assert all(one.p_value == 1.0 and one.low == one.high == 0.0 for one in unequal_changes(a, a, n_resamples=50))
    one = answer_matrix(a.answers[:1].T, a.gold, ["en"], n_choices=4)
    with pytest.raises(CrossinError, match="at least two languages"):
        unequal_changes(one, one)
