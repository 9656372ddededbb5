"""Exact tails and intervals against scipy and enumeration."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from crossin_metrics.shortcuts.chance import clustered, distribution, p_value, pooled_p_value, wilson


def test_exact_tails_are_binomial() -> None:
    weights = distribution([[0.75, 0.25]] * 40)
    for hits in range(41):
        upper = stats.binomtest(hits, 40, 0.25, alternative="greater").pvalue
        lower = stats.binomtest(hits, 40, 0.25, alternative="less").pvalue
        assert p_value(hits, weights) == pytest.approx(min(1.0, 2 * min(upper, lower)), rel=1e-9)
    far = stats.binom.sf(699, 1190, 0.25)
    assert p_value(700, distribution([[0.75, 0.25]] * 1190)) == pytest.approx(2 * far, rel=1e-6)


@given(st.lists(st.floats(0, 1), max_size=7))
@settings(max_examples=50, deadline=None)
def test_the_distribution_of_hits_is_that_of_all_outcomes(probabilities: list[float]) -> None:
    wanted = np.zeros(len(probabilities) + 1)
    for outcome in product((0, 1), repeat=len(probabilities)):
        wanted[sum(outcome)] += math.prod(p if hit else 1 - p for hit, p in zip(outcome, probabilities, strict=True))
    assert distribution([1 - p, p] for p in probabilities) == pytest.approx(wanted)


def test_the_pooled_test_is_that_of_all_right_options() -> None:
    rng = np.random.default_rng(0)
    counts = np.array([2, 3, 4, 4, 2])
    picked = np.stack([rng.integers(0, counts) for _ in range(3)], axis=1)
    wanted = np.zeros(16)
    for right in product(*(range(n) for n in counts)):
        wanted[(picked == np.array(right)[:, None]).sum()] += 1
    for hits in range(16):
        assert pooled_p_value(hits, picked, counts) == pytest.approx(p_value(hits, wanted / wanted.sum()))


def test_the_pooled_test_of_a_large_set_is_close_to_the_exact_one(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    counts = np.full(600, 4)
    picked = np.repeat(rng.integers(0, 4, (600, 1)), 3, axis=1)
    picked[:, 2] = rng.integers(0, 4, 600)
    exact = [pooled_p_value(hits, picked, counts) for hits in range(380, 521, 20)]
    monkeypatch.setattr("crossin_metrics.shortcuts.chance.LARGE", 0)
    close = [pooled_p_value(hits, picked, counts) for hits in range(380, 521, 20)]
    assert close == pytest.approx(exact, abs=0.03)
    assert min(exact) < 0.01
    assert pooled_p_value(0, np.zeros((5, 2), dtype=np.int64), np.ones(5, dtype=np.int64)) == 1.0


def test_edges_of_intervals() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(0, 20)[0] == 0.0
    assert wilson(20, 20)[1] == 1.0
    assert clustered(np.array([0.5])) == (0.0, 1.0)
    assert clustered(np.ones(20)) == pytest.approx(wilson(20, 20))  # all right is not known to be all
    assert clustered(np.tile([0.25, 0.75], 500)) == pytest.approx((0.4845, 0.5155), abs=2e-4)  # SE 0.0079
