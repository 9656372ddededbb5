"""Made-up models for tests of statistics."""

from __future__ import annotations

import numpy as np

from crossin_metrics.scores.answer_matrix import AnswerMatrix, answer_matrix

LANGUAGES = ["en", "es", "vi", "zh"]


def simulated(rng: np.random.Generator, n: int, skill: float = 0.0, gold: np.ndarray | None = None) -> AnswerMatrix:
    """A model whose languages share each question's difficulty, so that its rows are dependent."""
    gold = rng.integers(0, 4, n) if gold is None else gold
    easy = rng.normal(skill, 1.5, (n, 1)) + rng.normal(0, 0.7, (n, 4)) > 0
    answers = np.where(easy, gold[:, None], rng.integers(-1, 4, (n, 4)))
    return answer_matrix(answers, gold, LANGUAGES, n_choices=4)


def two_systems(seed: int, n: int, skill: float = 0.0) -> tuple[AnswerMatrix, AnswerMatrix]:
    """Two models on the same questions, the first better by `skill`."""
    rng = np.random.default_rng(seed)
    a = simulated(rng, n, skill)
    return a, simulated(rng, n, 0.0, a.gold)


def rows_of(questions: AnswerMatrix, rows: np.ndarray) -> AnswerMatrix:
    """The questions at `rows`, which may repeat."""
    return answer_matrix(questions.answers.T[rows], questions.gold[rows], LANGUAGES, n_choices=4)
