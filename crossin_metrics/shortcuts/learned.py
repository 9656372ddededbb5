"""Rules that are learned from other questions of the set: cross-validated, with a permutation test.

A linear model of the options' features, fitted by ridge regression on centred features (Fisher's discriminant where
the ridge is small), predicts which option of a question is right. Questions on one passage are
never in different folds. Cross-validated hits are not independent of each other, so a binomial test is not valid
(Noirhomme et al. 2014, doi 10.1016/j.nicl.2014.04.004); the right options are drawn anew instead, everything is fitted
again, and the hits are compared (Ojala and Garriga 2010, JMLR 11:1833). All draws are fitted at once: only the
right-hand side of the regression differs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

N_FOLDS = 10
RIDGE = 10.0  # in units of one option's standardised feature; keeps sets of a few dozen questions from overfitting
_JITTER = 1e-7  # decides between options that look the same; far below any difference of features
_ENOUGH = 20  # draws at least as good as the real one, after which no more are needed
_BLOCK = 250  # draws fitted at once, fewer where a set is so large that they would need more than
_CELLS = 5_000_000  # numbers (40 MB)


@dataclass(frozen=True)
class Learned:
    """picks `[n_questions]` (option index), hits among them, and the one-sided p-value in (0, 1]."""

    picks: npt.NDArray[np.int64]
    hits: int
    p_value: float


def folds_of(groups: Sequence[str], n_folds: int = N_FOLDS) -> npt.NDArray[np.int64]:
    """Fold of each question `[n_questions]`: whole groups, in an order drawn by SHA-256, each to the emptiest fold.

    Fewer groups than folds make fewer folds; all of one group make one.
    """
    sizes: dict[str, int] = {}
    for group in groups:
        sizes[group] = sizes.get(group, 0) + 1
    loads = [0] * min(n_folds, len(sizes))
    place: dict[str, int] = {}
    for group in sorted(sizes, key=lambda g: hashlib.sha256(f"fold|{g}".encode()).hexdigest()):
        place[group] = loads.index(min(loads))
        loads[place[group]] += sizes[group]
    return np.array([place[group] for group in groups], dtype=np.int64)


def learn(
    features: npt.NDArray[np.float64],
    n_choices: npt.NDArray[np.int64],
    gold: npt.NDArray[np.int64],
    folds: npt.NDArray[np.int64],
    *,
    n_permutations: int,
    seed: Sequence[int],
) -> Learned:
    """Pick an option of every question by a model fitted on the other folds.

    Args:
        features: `[n_questions, most options, n_features]`; entries after a question's last option are ignored.
        n_choices: options of each question `[n_questions]`.
        gold: right option of each question `[n_questions]`.
        folds: of each question `[n_questions]`, at least two different ones.
        n_permutations: most draws of right options for the p-value. Draws end early (Besag and Clifford 1991)
            once 20 were as good as the real ones; the p-value is valid either way.
        seed: of the draws, and of the order of options that look the same.
    """
    rng = np.random.default_rng(seed)
    x, absent = _standardised(features, n_choices)
    jitter = _JITTER * rng.random(x.shape[:2])
    jitter[absent] = -np.inf
    keys = np.unique(folds)
    members = [np.flatnonzero(folds == key) for key in keys]
    gram = np.einsum("nkf,nkg->fg", x, x)
    inverse = []
    for inside in members:
        own = x[inside]
        inverse.append(np.linalg.inv(gram - np.einsum("nkf,nkg->fg", own, own) + RIDGE * np.eye(x.shape[2])))

    def fit(right: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Picks `[n_questions, n_draws]` for right options `[n_questions, n_draws]`."""
        is_right = (right[:, :, None] == np.arange(x.shape[1])).transpose(1, 0, 2).astype(np.float64)
        sums = [  # features of the right options in each fold [draws, features]
            is_right[:, inside].reshape(right.shape[1], -1) @ x[inside].reshape(-1, x.shape[2]) for inside in members
        ]
        everything = np.sum(sums, axis=0)
        picks = np.empty(right.shape, dtype=np.int64)
        for inside, solve, own in zip(members, inverse, sums, strict=True):
            weights = (everything - own) @ solve  # [draws, features]
            scores = x[inside] @ weights.T + jitter[inside][:, :, None]
            picks[inside] = scores.argmax(axis=1)
        return picks

    picks = fit(gold[:, None])[:, 0]
    hits = int((picks == gold).sum())
    block = max(1, min(_BLOCK, _CELLS // x[:, :, 0].size))
    as_good = done = 0
    while done < n_permutations:
        size = min(block, n_permutations - done)
        drawn = rng.integers(0, n_choices[:, None], size=(len(x), size))
        reached = np.cumsum((fit(drawn) == drawn).sum(axis=0) >= hits)
        if as_good + int(reached[-1]) >= _ENOUGH:
            last = int(np.argmax(as_good + reached >= _ENOUGH))
            return Learned(picks, hits, _ENOUGH / (done + last + 1))
        as_good += int(reached[-1])
        done += size
    return Learned(picks, hits, (as_good + 1) / (done + 1))


def _standardised(
    features: npt.NDArray[np.float64], n_choices: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Features less their mean over the question's options, in units of their spread; and where there is no option."""
    absent = np.arange(features.shape[1])[None, :] >= n_choices[:, None]
    x = np.where(absent[:, :, None], 0.0, features)
    x = np.where(absent[:, :, None], 0.0, x - x.sum(axis=1, keepdims=True) / n_choices[:, None, None])
    spread = np.sqrt((x**2).sum(axis=(0, 1)) / n_choices.sum())
    return x / np.where(spread > 0, spread, 1.0), absent
