"""Per-question statistics: the numbers whose means over questions all scores are functions of.

Legend of shapes: `n_questions` questions, `n_columns` statistics of a question, `n_languages` languages (L).
Imports nothing but numpy.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from crossin_metrics.scores.agreement import (
    count_values,
    option_probabilities,
    pair_overlaps,
    rank_consistency,
    same_place_counts,
    subset_shares,
)
from crossin_metrics.scores.answer_matrix import AnswerMatrix, FloatArray, IntArray
from crossin_metrics.scores.ties import subset_chances

DEFAULT_SUBSET = 3  # the tolerance s of arXiv 2404.11932
PIVOT = "en"  # transfer is counted from English
_BLOCK_VALUES = 2**20  # statistics held at once while scoring: 8 MB, about a core's cache


@dataclass(frozen=True)
class Layout:
    """Which statistic is in which column.

    Attributes:
        languages: codes, in the order of the answers' columns.
        max_choices: options of the question with the most, K.
        counts: the numbers of options that occur, ascending.
        one_order: whether the languages of a question share one order of options.
        orders_known: whether the orders are known where they differ.
        logprobs: whether there are option loglikelihoods.
        slices: group of statistics -> its columns.
        columns: one name a column.
    """

    languages: tuple[str, ...]
    max_choices: int
    counts: tuple[int, ...]
    one_order: bool
    orders_known: bool
    logprobs: bool
    slices: dict[str, slice]
    columns: tuple[str, ...]

    @property
    def subset(self) -> int:
        """The s of `consistency` and `ac3`: 3, or the number of languages where there are fewer."""
        return min(DEFAULT_SUBSET, len(self.languages))

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Language pairs as columns of the answers, in the order of :func:`numpy.triu_indices`."""
        first, second = np.triu_indices(len(self.languages), 1)
        return list(zip(first.tolist(), second.tolist(), strict=True))


def layout_of(questions: AnswerMatrix) -> Layout:
    """Return the columns that :func:`statistics_block` fills for these questions."""
    names, most = questions.languages, questions.max_choices
    n_languages = len(names)
    letters = [str(j) for j in range(most)]
    counts = np.unique(questions.n_choices).tolist()
    groups: dict[str, list[str]] = {
        "right": list(names),
        "answered": list(names),
        "picked": [f"{k}_{j}" for k in counts for j in letters],  # by the number of options, as chance depends on it
        "with_choices": [str(k) for k in counts],
        "gold": letters,
        "offered": letters,
        "inverse_choices": [""],
    }
    if n_languages > 1:
        sizes = [str(s) for s in range(2, n_languages + 1)]
        pairs = [f"{names[a]}_{names[b]}" for a, b in zip(*np.triu_indices(n_languages, 1), strict=True)]
        groups |= {"agree": sizes, "all_right": sizes, "pair": pairs, "random_agree": [""], "inverse_wrong": [""]}
        if PIVOT in names:
            groups["right_in_both"] = list(names)
        if questions.orders is not None:
            groups |= {
                "constant_agree": letters,
                "same_option": [f"{c}_{j}_{k}" for c in counts for j in letters for k in letters],
            }
        if questions.logprobs is not None:
            groups |= {"gold_mass": list(names), "wrong_mass": list(names), "overlap": pairs, "rank": [""]}
    slices: dict[str, slice] = {}
    columns: list[str] = []
    for group, members in groups.items():
        slices[group] = slice(len(columns), len(columns) + len(members))
        columns += [f"{group}_{member}" if member else group for member in members]
    return Layout(
        languages=names,
        max_choices=most,
        counts=tuple(counts),
        one_order=questions.one_order,
        orders_known=questions.one_order or questions.orders is not None,
        logprobs=questions.logprobs is not None,
        slices=slices,
        columns=tuple(columns),
    )


def statistics_block(questions: AnswerMatrix, layout: Layout, start: int, stop: int) -> FloatArray:
    """Return the statistics of questions start..stop - 1 as `[n_columns, stop - start]`, each in [0, 1]."""
    block = slice(start, min(stop, questions.n_questions))
    answers, gold = questions.answers[:, block], questions.gold[block]
    n_choices = questions.n_choices[block].astype(np.float64)
    n_languages, most, subset = questions.n_languages, questions.max_choices, layout.subset
    out = np.empty((len(layout.columns), gold.shape[0]))
    into = {group: out[columns] for group, columns in layout.slices.items()}

    right = answers == gold
    into["right"][:] = right
    into["answered"][:] = answers >= 0
    of_count = n_choices == np.array(layout.counts)[:, None]
    into["with_choices"][:] = of_count
    picked = count_values(questions.positions[:, block], most) / n_languages
    tied, those = (
        questions.ties.within(block.start, block.stop)
        if questions.ties is not None
        else (np.empty(0, np.intp), slice(0))
    )
    if len(tied) and questions.ties is not None:
        shares = questions.ties.options[those]
        into["right"][:, tied] = _gold_share(shares, gold[tied]).T
        picked[: shares.shape[2], tied] = questions.ties.positions[those].mean(axis=1).T
    into["picked"][:] = (of_count[:, None] * picked).reshape(-1, gold.shape[0])
    into["gold"][:] = count_values(questions.gold_positions[:, block], most)
    into["gold"] /= n_languages
    into["offered"][:] = np.arange(most)[:, None] < n_choices
    into["inverse_choices"][0] = 1.0 / n_choices
    if n_languages == 1:
        return out

    shares = subset_shares(n_languages)
    into["agree"][:] = 0.0
    for counts in count_values(answers, most):  # sum_k C(n_k, s) / C(L, s)
        into["agree"] += shares[:, counts]
    into["all_right"][:] = shares[:, right.sum(axis=0)]
    for column, (a, b) in zip(into["pair"], layout.pairs, strict=True):
        np.logical_and(answers[a] == answers[b], answers[a] >= 0, out=column, casting="unsafe")
    into["random_agree"][0] = n_choices ** (1 - subset)
    into["inverse_wrong"][0] = 1.0 / (n_choices - 1.0)
    if PIVOT in layout.languages:
        into["right_in_both"][:] = right & right[layout.languages.index(PIVOT)]
    if len(tied) and questions.ties is not None:
        _fill_ties(questions.ties.options[those], gold[tied], tied, layout, into)
    if questions.orders is not None:
        places = same_place_counts(questions.orders[block])
        shares_of_subset = shares[subset - 2][places.astype(np.intp)]
        into["constant_agree"][:] = shares_of_subset.sum(axis=1).T
        same = np.einsum("noj,nok->jkn", places, places)
        same[np.arange(most), np.arange(most)] -= places.sum(axis=1).T  # without pairs of a language with itself
        same = same.reshape(most * most, -1) / (n_languages * (n_languages - 1))
        into["same_option"][:] = (of_count[:, None] * same).reshape(-1, gold.shape[0])
    if questions.logprobs is not None:
        _fill_probabilities(questions, block, into)
    return out


def _gold_share(shares: FloatArray, gold: IntArray) -> FloatArray:
    """The chance `[t, L]` of the right option."""
    return np.take_along_axis(shares, gold.astype(np.intp)[:, None, None], axis=2)[:, :, 0]


def _fill_ties(shares: FloatArray, gold: IntArray, tied: IntArray, layout: Layout, into: dict[str, FloatArray]) -> None:
    """Put expected values into the statistics of agreement of the questions at `tied`."""
    chances = subset_chances(shares)[2:]
    into["agree"][:, tied] = chances.sum(axis=2)
    into["all_right"][:, tied] = np.take_along_axis(chances, gold.astype(np.intp)[None, :, None], axis=2)[:, :, 0]
    into["pair"][:, tied] = pair_overlaps(shares)
    if PIVOT in layout.languages:
        right, pivot = _gold_share(shares, gold).T, layout.languages.index(PIVOT)
        both = right * right[pivot]
        both[pivot] = right[pivot]
        into["right_in_both"][:, tied] = both


def _fill_probabilities(questions: AnswerMatrix, block: slice, into: dict[str, FloatArray]) -> None:
    assert questions.logprobs is not None
    logprobs = questions.logprobs[block, :, : questions.max_choices]
    answered = (questions.answers[:, block] >= 0).T
    probabilities = option_probabilities(logprobs, questions.n_choices[block], answered)
    gold = questions.gold[block].astype(np.intp)
    gold_mass = np.take_along_axis(probabilities, gold[:, None, None], axis=2)[:, :, 0].T
    into["gold_mass"][:] = gold_mass
    into["wrong_mass"][:] = np.maximum(probabilities.sum(axis=2).T - gold_mass, 0.0)
    into["overlap"][:] = pair_overlaps(probabilities)
    into["rank"][0] = rank_consistency(logprobs, questions.n_choices[block], answered)


def main_statistics(questions: AnswerMatrix, start: int, stop: int) -> dict[str, FloatArray]:
    """Return the statistics `[stop - start]` that acc, consistency and ac3 are made of: acc_<l> and consistency.

    The cheap part of :func:`statistics_block`, for many runs.
    """
    answers = questions.answers[:, start:stop]
    gold = questions.gold[start:stop]
    right = (answers == gold).astype(np.float64)
    several, subset = questions.n_languages > 1, min(DEFAULT_SUBSET, questions.n_languages)
    if several:
        shares = subset_shares(questions.n_languages)[subset - 2]
        agree = shares[count_values(answers, questions.max_choices)].sum(axis=0)
    if questions.ties is not None:
        tied, those = questions.ties.within(start, stop)
        options = questions.ties.options[those]
        right[:, tied] = _gold_share(options, gold[tied]).T
        if several:
            agree[tied] = subset_chances(options)[subset].sum(axis=1)
    values = {f"acc_{name}": right[i] for i, name in enumerate(questions.languages)}
    if several:
        values["consistency"] = agree
    return values


def blocks(questions: AnswerMatrix, layout: Layout) -> Iterator[slice]:
    """Yield slices of questions whose statistics fit into a core's cache."""
    size = max(64, min(16384, _BLOCK_VALUES // len(layout.columns)))
    for start in range(0, questions.n_questions, size):
        yield slice(start, min(start + size, questions.n_questions))
