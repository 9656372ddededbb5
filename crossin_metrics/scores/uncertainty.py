"""How sure a score is: bootstrap over questions, intervals, paired tests of two systems.

The unit of resampling is the *question*: its rows in several languages are translations of one another and depend on
each other, so rows are never resampled. Every score is a function of means of per-question statistics
(:mod:`crossin_metrics.scores`), so a replicate costs one reweighted mean. Imports nothing but numpy.

Legend of shapes
    n_questions   questions
    n_columns     statistics of a question
    n_resamples   replicates, R

Memory is bounded: statistics and resampling counts are made a block of questions at a time, about 0.5 GB together at
most, whatever the number of questions.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np

from crossin_metrics.errors import CrossinError
from crossin_metrics.scores.answer_matrix import AnswerMatrix, FloatArray
from crossin_metrics.scores.catalogue import describe
from crossin_metrics.scores.definitions import scores_from_means
from crossin_metrics.scores.per_question import blocks, layout_of, statistics_block

DEFAULT_RESAMPLES = 1000
DEFAULT_LEVEL = 0.95
_BLOCK = 2**14  # questions counted at once: the counts of one replicate stay in a core's cache
_BLOCK_VALUES = 2**25  # statistics held at once: 256 MB
_GROUP = 1024  # replicates held at once: 1024 x 16384 counts are 134 MB
_TIE = 1e-12  # two differences closer than this differ by rounding only


@dataclass(frozen=True)
class Replicates:
    """Scores of one run and of its resamples.

    Attributes:
        estimate: key -> score of all questions.
        values: key -> `[n_resamples]` scores of the resamples, NaN where undefined.
        n_questions: questions resampled.
    """

    estimate: dict[str, float]
    values: dict[str, FloatArray]
    n_questions: int


@dataclass(frozen=True)
class Comparison:
    """One score of two systems A and B on the same questions.

    Attributes:
        a, b: the two scores.
        difference: a - b.
        standard_error: of the difference; NaN from a test that does not estimate it.
        low, high: interval of the difference; NaN likewise.
        p_value: two-sided, in (0, 1], of the null hypothesis that the systems do not differ.
    """

    a: float
    b: float
    difference: float
    standard_error: float
    low: float
    high: float
    p_value: float


def bootstrap(
    questions: AnswerMatrix,
    *,
    n_resamples: int = DEFAULT_RESAMPLES,
    seed: int | None = 0,
    keys: Collection[str] | None = None,
) -> Replicates:
    """Resample questions with replacement and score each resample (Efron 1979).

    Args:
        questions: from :func:`crossin_metrics.scores.answer_matrix.answer_matrix`.
        n_resamples: replicates, at least 2.
        seed: the same seed gives the same replicates; 0 is a seed, None takes a fresh one.
        keys: the scores wanted; None for all (without the two counts).

    Returns:
        Replicates of each key whose score is defined.

    Raises:
        CrossinError: fewer than 2 resamples, or an unknown key.
    """
    _at_least(n_resamples, 2)
    estimate, (means,) = _resampled_means((questions,), n_resamples, np.random.default_rng(seed))
    layout = layout_of(questions)
    scores = {key: float(value) for key, value in scores_from_means(estimate[0], layout).items()}
    wanted = _wanted(scores, keys)
    values = scores_from_means(means, layout)
    return Replicates({key: scores[key] for key in wanted}, {key: values[key] for key in wanted}, questions.n_questions)


def standard_errors(replicates: Replicates) -> dict[str, float]:
    """Return the bootstrap standard error of each score: the standard deviation of its replicates, as it is.

    In the score's unit, >= 0; smaller is surer. NaN where there is one question, or fewer than 2 defined replicates.
    """
    return {key: _deviation(values, replicates.n_questions) for key, values in replicates.values.items()}


def percentile_intervals(replicates: Replicates, level: float = DEFAULT_LEVEL) -> dict[str, tuple[float, float]]:
    """Return the percentile interval (low, high) of each score at a level in (0, 1), e.g. 0.95 (Efron 1981).

    Raises:
        CrossinError: the level is not between 0 and 1.
    """
    tail = _tail(level)
    return {key: _quantiles(values, tail, 1.0 - tail) for key, values in replicates.values.items()}


def bca_intervals(
    questions: AnswerMatrix, replicates: Replicates, level: float = DEFAULT_LEVEL
) -> dict[str, tuple[float, float]]:
    """Return the bias-corrected and accelerated interval (low, high) of each score (Efron 1987).

    Better than the percentile interval near 0 and 1 and for curved scores such as AC3; the same on a score without
    bias and skew. The acceleration comes from the jackknife, one more pass over the questions. Falls back to the
    percentile interval where the correction is undefined (replicates all on one side of the score, or no spread).

    Args:
        questions: those that the replicates are of.
        replicates: from :func:`bootstrap`.
        level: in (0, 1).

    Raises:
        CrossinError: the level is not between 0 and 1, or the replicates are of another number of questions.
    """
    tail = _tail(level)
    if questions.n_questions != replicates.n_questions:
        raise CrossinError(
            f"the replicates are of {replicates.n_questions} questions, but {questions.n_questions} are given"
        )
    normal = NormalDist()
    acceleration = _accelerations(questions, replicates.estimate)
    intervals = {}
    for key, values in replicates.values.items():
        known, estimate = values[~np.isnan(values)], replicates.estimate[key]
        below = (np.sum(known < estimate - _TIE) + np.sum(known <= estimate + _TIE)) / (2.0 * max(1, known.size))
        if not 0.0 < below < 1.0 or known.size < 2:
            intervals[key] = _quantiles(values, tail, 1.0 - tail)
            continue
        bias = normal.inv_cdf(float(below))
        ends = []
        for z in (normal.inv_cdf(tail), normal.inv_cdf(1.0 - tail)):
            ends.append(normal.cdf(bias + (bias + z) / (1.0 - acceleration[key] * (bias + z))))
        intervals[key] = _quantiles(values, ends[0], ends[1])
    return intervals


def paired_bootstrap(
    a: AnswerMatrix,
    b: AnswerMatrix,
    *,
    n_resamples: int = DEFAULT_RESAMPLES,
    seed: int | None = 0,
    keys: Collection[str] | None = None,
    level: float = DEFAULT_LEVEL,
) -> dict[str, Comparison]:
    """Compare two systems by resampling questions, the same ones for both (Koehn 2004).

    The interval is the percentile interval of the difference. The p-value shifts the replicates to the null
    hypothesis: (1 + #{|d* - d| >= |d|}) / (R + 1) (Berg-Kirkpatrick et al. 2012), never 0.

    Args:
        a, b: the two systems on the same questions in the same rows, and the same languages in the same columns.
            If only one has logprobs, both are scored without; letter chance levels likewise with orders.
        n_resamples: replicates, at least 2.
        seed: an int for a repeatable result, 0 included; None for a fresh one.
        keys: scores to compare; None for all but the baselines.
        level: of the interval, in (0, 1).

    Returns:
        key -> Comparison, for the scores that both systems have.

    Raises:
        CrossinError: the systems answer different questions or languages; fewer than 2 resamples; an unknown key.
    """
    _at_least(n_resamples, 2)
    tail = _tail(level)
    a, b = _comparable(a, b)
    (mean_a, mean_b), (means_a, means_b) = _resampled_means((a, b), n_resamples, np.random.default_rng(seed))
    layout = layout_of(a)
    scores_a, scores_b = scores_from_means(mean_a, layout), scores_from_means(mean_b, layout)
    values_a, values_b = scores_from_means(means_a, layout), scores_from_means(means_b, layout)
    result = {}
    for key in _wanted_pair(scores_a, scores_b, keys):
        difference, values = float(scores_a[key] - scores_b[key]), values_a[key] - values_b[key]
        low, high = _quantiles(values, tail, 1.0 - tail)
        result[key] = Comparison(
            a=float(scores_a[key]),
            b=float(scores_b[key]),
            difference=difference,
            standard_error=_deviation(values, a.n_questions),
            low=low,
            high=high,
            p_value=_p_value(values - difference, difference),
        )
    return result


def approximate_randomization(
    a: AnswerMatrix,
    b: AnswerMatrix,
    *,
    n_resamples: int = 10_000,
    seed: int | None = 0,
    keys: Collection[str] | None = None,
) -> dict[str, Comparison]:
    """Test whether two systems differ, by exchanging their answers question by question at random (Noreen 1989).

    Under the null hypothesis either system could have given either set of answers to a question (in all languages
    together). p = (1 + #{|d*| >= |d|}) / (R + 1), two-sided, never 0. Arguments and errors: those of
    :func:`paired_bootstrap`. No interval and no standard error: they are NaN in the result.
    """
    _at_least(n_resamples, 2)
    a, b = _comparable(a, b)
    rng = np.random.default_rng(seed)
    layout = layout_of(a)
    totals = np.zeros((2, len(layout.columns)))
    swapped = np.zeros((n_resamples, len(layout.columns)))  # sums of A - B over the questions that are exchanged
    for block in _question_blocks(a.n_questions, len(layout.columns)):
        both = [statistics_block(system, layout, block.start, block.stop) for system in (a, b)]
        totals += [matrix.sum(axis=1) for matrix in both]
        gap = np.ascontiguousarray((both[0] - both[1]).T)
        for group in _groups(n_resamples):
            shape = (group.stop - group.start, gap.shape[0])
            swapped[group] += rng.integers(0, 2, size=shape, dtype=np.uint8).astype(np.float64) @ gap
    n = a.n_questions
    scores_a, scores_b = (scores_from_means(total / n, layout) for total in totals)
    mixed_a = scores_from_means((totals[0] - swapped) / n, layout)
    mixed_b = scores_from_means((totals[1] + swapped) / n, layout)
    nan, result = float("nan"), {}
    for key in _wanted_pair(scores_a, scores_b, keys):
        difference = float(scores_a[key] - scores_b[key])
        p_value = _p_value(mixed_a[key] - mixed_b[key], difference)
        result[key] = Comparison(float(scores_a[key]), float(scores_b[key]), difference, nan, nan, nan, p_value)
    return result


def minimum_detectable_difference(standard_error: float, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """Return the true difference that a two-sided test at alpha finds with the given power (normal approximation).

    (z_{1 - alpha/2} + z_power) * SE: Card et al. 2020 (arXiv 2010.06595), Miller 2024 (arXiv 2411.00640).
    In the score's unit, >= 0; smaller is a sharper benchmark.

    Args:
        standard_error: of the *difference*: `Comparison.standard_error`; for two systems yet unknown, the square root
            of 2 times one score's standard error is its value if their answers were independent, an upper guess.
        alpha: size of the test, in (0, 1).
        power: wanted chance to find it, in (0, 1).

    Raises:
        CrossinError: a number out of range.
    """
    if not (0.0 < alpha < 1.0 and 0.0 < power < 1.0):
        raise CrossinError(f"alpha and power must be between 0 and 1, got {alpha} and {power}")
    if not standard_error >= 0.0:
        raise CrossinError(f"a standard error must be a number >= 0, got {standard_error}")
    normal = NormalDist()
    return (normal.inv_cdf(1.0 - alpha / 2.0) + normal.inv_cdf(power)) * standard_error


def _resampled_means(
    systems: tuple[AnswerMatrix, ...], n_resamples: int, rng: np.random.Generator
) -> tuple[list[FloatArray], list[FloatArray]]:
    """Return, for each system, means `[n_columns]` over all questions and `[n_resamples, n_columns]` over resamples.

    A resample's counts are multinomial. They are drawn exactly in two steps: how many of the n draws fall into each
    block of questions (multinomial), then which of its questions (uniform).
    """
    n, layouts = systems[0].n_questions, [layout_of(system) for system in systems]
    totals = [np.zeros(len(layout.columns)) for layout in layouts]
    sums = [np.zeros((n_resamples, len(layout.columns))) for layout in layouts]
    parts = list(_question_blocks(n, max(len(layout.columns) for layout in layouts)))
    sizes = np.array([part.stop - part.start for part in parts])
    draws = rng.multinomial(n, sizes / n, size=n_resamples)
    for i, part in enumerate(parts):
        size = int(sizes[i])
        matrices = [
            statistics_block(system, layout, part.start, part.stop)
            for system, layout in zip(systems, layouts, strict=True)
        ]
        for total, matrix in zip(totals, matrices, strict=True):
            total += matrix.sum(axis=1)
        for group in _groups(n_resamples):
            counts = np.empty((group.stop - group.start, size))
            for row, drawn in zip(counts, draws[group, i], strict=True):
                row[:] = np.bincount(rng.integers(0, size, size=drawn, dtype=np.uint16), minlength=size)
            for weighted, matrix in zip(sums, matrices, strict=True):
                weighted[group] += counts @ matrix.T
    return [total / n for total in totals], [total / n for total in sums]


def _question_blocks(n_questions: int, n_columns: int) -> Iterator[slice]:
    size = max(1, min(_BLOCK, _BLOCK_VALUES // n_columns))
    for start in range(0, n_questions, size):
        yield slice(start, min(start + size, n_questions))


def _groups(n_resamples: int) -> Iterator[slice]:
    for start in range(0, n_resamples, _GROUP):
        yield slice(start, min(start + _GROUP, n_resamples))


def _accelerations(questions: AnswerMatrix, estimate: dict[str, float]) -> dict[str, float]:
    """Return sum d^3 / (6 (sum d^2)^1.5), d = mean of the leave-one-out scores - a leave-one-out score (Efron 1987)."""
    n, layout = questions.n_questions, layout_of(questions)
    totals = np.zeros(len(layout.columns))
    for block in blocks(questions, layout):
        totals += statistics_block(questions, layout, block.start, block.stop).sum(axis=1)
    moments = {key: np.zeros(3) for key in estimate}  # sums of the first three powers, about the score itself
    for block in blocks(questions, layout) if n > 1 else ():
        without: FloatArray = (totals - statistics_block(questions, layout, block.start, block.stop).T) / (n - 1)
        scores = scores_from_means(without, layout)
        for key, sums in moments.items():
            d = scores[key] - estimate[key]
            sums += (d.sum(), (d**2).sum(), (d**3).sum())
    result = {}
    for key, (s1, s2, s3) in moments.items():
        mean = s1 / n
        square = s2 - n * mean**2
        cube = s3 - 3.0 * mean * s2 + 2.0 * n * mean**3
        # Scores are in [-1, 1] and d of the order of 1/n; less spread than rounding leaves is none.
        result[key] = float(-cube / (6.0 * square**1.5)) if square * n > 1e-18 else 0.0
    return result


def _comparable(a: AnswerMatrix, b: AnswerMatrix) -> tuple[AnswerMatrix, AnswerMatrix]:
    """Check that two systems answered the same questions, and reduce both to what both have."""
    if a.languages != b.languages:
        raise CrossinError(f"the systems' languages differ: {list(a.languages)} and {list(b.languages)}")
    if a.n_questions != b.n_questions:
        raise CrossinError(f"the systems answered {a.n_questions} and {b.n_questions} questions; join them by id first")
    if (a.gold != b.gold).any():
        row = int((a.gold != b.gold).argmax())
        raise CrossinError(
            f"the systems' gold options differ at question row {row} ({a.gold[row]} and {b.gold[row]}): "
            "are their rows in the same order?"
        )
    # A number of choices that was inferred from the answers may be too small in one of the two.
    counts = np.maximum(a.n_choices, b.n_choices)
    most = int(counts.max())
    a, b = replace(a, n_choices=counts, max_choices=most), replace(b, n_choices=counts, max_choices=most)
    if a.logprobs is None or b.logprobs is None or a.logprobs.shape[2] < most or b.logprobs.shape[2] < most:
        a, b = replace(a, logprobs=None), replace(b, logprobs=None)
    alike = a.one_order == b.one_order and (a.orders is None) == (b.orders is None)
    if not alike or any(x.orders is not None and x.orders.shape[2] != most for x in (a, b)):
        a, b = replace(a, orders=None, one_order=False), replace(b, orders=None, one_order=False)
    return a, b


def _wanted(scores: dict[str, float], keys: Collection[str] | None) -> list[str]:
    unknown = sorted(set(keys or ()) - scores.keys())
    if unknown:
        raise CrossinError(f"there is no score {', '.join(unknown)}; there are {', '.join(sorted(scores))}")
    return [key for key in scores if np.isfinite(scores[key]) and (keys is None or key in keys)]


def _wanted_pair(a: dict[str, FloatArray], b: dict[str, FloatArray], keys: Collection[str] | None) -> list[str]:
    wanted = _wanted({key: float(a[key] - b[key]) for key in a}, keys)
    return [key for key in wanted if keys is not None or describe(key).kind != "baseline"]


def _p_value(null: FloatArray, difference: float) -> float:
    """Share of null replicates as extreme as the difference, itself counted as one; undefined ones count as extreme."""
    extreme = np.isnan(null) | (np.abs(null) >= abs(difference) - _TIE)
    return float((1 + extreme.sum()) / (1 + null.size))


def _deviation(values: FloatArray, n_questions: int) -> float:
    known = values[~np.isnan(values)]
    return float(known.std(ddof=1)) if known.size > 1 and n_questions > 1 else float("nan")


def _quantiles(values: FloatArray, low: float, high: float) -> tuple[float, float]:
    known = values[~np.isnan(values)]
    if not known.size:
        return float("nan"), float("nan")
    ends = np.quantile(known, [low, high])
    return float(ends[0]), float(ends[1])


def _at_least(n_resamples: int, least: int) -> None:
    if n_resamples < least:
        raise CrossinError(f"n_resamples must be at least {least}, got {n_resamples}")


def _tail(level: float) -> float:
    if not 0.0 < level < 1.0:
        raise CrossinError(f"level must be between 0 and 1, e.g. 0.95, got {level}")
    return (1.0 - level) / 2.0
