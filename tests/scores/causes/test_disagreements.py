"""Reasons of disagreement on models whose reason is planted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from crossin_metrics.scores.causes.disagreements import AGREE, REASONS, Asked, disagreements, reason_shares

N = 600
K = np.full(N, 4)


def shares(*args: object, **kwargs: object) -> dict[str, float]:
    """Reason -> share of the disagreements, of all pairs together."""
    found = reason_shares(disagreements(*args, **kwargs)).sum(axis=0)  # type: ignore[arg-type]
    return dict(zip(REASONS, (found / found.sum()).tolist(), strict=True))


def likelihoods(answers: np.ndarray, chance: float, second: np.ndarray | None = None) -> np.ndarray:
    """Log-probabilities in which the answer has `chance`; the second option, if any, .05 less."""
    values = np.full((*answers.shape, 4), (1 - chance) / 3)
    np.put_along_axis(values, answers[..., None], chance, axis=-1)
    if second is not None:
        np.put_along_axis(values, second[..., None], chance - 0.05, axis=-1)
    return np.log(values)


def other_than(rng: np.random.Generator, answers: np.ndarray) -> np.ndarray:
    return (answers + rng.integers(1, 4, answers.shape)) % 4


def test_an_order_biased_model_disagrees_by_letters() -> None:
    rng = np.random.default_rng(0)
    gold = rng.integers(0, 4, N)
    orders = rng.permuted(np.broadcast_to(np.arange(4), (N, 3, 4)), axis=2)
    assert shares(Asked(orders[:, :, 0], orders), gold, K)["letter"] == 1.0
    # Without a favourite letter in one order, asking again with another order shows it.
    first = np.broadcast_to(np.arange(4), (N, 3, 4))
    letters = rng.integers(0, 4, (N, 3, 1))
    again = Asked(np.take_along_axis(orders, letters, axis=2)[..., 0], orders)
    assert shares(Asked(letters[..., 0], first), gold, K, again=[again])["letter"] > 0.9


def test_an_honest_model_with_moved_options_has_no_letter_effect() -> None:
    rng = np.random.default_rng(1)
    gold, answers = rng.integers(0, 4, N), rng.integers(0, 4, (N, 3))
    orders = rng.permuted(np.broadcast_to(np.arange(4), (N, 3, 4)), axis=2)
    found = shares(Asked(answers, orders), gold, K)
    assert found["letter"] < 0.07


def test_near_ties_are_seen_in_the_likelihoods() -> None:
    rng = np.random.default_rng(2)
    one = rng.integers(0, 4, N)
    answers = np.stack([one, other_than(rng, one)], axis=1)
    assert shares(Asked(answers), one, K, logprobs=likelihoods(answers, 0.4, answers[:, ::-1]))["tie"] == 1.0


def test_a_prompt_that_brings_the_other_answer_is_the_reason() -> None:
    rng = np.random.default_rng(3)
    one = rng.integers(0, 4, N)
    answers = np.stack([one, other_than(rng, one)], axis=1)
    again = np.repeat(one[:, None], 2, axis=1)
    assert shares(Asked(answers), one, K, again=[Asked(again)])["prompt"] == 1.0


@pytest.mark.parametrize("evidence", ["likelihoods", "repeats", "none"])
def test_one_bad_language_is_ignorance(evidence: str) -> None:
    rng = np.random.default_rng(4)
    gold = rng.integers(0, 4, N)
    guesses = rng.integers(0, 4, (3, N))
    answers = np.stack([gold, gold, guesses[0]], axis=1)
    sure = likelihoods(answers[:, :2], 0.9)
    given: dict[str, Any] = {
        "likelihoods": {"logprobs": np.concatenate([sure, likelihoods(answers[:, 2:], 0.4)], axis=1)},
        "repeats": {"again": [Asked(np.stack([gold, gold, other], axis=1)) for other in guesses[1:]]},
        "none": {},
    }
    given = given[evidence]
    reasons = disagreements(Asked(answers), gold, K, **given)
    assert (reasons[0] == AGREE).all()  # en and es
    found = shares(Asked(answers), gold, K, **given)
    # A guess that happens to come again (1 in 16), or to be right the second time, looks like another reason.
    assert found["ignorance"] + found["prompt"] > 0.9
    assert found["ignorance"] > 0.5
    assert found["belief"] < 0.1


@pytest.mark.parametrize("evidence", ["likelihoods", "repeats"])
def test_sure_and_steady_languages_believe_different_things(evidence: str) -> None:
    rng = np.random.default_rng(5)
    gold = rng.integers(0, 4, N)
    answers = np.stack([gold, other_than(rng, gold)], axis=1)
    given: dict[str, Any] = {
        "likelihoods": {"logprobs": likelihoods(answers, 0.9)},
        "repeats": {"again": [Asked(answers)] * 2},
    }
    assert shares(Asked(answers), gold, K, **given[evidence])["belief"] == 1.0


def test_missing_answers_and_what_nothing_tells() -> None:
    gold = np.array([0, 0, 0])
    answers = np.array([[-1, -1], [1, 2], [1, 1]])
    reasons = disagreements(Asked(answers), gold, np.full(3, 4))
    assert [AGREE if code == AGREE else REASONS[code] for code in reasons[0]] == ["unanswered", "unclear", AGREE]


def test_shares_of_a_pair_add_up_to_its_disagreement() -> None:
    rng = np.random.default_rng(6)
    answers, gold = rng.integers(-1, 4, (N, 4)), rng.integers(0, 4, N)
    found = reason_shares(disagreements(Asked(answers), gold, K))
    for row, (a, b) in zip(found, zip(*np.triu_indices(4, 1), strict=True), strict=True):
        agree = (answers[:, a] == answers[:, b]) & (answers[:, a] >= 0)
        assert row.sum() == pytest.approx(1.0 - agree.mean())
