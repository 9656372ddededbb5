"""Cross-validated rules and their permutation test."""

from __future__ import annotations

import numpy as np
import pytest

from crossin_metrics.shortcuts.learned import folds_of, learn


def test_folds_hold_whole_groups_of_similar_size() -> None:
    groups = [f"g{n}" for n in range(30) for _ in range(n % 4 + 1)]
    folds = folds_of(groups)
    assert len(np.unique(folds)) == 10
    assert all(len({f for g, f in zip(groups, folds, strict=True) if g == group}) == 1 for group in groups)
    sizes = np.bincount(folds)
    assert sizes.max() - sizes.min() <= 4
    assert (folds_of(groups) == folds).all()
    assert len(np.unique(folds_of(["a", "a", "b"]))) == 2


def test_the_right_options_of_a_fold_do_not_decide_its_picks() -> None:
    rng = np.random.default_rng(3)
    counts = np.full(60, 4)
    features = rng.normal(size=(60, 4, 3))
    gold = features[:, :, 0].argmax(axis=1)
    folds = np.arange(60) % 5
    first = learn(features, counts, gold, folds, n_permutations=99, seed=(0,))
    assert first.hits >= 55
    assert first.p_value == 0.01  # none of 99 draws as good
    changed = np.where(folds == 2, (gold + 1) % 4, gold)
    second = learn(features, counts, changed, folds, n_permutations=99, seed=(0,))
    assert (first.picks[folds == 2] == second.picks[folds == 2]).all()


def test_a_permutation_test_that_ends_early_says_the_same() -> None:
    rng = np.random.default_rng(4)
    features, gold, counts = rng.normal(size=(40, 4, 2)), rng.integers(0, 4, 40), np.full(40, 4)
    folds = np.arange(40) % 4
    short = learn(features, counts, gold, folds, n_permutations=499, seed=(1,))
    picks = [
        learn(features, counts, rng.integers(0, 4, 40), folds, n_permutations=1, seed=(1,)).hits >= short.hits
        for _ in range(300)
    ]
    assert short.p_value == pytest.approx(np.mean(picks), abs=0.2)
