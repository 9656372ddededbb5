"""How sure a score is: the bootstrap over questions, standard errors and intervals.

The unit of resampling is the *question*: its rows in several languages are translations of one another and depend on
each other, so rows are never resampled. Where questions share passages the unit is the passage with all its questions
(`AnswerMatrix.passages`): standard errors are then up to 16% larger. Every score is a function of means of per-question
statistics (:mod:`crossin_metrics.scores.per_question`), so a replicate costs one reweighted mean. A *replicate* is a
score of one resample of the questions, never a training seed.

Legend of shapes
    n_questions   questions
    n_columns     statistics of a question
    n_resamples   resamples of the questions, R
    n_runs        runs on the same questions

Memory is bounded, about 0.5 GB for any number of questions: statistics and resampling counts are made block by block.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from scipy.special import ndtri, stdtrit

from crossin_metrics.errors import CrossinError
from crossin_metrics.scores.answer_matrix import AnswerMatrix, FloatArray, IntArray
from crossin_metrics.scores.catalogue import MAIN_SCORES, describe
from crossin_metrics.scores.definitions import harmonic_mean, scores_from_means
from crossin_metrics.scores.over_prompts import over_prompts
from crossin_metrics.scores.per_question import PIVOT, layout_of, main_statistics, statistics_block

DEFAULT_RESAMPLES = 1000
DEFAULT_LEVEL = 0.95
FEW = 20  # questions (or passages) below which intervals and tests are rough: with 8, intervals of 95% cover 66 to 95%
ROUGH = ("fleiss_kappa", "kappa_p", "letter_bias")  # their 95% intervals cover 68 to 97% (SIMULATION.md)
ROUGH_SAID = "rough: in simulations these intervals covered 68 to 97%, not 95%"
ROUGH_CAUSES = 100  # questions below which those of excess and noise floor do so too
CEILING = 0.95  # accuracy above which too few answers are wrong for an interval of kappa_p: it covered 21 to 73%
_BLOCK = 2**14  # questions counted at once: the counts of one resample stay in a core's cache
_BLOCK_VALUES = 2**25  # statistics held at once: 256 MB
_GROUP = 1024  # resamples counted at once: 1024 x 16384 counts are 134 MB


@dataclass(frozen=True)
class Replicates:
    """Scores of one run and of its resamples.

    Attributes:
        estimate: key -> score of all questions.
        values: key -> `[n_resamples]` scores of the resamples, NaN where undefined.
        n_questions: units resampled: questions, or passages where questions share them.
        cases: key -> share of the questions that a score is a mean over, where that is not all of them.
    """

    estimate: dict[str, float]
    values: dict[str, FloatArray]
    n_questions: int
    cases: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class JointReplicates:
    """Main scores of several runs on the same questions, and of the same resamples of these questions.

    Attributes:
        estimate: key -> `[n_runs]`, for acc, acc_<l> and, with several languages, consistency and ac3.
        values: key -> `[n_resamples, n_runs]`.
        n_questions: units resampled: questions, or passages where questions share them.
    """

    estimate: dict[str, FloatArray]
    values: dict[str, FloatArray]
    n_questions: int

    def over_prompts(self, runs: Sequence[int]) -> tuple[dict[str, float], dict[str, FloatArray]]:
        """Return the scores, and the resampled scores `[n_resamples]`, of runs that differ only in their prompt."""
        scores = over_prompts([{key: float(value[run]) for key, value in self.estimate.items()} for run in runs])
        return scores, over_prompts([{key: value[:, run] for key, value in self.values.items()} for run in runs])


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
        n_resamples: at least 2.
        seed: the same seed gives the same replicates; 0 is a seed, None takes a fresh one.
        keys: the scores wanted; None for all (without the counts).

    Returns:
        Replicates of each key whose score is defined.

    Raises:
        CrossinError: fewer than 2 resamples, or a key that no score has.
    """
    layout = layout_of(questions)
    mean, means = resampled_means(
        partial(statistics_block, questions, layout),
        questions.n_questions,
        len(layout.columns),
        n_resamples,
        seed,
        questions.passages,
    )
    scores = {key: float(value) for key, value in scores_from_means(mean, layout).items()}
    wanted = wanted_keys(scores, keys)
    values = scores_from_means(means, layout)
    return Replicates(
        {key: scores[key] for key in wanted},
        {key: values[key] for key in wanted},
        questions.n_units,
        {key: _cases(key, scores) for key in wanted if key.startswith(("transfer", "only_correct"))},
    )


def _cases(key: str, scores: Mapping[str, float]) -> float:
    """Share of the questions that are right in English (`transfer`), or in either of two languages."""
    return scores[f"acc_{PIVOT}"] if key.startswith("transfer") else 2.0 * scores["acc"] / (1.0 + scores[key])


def joint_bootstrap(
    runs: Sequence[AnswerMatrix], *, n_resamples: int = DEFAULT_RESAMPLES, seed: int | None = 0
) -> JointReplicates:
    """Resample the questions of several runs together, and score every run on the same resamples.

    Args:
        runs: with the same questions in the same rows, and the same languages.
        n_resamples: at least 2.
        seed: as in :func:`bootstrap`, which gives the same replicates for the same seed.

    Raises:
        CrossinError: fewer than 2 resamples.
    """
    n = runs[0].n_questions
    keys = list(main_statistics(runs[0], 0, 1))

    def statistics(start: int, stop: int) -> FloatArray:
        return np.array([list(main_statistics(run, start, stop).values()) for run in runs]).reshape(-1, stop - start)

    shape = (len(runs), len(keys))
    known = next((run for run in runs if run.passages is not None), runs[0])
    mean, means = resampled_means(statistics, n, len(runs) * len(keys), n_resamples, seed, known.passages)

    def table(values: FloatArray) -> dict[str, FloatArray]:
        found = {key: values[..., i] for i, key in enumerate(keys)}
        found["acc"] = values[..., : runs[0].n_languages].mean(axis=-1)
        if "consistency" in found:
            found["ac3"] = harmonic_mean(found["acc"], found["consistency"])
        return {key: found[key] for key in (*MAIN_SCORES, *keys) if key in found}

    return JointReplicates(table(mean.reshape(shape)), table(means.reshape(n_resamples, *shape)), known.n_units)


def standard_errors(replicates: Replicates) -> dict[str, float]:
    """Return the bootstrap standard error of each score: the standard deviation of its replicates, as it is.

    In the score's unit, >= 0; smaller is surer. NaN where there is one question, or fewer than 2 defined replicates.
    """
    return {key: deviation(values, replicates.n_questions) for key, values in replicates.values.items()}


def percentile_intervals(replicates: Replicates, level: float = DEFAULT_LEVEL) -> dict[str, tuple[float, float]]:
    """Return the percentile interval (low, high) of each score at a level in (0, 1), e.g. 0.95 (Efron 1981).

    Raises:
        CrossinError: the level is not between 0 and 1.
    """
    return {key: percentile_interval(values, level) for key, values in replicates.values.items()}


def percentile_interval(values: FloatArray, level: float = DEFAULT_LEVEL) -> tuple[float, float]:
    """Return the percentile interval of one score's replicates `[n_resamples]`, (NaN, NaN) where none is defined."""
    check_level(level)
    known = values[~np.isnan(values)]
    if not known.size:
        return float("nan"), float("nan")
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(known, [tail, 1.0 - tail])
    return float(low), float(high)


def score_interval(
    key: str, estimate: float, values: FloatArray, n: float, level: float = DEFAULT_LEVEL
) -> tuple[float, float]:
    """Return an interval (low, high) of a score, honest at 0 and 1, where resampling gives no width at all.

    Scores with a range of [0, 1] get Wilson's interval (1927) for the number of independent questions that would have
    the bootstrap's standard error, p (1 - p) / SE^2, with Student's t on n - 1 degrees of freedom; `n` where the SE is
    0. `letter_bias` is a distance, whose
    resamples lie further from 0 than it does: it gets the basic interval, the percentile one mirrored at the score
    (Efron and Tibshirani 1993). Others get the percentile interval. Coverage: SIMULATION.md.

    Args:
        key: a score's key.
        estimate: the score.
        values: its replicates `[n_resamples]`.
        n: cases it is a mean of (questions, or passages where questions share them).
        level: in (0, 1).
    """
    facts = describe(key)
    if key == "letter_bias":
        low, high = percentile_interval(values, level)
        return max(0.0, 2.0 * estimate - high), max(0.0, 2.0 * estimate - low)
    if (facts.low, facts.high) != (0.0, 1.0) or not n > 0.0:
        return percentile_interval(values, level)
    return wilson_interval(estimate, deviation(values, 2) * math.sqrt(n / max(n - 1.0, 1.0)), n, level)


def wilson_interval(estimate: float, error: float, n: float, level: float = DEFAULT_LEVEL) -> tuple[float, float]:
    """Return Wilson's interval (low, high) of a share, for as many independent cases as its standard error means.

    Args:
        estimate: the share, in [0, 1].
        error: its standard error, corrected for n - 1 degrees of freedom; 0 or NaN: that of n independent cases.
        n: cases it is a mean of, at least 1.
        level: in (0, 1).
    """
    check_level(level)
    spread, size, z2 = estimate * (1.0 - estimate), n, float(ndtri((1.0 + level) / 2.0)) ** 2
    if error > 1e-9 and spread > 1e-9 and n > 1.0:
        size, z2 = spread / error**2, float(stdtrit(n - 1.0, (1.0 + level) / 2.0)) ** 2
    middle = (estimate + z2 / (2 * size)) / (1 + z2 / size)
    half = math.sqrt(z2 * (spread / size + z2 / (4 * size**2))) / (1 + z2 / size)
    return max(0.0, middle - half), min(1.0, middle + half)


def score_intervals(replicates: Replicates, level: float = DEFAULT_LEVEL) -> dict[str, tuple[float, float]]:
    """Return :func:`score_interval` of each score of the model; baselines, and kappa_p near accuracy 1, have none."""
    n = replicates.n_questions
    return {
        key: score_interval(key, replicates.estimate[key], values, n * replicates.cases.get(key, 1.0), level)
        for key, values in replicates.values.items()
        if describe(key).kind in ("score", "cause")
        and not (key == "kappa_p" and replicates.estimate.get("acc", 0.0) > CEILING)
    }


def interval_method(key: str) -> str:
    """Name the kind of interval that :func:`score_interval` gives a score."""
    if key == "letter_bias":
        return "basic bootstrap"
    bounded = (describe(key).low, describe(key).high) == (0.0, 1.0)
    return "Wilson with the bootstrap's effective sample size" if bounded else "percentile bootstrap"


def unit_of(questions: AnswerMatrix) -> str:
    """Name the unit of resampling: `questions`, or `passages` where questions share them."""
    return "questions" if questions.passages is None else "passages"


def few_note(questions: AnswerMatrix) -> str:
    """Return a warning where there are too few units for standard errors and intervals; "" otherwise."""
    n = questions.n_units
    return f"{n} {unit_of(questions)} are few: standard errors and intervals are rough" if n < FEW else ""


def deviation(values: FloatArray, n_questions: int) -> float:
    """Return the standard deviation of the defined replicates `[n_resamples]`; NaN where there is nothing to vary."""
    known = values[~np.isnan(values)]
    return float(known.std(ddof=1)) if known.size > 1 and n_questions > 1 else float("nan")


def resampled_means(
    statistics: Callable[[int, int], FloatArray],
    n_questions: int,
    n_columns: int,
    n_resamples: int,
    seed: int | None,
    passages: IntArray | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Return means of statistics `[n_columns]` over all questions, and `[n_resamples, n_columns]` over resamples.

    A resample's counts are multinomial. They are drawn exactly in two steps: how many of the n draws fall into each
    block of questions (multinomial), then which of its questions (uniform).

    Args:
        statistics: of questions start to stop - 1, `[n_columns, stop - start]`.
        passages: `[n_questions]`, the unit each question belongs to; None where each is one.
    """
    check_resamples(n_resamples)
    rng = np.random.default_rng(seed)
    if passages is not None:
        return _over_passages(statistics, n_questions, n_columns, n_resamples, rng, passages)
    total, sums = np.zeros(n_columns), np.zeros((n_resamples, n_columns))
    parts = list(question_blocks(n_questions, n_columns))
    sizes = np.array([part.stop - part.start for part in parts])
    draws = rng.multinomial(n_questions, sizes / n_questions, size=n_resamples)
    for part, size, drawn in zip(parts, sizes.tolist(), draws.T, strict=True):
        matrix = statistics(part.start, part.stop)
        total += matrix.sum(axis=1)
        for group in resample_groups(n_resamples):
            counts = np.empty((group.stop - group.start, size))
            for row, n in zip(counts, drawn[group], strict=True):
                row[:] = np.bincount(rng.integers(0, size, size=n, dtype=np.uint16), minlength=size)
            sums[group] += counts @ matrix.T
    return total / n_questions, sums / n_questions


def _over_passages(
    statistics: Callable[[int, int], FloatArray],
    n_questions: int,
    n_columns: int,
    n_resamples: int,
    rng: np.random.Generator,
    passages: IntArray,
) -> tuple[FloatArray, FloatArray]:
    """:func:`resampled_means` over passages drawn with replacement, each with all its questions.

    A resample's means are over as many questions as its passages happen to have.
    """
    sizes = np.bincount(passages)
    sums, asked = np.zeros((n_resamples, n_columns)), np.zeros(n_resamples)
    for group in resample_groups(n_resamples):
        drawn = rng.integers(0, sizes.size, size=(group.stop - group.start, sizes.size))
        counts = np.stack([np.bincount(row, minlength=sizes.size) for row in drawn]).astype(np.float64)
        asked[group] = counts @ sizes
        for part in question_blocks(n_questions, n_columns):
            sums[group] += counts[:, passages[part]] @ statistics(part.start, part.stop).T
    total = sum(
        (statistics(part.start, part.stop).sum(axis=1) for part in question_blocks(n_questions, n_columns)),
        np.zeros(n_columns),
    )
    return total / n_questions, sums / asked[:, None]


def question_blocks(n_questions: int, n_columns: int) -> Iterator[slice]:
    """Yield slices of questions whose statistics may be held at once."""
    size = max(1, min(_BLOCK, _BLOCK_VALUES // n_columns))
    for start in range(0, n_questions, size):
        yield slice(start, min(start + size, n_questions))


def resample_groups(n_resamples: int) -> Iterator[slice]:
    """Yield slices of resamples whose counts may be held at once."""
    for start in range(0, n_resamples, _GROUP):
        yield slice(start, min(start + _GROUP, n_resamples))


def wanted_keys(scores: dict[str, float], keys: Collection[str] | None) -> list[str]:
    """Return the keys, of those asked for or of all, whose scores are defined.

    Raises:
        CrossinError: a key that no score has; one that these runs do not define is left out.
    """
    for key in keys or ():
        describe(key)
    return [key for key in scores if np.isfinite(scores[key]) and (keys is None or key in keys)]


def check_resamples(n_resamples: int) -> None:
    """Raise a CrossinError for fewer than 2 resamples."""
    if n_resamples < 2:
        raise CrossinError(f"n_resamples must be at least 2, got {n_resamples}")


def check_level(level: float) -> None:
    """Raise a CrossinError for a level that is not between 0 and 1."""
    if not 0.0 < level < 1.0:
        raise CrossinError(f"level must be between 0 and 1, e.g. 0.95, got {level}")
