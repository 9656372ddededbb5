"""Several training seeds: what an arm scores on average over its seeds, and whether two arms differ.

An *arm* is one way to train (a mix, a base model). Each of its R *seeds* draws the data and trains anew, and every
trained model answers the same N questions. The score Y_r of seed r varies with the questions asked and with the seed:

    Var(mean Y) = s_seed^2 / R  +  s_question^2 / N  +  s_both^2 / (R N)

Two terms are estimated; the standard error is sqrt(Q + S) and intervals are Student's t:

    Q = variance of mean Y over resamples of the questions  -> (s_question^2 + s_both^2 / R) / N
    S = sample variance of Y_1 ... Y_R, divided by R        -> s_seed^2 / R + s_both^2 / (R N)

Q + S counts s_both^2 / (R N) twice on purpose: with R = 3 an S that is too small by chance would make intervals too
short. Q has N - 1 degrees of freedom and S has R - 1. An arm's interval uses (Q + S) / (Q / (N - 1) + S / (R - 1));
Satterthwaite's (1946) covers only 92% with R = 3 where seeds matter most. A difference of two arms has twice the seeds
and uses Satterthwaite's (Welch 1947), because the arm's rule would have too little power.
`tests/scores/simulate_training_seeds.py` simulates both, and what was rejected: resampling seeds and questions alike
(pigeonhole bootstrap, Owen 2007), since three seeds resampled have only 2 / 3 of the variance of three seeds drawn.

Two arms are compared on the same questions: Q is taken of the difference, resample by resample. Their seeds count as
independent, S being the sum of both. Where arms share draws (the same base rows for the same seed) the test is
conservative. Where one arm's seeds spread far more than the other's, its type I error reaches 7% instead of 5% with
three seeds each, and 12% with two seeds in one of them.

Each p-value and interval says what it generalises to: *questions and seeds* (this way to train, on questions like
these) or *questions* (these very models). The second drops S and says nothing about a way to train.

Legend of shapes: `n_seeds` training runs of an arm, R; `n_resamples` resamples of the questions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from crossin_metrics.errors import CrossinError
from crossin_metrics.scores.answer_matrix import AnswerMatrix, FloatArray
from crossin_metrics.scores.catalogue import MAIN_SCORES
from crossin_metrics.scores.significance import ALPHA, holm, minimum_detectable_difference, t_p_value, t_quantile
from crossin_metrics.scores.uncertainty import DEFAULT_LEVEL, JointReplicates, bootstrap, check_level, joint_bootstrap

DEFAULT_RESAMPLES = 2000  # a variance of 2,000 resamples is known to 3%: sqrt(2 / 2000)
BOTH, QUESTIONS = "questions and seeds", "questions"  # what an interval or a p-value generalises to


@dataclass(frozen=True)
class Arm:
    """The scores of an arm's seeds, and of the resamples of the questions.

    Attributes:
        scores: key -> `[n_seeds]`.
        values: key -> `[n_resamples, n_seeds]`; the same resamples for every arm resampled together.
        n_questions: units resampled: questions, or passages where questions share them.
        trained: whether training runs are what `n_seeds` counts; an untuned model has one run and no seed.
    """

    scores: dict[str, FloatArray]
    values: dict[str, FloatArray]
    n_questions: int
    trained: bool = True

    @property
    def n_seeds(self) -> int:
        """Training runs; 1 for an untuned model."""
        return len(next(iter(self.scores.values())))


@dataclass(frozen=True)
class ArmScore:
    """One score of an arm.

    Attributes:
        mean: over seeds.
        by_seed: `[n_seeds]`.
        sd: sample standard deviation over seeds (n_seeds - 1), >= 0; NaN with one seed.
        standard_error: of the mean, >= 0.
        degrees: degrees of freedom of the interval.
        low, high: interval of the mean.
        covers: "questions and seeds", or "questions" where there is one seed or nothing was trained.
    """

    mean: float
    by_seed: tuple[float, ...]
    sd: float
    standard_error: float
    degrees: float
    low: float
    high: float
    covers: str


@dataclass(frozen=True)
class ArmComparison:
    """One score of two arms, a - b.

    Attributes:
        a, b: means over seeds. difference: a - b.
        standard_error, degrees, low, high, p_value: over questions and the seeds of the trained arms; NaN where a
            trained arm has one seed, since nothing is known then of what another seed would give.
        standard_error_questions, low_questions, high_questions, p_questions: over questions alone, of these very
            models.
        p_holm, p_questions_holm: the two p-values after Holm's correction over the family; NaN outside of one.
        n_tests: tests of the family that p_holm is corrected over.
    """

    a: float
    b: float
    difference: float
    standard_error: float
    degrees: float
    low: float
    high: float
    p_value: float
    standard_error_questions: float
    low_questions: float
    high_questions: float
    p_questions: float
    p_holm: float = math.nan
    p_questions_holm: float = math.nan
    n_tests: int = 1

    @property
    def detectable(self) -> float:
        """The true difference that is found with 80% power whatever the others give; NaN where unknown.

        At 5% / n_tests, the first step of Holm's correction: 80% power at 5% is 31% when 15 tests are corrected.
        """
        return minimum_detectable_difference(self.standard_error, alpha=ALPHA / self.n_tests, degrees=self.degrees)


def resample_arms(
    arms: Mapping[str, Sequence[Sequence[AnswerMatrix]]],
    *,
    untrained: Sequence[str] = (),
    keys: Sequence[str] = (),
    n_resamples: int = DEFAULT_RESAMPLES,
    seed: int | None = 0,
) -> dict[str, Arm]:
    """Score every run of every arm, on all questions and on the same resamples of them.

    Args:
        arms: name -> its training seeds -> the answers to each prompt (see
            :mod:`crossin_metrics.scores.over_prompts`). All have the same questions in the same rows, and the same
            languages. An arm may be given on several sets of prompts, each under its own name: a run counts once.
        untrained: the names that are models as they are, each of one run.
        keys: further scores, as `transfer`; an arm has none of which a run or a resample of it has none.
        n_resamples: at least 2.
        seed: of the resampling; 0 is a seed, None takes a fresh one.

    Returns:
        name -> Arm with the keys, acc, acc_<l> and, with several languages, consistency and ac3.

    Raises:
        CrossinError: no run; runs whose questions or languages differ; an untrained arm of several runs; a key that
            no score has.
    """
    runs = [(name, run) for name, seeds in arms.items() for prompts in seeds for run in prompts]
    _check(arms, runs, untrained)
    if seed is None:
        seed = int(np.random.default_rng().integers(2**32))  # one for both ways to resample
    once = list({id(run): run for _, run in runs}.values())
    replicates = joint_bootstrap(once, n_resamples=n_resamples, seed=seed)
    if keys:
        replicates = _with_scores(replicates, once, keys, n_resamples, seed)
    column = {id(run): i for i, run in enumerate(once)}
    result = {}
    for name, seeds in arms.items():
        made = [replicates.over_prompts([column[id(run)] for run in prompts]) for prompts in seeds]
        known = [key for key in replicates.estimate if all(np.isfinite(values[key]).all() for _, values in made)]
        result[name] = Arm(
            {key: np.array([scores[key] for scores, _ in made]) for key in known},
            {key: np.stack([values[key] for _, values in made], axis=1) for key in known},
            replicates.n_questions,
            trained=name not in untrained,
        )
    return result


def arm_scores(arm: Arm, *, level: float = DEFAULT_LEVEL) -> dict[str, ArmScore]:
    """Return the mean over seeds of each score, with an interval for questions and seeds.

    Args:
        arm: from :func:`resample_arms`.
        level: of the interval, in (0, 1).

    Returns:
        key -> ArmScore; the interval is cut to [0, 1] where all its resamples are.

    Raises:
        CrossinError: the level is not between 0 and 1.
    """
    check_level(level)
    result = {}
    for key, by_seed in arm.scores.items():
        over_seeds = arm.trained and arm.n_seeds > 1
        mean, values = float(by_seed.mean()), arm.values[key]
        parts = [(float(values.mean(axis=1).var(ddof=1)), arm.n_questions - 1)]
        if over_seeds:
            parts.append((_seed_part(arm, key), arm.n_seeds - 1))
        error, degrees = _error_and_degrees(parts, power=1)
        half = error * t_quantile((1.0 + level) / 2.0, degrees) if error > 0.0 else error
        within = bool((values >= 0.0).all() and (values <= 1.0).all())
        result[key] = ArmScore(
            mean=mean,
            by_seed=tuple(by_seed.tolist()),
            sd=float(by_seed.std(ddof=1)) if arm.n_seeds > 1 else math.nan,
            standard_error=error,
            degrees=degrees,
            low=max(0.0, mean - half) if within else mean - half,
            high=min(1.0, mean + half) if within else mean + half,
            covers=BOTH if over_seeds else QUESTIONS,
        )
    return result


def compare_arms(a: Arm, b: Arm, *, level: float = DEFAULT_LEVEL) -> dict[str, ArmComparison]:
    """Compare two arms on the same questions.

    The null hypothesis of `p_value` is that the two ways to train score the same on average over questions and seeds;
    that of `p_questions`, that these very models score the same on average over questions.

    Args:
        a, b: from one call of :func:`resample_arms`.
        level: of the intervals, in (0, 1).

    Returns:
        key -> ArmComparison, for the scores that both have.

    Raises:
        CrossinError: the arms were not resampled together; the level is not between 0 and 1.
    """
    check_level(level)
    if a.n_questions != b.n_questions or _n_resamples(a) != _n_resamples(b):
        raise CrossinError("the arms were not resampled together: give both to one call of resample_arms")
    result = {}
    for key in [key for key in a.scores if key in b.scores]:
        difference = float(a.scores[key].mean() - b.scores[key].mean())
        over_questions = float((a.values[key].mean(axis=1) - b.values[key].mean(axis=1)).var(ddof=1))
        parts = [(over_questions, a.n_questions - 1)]
        error_q, low_q, high_q, p_q, _ = _test(difference, parts, level, a.n_questions)
        trained = [arm for arm in (a, b) if arm.trained]
        parts += [(_seed_part(arm, key), arm.n_seeds - 1) for arm in trained if arm.n_seeds > 1]
        error, low, high, p, degrees = _test(difference, parts, level, a.n_questions)
        if any(arm.n_seeds == 1 for arm in trained):
            error = low = high = p = degrees = math.nan
        result[key] = ArmComparison(
            a=float(a.scores[key].mean()),
            b=float(b.scores[key].mean()),
            difference=difference,
            standard_error=error,
            degrees=degrees,
            low=low,
            high=high,
            p_value=p,
            standard_error_questions=error_q,
            low_questions=low_q,
            high_questions=high_q,
            p_questions=p_q,
        )
    return result


def compare_family(
    arms: Mapping[str, Arm],
    pairs: Sequence[tuple[str, str]],
    *,
    planned: tuple[str, tuple[str, str]] | None = None,
    level: float = DEFAULT_LEVEL,
) -> list[dict[str, ArmComparison]]:
    """Compare the declared pairs of arms, and correct each score's p-values over all of them (Holm 1979).

    Args:
        arms: from one call of :func:`resample_arms`.
        pairs: names (a, b), the whole family that conclusions are to be drawn from.
        planned: the score and the pair of a test that was named before the runs: it is not corrected, nor are the
            others for it.
        level: of the intervals, which are not corrected.

    Returns:
        For each pair what :func:`compare_arms` returns, with `p_holm` and `p_questions_holm`; p-values that are NaN
        are not part of the family.
    """
    made = [compare_arms(arms[a], arms[b], level=level) for a, b in pairs]
    for key in dict.fromkeys(key for one in made for key in one):
        for raw, corrected in (("p_value", "p_holm"), ("p_questions", "p_questions_holm")):
            having = [one for one in made if key in one and not math.isnan(getattr(one[key], raw))]
            if planned is not None and planned[0] == key:
                alone = made[list(pairs).index(planned[1])]
                having = [one for one in having if one is not alone]
                if key in alone:
                    first: dict[str, Any] = {corrected: getattr(alone[key], raw)}
                    alone[key] = replace(alone[key], **first)
            for one, p in zip(having, holm([getattr(one[key], raw) for one in having]), strict=True):
                n_tests = len(having) if raw == "p_value" else one[key].n_tests
                changed: dict[str, Any] = {corrected: p, "n_tests": n_tests}
                one[key] = replace(one[key], **changed)
    return made


def _with_scores(
    replicates: JointReplicates, runs: Sequence[AnswerMatrix], keys: Sequence[str], n_resamples: int, seed: int
) -> JointReplicates:
    """Add further scores, each on the same resamples for every run; NaN where a run has none."""
    passages = next((run.passages for run in runs if run.passages is not None), None)
    made = [bootstrap(replace(run, passages=passages), n_resamples=n_resamples, seed=seed, keys=keys) for run in runs]
    none = np.full(n_resamples, np.nan)
    known = [key for key in keys if any(key in one.values for one in made)]
    estimate = {key: np.array([one.estimate.get(key, np.nan) for one in made]) for key in known}
    values = {key: np.stack([one.values.get(key, none) for one in made], axis=1) for key in known}
    return replace(replicates, estimate=estimate | replicates.estimate, values=values | replicates.values)


def seed_notes(name: str, arm: Arm) -> list[str]:
    """Say where an arm's seeds break what its intervals and tests assume: seeds that spread alike, three or more.

    A seed counts as apart if it is further from the mean of the others than 0.15 and than four times the larger of
    their standard deviation and the standard error over questions. How often that happens is in SIMULATION.md.
    """
    if not arm.trained or arm.n_seeds < 2:
        return []
    if arm.n_seeds == 2:
        return [f"{name}: two seeds; where the other arm's spread less, tests reject up to 18% of equal arms, not 5%"]
    notes = []
    for key in MAIN_SCORES:
        for r, value in enumerate(arm.scores.get(key, ())):
            others = np.delete(arm.scores[key], r)
            noise = max(float(others.std(ddof=1)), float(arm.values[key].std(axis=0, ddof=1).max()))
            gap = abs(float(value - others.mean()))
            if gap > max(0.15, 4.0 * noise):
                notes.append(
                    f"{name}: one of {arm.n_seeds} seeds is {100 * gap:.0f} points from the others in {key}; "
                    "intervals and tests assume seeds that spread evenly: run more seeds"
                )
    return notes


def _error_and_degrees(parts: Sequence[tuple[float, int]], *, power: int) -> tuple[float, float]:
    """Standard error and degrees of freedom of a sum of independent variances, each with its own degrees.

    With power 2 Satterthwaite's, (sum v)^2 / sum (v^2 / d); with 1 the harmonic mean, sum v / sum (v / d).
    """
    if any(degrees < 1 for _, degrees in parts):
        return math.nan, math.nan
    variance = sum(part for part, _ in parts)
    below = sum(part**power / degrees for part, degrees in parts)
    return math.sqrt(variance), variance**power / below if below > 0.0 else math.inf


def _test(
    difference: float, parts: Sequence[tuple[float, int]], level: float, n_questions: int
) -> tuple[float, float, float, float, float]:
    """Standard error, interval, p-value and degrees of freedom of a difference."""
    error, degrees = _error_and_degrees(parts, power=2)
    if error == 0.0:  # no question differs from another: the exact sign test's p-value, if there is a difference
        return 0.0, difference, difference, 1.0 if abs(difference) < 1e-12 else 2.0 ** (1 - n_questions), degrees
    half = error * t_quantile((1.0 + level) / 2.0, degrees)
    return error, difference - half, difference + half, t_p_value(difference / error, degrees), degrees


def _seed_part(arm: Arm, key: str) -> float:
    return float(arm.scores[key].var(ddof=1)) / arm.n_seeds


def _n_resamples(arm: Arm) -> int:
    return len(next(iter(arm.values.values())))


def _check(
    arms: Mapping[str, Sequence[Sequence[AnswerMatrix]]],
    runs: Sequence[tuple[str, AnswerMatrix]],
    untrained: Sequence[str],
) -> None:
    for name, seeds in arms.items():
        if not seeds or not all(seeds):
            raise CrossinError(f"arm {name}: no run to score")
        if name in untrained and len(seeds) > 1:
            raise CrossinError(f"arm {name}: {len(seeds)} runs of a model that was not trained")
    if not runs:
        raise CrossinError("no arm to score")
    first_name, first = runs[0]
    for name, other in runs[1:]:
        if other.languages != first.languages:
            raise CrossinError(
                f"the languages of {first_name} and {name} differ: {list(first.languages)} and {list(other.languages)}"
            )
        if other.n_questions != first.n_questions or (other.gold != first.gold).any():
            raise CrossinError(f"{first_name} and {name} did not answer the same questions; join them by id first")
