"""When a difference counts: paired tests over questions, tests against the best, Student's t, Holm's correction.

A difference counts if its p-value, corrected by Holm over the tests that a conclusion is drawn from, is at most alpha.

- :func:`compare_systems`: two systems on several benchmarks (`crossin compare`). Approximate randomization decides; its
  level holds for any number of questions if the systems' answers are exchangeable under the null hypothesis.
- :func:`compare_with_best`: many systems against the best of them (report), by the range of all systems on joint
  resamples, because the best is chosen by the same answers.
- :mod:`crossin_metrics.scores.training_seeds`: ways to train, over questions and training seeds, by Student's t.

Legend of shapes: `n_resamples` resamples of the questions, or random exchanges, R.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import stdtr, stdtrit

from crossin_metrics.errors import CrossinError, did_you_mean
from crossin_metrics.scores.answer_matrix import AnswerMatrix, FloatArray
from crossin_metrics.scores.catalogue import MAIN_SCORES, describe
from crossin_metrics.scores.definitions import score_questions, scores_from_means
from crossin_metrics.scores.per_question import layout_of, statistics_block
from crossin_metrics.scores.uncertainty import (
    DEFAULT_LEVEL,
    DEFAULT_RESAMPLES,
    JointReplicates,
    check_level,
    check_resamples,
    deviation,
    percentile_interval,
    question_blocks,
    resample_groups,
    resampled_means,
    wanted_keys,
)

ALPHA = 0.05
POWER = 0.8  # of the smallest difference reported; the usual choice (Card et al. 2020)
TEST_RESAMPLES = 10_000  # 100 p-values corrected by Holm can still reach p < 0.05: 100 / 10,001 = 0.01
_TIE = 1e-12  # two differences closer than this differ by rounding only


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values of one family of tests: Holm's step-down (1979), valid under any dependence.

    Returns:
        Adjusted p-values in the given order, each in [its own, 1]. Rejecting those at or below alpha keeps the
        family-wise error at most alpha.

    Raises:
        CrossinError: a number outside [0, 1].
    """
    if any(not 0.0 <= p <= 1.0 for p in p_values):
        raise CrossinError(f"p-values must be in [0, 1], got {list(p_values)}")
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = highest
    return adjusted


def p_value(null: FloatArray, difference: float) -> float:
    """Return the two-sided p-value of a difference, (1 + #{|d*| >= |d|}) / (R + 1), in (0, 1].

    Args:
        null: `[n_resamples]` differences d* under the null hypothesis; undefined ones count as extreme.
    """
    extreme = np.isnan(null) | (np.abs(null) >= abs(difference) - _TIE)
    return float((1 + extreme.sum()) / (1 + null.size))


def t_p_value(t: float, degrees: float) -> float:
    """Return P(|T| >= |t|) of Student's t with `degrees` > 0 (may be infinite: normal); NaN where either is NaN."""
    return float(2.0 * stdtr(degrees, -abs(t)))


def t_quantile(p: float, degrees: float) -> float:
    """Return the t with P(T <= t) = p, for p in (0, 1); NaN where `degrees` is NaN."""
    return float(stdtrit(degrees, p))


def minimum_detectable_difference(
    standard_error: float, *, alpha: float = ALPHA, power: float = POWER, degrees: float = math.inf
) -> float:
    """Return the true difference that a two-sided test at alpha, uncorrected, finds with the given power.

    (t_{1 - alpha/2} + t_power) * SE: Card et al. 2020 (arXiv 2010.06595), Miller 2024 (arXiv 2411.00640).
    In the score's unit, > 0; smaller is a sharper benchmark. NaN where the standard error is NaN or 0.

    Args:
        standard_error: of the *difference*: `Comparison.standard_error`. For two systems not measured yet, the square
            root of 2 times one score's standard error (as if their answers were independent) is an upper guess.
        alpha: size of the test, in (0, 1).
        power: wanted chance to find it, in (0, 1).
        degrees: degrees of freedom of Student's t; infinite for the normal approximation.

    Raises:
        CrossinError: a number out of range.
    """
    if not (0.0 < alpha < 1.0 and 0.0 < power < 1.0):
        raise CrossinError(f"alpha and power must be between 0 and 1, got {alpha} and {power}")
    if standard_error < 0.0:
        raise CrossinError(f"a standard error must be at least 0, got {standard_error}")
    if not standard_error > 0.0:
        return math.nan
    return (t_quantile(1.0 - alpha / 2.0, degrees) + t_quantile(power, degrees)) * standard_error


@dataclass(frozen=True)
class Comparison:
    """One score of two systems A and B on the same questions.

    Attributes:
        a, b: the two scores.
        difference: a - b.
        p_value: two-sided, in (0, 1], of the null hypothesis that the systems do not differ.
        standard_error: of the difference; NaN from a test that does not estimate it.
        low, high: interval of the difference; NaN likewise.
    """

    a: float
    b: float
    difference: float
    p_value: float
    standard_error: float = math.nan
    low: float = math.nan
    high: float = math.nan


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
    hypothesis (Berg-Kirkpatrick et al. 2012).

    Args:
        a, b: the two systems on the same questions in the same rows, and the same languages in the same columns.
            If only one has logprobs, both are scored without; letter chance levels likewise with orders.
        n_resamples: at least 2.
        seed: an int for a repeatable result, 0 included; None for a fresh one.
        keys: scores to compare; None for all but the baselines.
        level: of the interval, in (0, 1).

    Returns:
        key -> Comparison, for the scores that both systems have.

    Raises:
        CrossinError: the systems answer different questions or languages; fewer than 2 resamples; a key that no
            score has.
    """
    check_level(level)
    a, b = _comparable(a, b)
    layout, width = layout_of(a), len(layout_of(a).columns)

    def both(start: int, stop: int) -> FloatArray:
        return np.concatenate([statistics_block(system, layout, start, stop) for system in (a, b)])

    mean, means = resampled_means(both, a.n_questions, 2 * width, n_resamples, seed, a.passages)
    scores_a, scores_b = (scores_from_means(part, layout) for part in (mean[:width], mean[width:]))
    values_a, values_b = (scores_from_means(part, layout) for part in (means[:, :width], means[:, width:]))
    result = {}
    for key in _wanted_pair(scores_a, scores_b, keys):
        difference, values = float(scores_a[key] - scores_b[key]), values_a[key] - values_b[key]
        result[key] = Comparison(
            float(scores_a[key]),
            float(scores_b[key]),
            difference,
            p_value(values - difference, difference),
            deviation(values, a.n_units),
            *percentile_interval(values, level),
        )
    return result


def approximate_randomization(
    a: AnswerMatrix,
    b: AnswerMatrix,
    *,
    n_resamples: int = TEST_RESAMPLES,
    seed: int | None = 0,
    keys: Collection[str] | None = None,
) -> dict[str, Comparison]:
    """Test whether two systems differ, by exchanging their answers question by question at random (Noreen 1989).

    Under the null hypothesis either system could have given either set of answers to a question (in all languages
    together, and to all questions on one passage). Arguments and errors: those of :func:`paired_bootstrap`. No
    interval and no standard error.
    """
    check_resamples(n_resamples)
    a, b = _comparable(a, b)
    rng = np.random.default_rng(seed)
    layout, n = layout_of(a), a.n_questions
    totals = np.zeros((2, len(layout.columns)))
    swapped = np.zeros((n_resamples, len(layout.columns)))  # sums of A - B over the questions that are exchanged
    if a.passages is not None:
        by_passage = rng.integers(0, 2, size=(n_resamples, a.n_units), dtype=np.uint8)
    for block in question_blocks(n, len(layout.columns)):
        both = [statistics_block(system, layout, block.start, block.stop) for system in (a, b)]
        totals += [matrix.sum(axis=1) for matrix in both]
        gap = np.ascontiguousarray((both[0] - both[1]).T)
        for group in resample_groups(n_resamples):
            shape = (group.stop - group.start, gap.shape[0])
            if a.passages is None:
                exchanged = rng.integers(0, 2, size=shape, dtype=np.uint8)
            else:
                exchanged = by_passage[group][:, a.passages[block]]
            swapped[group] += exchanged.astype(np.float64) @ gap
    scores_a, scores_b = (scores_from_means(total / n, layout) for total in totals)
    mixed_a = scores_from_means((totals[0] - swapped) / n, layout)
    mixed_b = scores_from_means((totals[1] + swapped) / n, layout)
    result = {}
    for key in _wanted_pair(scores_a, scores_b, keys):
        difference = float(scores_a[key] - scores_b[key])
        p = p_value(mixed_a[key] - mixed_b[key], difference)
        result[key] = Comparison(float(scores_a[key]), float(scores_b[key]), difference, p)
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
    passages = b.passages if a.passages is None else a.passages
    a, b = (replace(x, n_choices=counts, max_choices=most, passages=passages) for x in (a, b))
    if a.logprobs is None or b.logprobs is None or a.logprobs.shape[2] < most or b.logprobs.shape[2] < most:
        a, b = replace(a, logprobs=None), replace(b, logprobs=None)
    alike = a.one_order == b.one_order and (a.orders is None) == (b.orders is None)
    if not alike or any(x.orders is not None and x.orders.shape[2] != most for x in (a, b)):
        a, b = replace(a, orders=None, one_order=False), replace(b, orders=None, one_order=False)
    return a, b


def _wanted_pair(a: dict[str, FloatArray], b: dict[str, FloatArray], keys: Collection[str] | None) -> list[str]:
    wanted = wanted_keys({key: float(a[key] - b[key]) for key in a}, keys)
    return [key for key in wanted if keys is not None or describe(key).kind != "baseline"]


@dataclass(frozen=True)
class Tested:
    """One score of A and B on one benchmark.

    Attributes:
        a, b: the scores.
        difference: a - b.
        standard_error: bootstrap standard error of the difference, NaN where undefined.
        low, high: percentile interval of the difference, from the paired bootstrap.
        p_bootstrap, p_randomization: two-sided, in (0, 1].
        p_bootstrap_holm, p_randomization_holm: corrected over the benchmarks (Holm 1979).
        detectable: smallest true difference that is found with 80% power after Holm's correction, whatever the other
            benchmarks give (at alpha / number of benchmarks); NaN where no two answers differ.
        significant: whether p_randomization_holm is at most alpha.
    """

    a: float
    b: float
    difference: float
    standard_error: float
    low: float
    high: float
    p_bootstrap: float
    p_randomization: float
    p_bootstrap_holm: float
    p_randomization_holm: float
    detectable: float
    significant: bool


def compare_systems(
    pairs: Sequence[tuple[AnswerMatrix, AnswerMatrix]],
    *,
    keys: Sequence[str] | None = None,
    n_resamples: int = TEST_RESAMPLES,
    seed: int | None = 0,
    alpha: float = ALPHA,
) -> list[dict[str, Tested]]:
    """Test the differences of two systems A and B on several benchmarks.

    Args:
        pairs: A's and B's answers, one pair a benchmark.
        keys: scores; None for acc, consistency and ac3 (of one language acc alone).
        n_resamples: of either test, at least 2.
        seed: of both tests; None for a fresh one.
        alpha: level of the tests; intervals are at 1 - alpha.

    Returns:
        For each pair key -> Tested, without the keys that are undefined there. The p-values of a key are corrected
        over the pairs that have it.

    Raises:
        CrossinError: a key that no score has, or that no pair defines.
    """
    found: list[dict[str, tuple[Comparison, Comparison]]] = []
    for a, b in pairs:
        wanted = list(keys) if keys is not None else list(MAIN_SCORES if a.n_languages > 1 else ("acc",))
        resampled = paired_bootstrap(a, b, n_resamples=n_resamples, seed=seed, keys=wanted, level=1.0 - alpha)
        exchanged = approximate_randomization(a, b, n_resamples=n_resamples, seed=seed, keys=wanted)
        found.append({key: (resampled[key], exchanged[key]) for key in wanted if key in resampled})
    missing = [key for key in keys or () if not any(key in tests for tests in found)]
    if missing:
        known = [key for pair in pairs for key in score_questions(pair[0])]
        hint = did_you_mean(missing[0], known)
        raise CrossinError(f"{', '.join(missing)}: undefined for these runs, so there is nothing to compare{hint}")
    results: list[dict[str, Tested]] = [{} for _ in pairs]
    for key in dict.fromkeys(key for tests in found for key in tests):
        family = [(result, tests[key]) for result, tests in zip(results, found, strict=True) if key in tests]
        corrected = [holm([tests[i].p_value for _, tests in family]) for i in (0, 1)]
        for (result, (one, other)), p_bootstrap, p_randomization in zip(family, *corrected, strict=True):
            result[key] = Tested(
                a=one.a,
                b=one.b,
                difference=one.difference,
                standard_error=one.standard_error,
                low=one.low,
                high=one.high,
                p_bootstrap=one.p_value,
                p_randomization=other.p_value,
                p_bootstrap_holm=p_bootstrap,
                p_randomization_holm=p_randomization,
                detectable=minimum_detectable_difference(one.standard_error, alpha=alpha / len(family)),
                significant=p_randomization <= alpha,
            )
    return [{key: result[key] for key in tests} for tests, result in zip(found, results, strict=True)]


@dataclass(frozen=True)
class AgainstBest:
    """One system against the best of several by one score.

    Attributes:
        difference: system - best, on the prompts that both have; 0 for the best itself.
        p_value: chance, in (0, 1], that equal systems would spread over a gap as large. Holds for all systems of the
            column at once, although the best was chosen by the same answers.
        prompts: the prompts that both have.
    """

    difference: float
    p_value: float
    prompts: tuple[str, ...]

    @property
    def significant(self) -> bool:
        """Whether the difference counts at the 5% level."""
        return self.p_value <= ALPHA


def compare_with_best(
    replicates: JointReplicates, systems: Sequence[Mapping[str, int]], best: int, key: str
) -> dict[int, AgainstBest]:
    """Test the systems of one table column against its best, which the same answers have chosen.

    Picking the best and then testing it as if it had been named beforehand tells some of 20 equal systems apart in
    20% of tables, Holm's correction included. The null distribution here is the *range* of all systems, highest minus
    lowest centred replicate on the same resample: the gap of no two systems can exceed it (Hsu 1996, "multiple
    comparisons with the best", by Tukey's range).

    Args:
        replicates: of all runs of all systems.
        systems: for each system prompt -> its run's column in the replicates.
        best: index of the system with the highest score.
        key: one of acc, consistency, ac3.

    Returns:
        Index of a system -> its test, without the systems that share no prompt with the best.
    """
    shared = {i: tuple(prompt for prompt in one if prompt in systems[best]) for i, one in enumerate(systems)}
    shared = {i: prompts for i, prompts in shared.items() if prompts}
    differences: dict[int, float] = {}
    spread: FloatArray | float = 0.0
    for prompts in dict.fromkeys(shared.values()):  # systems are compared on the prompts they share with the best
        family = [i for i in shared if set(prompts) <= set(shared[i])]
        made = [replicates.over_prompts([systems[i][prompt] for prompt in prompts]) for i in family]
        centred = np.array([values[key] - score[key] for score, values in made])
        spread = np.maximum(spread, centred.max(axis=0) - centred.min(axis=0))
        best_score = made[family.index(best)][0][key]
        differences |= {
            i: score[key] - best_score for i, (score, _) in zip(family, made, strict=True) if shared[i] == prompts
        }
    null = np.asarray(spread)
    return {i: AgainstBest(differences[i], p_value(null, differences[i]), shared[i]) for i in shared}
