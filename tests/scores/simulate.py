"""Do the printed intervals cover, do the tests keep their level? Made-up models whose truth is known.

    python -m tests.scores.simulate --out crossin_metrics/scores/SIMULATION.md      # about four minutes on one core

Not a test. Seeds are fixed, so the table changes only with the code. `tests/scores/simulate_training_seeds.py` has the
alternatives that were rejected for training seeds.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from scipy.stats import binom

from crossin_metrics.scores.answer_matrix import AnswerMatrix, answer_matrix
from crossin_metrics.scores.causes.excess import beyond_accuracy
from crossin_metrics.scores.causes.noise_floor import noise_floor
from crossin_metrics.scores.causes.suspect_questions import suspect_questions
from crossin_metrics.scores.causes.unequal_change import unequal_changes
from crossin_metrics.scores.definitions import score_questions
from crossin_metrics.scores.significance import compare_systems, compare_with_best
from crossin_metrics.scores.training_seeds import Arm, arm_scores, compare_arms, seed_notes
from crossin_metrics.scores.uncertainty import Replicates, bootstrap, joint_bootstrap, score_intervals
from tests.helpers.simulated import LANGUAGES, simulated
from tests.scores.simulate_training_seeds import World, arms_of, truth

SIZES = (32, 150, 400, 1190)  # crossin_mini, Cross-MMLU, the mini study, XQuAD
KEYS = (
    "acc_en", "acc", "consistency", "consistency_en_zh", "ac3", "consistent_correct", "only_correct", "transfer",
    "fleiss_kappa", "kappa_p", "rankc", "letter_bias",
)  # fmt: skip
CAUSES = ("excess_consistency", "excess_consistency_en_zh", "wrong_agreement")
FLOOR = ("asked_again", "asked_across", "language_ratio", "language_ratio_kappa")
REPETITIONS, SUSPECT_TABLES = 150, 60  # data sets of a cell
RESAMPLES = 200
NOMINAL = 0.95  # of intervals; tests have 1 - NOMINAL
OUTSIDE = 0.001  # a cell is out of its band if a true NOMINAL gives a worse figure less often than this


def cover(covered: float, repetitions: int) -> str:
    """Percent of intervals that cover, bold below the band."""
    return _percent(covered, repetitions, binom.cdf(covered, repetitions, NOMINAL))


def rate(rejected: float, repetitions: int) -> str:
    """Percent of tests that reject, bold above the band."""
    return _percent(rejected, repetitions, binom.sf(rejected - 1, repetitions, 1.0 - NOMINAL))


def _percent(n: float, repetitions: int, chance: float) -> str:
    bold = "**" if chance < OUTSIDE else ""
    return f"{bold}{100 * n / repetitions:.1f}{bold}"


def band(repetitions: int) -> tuple[float, float]:
    """Least coverage and highest rate, in percent, that are not out of the band."""
    least = binom.ppf(OUTSIDE, repetitions, NOMINAL)
    return 100 * least / repetitions, 100 * (1 - least / repetitions)


LINES: list[str] = []


def line(text: str) -> None:
    LINES.append(text)
    print(text, flush=True)


def row(*cells: object) -> None:
    line("| " + " | ".join(map(str, cells)) + " |")


def head(title: str, text: str, *columns: str) -> None:
    line(f"\n## {title}\n\n{text}\n")
    row(*columns)
    row(*["---", *["---:"] * (len(columns) - 1)])


class Coverage:
    """How often intervals cover the truth, of those that are printed."""

    def __init__(self, true: dict[str, float]) -> None:
        self.true, self.covered, self.printed = true, dict.fromkeys(true, 0), dict.fromkeys(true, 0)

    def add(self, found: Replicates) -> None:
        for key, (low, high) in score_intervals(found).items():
            if key in self.true and np.isfinite(low):
                self.printed[key] += 1
                self.covered[key] += low - 1e-9 <= self.true[key] <= high + 1e-9

    def cells(self) -> list[str]:
        return [cover(self.covered[key], n) if n else "-" for key, n in self.printed.items()]


def near(rng: np.random.Generator, n: int, skill: float) -> AnswerMatrix:
    """Rows right with one probability, independent; wrong options uniform; gold options even."""
    gold = rng.integers(0, 4, n)
    right = rng.random((n, 4)) < skill
    answers = np.where(right, gold[:, None], (gold[:, None] + rng.integers(1, 4, (n, 4))) % 4)
    return answer_matrix(answers, gold, LANGUAGES, n_choices=4)


def varied(rng: np.random.Generator, n: int) -> AnswerMatrix:
    """Difficulty and wrong beliefs differ between questions and are shared by languages; options have likelihoods."""
    gold = rng.integers(0, 4, n)
    belief = rng.normal(0.0, 1.0, (n, 1, 4))
    belief[np.arange(n), 0, gold] += rng.normal(0.7, 1.0, n)
    logprobs = belief + rng.normal(0.0, 0.7, (n, 4, 4))
    return answer_matrix(logprobs.argmax(axis=2), gold, LANGUAGES, n_choices=4, logprobs=logprobs)


def on_passages(rng: np.random.Generator, n: int, *, given: bool = True) -> AnswerMatrix:
    """Questions five to a passage, which is easy or hard as a whole."""
    passages = np.arange(n) // 5
    gold, shared = rng.integers(0, 4, n), rng.normal(0.5, 1.0, passages[-1] + 1)[passages, None]
    easy = shared + rng.normal(0, 1.2, (n, 1)) + rng.normal(0, 0.7, (n, 4))
    answers = np.where(easy > 0, gold[:, None], rng.integers(0, 4, (n, 4)))
    return answer_matrix(answers, gold, LANGUAGES, n_choices=4, passages=passages if given else None)


def asked_twice(rng: np.random.Generator, n: int, passages: np.ndarray | None = None) -> np.ndarray:
    """Answers `[2, n, 2]` of two prompts in two languages that share all they know; a passage is clear or not."""
    steady = np.full(n, 0.7) if passages is None else rng.choice([0.4, 1.0], passages[-1] + 1)[passages]
    kept = rng.random((2, n, 2)) < steady[:, None]
    return np.where(kept, rng.integers(0, 4, n)[:, None], rng.integers(0, 4, (2, n, 2)))


def intervals() -> None:
    head(
        "Intervals of one run (score, report, exports)",
        "Coverage in percent. Skill: rows right independently of each other; \"varied\": difficulty and wrong beliefs\n"
        "differ between questions and are shared by languages. \"-\": no interval is printed, or no score.",
        "questions", "skill", *KEYS,
    )  # fmt: skip
    models: dict[str, Callable[[np.random.Generator, int], AnswerMatrix]] = {
        ".02": partial(near, skill=0.02), "varied": varied, ".99": partial(near, skill=0.99)
    }  # fmt: skip
    for name, model in models.items():
        true = score_questions(model(np.random.default_rng(9), 400_000))
        for n in SIZES:
            rng, coverage = np.random.default_rng(1), Coverage({key: true.get(key, np.nan) for key in KEYS})
            for _ in range(REPETITIONS):
                coverage.add(bootstrap(model(rng, n), n_resamples=RESAMPLES, keys=None))
            row(n, name, *coverage.cells())


def passages() -> None:
    head(
        "Questions that share passages",
        "Five questions a passage; coverage with passages as the unit, as printed, and with questions (not printed).",
        "questions", "unit", "acc", "consistency", "ac3", "excess_consistency", "asked_again",
    )  # fmt: skip
    many = on_passages(np.random.default_rng(9), 400_000)
    true = {key: score_questions(many)[key] for key in ("acc", "consistency", "ac3")}
    true["excess_consistency"] = beyond_accuracy(many, n_resamples=2).estimate["excess_consistency"]
    true["asked_again"] = (0.4**2 + 1.0) / 2 + 0.25 * (1.0 - (0.4**2 + 1.0) / 2)
    for n in SIZES[1:]:
        for unit, given in (("passage", True), ("question", False)):
            rng, coverage = np.random.default_rng(2), Coverage(true)
            for _ in range(REPETITIONS):
                run, known = on_passages(rng, n, given=given), np.arange(n) // 5
                coverage.add(bootstrap(run, n_resamples=RESAMPLES))
                coverage.add(beyond_accuracy(run, n_resamples=RESAMPLES))
                coverage.add(
                    noise_floor(
                        asked_twice(rng, n, known), LANGUAGES[:2], np.full(n, 4), passages=known if given else None,
                        n_resamples=RESAMPLES,
                    )
                )  # fmt: skip
            row(n, unit, *coverage.cells())


def causes() -> None:
    head(
        "Causes of inconsistency (score)",
        "Coverage. Languages independent given ability and difficulty (excess 0, wrong agreement 1/3); two prompts\n"
        "and two languages that share all they know (ratios 1).",
        "questions", *CAUSES, *FLOOR,
    )  # fmt: skip
    same = 0.7**2 + 0.25 * (1.0 - 0.7**2)
    true = dict(zip((*CAUSES, *FLOOR), (0.0, 0.0, 1 / 3, same, same, 1.0, 1.0), strict=True))
    for n in SIZES:
        rng, coverage = np.random.default_rng(6), Coverage(true)
        for _ in range(REPETITIONS):
            odds = rng.normal(0.3, 1.2, (n, 1)) + np.array([0.3, 0.0, 0.0, -0.3])
            answers = np.where(rng.random((n, 4)) < 1 / (1 + np.exp(-odds)), 0, rng.integers(1, 4, (n, 4)))
            run = answer_matrix(answers, np.zeros(n, int), LANGUAGES, n_choices=4)
            coverage.add(beyond_accuracy(run, n_resamples=RESAMPLES))
            coverage.add(noise_floor(asked_twice(rng, n), LANGUAGES[:2], np.full(n, 4), n_resamples=RESAMPLES))
        row(n, *coverage.cells())


def two_systems() -> None:
    head(
        "Two equal systems (`crossin compare`, `--by-language`)",
        "Percent of comparisons that tell them apart, in AC3 unless said; four benchmarks: on any, after Holm.",
        "questions", "randomisation (decides)", "bootstrap", "interval covers 0", "four benchmarks", "by language: any",
    )  # fmt: skip
    for n in SIZES:
        rng, counts = np.random.default_rng(3), np.zeros(5)
        for _ in range(REPETITIONS):
            pairs = []
            for _ in range(4):
                first = simulated(rng, n)
                pairs.append((first, simulated(rng, n, 0.0, first.gold)))
            (one,) = compare_systems(pairs[:1], keys=["ac3"], n_resamples=RESAMPLES)
            many = compare_systems(pairs, keys=["ac3"], n_resamples=RESAMPLES)
            counts += [
                one["ac3"].p_randomization <= 0.05,
                one["ac3"].p_bootstrap <= 0.05,
                one["ac3"].low <= 0.0 <= one["ac3"].high,
                any(test["ac3"].significant for test in many),
                any(change.significant for change in unequal_changes(*pairs[0], n_resamples=RESAMPLES)),
            ]
        cells = [rate(value, REPETITIONS) for value in counts]
        cells[2] = cover(counts[2], REPETITIONS)
        row(n, *cells)


def best_of_many() -> None:
    head(
        "Equal systems against the best of them (report)",
        "Percent of tables in which some system differs significantly from the best in AC3.",
        "systems", *(f"{n} questions" for n in SIZES),
    )  # fmt: skip
    for m in (2, 5, 10, 20):
        cells = []
        for n in SIZES:
            rng, told = np.random.default_rng(4), 0
            for _ in range(REPETITIONS):
                first = simulated(rng, n)
                runs = [first, *(simulated(rng, n, 0.0, first.gold) for _ in range(m - 1))]
                replicates = joint_bootstrap(runs, n_resamples=RESAMPLES)
                best = int(replicates.estimate["ac3"].argmax())
                tests = compare_with_best(replicates, [{"p1": i} for i in range(m)], best, "ac3")
                told += any(test.significant for test in tests.values())
            cells.append(rate(told, REPETITIONS))
        row(m, *cells)


def suspects() -> None:
    high = band(SUSPECT_TABLES)[1]
    head(
        "Questions to look at (`crossin score --suspects`)",
        f"20 models, no defect: percent of tables that list any question (5% false discoveries). {SUSPECT_TABLES} data "
        f"sets: bold above {high:.0f}%.",
        "", *(f"{n} questions" for n in SIZES),
    )  # fmt: skip
    cells = []
    for n in SIZES:
        rng, told = np.random.default_rng(7), 0
        for _ in range(SUSPECT_TABLES):
            odds = rng.normal(0.5, 1.5, n)[None, :, None] + rng.normal(0.0, 1.0, (20, 1, 1)) + np.linspace(0.6, -0.6, 4)
            right, gold = rng.random(odds.shape) < 1 / (1 + np.exp(-odds)), rng.integers(0, 4, n)
            wrong = (gold[None, :, None] + rng.integers(1, 4, odds.shape)) % 4
            told += bool(suspect_questions(np.where(right, gold[None, :, None], wrong), gold))
        cells.append(rate(told, SUSPECT_TABLES))
    row("any listed", *cells)


def collapsing(rng: np.random.Generator, arms: Sequence[Arm], low: Sequence[Arm]) -> list[Arm]:
    """Each seed is replaced by a collapsed one with chance 1/5."""
    made = []
    for arm, other in zip(arms, low, strict=True):
        gone = rng.random(arm.n_seeds) < 0.2
        scores = {key: np.where(gone, other.scores[key], value) for key, value in arm.scores.items()}
        values = {key: np.where(gone, other.values[key], value) for key, value in arm.values.items()}
        made.append(Arm(scores, values, arm.n_questions))
    return made


def training_seeds() -> None:
    head(
        "Training seeds (arms of a report)",
        "AC3. Spread: standard deviation of a seed's effect on the log-odds, of the two arms; 0.1 is about 2 points.\n"
        "Type I: two equal arms differ significantly. Warned: percent of these pairs whose seeds the report warns of.",
        "seeds", "spread", "questions", "interval of an arm", "type I", "warned",
    )  # fmt: skip
    cases: list[tuple[tuple[int, int], tuple[float, float], int, bool]] = [
        *(((seeds, seeds), (0.1, 0.1), n, False) for seeds in (2, 3, 5) for n in (32, 150, 1190)),
        *((seeds, (0.1, 0.1), n, False) for seeds in ((5, 2), (5, 3)) for n in (150, 1190)),
        ((3, 3), (0.0, 0.0), 400, False),
        ((3, 3), (0.4, 0.4), 400, False),
        ((3, 3), (0.05, 0.4), 400, False),
        ((5, 2), (0.05, 0.4), 400, False),
        ((5, 3), (0.05, 0.4), 400, False),
        ((5, 5), (0.05, 0.4), 400, False),
        ((5, 5), (0.1, 0.1), 400, True),
        ((3, 3), (0.1, 0.1), 400, True),
    ]
    true = {
        spread: truth(World(seed=spread), np.random.default_rng(1), n_seeds=400)[0][2]
        for spread in (0.0, 0.05, 0.1, 0.4)
    }
    for seeds, spreads, n, collapse in cases:
        rng, counts = np.random.default_rng(5), np.zeros(3)
        worlds = [World(seed=spread) for spread in spreads]
        for _ in range(REPETITIONS):
            a, b = arms_of(worlds, seeds, n, RESAMPLES, rng)
            if collapse:
                low = arms_of([World(level=-2.0)] * 2, seeds, n, RESAMPLES, rng)
                a, b = collapsing(rng, (a, b), low)
            one, test = arm_scores(a)["ac3"], compare_arms(a, b)["ac3"]
            counts += [
                one.low <= true[spreads[0]] <= one.high,
                test.p_value <= 0.05,
                bool(seed_notes("a", a) + seed_notes("b", b)),
            ]
        spread = "0.1, one run in five collapses" if collapse else " and ".join(map(str, dict.fromkeys(spreads)))
        shown = ["-" if collapse else cover(counts[0], REPETITIONS), rate(counts[1], REPETITIONS)]
        row(f"{seeds[0]} and {seeds[1]}", spread, n, *shown, f"{100 * counts[2] / REPETITIONS:.0f}")


SAID = """
## Where the commands say so

- Kappas and letter bias: marked `~` by `crossin score`, `rough` in the report's diagnosis and in exported records.
  kappa_p has no interval where accuracy is above 95%.
- Excess and noise floor below 100 questions (or passages, where questions share them): marked `~` by `crossin score`.
- Fewer than 20 questions or passages: a warning of `score`, `compare` and `report`.
- `compare --by-language` below 100 questions: a warning.
- Two training seeds, or one seed far from the others: a note in the report. Three seeds cannot tell a collapsed run
  from seeds that spread widely, so some notes concern the latter."""
SECTIONS = {
    "intervals": intervals, "passages": passages, "causes": causes, "two": two_systems, "best": best_of_many,
    "suspects": suspects, "seeds": training_seeds,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS), help="sections to print")
    parser.add_argument("--out", type=Path, help="file for the whole table; not with --only")
    given = parser.parse_args()
    if given.out and given.only != list(SECTIONS):
        parser.error("--out needs all sections")
    least, most = band(REPETITIONS)
    line(
        "# Simulated coverage and error rates\n\nMade by `python -m tests.scores.simulate`. Four languages, four "
        f"options, intervals of {100 * NOMINAL:g}%, tests at 5%,\n{RESAMPLES} resamples, {REPETITIONS} data sets a "
        f"cell. Bold: outside the band of binomial error around the nominal level,\n"
        f"coverage below {least:.1f}% or tests above {most:.1f}%; a true {100 * NOMINAL:g}% "
        "(5%) gives such a figure in fewer than 1 of 1000 cells."
    )
    for name in given.only:
        SECTIONS[name]()
    line(SAID)
    if given.out:
        given.out.write_text("\n".join(LINES) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
