"""The noise floor on models whose truth is planted."""

from __future__ import annotations

import numpy as np
import pytest

from crossin_metrics.errors import CrossinError
from crossin_metrics.scores.causes.noise_floor import noise_floor
from crossin_metrics.scores.uncertainty import score_intervals

LANGUAGES = ["en", "es", "zh"]
N = 400
K = np.full(N, 4)


def unsteady(rng: np.random.Generator, belief: np.ndarray, keep: float, repeats: int = 3) -> np.ndarray:
    """Each asking gives the belief `[N, L]` with chance `keep`, else a guess: `[R, N, L]`."""
    shape = (repeats, *belief.shape)
    return np.where(rng.random(shape) < keep, belief, rng.integers(0, 4, shape))


def test_copies_of_one_language_have_ratio_1_however_unsteady_it_is() -> None:
    rng = np.random.default_rng(0)
    one = unsteady(rng, rng.integers(-1, 4, (N, 1)), 0.6)
    found = noise_floor(np.repeat(one, 3, axis=2), LANGUAGES, K, n_resamples=50)
    assert found.estimate["asked_again"] < 0.7
    for key, value in found.estimate.items():
        if key.startswith("language_ratio"):
            assert value == pytest.approx(1.0)
            assert found.values[key] == pytest.approx(np.ones(50))


def test_languages_that_share_nothing_have_kappa_ratio_0() -> None:
    rng = np.random.default_rng(1)
    found = noise_floor(unsteady(rng, rng.integers(0, 4, (N, 3)), 0.9), LANGUAGES, K)
    low, high = score_intervals(found)["language_ratio_kappa"]
    assert low < 0.0 < high
    assert high - low < 0.15
    assert found.estimate["asked_across"] == pytest.approx(0.25, abs=0.03)


def test_a_letter_habit_is_no_knowledge() -> None:
    rng = np.random.default_rng(2)
    answers = np.where(rng.random((3, N, 3)) < 0.7, 0, unsteady(rng, rng.integers(0, 4, (N, 3)), 1.0))
    found = noise_floor(answers, LANGUAGES, K).estimate
    assert found["language_ratio"] > 0.9  # raw agreement is taken in by it
    assert found.get("language_ratio_kappa", 0.0) < 0.3


def test_one_language_that_shares_half_is_found() -> None:
    rng = np.random.default_rng(3)
    belief = np.repeat(rng.integers(0, 4, (N, 1)), 3, axis=1)
    belief[:, 2] = np.where(rng.random(N) < 0.5, belief[:, 2], rng.integers(0, 4, N))
    found = noise_floor(unsteady(rng, belief, 0.85), LANGUAGES, K)
    intervals = score_intervals(found)
    for pair, truth in (("en_es", 1.0), ("en_zh", 0.5), ("es_zh", 0.5)):
        low, high = intervals[f"language_ratio_kappa_{pair}"]
        assert low < truth < high
        assert high - low < 0.25


def test_letters_are_followed_through_other_orders_of_the_options() -> None:
    """A model that always says the first letter agrees with itself by chance only, if the options move."""
    rng = np.random.default_rng(4)
    orders = rng.permuted(np.broadcast_to(np.arange(4), (3, N, 3, 4)), axis=3)
    found = noise_floor(orders[..., 0], LANGUAGES, K, orders=orders, n_resamples=50).estimate
    assert found["asked_again"] == pytest.approx(0.25, abs=0.03)
    assert "language_ratio_kappa" not in found  # nothing beyond chance to compare with


def test_chance_is_taken_within_each_number_of_options() -> None:
    rng = np.random.default_rng(5)
    counts = np.where(np.arange(N) % 2, 2, 10)
    belief = (rng.random((N, 3)) * counts[:, None]).astype(int)
    found = noise_floor(np.repeat(belief[None], 2, axis=0), LANGUAGES, counts)
    low, high = score_intervals(found)["language_ratio_kappa"]
    assert low < 0.0 < high


def test_rows_asked_once_have_no_floor() -> None:
    with pytest.raises(CrossinError, match="asked at least twice"):
        noise_floor(np.zeros((1, 5, 2), dtype=int), ["en", "zh"], np.full(5, 4))
