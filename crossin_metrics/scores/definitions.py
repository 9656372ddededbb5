"""Scores of one model on one parallel multiple-choice set.

Every score is a function of *means of per-question statistics* (:mod:`crossin_metrics.scores.per_question`).
:func:`scores_from_means` turns their means into scores and :func:`score` does both steps; a bootstrap over questions
(:mod:`crossin_metrics.scores.uncertainty`) only reweights the means. Imports nothing but numpy.

Legend of shapes
    n_questions   questions; the rows of a table, in any order
    n_languages   L, the languages each question is asked in
    n_choices     K, the options of a question (questions may have different numbers)
    answers       `[n_questions, n_languages]` the picked option, -1 for None; options mean the same in every language
    gold          `[n_questions]` the right option
    positions     `[n_questions, n_languages]` the letter position at which the picked option was shown
    logprobs      `[n_questions, n_languages, n_choices]` loglikelihood of each option

Titles, ranges and directions of the scores: :mod:`crossin_metrics.scores.catalogue`. All are floats; shares are in
[0, 1], not percent. How they are defined:
    acc, acc_<l>            share answered right; `acc` is the mean over languages
    consistency_<s>         s = 2..L: mean over the size-s language subsets of the share of questions with the same
                            answer, right or wrong, in all s languages (arXiv 2404.11932, 2309.04766); None agrees with
                            nothing, not even with another None
    ac3_<s>                 harmonic mean of acc and consistency_<s>; 0 when both are 0
    consistent_correct_<s>  the mean of consistency_<s>, counting only subsets that are right throughout
    only_correct            share right in both of two languages among the questions right in either, over all language
                            pairs together (arXiv 2603.04678)
    consistency, ac3, consistent_correct
                            those with s = 3, the papers' default; with two languages s = 2
    consistency_<a>_<b>     share of questions with the same answer in a and b; codes in alphabetical order
    transfer_<l>, transfer  share right in l among the questions right in English; `transfer` is the mean over the other
                            languages (ECLeKTic's idea, arXiv 2502.21228)
    fleiss_kappa            agreement over languages beyond chance (Fleiss 1971); chance is drawing *letters* from their
                            shares among questions with as many options, so one letter throughout has 0
    kappa_p                 CAPA (arXiv 2502.04313), mean over language pairs: overlap of option probabilities beyond
                            what the two accuracies give; one-hot without logprobs. Its published formula averages
                            1 / (K - 1) apart from accuracy, so guessing is off 0 where numbers of options differ
    rankc                   RankC (arXiv 2310.10378), mean over language pairs; needs logprobs
    letter_bias             total variation distance between the shares of letters picked and of letters that were right
    baseline_constant_acc   accuracy of the best constant letter on these questions
    baseline_constant_ac3   AC3 of the constant letter that is best by AC3
    baseline_random_acc, baseline_random_consistency, baseline_random_ac3
                            expected of uniform independent answers; AC3 is the harmonic mean of the two expectations
    n_questions, n_unanswered, n_tied
                            counts: questions; rows (question and language) without an answer; rows whose answer is one
                            of several equally likely options (with logprobs only)

A tied row enters every score with the mean over ties broken at random (:mod:`crossin_metrics.scores.ties`).

A key is left out where its score is undefined: everything that compares languages with L = 1; `transfer*` without
English or with nothing right in it; `only_correct` with nothing right; `rankc` without logprobs; `kappa_p` if chance
agreement is 1 for every pair; `letter_bias` if nothing is answered; `fleiss_kappa` and `baseline_constant_ac3` if
options were shown in different orders in the languages of a question and `orders` does not say which.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from crossin_metrics.errors import CrossinError
from crossin_metrics.scores.answer_matrix import AnswerMatrix, FloatArray, answer_matrix
from crossin_metrics.scores.per_question import PIVOT, Layout, blocks, layout_of, statistics_block


def harmonic_mean(a: npt.ArrayLike, b: npt.ArrayLike) -> FloatArray:
    """Return 2ab / (a + b), 0 where both are 0: AC3 of accuracy and consistency (arXiv 2404.11932).

    Args:
        a, b: shares in [0, 1], of shapes that broadcast.

    Returns:
        Shares in [0, 1] of the broadcast shape, between 0 and twice the smaller of the two; higher is better.
    """
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    return _ratio(2.0 * x * y, x + y, 0.0)


def _ratio(numerator: Any, denominator: Any, otherwise: float) -> FloatArray:
    """Divide where the denominator is more than a rounding error from 0."""
    numerator, denominator = np.broadcast_arrays(numerator, denominator)
    result = np.full(numerator.shape, otherwise)
    return np.divide(numerator, denominator, out=result, where=np.abs(denominator) > 1e-12)


def _mean_defined(values: FloatArray) -> FloatArray:
    """Return the mean over the last axis without NaN; NaN where all are."""
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
    by_count = mean["picked"].reshape(*answered.shape, len(layout.counts), layout.max_choices)
    picked_share = _ratio(by_count.sum(axis=-2), answered[..., None], np.nan)
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
    in_both = scores["consistent_correct_2"]
    scores["only_correct"] = _ratio(in_both, 2.0 * scores["acc"] - in_both, np.nan)
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
    as they stand for one option: P_e = sum_jk p_j p_k T_jk. Questions with different numbers of options have
    different chances: P_e is taken within each number and averaged by their shares (pooled letters would give pure
    guessing +.05 to +.17). 0 where P_e = 1: one letter throughout, nothing to see.
    """
    observed, of_count = mean["agree"][..., 0], mean["with_choices"]
    many, most = of_count.shape[-1], layout.max_choices
    picked = mean["picked"].reshape(*observed.shape, many, most)
    if layout.one_order:
        agree = (picked**2).sum(axis=-1)
        scale = of_count
    elif layout.orders_known:
        same = mean["same_option"].reshape(*observed.shape, many, most, most)
        agree = np.einsum("...j,...jk,...k->...", picked, same, picked)
        scale = of_count**2  # T, too, is a mean over all questions
    else:
        return np.full(observed.shape, np.nan)
    expected = _ratio(agree, scale, 0.0).sum(axis=-1)  # of_count * (picked / of_count)^2 ...
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
    """AC3 of the best constant letter. A letter that a question does not offer counts as no answer."""
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
    questions = answer_matrix(
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


def score_questions(questions: AnswerMatrix) -> dict[str, float]:
    """Score questions that are checked already; returns what :func:`score` returns."""
    layout = layout_of(questions)
    totals = np.zeros(len(layout.columns))
    for block in blocks(questions, layout):
        totals += statistics_block(questions, layout, block.start, block.stop).sum(axis=1)
    scores = scores_from_means(totals / questions.n_questions, layout)
    result = {key: float(value) for key, value in scores.items() if np.isfinite(value)}
    result["n_questions"] = float(questions.n_questions)
    result["n_unanswered"] = float((questions.answers < 0).sum())
    if questions.logprobs is not None:
        result["n_tied"] = float(questions.ties.n_rows if questions.ties is not None else 0)
    return result
