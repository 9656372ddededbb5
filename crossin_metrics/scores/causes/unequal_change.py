"""Does a change (quantising, tuning, pruning) move one language more than another? Difference of differences.

For systems A and B on the same questions: each language's change of accuracy, A - B, against English's (English, or
every language where there is no English, against the mean of the others), and each pair's change of consistency
against the mean change of all pairs.

Tests are simultaneous, and paired over questions (passages where questions share them). The contribution of each to
every difference of differences gets one random sign (Fisher's randomisation; its mean is 0 under the null hypothesis,
whatever the change itself is). The largest |t| over all languages and pairs gives p-values and intervals that hold for
all of them together (Westfall and Young 1993, single step). Measured in points: a language near chance has little to
lose.

Shapes: N questions, U units (passages, or the questions themselves), L languages, T tests.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossin_metrics.errors import CrossinError
from crossin_metrics.scores.answer_matrix import AnswerMatrix, FloatArray
from crossin_metrics.scores.per_question import PIVOT, layout_of, statistics_block
from crossin_metrics.scores.significance import ALPHA, TEST_RESAMPLES
from crossin_metrics.scores.uncertainty import check_resamples, resample_groups


@dataclass(frozen=True)
class UnequalChange:
    """One language or pair.

    Attributes:
        name: `zh`, or `en zh` for a pair.
        against: what its change is compared with: `en`, `other languages` or `all pairs`.
        a, b: accuracy, or the pair's consistency, of the two systems; in [0, 1].
        change: a - b.
        unequal: its change minus that of `against`; negative: A lost more, or gained less, here.
        low, high: interval of `unequal`, for all languages and pairs at once.
        p_value: two-sided, in (0, 1], corrected for all of them.
        significant: whether it is at most alpha.
    """

    name: str
    against: str
    a: float
    b: float
    change: float
    unequal: float
    low: float
    high: float
    p_value: float
    significant: bool


def unequal_changes(
    a: AnswerMatrix, b: AnswerMatrix, *, n_resamples: int = TEST_RESAMPLES, seed: int | None = 0, alpha: float = ALPHA
) -> list[UnequalChange]:
    """Test every language, and of three languages and more every pair.

    Args:
        a, b: the two systems on the same questions and languages, in the same order.
        n_resamples: random signs, at least 2.
        seed: of the signs.
        alpha: level of tests and intervals.

    Raises:
        CrossinError: fewer than 2 languages or resamples; other questions or languages in the two.
    """
    check_resamples(n_resamples)
    names = a.languages
    if names != b.languages or a.n_questions != b.n_questions:
        raise CrossinError("the systems must have answered the same questions in the same languages")
    if len(names) < 2:
        raise CrossinError(f"changes by language need at least two languages, got {', '.join(names)} only")
    right, pairs = (np.stack(parts) for parts in zip(*(_statistics(one) for one in (a, b)), strict=True))
    values, gaps, labels = [], [], []
    change = right[0] - right[1]
    for i, name in enumerate(names):
        with_pivot = PIVOT in names and name != PIVOT
        others = [names.index(PIVOT)] if with_pivot else [j for j in range(len(names)) if j != i]
        labels.append((name, PIVOT if with_pivot else "other languages"))
        values.append(right[:, i])
        gaps.append(change[i] - change[others].mean(axis=0))
    change = pairs[0] - pairs[1]
    for i, (first, second) in enumerate(layout_of(a).pairs if len(names) > 2 else ()):
        labels.append((" ".join(sorted((names[first], names[second]))), "all pairs"))
        values.append(pairs[:, i])
        gaps.append(change[i] - change.mean(axis=0))
    n_questions, passages = a.n_questions, b.passages if a.passages is None else a.passages
    gap, sizes = np.array(gaps), np.ones(n_questions)
    if passages is not None:
        gap = np.stack([np.bincount(passages, weights=one) for one in gap])
        sizes = np.bincount(passages).astype(np.float64)
    n, scale = gap.shape[1], np.sqrt((gap**2).sum(axis=1))  # gap: [T, U], sums over a unit's questions
    unit = np.divide(gap, scale[:, None], out=np.zeros_like(gap), where=scale[:, None] > 0).T
    rng, largest = np.random.default_rng(seed), np.empty(n_resamples)
    for group in resample_groups(n_resamples):
        signs = rng.integers(0, 2, size=(group.stop - group.start, n), dtype=np.int8) * 2.0 - 1.0
        # Under random signs the sum of squares is fixed, so the largest |t| comes from the largest scaled sum.
        largest[group] = np.abs(signs @ unit).max(axis=1)
    observed = np.abs(unit.sum(axis=0))
    p_values = (1 + (largest[:, None] >= observed - 1e-12).sum(axis=0)) / (n_resamples + 1)
    critical = float(np.quantile(largest, 1.0 - alpha))
    means = gap.sum(axis=1) / n_questions
    spread = np.sqrt(((gap - means[:, None] * sizes) ** 2).sum(axis=1)) / n_questions
    critical_t = critical / np.sqrt(max(1.0 - critical**2 / n, 1e-12))  # from the scaled sum to Student's t
    found = []
    for (name, against), value, mean, se, p in zip(
        labels, values, means.tolist(), spread, p_values.tolist(), strict=True
    ):
        before, after = value.mean(axis=1).tolist()
        half = float(critical_t * se)
        found.append(
            UnequalChange(name, against, before, after, before - after, mean, mean - half, mean + half, p, p <= alpha)
        )
    return found


def _statistics(questions: AnswerMatrix) -> tuple[FloatArray, FloatArray]:
    """Whether each language is right `[L, N]`, and each pair agrees `[P, N]`; expected values where rows tie."""
    layout = layout_of(questions)
    block = statistics_block(questions, layout, 0, questions.n_questions)
    empty = np.zeros((0, questions.n_questions))
    return block[layout.slices["right"]], block[layout.slices["pair"]] if "pair" in layout.slices else empty
