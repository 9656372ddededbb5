"""Which pairs an alignment trains on: a question, two languages, two options. Pure functions of numbers.

n pairs, Q questions, L languages, K options of a question (it may differ between questions, not between languages).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from crossin_metrics.errors import CrossinError
from recipes.mixes.draws import passes, uniform, weighted


@dataclass(frozen=True)
class Pairs:
    """One entry per pair; all arrays are int64 of shape [n].

    Attributes:
        question: index of the question.
        first, second: the languages, as indices; first < second.
        preferred, other: the options. Where the loss has no preference, either.
    """

    question: np.ndarray
    first: np.ndarray
    second: np.ndarray
    preferred: np.ndarray
    other: np.ndarray

    def __len__(self) -> int:
        return len(self.question)

    def take(self, rows: np.ndarray) -> Pairs:
        """These pairs, in this order."""
        return Pairs(*(array[rows] for array in (self.question, self.first, self.second, self.preferred, self.other)))


def draw_pairs(
    n_options: np.ndarray,
    gold: np.ndarray,
    pairs: Mapping[tuple[int, int], float],
    n: int,
    seed: int,
    *,
    preferred: str,
) -> Pairs:
    """Draw n pairs; every question once before any a second time, in a seeded order.

    Question and languages of pair k depend on seed and k alone, so that losses are compared on the same ones.

    Args:
        n_options: options of each question, [Q].
        gold: right option of each question, [Q].
        pairs: (first, second) language -> weight.
        preferred: `random`; `gold`; or `not_gold`: random, but neither is gold.

    Raises:
        CrossinError: no question has enough options.
    """
    least = 3 if preferred == "not_gold" else 2
    usable = np.flatnonzero(n_options >= least)
    if not len(usable):
        raise CrossinError(f"no question has {least} options or more: nothing to draw pairs from")
    question = usable[passes(seed, "align/questions", len(usable), n)]
    ordered = [(min(pair), max(pair)) for pair in pairs]
    which = weighted(seed, "align/languages", np.array(list(pairs.values()), dtype=float), n)
    first, second = np.array(ordered, dtype=np.int64)[which].T
    k, right = n_options[question], gold[question]
    draws = uniform(seed, "align/options", 2 * n).reshape(n, 2)
    if preferred == "gold":
        one = right
    elif preferred == "not_gold":
        one = _skip((draws[:, 0] * (k - 1)).astype(np.int64), right)
    else:
        one = (draws[:, 0] * k).astype(np.int64)
    if preferred == "not_gold":
        low, high = np.minimum(one, right), np.maximum(one, right)
        two = _skip(_skip((draws[:, 1] * (k - 2)).astype(np.int64), low), high)
    else:
        two = _skip((draws[:, 1] * (k - 1)).astype(np.int64), one)
    return Pairs(question, first, second, one, two)


def majority_pairs(drawn: Pairs, answers: np.ndarray, seed: int) -> tuple[Pairs, int]:
    """Prefer the answer of most languages to another language's answer (CALM, arXiv 2501.18457).

    Of several answers with as many languages the lowest option is taken. Where all languages agree there is nothing to
    reject: such pairs are replaced by the others, in their order.

    Args:
        drawn: pairs whose options are ignored.
        answers: the model's answers, [Q, L], or several a language, [Q, L x S]: each is a vote.

    Returns:
        As many pairs, and how many were replaced.

    Raises:
        CrossinError: the languages agree on every question.
    """
    draws = uniform(seed, "align/rejected", len(drawn))
    preferred, other, kept = np.zeros(len(drawn), np.int64), np.zeros(len(drawn), np.int64), []
    for row, question in enumerate(drawn.question):
        options, counts = np.unique(answers[question], return_counts=True)
        best = options[counts.argmax()]
        rest = options[options != best]
        if len(rest):
            preferred[row], other[row] = best, rest[int(draws[row] * len(rest))]
            kept.append(row)
    if not kept:
        raise CrossinError("calm: the model answers alike in all languages on every question: nothing to reject")
    rows = np.resize(np.array(kept), len(drawn))
    voted = Pairs(drawn.question, drawn.first, drawn.second, preferred, other)
    return voted.take(rows), len(drawn) - len(kept)


def all_pairs(languages: Sequence[str]) -> dict[tuple[str, str], float]:
    """Every pair of the languages, with the same weight."""
    return {(a, b): 1.0 for k, a in enumerate(languages) for b in languages[k + 1 :]}


def _skip(drawn: np.ndarray, without: np.ndarray) -> np.ndarray:
    """Numbers drawn below k - 1 -> numbers below k other than `without`."""
    return drawn + (drawn >= without)
