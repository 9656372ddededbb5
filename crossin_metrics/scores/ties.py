"""Rows whose best options are exactly equally likely: they score what ties broken at random give on average.

"The first of equals wins" makes languages agree by the order of options alone: for a small model in bfloat16 that moves
consistency by 9 to 17 points. Each language breaks its ties independently here. Imports nothing but numpy.

Legend of shapes: `t` questions with a tied row, `L` languages, `K` options (of the question with the most).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.integer[Any]]
FloatArray = npt.NDArray[np.float64]
MANY = 0.02  # share of tied rows that is worth a warning; float32 gives none


@dataclass(frozen=True, eq=False)
class Ties:
    """The questions in which some language ties.

    Attributes:
        questions: `[t]`, row numbers, ascending.
        options: `[t, L, K]`, the chance that the language's answer is the option: 1 / (number of equals) on each of
            them; one-hot where nothing ties, zeros without an answer.
        positions: `[t, L, K]`, the same by the letter position at which the option was shown.
        n_rows: rows (question and language) that tie.
        n_flat: those among them whose options are all equal.
    """

    questions: IntArray
    options: FloatArray
    positions: FloatArray
    n_rows: int
    n_flat: int

    def within(self, start: int, stop: int) -> tuple[IntArray, slice]:
        """The tied questions of a block: their places in the block, and their slice of the arrays here."""
        low, high = np.searchsorted(self.questions, [start, stop])
        return self.questions[low:high] - start, slice(int(low), int(high))


def find_ties(
    logprobs: FloatArray, answers: IntArray, positions: IntArray, n_choices: IntArray, orders: IntArray | None
) -> Ties | None:
    """Return the ties of a run, None where there are none.

    Args:
        logprobs: `[n_questions, L, K]`; a row ties if its answer is one of several options with the highest value.
        answers, positions: `[L, n_questions]`, -1 for None.
        n_choices: `[n_questions]`.
        orders: `[n_questions, L, K]`, the option at each position; None: option i at position i if `positions` is
            `answers` itself, else unknown, and a tied row counts at the letter it was given.
    """
    most = int(n_choices.max())
    values = np.where(np.arange(most) < n_choices[:, None, None], logprobs[:, :, :most], -np.inf)
    picked = answers.T.astype(np.intp)
    best = values.max(axis=2, keepdims=True)
    equal = (values == best) & np.isfinite(best) & (picked >= 0)[:, :, None]
    count = equal.sum(axis=2)
    tied = (count > 1) & np.take_along_axis(equal, np.maximum(picked, 0)[:, :, None], axis=2)[:, :, 0]
    rows = np.flatnonzero(tied.any(axis=1))
    if not rows.size:
        return None
    one_hot = (picked[rows, :, None] == np.arange(most)).astype(np.float64)
    shares = np.where(tied[rows, :, None], equal[rows] / np.maximum(count[rows, :, None], 1), one_hot)
    if orders is None and positions is answers:
        by_letter = shares
    elif orders is None:
        by_letter = (positions.T[rows, :, None] == np.arange(most)).astype(np.float64)
    else:
        at = orders[rows, :, :most].astype(np.intp)
        by_letter = np.where(at >= 0, np.take_along_axis(shares, np.maximum(at, 0), axis=2), 0.0)
    flat = tied & (count == n_choices[:, None])
    return Ties(rows, shares, by_letter, int(tied.sum()), int(flat.sum()))


def subset_chances(shares: FloatArray) -> FloatArray:
    """Return the chance that all languages of a random subset of size s pick the option, `[L + 1, t, K]` for s = 0..L.

    The elementary symmetric means of the languages' shares `[t, L, K]`, language by language: no binomial coefficient.
    """
    n_languages = shares.shape[1]
    means = np.zeros((n_languages + 1, shares.shape[0], shares.shape[2]))
    means[0] = 1.0
    sizes = np.arange(1, n_languages + 1)[:, None, None]
    for number in range(1, n_languages + 1):
        share = sizes / number
        means[1:] = np.maximum(1.0 - share, 0.0) * means[1:] + share * shares[:, number - 1] * means[:-1]
        means[number + 1 :] = 0.0
    return means


def tie_note(ties: Ties | None, n_rows: int) -> str | None:
    """A sentence about many ties among `n_rows` rows, and what they come from; None where they are few."""
    if ties is None or ties.n_rows < max(2, MANY * n_rows):
        return None
    said = f"{ties.n_rows} of {n_rows} rows tie exactly at the top; they count as ties broken at random"
    if ties.n_flat > ties.n_rows / 2:
        return said + f"; in {ties.n_flat} all options are equal: does the tokenizer append an end-of-text token?"
    return said + "; half precision cannot tell close options apart: use crossin-hf or dtype=float32"
