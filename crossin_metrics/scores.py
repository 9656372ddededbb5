"""Scores of one model on one parallel multiple-choice set: accuracy, consistency, AC3 and what stands beside them.

Every score is a function of *means of per-question statistics*. :func:`question_statistics` gives those statistics,
:func:`scores_from_means` turns their means into scores, :func:`score` does both; a bootstrap over questions
(:mod:`crossin_metrics.uncertainty`) only reweights the means. Imports nothing but numpy.

Legend of shapes
    n_questions   questions; the rows of a table, in any order
    n_languages   L, the languages each question is asked in
    n_choices     K, the options of a question (questions may have different numbers)
    answers       `[n_questions, n_languages]` the picked option, -1 for None; options mean the same in every language
    gold          `[n_questions]` the right option
    positions     `[n_questions, n_languages]` the letter position at which the picked option was shown
    logprobs      `[n_questions, n_languages, n_choices]` loglikelihood of each option

Keys of a score dict. All are floats; shares are in [0, 1], not per cent. (+) higher is better, (=) neither.
    acc, acc_<l>                (+) [0, 1]  share answered right; `acc` is the mean over languages
    consistency_<s>, s = 2..L   (=) [0, 1]  mean over the size-s language subsets of the share of questions with one and
                                            the same answer, right or wrong, in all s languages (arXiv 2404.11932,
                                            2309.04766); None agrees with nothing, not even with another None
    ac3_<s>                     (+) [0, 1]  harmonic mean of acc and consistency_<s>; 0 when both are 0
    consistency, ac3                        those with s = 3, the papers' default; with two languages s = 2
    consistency_<a>_<b>         (=) [0, 1]  share of questions with one answer in a and b; codes in alphabetical order
    consistent_correct_<s>      (+) [0, 1]  the same mean as consistency_<s>, of subsets that are right throughout;
                                            `consistent_correct` as above
    transfer_<l>, transfer      (+) [0, 1]  share right in l among the questions right in English; `transfer` is the
                                            mean over the other languages (ECLeKTic's idea, arXiv 2502.21228)
    fleiss_kappa                (=) [-1/(L-1), 1]  agreement over languages beyond chance (Fleiss 1971, eq. 7); chance
                                            is what drawing *letters* from their overall shares would give, so a model
                                            that always says one letter has 0
    kappa_p                     (=) [-1, 1] CAPA (arXiv 2502.04313), mean over language pairs: overlap of option
                                            probabilities beyond what the two accuracies give; one-hot without logprobs
    rankc                       (=) [0, 1]  RankC (arXiv 2310.10378), mean over language pairs; needs logprobs
    letter_bias                 (-) [0, 1]  total variation distance between the shares of letters picked and the
                                            shares of letters that were right; 0 is none
    baseline_constant_acc       (=) [0, 1]  accuracy of the best constant letter on these very questions
    baseline_constant_ac3       (=) [0, 1]  AC3 of the constant letter that is best by AC3 (s as in `ac3`)
    baseline_random_acc, baseline_random_consistency
                                (=) [0, 1]  expected of uniform independent answers (s as in `ac3`)
    baseline_random_ac3         (=) [0, 1]  harmonic mean of those two expectations
    n_questions, n_unanswered               counts: questions; rows (question and language) without an answer

A key is left out where its score is undefined: everything that compares languages with L = 1; `transfer*` without
English or with nothing right in it; `rankc` without logprobs; `kappa_p` if chance agreement is 1 for every pair;
`letter_bias` if nothing is answered; `fleiss_kappa` and `baseline_constant_ac3` if options were shown in different
orders in the languages of a question and `orders` does not say which.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from crossin_metrics.agreement import (
    count_values,
    option_probabilities,
    pair_overlaps,
    rank_consistency,
    same_place_counts,
    subset_shares,
)
from crossin_metrics.errors import CrossinError
from crossin_metrics.questions import FloatArray, IntArray, Questions, check_questions

__all__ = [
    "Layout",
    "Statistics",
    "layout_of",
    "question_statistics",
    "score",
    "scores_from_means",
    "statistics_block",
    "subset_consistency",
]

DEFAULT_SUBSET = 3  # the tolerance s of arXiv 2404.11932, section 3
PIVOT = "en"  # transfer is counted from English
_BLOCK_VALUES = 2**20  # statistics held at once while scoring: 8 MB, about a core's cache


@dataclass(frozen=True)
class Layout:
    """Which statistic stands in which column.

    Attributes:
        languages: codes, in the order of the answers' columns.
        max_choices: options of the question with the most, K.
        one_order: whether the languages of a question share one order of options.
        orders_known: whether the orders are known where they differ.
        logprobs: whether there are option loglikelihoods.
        slices: group of statistics -> its columns.
        columns: one name a column.
    """

    languages: tuple[str, ...]
    max_choices: int
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


@dataclass(frozen=True)
class Statistics:
    """Per-question statistics of one run.

    Attributes:
        layout: what the columns are.
        matrix: `[n_questions, n_columns]`, each in [0, 1].
    """

    layout: Layout
    matrix: FloatArray

    @property
    def columns(self) -> tuple[str, ...]:
        """One name a column of the matrix."""
        return self.layout.columns


def layout_of(questions: Questions) -> Layout:
    """Return the columns that :func:`statistics_block` fills for these questions."""
    names, most = questions.languages, questions.max_choices
    n_languages = len(names)
    letters = [str(j) for j in range(most)]
    groups: dict[str, list[str]] = {
        "right": list(names),
        "answered": list(names),
        "picked": letters,
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
            groups |= {"constant_agree": letters, "same_option": [f"{j}_{k}" for j in letters for k in letters]}
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
        one_order=questions.one_order,
        orders_known=questions.one_order or questions.orders is not None,
        logprobs=questions.logprobs is not None,
        slices=slices,
        columns=tuple(columns),
    )


def statistics_block(questions: Questions, layout: Layout, start: int, stop: int) -> FloatArray:
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
    into["picked"][:] = count_values(questions.positions[:, block], most)
    into["picked"] /= n_languages
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
    if questions.orders is not None:
        places = same_place_counts(questions.orders[block])
        shares_of_subset = shares[subset - 2][places.astype(np.intp)]
        into["constant_agree"][:] = shares_of_subset.sum(axis=1).T
        same = np.einsum("noj,nok->jkn", places, places)
        same[np.arange(most), np.arange(most)] -= places.sum(axis=1).T  # a language is no pair with itself
        into["same_option"][:] = same.reshape(most * most, -1) / (n_languages * (n_languages - 1))
    if questions.logprobs is not None:
        _fill_probabilities(questions, block, into)
    return out


def _fill_probabilities(questions: Questions, block: slice, into: dict[str, FloatArray]) -> None:
    assert questions.logprobs is not None
    logprobs = questions.logprobs[block, :, : questions.max_choices]
    answered = (questions.answers[:, block] >= 0).T
    probabilities = option_probabilities(logprobs, questions.n_choices[block], answered)
    gold = questions.gold[block].astype(np.intp)
    gold_mass = np.take_along_axis(probabilities, gold[:, None, None], axis=2)[:, :, 0].T
    into["gold_mass"][:] = gold_mass
    into["wrong_mass"][:] = probabilities.sum(axis=2).T - gold_mass
    into["overlap"][:] = pair_overlaps(probabilities)
    into["rank"][0] = rank_consistency(logprobs, questions.n_choices[block], answered)


def blocks(questions: Questions, layout: Layout) -> Iterator[slice]:
    """Yield slices of questions whose statistics fit into a core's cache."""
    size = max(64, min(16384, _BLOCK_VALUES // len(layout.columns)))
    for start in range(0, questions.n_questions, size):
        yield slice(start, min(start + size, questions.n_questions))


def question_statistics(
    answers: npt.ArrayLike, gold: npt.ArrayLike, languages: Sequence[str], **more: Any
) -> Statistics:
    """Return the per-question statistics whose means the scores are functions of.

    Args and errors: those of :func:`score`. For very many questions prefer :func:`score` and
    :func:`crossin_metrics.uncertainty.bootstrap`, which never hold the whole matrix.

    Returns:
        Statistics with a matrix `[n_questions, n_columns]` of numbers in [0, 1].
    """
    questions = check_questions(answers, gold, languages, **more)
    layout = layout_of(questions)
    return Statistics(layout, statistics_block(questions, layout, 0, questions.n_questions).T)


def harmonic_mean(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return 2ab / (a + b), 0 where both are 0: AC3 of accuracy and consistency (arXiv 2404.11932, eq. 3)."""
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    return _ratio(2.0 * a * b, a + b, 0.0)


def _ratio(numerator: Any, denominator: Any, otherwise: float) -> FloatArray:
    """Divide where the denominator is more than a rounding error from 0."""
    numerator, denominator = np.broadcast_arrays(numerator, denominator)
    result = np.full(numerator.shape, otherwise)
    return np.divide(numerator, denominator, out=result, where=np.abs(denominator) > 1e-12)


def _mean_defined(values: FloatArray) -> FloatArray:
    """Return the mean over the last axis of what is no NaN; NaN where nothing is."""
    known = ~np.isnan(values)
    return _ratio(np.where(known, values, 0.0).sum(axis=-1), known.sum(axis=-1).astype(np.float64), np.nan)


def scores_from_means(means: npt.ArrayLike, layout: Layout) -> dict[str, FloatArray]:
    """Turn means of per-question statistics into scores.

    Args:
        means: `[..., n_columns]`, means over questions (or over a resample of them) of the statistics' columns.
        layout: what the columns are.

    Returns:
        key -> array `[...]` of scores (see the module's table of keys); NaN where undefined. Without the counts.

    Raises:
        CrossinError: the last axis does not have the layout's columns.
    """
    values = np.asarray(means, dtype=np.float64)
    if values.ndim == 0 or values.shape[-1] != len(layout.columns):
        raise CrossinError(f"means have shape {list(values.shape)}, the layout has {len(layout.columns)} columns")
    mean = {group: values[..., columns] for group, columns in layout.slices.items()}
    names, s = layout.languages, layout.subset

    scores = {"acc": mean["right"].mean(axis=-1)}
    scores |= {f"acc_{name}": mean["right"][..., i] for i, name in enumerate(names)}
    answered = mean["answered"].mean(axis=-1)
    picked_share = _ratio(mean["picked"], answered[..., None], np.nan)
    scores["letter_bias"] = np.abs(picked_share - mean["gold"]).sum(axis=-1) / 2.0
    scores["baseline_constant_acc"] = mean["gold"].max(axis=-1)
    scores["baseline_random_acc"] = mean["inverse_choices"][..., 0]
    if len(names) == 1:
        return scores

    for size in range(2, len(names) + 1):
        scores[f"consistency_{size}"] = mean["agree"][..., size - 2]
        scores[f"ac3_{size}"] = harmonic_mean(scores["acc"], scores[f"consistency_{size}"])
        scores[f"consistent_correct_{size}"] = mean["all_right"][..., size - 2]
    for key in ("consistency", "ac3", "consistent_correct"):
        scores[key] = scores[f"{key}_{s}"]
    for i, (a, b) in enumerate(layout.pairs):
        first, second = sorted((names[a], names[b]))
        scores[f"consistency_{first}_{second}"] = mean["pair"][..., i]
    if PIVOT in names:
        pivot = names.index(PIVOT)
        others = [i for i in range(len(names)) if i != pivot]
        transfer = _ratio(mean["right_in_both"][..., others], mean["right"][..., [pivot]], np.nan)
        scores |= {f"transfer_{names[other]}": transfer[..., i] for i, other in enumerate(others)}
        scores["transfer"] = transfer.mean(axis=-1)
    scores["fleiss_kappa"] = _fleiss_kappa(mean, layout)
    scores["kappa_p"] = _kappa_p(mean, layout)
    if layout.logprobs:
        scores["rankc"] = mean["rank"][..., 0]
    scores["baseline_constant_ac3"] = _constant_ac3(mean, layout)
    scores["baseline_random_consistency"] = mean["random_agree"][..., 0]
    scores["baseline_random_ac3"] = harmonic_mean(mean["inverse_choices"][..., 0], mean["random_agree"][..., 0])
    return scores


def _fleiss_kappa(mean: dict[str, FloatArray], layout: Layout) -> FloatArray:
    """Fleiss (1971) over languages: (P - P_e) / (1 - P_e), P = consistency_2, P_e from the shares of letters shown.

    With one order of options in all languages of a question P_e = sum_j p_j^2, where p_j is the share of rows that
    picked letter j (None is a share of no letter). With a different order in each, letters j and k agree as often
    as they stand for one option: P_e = sum_jk p_j p_k T_jk. 0 where P_e = 1: one letter throughout, nothing to see.
    """
    observed, picked = mean["agree"][..., 0], mean["picked"]
    if layout.one_order:
        expected = (picked**2).sum(axis=-1)
    elif layout.orders_known:
        most = layout.max_choices
        same = mean["same_option"].reshape(*observed.shape, most, most)
        # Where questions have different numbers of options, T is among the questions that offer the letters.
        adjusted = _ratio(picked, np.sqrt(mean["offered"]), 0.0)
        expected = np.einsum("...j,...jk,...k->...", adjusted, same, adjusted)
    else:
        return np.full(observed.shape, np.nan)
    return _ratio(observed - expected, 1.0 - expected, 0.0)


def _kappa_p(mean: dict[str, FloatArray], layout: Layout) -> FloatArray:
    """CAPA (arXiv 2502.04313, definition of kappa_p): (c_obs - c_exp) / (1 - c_exp), mean over language pairs.

    c_exp = p_a p_b + w_a w_b * mean(1 / (K - 1)), where p is the mean mass on the gold option and w that on the wrong
    ones: w = 1 - p as in the paper, but for rows without an answer, whose mass is on no option. A pair with
    c_exp = 1 (both right throughout) has no value and is left out of the mean.
    """
    if layout.logprobs:
        observed, gold_mass, wrong_mass = mean["overlap"], mean["gold_mass"], mean["wrong_mass"]
    else:
        observed, gold_mass, wrong_mass = mean["pair"], mean["right"], mean["answered"] - mean["right"]
    a, b = np.triu_indices(len(layout.languages), 1)
    by_luck = wrong_mass[..., a] * wrong_mass[..., b] * mean["inverse_wrong"]
    expected = gold_mass[..., a] * gold_mass[..., b] + by_luck
    return _mean_defined(_ratio(observed - expected, 1.0 - expected, np.nan))


def _constant_ac3(mean: dict[str, FloatArray], layout: Layout) -> FloatArray:
    """AC3 of the best constant letter. A letter that a question does not offer is no answer there."""
    if not layout.orders_known:
        return np.full(mean["gold"].shape[:-1], np.nan)
    agree = mean["offered"] if layout.one_order else mean["constant_agree"]
    return harmonic_mean(mean["gold"], agree).max(axis=-1)


def score(
    answers: npt.ArrayLike,
    gold: npt.ArrayLike,
    languages: Sequence[str],
    *,
    n_choices: int | npt.ArrayLike | None = None,
    positions: npt.ArrayLike | None = None,
    gold_positions: npt.ArrayLike | None = None,
    orders: npt.ArrayLike | None = None,
    logprobs: npt.ArrayLike | None = None,
) -> dict[str, float]:
    """Score one model's answers to a parallel multiple-choice set.

    Args:
        answers: integers `[n_questions, n_languages]`, the option picked, -1 for None.
        gold: integers `[n_questions]`, or `[n_questions, n_languages]` with equal columns: the right option.
        languages: `n_languages` codes, all different, in the order of the columns.
        n_choices: options of every question, or `[n_questions]`; without it read off `orders` or `logprobs`, else
            the highest index seen. Only chance levels and baselines depend on it.
        positions, gold_positions: integers `[n_questions, n_languages]`, the letter position (0-based) at which the
            picked (-1 for None) and the gold option was shown; by default the options' own indices.
        orders: integers `[n_questions, n_languages, n_choices]`, the option shown at each letter position, padded with
            -1: instead of positions, and needed for letter chance levels where languages have different orders.
        logprobs: numbers `[n_questions, n_languages, n_choices]`, loglikelihood of each option (by option, not by
            letter), padded with -inf or NaN. The answer need not be their maximum (it may be length-normalised).

    Returns:
        key -> score; the module's docstring lists keys, ranges and directions. Undefined ones are left out.

    Raises:
        CrossinError: wrong shapes, NaN, an option out of range, gold options that differ between languages, ...; the
            message names the first offending question row (0-based).
    """
    questions = check_questions(
        answers,
        gold,
        languages,
        n_choices=n_choices,
        positions=positions,
        gold_positions=gold_positions,
        orders=orders,
        logprobs=logprobs,
    )
    return score_questions(questions)


def score_questions(questions: Questions) -> dict[str, float]:
    """Score questions that are checked already; returns what :func:`score` returns."""
    layout = layout_of(questions)
    totals = np.zeros(len(layout.columns))
    for block in blocks(questions, layout):
        totals += statistics_block(questions, layout, block.start, block.stop).sum(axis=1)
    scores = scores_from_means(totals / questions.n_questions, layout)
    result = {key: float(value) for key, value in scores.items() if np.isfinite(value)}
    result["n_questions"] = float(questions.n_questions)
    result["n_unanswered"] = float((questions.answers < 0).sum())
    return result


def subset_consistency(answers: npt.ArrayLike, languages: Sequence[str], subset: Sequence[str]) -> float:
    """Return the share of questions with one and the same answer in all languages of a subset.

    M(l1, ..., ls) of arXiv 2404.11932, eq. 1. In [0, 1]; 1 for a subset of one language if all is answered.

    Args:
        answers: integers `[n_questions, n_languages]`, -1 for None, which agrees with nothing.
        languages: `n_languages` codes, in the order of the columns.
        subset: codes among them.

    Raises:
        CrossinError: bad answers, an empty subset, or a language that is not in `languages` or named twice.
    """
    picked = np.asarray(answers)
    placeholder = np.zeros(picked.shape[0] if picked.ndim else 0, dtype=np.int64)
    questions = check_questions(picked, placeholder, languages)
    wanted = list(subset)
    unknown = [name for name in wanted if name not in questions.languages]
    if not wanted or unknown or len(set(wanted)) != len(wanted):
        raise CrossinError(f"subset must be different languages out of {list(questions.languages)}, got {wanted}")
    chosen: IntArray = questions.answers[[questions.languages.index(name) for name in wanted]]
    return float(((chosen == chosen[0]).all(axis=0) & (chosen[0] >= 0)).mean())
