"""Do the intervals over questions and seeds cover, do the tests keep their level? Made-up models whose truth is known.

    python tests/scores/simulate_training_seeds.py --datasets 2000

A model answers a question in each of four languages right with a chance whose log-odds are a level, plus the seed's
effect, plus the question's (the same for all models), plus the model's own on the question; a wrong answer is often the
question's favourite. The truth is the mean of the scores of many seeds on many questions. Printed are, for each spread
of the seeds, the share of data sets whose 95% interval covers the truth, and the share in which two arms that do not
differ are told apart at 5%: by what the package does ("chosen"), and by what was not chosen: questions alone; seeds
and questions both resampled; the variance without the part that is counted twice.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossin_metrics.scores import score
from crossin_metrics.scores.answer_matrix import answer_matrix
from crossin_metrics.scores.definitions import harmonic_mean
from crossin_metrics.scores.per_question import main_statistics
from crossin_metrics.scores.significance import t_quantile
from crossin_metrics.scores.training_seeds import Arm, arm_scores, compare_arms

LANGUAGES = ("en", "es", "vi", "zh")
KEYS = ("acc", "consistency", "ac3")
N_CHOICES = 4


@dataclass(frozen=True)
class World:
    """What models and questions are like; effects are standard deviations on the log-odds.

    Attributes:
        level: log-odds of an answer's being right, on average.
        seed: of training runs; 0.1 is about 0.02 in accuracy.
        question: of questions, which all models share.
        both: of a model's own on a question.
    """

    level: float = 0.3
    seed: float = 0.1
    question: float = 1.2
    both: float = 0.8


def draw(
    world: World, n_seeds: int, effects: NDArray[np.float64], favourites: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Answers `[n_seeds, n_questions, n_languages]`; option 0 is right."""
    n = len(effects)
    odds = world.level + rng.normal(0.0, world.seed, (n_seeds, 1)) + effects + rng.normal(0.0, world.both, (n_seeds, n))
    shape = (n_seeds, n, len(LANGUAGES))
    right = rng.random(shape) < 1.0 / (1.0 + np.exp(-odds))[:, :, None]
    wrong = np.where(rng.random(shape) < 0.6, favourites[:, None], rng.integers(1, N_CHOICES, shape))
    return np.where(right, 0, wrong)


def questions_of(world: World, n: int, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Effects of n questions, and the wrong option that each draws."""
    return rng.normal(0.0, world.question, n), rng.integers(1, N_CHOICES, n)


def truth(world: World, rng: np.random.Generator, *, n_seeds: int = 1000, n: int = 2000) -> NDArray[np.float64]:
    """Mean and standard deviation over seeds of each score, `[2, 3]`; every seed on questions of its own."""
    made = []
    for _ in range(n_seeds):
        answers = draw(world, 1, *questions_of(world, n, rng), rng)[0]
        scores = score(answers, np.zeros(n, dtype=int), LANGUAGES, n_choices=N_CHOICES)
        made.append([scores[key] for key in KEYS])
    return np.array([np.mean(made, axis=0), np.std(made, axis=0)])


def arms_of(
    worlds: Sequence[World], n_seeds: Sequence[int], n: int, n_resamples: int, rng: np.random.Generator
) -> list[Arm]:
    """One arm a world, on the same questions; what `resample_arms` gives, of two statistics a question only."""
    shared, gold = questions_of(worlds[0], n, rng), np.zeros(n, dtype=int)
    counts = rng.multinomial(n, np.full(n, 1.0 / n), n_resamples) / n
    arms = []
    for world, seeds in zip(worlds, n_seeds, strict=True):
        scores, values = [], []
        for answers in draw(world, seeds, *shared, rng):
            found = main_statistics(answer_matrix(answers, gold, LANGUAGES, n_choices=N_CHOICES), 0, len(gold))
            right, agree = np.mean([found[f"acc_{code}"] for code in LANGUAGES], axis=0), found["consistency"]
            scores.append(_scores(right.mean(), agree.mean()))
            values.append(_scores(counts @ right, counts @ agree))
        arms.append(
            Arm(
                {key: np.array([one[key] for one in scores]) for key in KEYS},
                {key: np.stack([one[key] for one in values], axis=1) for key in KEYS},
                n,
            )
        )
    return arms


def _scores(acc: Any, consistency: Any) -> dict[str, Any]:
    return {"acc": acc, "consistency": consistency, "ac3": harmonic_mean(acc, consistency)}


def crossed_interval(arm: Arm, key: str, rng: np.random.Generator) -> tuple[float, float]:
    """The percentile interval of seeds and questions both resampled (Owen 2007)."""
    values = arm.values[key]
    picked = rng.integers(0, arm.n_seeds, values.shape)
    ends = np.quantile(np.take_along_axis(values, picked, axis=1).mean(axis=1), [0.025, 0.975])
    return float(ends[0]), float(ends[1])


def crossed_difference(a: Arm, b: Arm, key: str, rng: np.random.Generator) -> tuple[float, float]:
    """The same of a difference; seeds of either arm are resampled by themselves."""
    means = []
    for arm in (a, b):
        values = arm.values[key]
        means.append(np.take_along_axis(values, rng.integers(0, arm.n_seeds, values.shape), axis=1).mean(axis=1))
    ends = np.quantile(means[0] - means[1], [0.025, 0.975])
    return float(ends[0]), float(ends[1])


def unbiased_half_width(arms: Sequence[Arm], key: str) -> float:
    """Half a 95% interval of an arm, or of two arms' difference, without what Q and S both count."""
    means = [arm.values[key].mean(axis=1) for arm in arms]
    over_questions = float((means[0] if len(means) == 1 else means[0] - means[1]).var(ddof=1))
    seeds = []
    for arm in arms:
        own = arm.values[key] - arm.values[key].mean(axis=1, keepdims=True)
        twice = float(own.var(axis=0, ddof=1).sum()) / (arm.n_seeds - 1) / arm.n_seeds
        over_questions -= twice
        seeds.append((float(arm.scores[key].var(ddof=1)) / arm.n_seeds, arm.n_seeds - 1))
    over_questions = max(0.0, over_questions)
    variance = over_questions + sum(part for part, _ in seeds)
    below = over_questions**2 / (arms[0].n_questions - 1) + sum(part**2 / degrees for part, degrees in seeds)
    return t_quantile(0.975, variance**2 / below) * float(np.sqrt(variance)) if variance > 0.0 else 0.0


def simulate(
    world: World,
    true: NDArray[np.float64],
    *,
    n_datasets: int,
    n_seeds: tuple[int, int] = (3, 3),
    n: int = 600,
    n_resamples: int = 300,
    seed: int = 0,
    other: World | None = None,
) -> dict[str, dict[str, NDArray[np.float64]]]:
    """Rates `[3]` (accuracy, consistency, AC3) by "coverage" or "type I", and by method; mean half widths likewise.

    Args:
        world, other: of the two arms. They must have the same true scores for the rates of type I to be such.
        true: `[3]`, of the first arm.
    """
    rng = np.random.default_rng(seed)
    rates: dict[str, dict[str, NDArray[np.float64]]] = {"coverage": {}, "half width": {}, "type I": {}, "its half": {}}

    def add(what: str, method: str, index: int, value: float) -> None:
        rates[what].setdefault(method, np.zeros(len(KEYS)))[index] += value / n_datasets

    for _ in range(n_datasets):
        a, b = arms_of((world, other or world), n_seeds, n, n_resamples, rng)
        found, compared = arm_scores(a), compare_arms(a, b)
        for i, key in enumerate(KEYS):
            one, two = found[key], compared[key]
            alone = t_quantile(0.975, n - 1) * float(a.values[key].mean(axis=1).std(ddof=1))
            low, high = crossed_interval(a, key, rng)
            ends = {"chosen": (one.low, one.high), "questions": (one.mean - alone, one.mean + alone)}
            ends |= {"crossed": (low, high)}
            half = unbiased_half_width([a], key)
            ends |= {"unbiased": (one.mean - half, one.mean + half)}
            for method, (low, high) in ends.items():
                add("coverage", method, i, low <= true[i] <= high)
                add("half width", method, i, (high - low) / 2.0)
            half = unbiased_half_width([a, b], key)
            ends = {"chosen": (two.low, two.high), "questions": (two.low_questions, two.high_questions)}
            ends |= {"crossed": crossed_difference(a, b, key, rng)}
            ends |= {"unbiased": (two.difference - half, two.difference + half)}
            for method, (low, high) in ends.items():
                add("type I", method, i, not low <= 0.0 <= high)
                add("its half", method, i, (high - low) / 2.0)
    return rates


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", type=int, default=1000)
    parser.add_argument("--questions", type=int, default=600)
    parser.add_argument("--seeds", type=int, nargs=2, default=(3, 3), help="of the two arms")
    parser.add_argument("--spreads", type=float, nargs="+", default=(0.0, 0.05, 0.1, 0.2, 0.4), help="of seeds")
    given = parser.parse_args()
    for spread in given.spreads:
        world = World(seed=spread)
        true, sd = truth(world, np.random.default_rng(1))
        print(
            f"\nspread of seeds {spread}: standard deviation of a seed's scores, on 2,000 questions, {np.round(sd, 4)}"
        )
        rates = simulate(world, true, n_datasets=given.datasets, n_seeds=tuple(given.seeds), n=given.questions)
        print(f"{'':10}" + "".join(f"{f'{what} (acc, consis, AC3)':>38}" for what in rates))
        for method in rates["coverage"]:
            cells = ["  ".join(f"{value:.4f}" for value in rates[what][method]) for what in rates]
            print(f"{method:10}" + "".join(f"{cell:>38}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
