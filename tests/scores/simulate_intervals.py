"""Coverage of the 95% intervals of `crossin score`, and how often equal systems are told from the best.

    python -m tests.scores.simulate_intervals [REPETITIONS]     # default 400: minutes on one core

Not a test: prints the table that `score_interval` and `compare_with_best` are judged by. Seeds are fixed.
"""

from __future__ import annotations

import sys

import numpy as np

from crossin_metrics.scores.answer_matrix import AnswerMatrix, answer_matrix
from crossin_metrics.scores.definitions import score_questions
from crossin_metrics.scores.significance import compare_with_best
from crossin_metrics.scores.uncertainty import bootstrap, joint_bootstrap, score_intervals
from tests.helpers.simulated import LANGUAGES, simulated

KEYS = ("acc_en", "acc", "consistency", "ac3")


def near(rng: np.random.Generator, n: int, skill: float) -> AnswerMatrix:
    """Rows right with one probability, independent, wrong options uniform."""
    right = rng.random((n, 4)) < skill
    return answer_matrix(np.where(right, 0, rng.integers(1, 4, (n, 4))), np.zeros(n, int), LANGUAGES, n_choices=4)


def main(repetitions: int) -> None:
    print("coverage in percent of 95% intervals\nn     skill  " + "  ".join(f"{key:>11}" for key in KEYS))
    for n in (32, 150):
        for skill in (0.02, 0.5, 0.99, "varied"):
            rng = np.random.default_rng(1)

            def model(rng: np.random.Generator, n: int, skill: object = skill) -> AnswerMatrix:
                return simulated(rng, n, 0.5) if skill == "varied" else near(rng, n, float(str(skill)))

            truth = score_questions(model(rng, 200_000))
            covered = dict.fromkeys(KEYS, 0)
            for _ in range(repetitions):
                intervals = score_intervals(bootstrap(model(rng, n), n_resamples=200, keys=KEYS))
                for key in KEYS:
                    covered[key] += intervals[key][0] <= truth[key] <= intervals[key][1]
            print(
                f"{n:<5} {skill!s:<6} " + "  ".join(f"{100 * covered[key] / repetitions:11.1f}" for key in KEYS),
                flush=True,
            )
    print("equal systems, some told from the best (percent of tables, 150 questions)")
    for m in (2, 5, 10, 20):
        rng, told = np.random.default_rng(2), 0
        for _ in range(repetitions // 2):
            first = simulated(rng, 150)
            runs = [first, *(simulated(rng, 150, 0.0, first.gold) for _ in range(m - 1))]
            replicates = joint_bootstrap(runs, n_resamples=400)
            best = int(replicates.estimate["ac3"].argmax())
            tests = compare_with_best(replicates, [{"p1": i} for i in range(m)], best, "ac3")
            told += any(test.significant for test in tests.values())
        print(f"{m:<3} {100 * told / (repetitions // 2):5.1f}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 400)
