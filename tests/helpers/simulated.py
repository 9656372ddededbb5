"""Made-up models, and plain reference computations, for tests of scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from crossin_metrics.scores.answer_matrix import AnswerMatrix, answer_matrix
from crossin_metrics.scores.per_question import Layout, layout_of, statistics_block

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


def question_statistics(answers: Any, gold: Any, languages: Sequence[str], **more: Any) -> tuple[Layout, np.ndarray]:
    """The per-question statistics `[n_questions, n_columns]`, with what their columns are."""
    questions = answer_matrix(answers, gold, languages, **more)
    layout = layout_of(questions)
    return layout, statistics_block(questions, layout, 0, questions.n_questions).T


def subset_consistency(answers: Any, languages: Sequence[str], subset: Sequence[str]) -> float:
    """M(l1, ..., ls) of arXiv 2404.11932: the share of questions with the same answer in all languages of a subset."""
    chosen = np.asarray(answers)[:, [list(languages).index(name) for name in subset]]
    return float(((chosen == chosen[:, :1]) & (chosen >= 0)).all(axis=1).mean())
