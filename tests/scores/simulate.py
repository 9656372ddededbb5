"""Do the printed intervals cover, do the tests keep their level? Made-up models whose truth is known.

    python -m tests.scores.simulate > crossin_metrics/scores/SIMULATION.md      # about four minutes on one core

Not a test. Seeds are fixed, so the table changes only with the code. `tests/scores/simulate_training_seeds.py` has the
alternatives that were rejected for training seeds.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from crossin_metrics.scores.answer_matrix import AnswerMatrix, answer_matrix
from crossin_metrics.scores.causes.excess import beyond_accuracy
from crossin_metrics.scores.causes.noise_floor import noise_floor
from crossin_metrics.scores.causes.unequal_change import unequal_changes
from crossin_metrics.scores.definitions import score_questions
from crossin_metrics.scores.significance import compare_systems, compare_with_best
from crossin_metrics.scores.training_seeds import Arm, arm_scores, compare_arms, seed_notes
from crossin_metrics.scores.uncertainty import bootstrap, joint_bootstrap, score_interval, score_intervals
from tests.helpers.simulated import LANGUAGES, simulated
from tests.scores.simulate_training_seeds import World, arms_of, truth

SIZES = (32, 150, 400, 1190)  # crossin_mini, Cross-MMLU, the mini study, XQuAD
KEYS = (
    "acc_en",
    "acc",
    "consistency",
    "ac3",
    "consistent_correct",
    "transfer",
    "fleiss_kappa",
    "kappa_p",
    "letter_bias",
)
COVERS, LEVEL = 91.0, 8.5  # percent: 95% intervals cover at least, tests at 5% reject at most
RESAMPLES = 200


def near(rng: np.random.Generator, n: int, skill: float) -> AnswerMatrix:
    """Rows right with one probability, independent; wrong options uniform; gold options even."""
    gold = rng.integers(0, 4, n)
    right = rng.random((n, 4)) < skill
    answers = np.where(right, gold[:, None], (gold[:, None] + rng.integers(1, 4, (n, 4))) % 4)
    return answer_matrix(answers, gold, LANGUAGES, n_choices=4)


def on_passages(rng: np.random.Generator, n: int, *, told: bool = True) -> AnswerMatrix:
    """Questions five to a passage, which is easy or hard as a whole."""
    passages = np.arange(n) // 5
    gold = rng.integers(0, 4, n)
    easy = (
        rng.normal(0.5, 1.0, passages[-1] + 1)[passages, None] + rng.normal(0, 1.2, (n, 1)) + rng.normal(0, 0.7, (n, 4))
    )
    answers = np.where(easy > 0, gold[:, None], rng.integers(0, 4, (n, 4)))
    return answer_matrix(answers, gold, LANGUAGES, n_choices=4, passages=passages if told else None)


def row(*cells: object) -> None:
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def head(title: str, text: str, *columns: str) -> None:
    print(f"\n## {title}\n\n{text}\n")
    row(*columns)
    row(*["---", *["---:"] * (len(columns) - 1)])


def cover(covered: float, repetitions: int) -> str:
    percent = 100 * covered / repetitions
    return f"{percent:.1f}" if percent >= COVERS else f"**{percent:.1f}**"


def rate(rejected: float, repetitions: int) -> str:
    percent = 100 * rejected / repetitions
    return f"{percent:.1f}" if percent <= LEVEL else f"**{percent:.1f}**"


def intervals(repetitions: int) -> None:
    head(
        "Intervals of one run",
        "Coverage in percent; \"varied\": difficulty differs between questions and is shared by languages.",
        "questions", "skill", *KEYS,
    )  # fmt: skip
    models: dict[str, Callable[[np.random.Generator, int], AnswerMatrix]] = {
        ".02": partial(near, skill=0.02), "varied": partial(simulated, skill=0.5), ".99": partial(near, skill=0.99)
    }  # fmt: skip
    for name, model in models.items():
        true = score_questions(model(np.random.default_rng(9), 400_000))
        for n in SIZES:
            rng, covered, known = np.random.default_rng(1), dict.fromkeys(KEYS, 0), dict.fromkeys(KEYS, 0)
            for _ in range(repetitions):
                found = score_intervals(bootstrap(model(rng, n), n_resamples=RESAMPLES, keys=None))
                for key in KEYS:
                    if key in found and np.isfinite(found[key][0]):
                        known[key] += 1
                        covered[key] += found[key][0] <= true[key] <= found[key][1]
            row(n, name, *(cover(covered[key], known[key]) if known[key] else "-" for key in KEYS))


def passages(repetitions: int) -> None:
    head(
        "Questions that share passages",
        "Five questions a passage; coverage with passages as the unit, as printed, and with questions (not printed).",
        "questions", "unit", "acc", "consistency", "ac3",
    )  # fmt: skip
    true = score_questions(on_passages(np.random.default_rng(9), 400_000))
    for n in SIZES[1:]:
        for unit, told in (("passage", True), ("question", False)):
            rng, covered = np.random.default_rng(2), np.zeros(3)
            for _ in range(repetitions):
                found = score_intervals(bootstrap(on_passages(rng, n, told=told), n_resamples=RESAMPLES))
                covered += [found[key][0] <= true[key] <= found[key][1] for key in KEYS[1:4]]
            row(n, unit, *(cover(value, repetitions) for value in covered))


def two_systems(repetitions: int) -> None:
    head(
        "Two equal systems (`crossin compare`, `--by-language`)",
        "Percent of comparisons that tell them apart, in AC3 unless said; four benchmarks: on any, after Holm.",
        "questions", "randomisation (decides)", "bootstrap", "interval covers 0", "four benchmarks", "by language: any",
    )  # fmt: skip
    for n in SIZES:
        rng, counts = np.random.default_rng(3), np.zeros(5)
        for _ in range(repetitions):
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
        cells = [rate(value, repetitions) for value in counts]
        cells[2] = cover(counts[2], repetitions)
        row(n, *cells)


def best_of_many(repetitions: int) -> None:
    head(
        "Equal systems against the best of them (report)",
        "Percent of tables in which some system differs significantly from the best in AC3.",
        "systems", *(f"{n} questions" for n in SIZES),
    )  # fmt: skip
    for m in (2, 5, 10, 20):
        cells = []
        for n in SIZES:
            rng, told = np.random.default_rng(4), 0
            for _ in range(repetitions):
                first = simulated(rng, n)
                runs = [first, *(simulated(rng, n, 0.0, first.gold) for _ in range(m - 1))]
                replicates = joint_bootstrap(runs, n_resamples=RESAMPLES)
                best = int(replicates.estimate["ac3"].argmax())
                tests = compare_with_best(replicates, [{"p1": i} for i in range(m)], best, "ac3")
                told += any(test.significant for test in tests.values())
            cells.append(rate(told, repetitions))
        row(m, *cells)


def collapsing(rng: np.random.Generator, arms: Sequence[Arm], low: Sequence[Arm]) -> list[Arm]:
    """Each seed is replaced by a collapsed one with chance 1/5."""
    made = []
    for arm, other in zip(arms, low, strict=True):
        gone = rng.random(arm.n_seeds) < 0.2
        scores = {key: np.where(gone, other.scores[key], value) for key, value in arm.scores.items()}
        values = {key: np.where(gone, other.values[key], value) for key, value in arm.values.items()}
        made.append(Arm(scores, values, arm.n_questions))
    return made


def training_seeds(repetitions: int) -> None:
    head(
        "Training seeds (arms of a report)",
        "AC3. Spread: standard deviation of a seed's effect on the log-odds, of the two arms; 0.1 is about 2 points.\n"
        "Type I: two equal arms differ significantly. Warned: percent of these pairs whose seeds the report warns of.",
        "seeds", "spread", "questions", "interval of an arm", "type I", "warned",
    )  # fmt: skip
    cases: list[tuple[tuple[int, int], tuple[float, float], int, bool]] = [
        *(((seeds, seeds), (0.1, 0.1), n, False) for seeds in (2, 3, 5) for n in (32, 150, 1190)),
        ((3, 3), (0.0, 0.0), 400, False),
        ((3, 3), (0.4, 0.4), 400, False),
        ((3, 3), (0.05, 0.4), 400, False),
        ((5, 2), (0.05, 0.4), 400, False),
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
        for _ in range(repetitions):
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
        shown = "0.1, one run in five collapses" if collapse else " and ".join(map(str, dict.fromkeys(spreads)))
        covers = "-" if collapse else cover(counts[0], repetitions)
        row(
            f"{seeds[0]} and {seeds[1]}",
            shown,
            n,
            covers,
            rate(counts[1], repetitions),
            f"{100 * counts[2] / repetitions:.0f}",
        )


def causes(repetitions: int) -> None:
    head(
        "Causes of inconsistency",
        "Languages independent given ability and difficulty (excess 0); two prompts and two languages that share all\n"
        "they know (ratio 1). Coverage of the 95% intervals.",
        "questions", "excess consistency", "language ratio",
    )  # fmt: skip
    for n in SIZES[:3]:
        rng, covered = np.random.default_rng(6), np.zeros(2)
        for _ in range(repetitions):
            odds = rng.normal(0.3, 1.2, (n, 1)) + np.array([0.3, 0.0, 0.0, -0.3])
            right = rng.random((n, 4)) < 1 / (1 + np.exp(-odds))
            answers = np.where(right, 0, rng.integers(1, 4, (n, 4)))
            found = beyond_accuracy(
                answer_matrix(answers, np.zeros(n, int), LANGUAGES, n_choices=4), n_resamples=RESAMPLES
            )
            low, high = score_intervals(found)["excess_consistency"]
            covered[0] += low <= 0.0 <= high
            belief = rng.integers(0, 4, n)
            asked = np.where(rng.random((2, n, 2)) < 0.7, belief[:, None], rng.integers(0, 4, (2, n, 2)))
            ratio = noise_floor(asked, LANGUAGES[:2], np.full(n, 4), n_resamples=RESAMPLES)
            low, high = score_interval(
                "language_ratio", ratio.estimate["language_ratio"], ratio.values["language_ratio"], n
            )
            covered[1] += low <= 1.0 <= high
        row(n, *(cover(value, repetitions) for value in covered))


SAID = """
## Where the commands say so

- Kappas and letter bias, excess and noise floor below 100 questions: marked `~` by `crossin score`. kappa_p has no
  interval where accuracy is above 95%.
- Fewer than 20 questions or passages: a warning of `score`, `compare` and `report`.
- `compare --by-language` below 100 questions: a warning.
- Two training seeds, or one seed far from the others: a note in the report. Three seeds cannot tell a collapsed run
  from seeds that spread widely, so some notes concern the latter."""
SECTIONS: dict[str, tuple[Callable[[int], None], int]] = {
    "intervals": (intervals, 200),
    "passages": (passages, 200),
    "two": (two_systems, 150),
    "best": (best_of_many, 100),
    "seeds": (training_seeds, 160),
    "causes": (causes, 100),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--share", type=float, default=1.0, help="of the repetitions, e.g. 0.1 for a quick look")
    given = parser.parse_args()
    if given.only == list(SECTIONS):
        print(
            "# Simulated coverage and error rates\n\nMade by `python -m tests.scores.simulate`. Four languages, four "
            f"options, intervals of 95%, tests at 5%,\n{RESAMPLES} resamples. From 100 to 200 data sets each: a true "
            f"5% shows as 1 to 9%.\nBold: an interval below {COVERS:g}%, a test above {LEVEL:g}%."
        )
    for name in given.only:
        section, repetitions = SECTIONS[name]
        section(max(2, round(given.share * repetitions)))
    if given.only == list(SECTIONS):
        print(SAID)


if __name__ == "__main__":
    main()
