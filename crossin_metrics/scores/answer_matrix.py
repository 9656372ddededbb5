"""Checked, compact arrays of one run: what :mod:`crossin_metrics.scores` counts in.

Legend of shapes, as in :mod:`crossin_metrics.scores`: `n_questions` questions (`q`), `n_languages` languages (`l`),
`n_choices` options of the question with the most (`o` an option, `j` a letter position). Imports nothing but numpy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from crossin_metrics.errors import CrossinError
from crossin_metrics.scores.ties import FloatArray, IntArray, Ties, find_ties


@dataclass(frozen=True, eq=False)  # arrays have no truth value to compare by
class AnswerMatrix:
    """One run's answers, checked by :func:`answer_matrix`. Language-major, so that a pass reads memory in a row.

    Attributes:
        languages: codes, in the columns' order.
        answers: `[n_languages, n_questions]`, option index, -1 for None.
        gold: `[n_questions]`, option index.
        n_choices: `[n_questions]`, at least 2.
        positions: `[n_languages, n_questions]`, letter position at which the picked option was shown, -1 for None.
        gold_positions: `[n_languages, n_questions]`, letter position at which the gold option was shown.
        orders: `[n_questions, n_languages, max_choices]`, the option shown at each position (-1 pads), or None where
            every language of a question shows one and the same order.
        one_order: whether the languages of a question are known to share one order of options; False means that the
            orders differ, and are in `orders` unless they are unknown.
        logprobs: `[n_questions, n_languages, max_choices]` or None.
        max_choices: options of the question with the most.
        ties: rows whose answer is one of several equally likely options, by `logprobs`; None where there are none.
        passages: `[n_questions]`, number of the passage that a question shares with others (0, 1, ...), which is then
            the unit of resampling; None where every question is asked alone.
    """

    languages: tuple[str, ...]
    answers: IntArray
    gold: IntArray
    n_choices: IntArray
    positions: IntArray
    gold_positions: IntArray
    orders: IntArray | None
    one_order: bool
    logprobs: FloatArray | None
    max_choices: int
    ties: Ties | None = None
    passages: IntArray | None = None

    @property
    def n_questions(self) -> int:
        """Number of questions, at least 1."""
        return int(self.gold.shape[0])

    @property
    def n_languages(self) -> int:
        """Number of languages, at least 1."""
        return len(self.languages)

    @property
    def n_units(self) -> int:
        """Units of resampling: passages where questions share them, else questions."""
        return self.n_questions if self.passages is None else int(self.passages.max()) + 1


def shared_passages(ids: Sequence[str], groups: Sequence[str]) -> IntArray | None:
    """Number the passages that questions share; None where each question is alone, all share one, or groups are topics.

    A group of questions on one passage bears the id of its first question (:mod:`crossin_metrics.sets.schema`);
    subjects and relations have names of their own, and their questions are as independent as any.
    """
    if not 1 < len(set(groups)) < len(groups) or not all(groups) or set(ids).isdisjoint(groups):
        return None
    return np.unique(np.asarray(groups), return_inverse=True)[1].astype(np.int64)


def answer_matrix(
    answers: npt.ArrayLike,
    gold: npt.ArrayLike,
    languages: Sequence[str],
    *,
    n_choices: int | npt.ArrayLike | None = None,
    positions: npt.ArrayLike | None = None,
    gold_positions: npt.ArrayLike | None = None,
    orders: npt.ArrayLike | None = None,
    logprobs: npt.ArrayLike | None = None,
    passages: IntArray | None = None,
) -> AnswerMatrix:
    """Check the arguments of :func:`crossin_metrics.scores.score` (which documents them) and pack them.

    Raises:
        CrossinError: empty input, wrong shapes, invalid indices (NaN, fractions, out of range), gold
            options that differ between the languages of a question, duplicate languages, orders that are no
            permutation. The message names the array, and the first offending question row (0-based) and language.
    """
    names = _languages(languages)
    picked = _integers(answers, "answers")
    if picked.ndim != 2:
        raise CrossinError(f"answers must be [n_questions, n_languages], got shape {list(picked.shape)}")
    n, n_languages = picked.shape
    if n_languages != len(names):
        raise CrossinError(f"answers have {n_languages} columns but {len(names)} languages are named: {list(names)}")
    if n == 0:
        raise CrossinError("there are no questions to score (answers has no rows)")

    right = _gold(gold, n, names)
    shown = None if orders is None else _shaped(_integers(orders, "orders"), "orders", (n, n_languages, None))
    scored = None if logprobs is None else _floats(logprobs, (n, n_languages, None))
    counts = _n_choices(n_choices, picked, right, shown, scored)
    most = int(counts.max())
    small = np.int8 if most <= 127 else np.int32

    _in_range(picked, -1, counts, "answers", names)
    _in_range(right[:, None], 0, counts, "gold", names)
    columns = np.ascontiguousarray(picked.T.astype(small))
    right = right.astype(small)
    if shown is not None:
        shown = _check_orders(shown, counts, names).astype(small)
    if scored is not None:
        _check_logprobs(scored, picked, counts, names)
    where, gold_where, one_order = _positions(columns, right, counts, positions, gold_positions, shown, names)
    return AnswerMatrix(
        languages=names,
        answers=columns,
        gold=right,
        n_choices=counts,
        positions=where,
        gold_positions=gold_where,
        orders=None if one_order else shown,
        one_order=one_order,
        logprobs=scored,
        max_choices=most,
        ties=None if scored is None else find_ties(scored, columns, where, counts, shown),
        passages=passages,
    )


def _languages(languages: Sequence[str]) -> tuple[str, ...]:
    if isinstance(languages, str):
        raise CrossinError(f"languages must be a list of codes, got the text {languages!r}")
    names = tuple(languages)
    if not names:
        raise CrossinError("no languages are named")
    for name in names:
        if not isinstance(name, str) or not name:
            raise CrossinError(f"languages must be codes such as 'en', got {name!r}")
        if names.count(name) > 1:
            raise CrossinError(f"language {name!r} is named more than once in {list(names)}")
    return names


def _integers(values: npt.ArrayLike, what: str) -> IntArray:
    try:
        array = np.asarray(values)
    except ValueError as error:  # rows of unequal lengths
        raise CrossinError(f"{what} must be a rectangular array: {error}") from None
    if array.dtype.kind in "iu":
        return array
    if array.dtype.kind == "f":
        whole = np.isfinite(array) & (array == np.floor(array))
        if whole.all():
            return array.astype(np.int64)
        at = tuple(int(i) for i in np.argwhere(~whole)[0])
        raise CrossinError(f"{what} must be option indices, got {array[at]} at row {at[0]}; use -1 for None")
    raise CrossinError(f"{what} must be integers (-1 for None), got values of type {array.dtype}")


def _shaped(array: Any, what: str, shape: tuple[int | None, ...]) -> Any:
    same = array.ndim == len(shape) and all(w is None or w == h for w, h in zip(shape, array.shape, strict=True))
    if not same:
        wanted = [w if w is not None else "n_choices" for w in shape]
        raise CrossinError(f"{what} must have shape {wanted}, got {list(array.shape)}")
    return array


def _floats(values: npt.ArrayLike, shape: tuple[int | None, ...]) -> FloatArray:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise CrossinError(f"logprobs must be a rectangular array of numbers, padded with -inf: {error}") from None
    return _shaped(array, "logprobs", shape)


def _gold(gold: npt.ArrayLike, n: int, names: tuple[str, ...]) -> IntArray:
    right = _integers(gold, "gold")
    if right.ndim == 2:
        _shaped(right, "gold", (n, len(names)))
        differs = (right != right[:, :1]).any(axis=1)
        if differs.any():
            row = int(differs.argmax())
            column = int((right[row] != right[row, 0]).argmax())
            raise CrossinError(
                f"gold differs between languages at question row {row}: {names[0]} has option {right[row, 0]}, "
                f"{names[column]} has {right[row, column]}; options must be in one order in all languages"
            )
        right = right[:, 0]
    return _shaped(right, "gold", (n,))


def _n_choices(
    given: int | npt.ArrayLike | None,
    answers: IntArray,
    gold: IntArray,
    orders: IntArray | None,
    logprobs: FloatArray | None,
) -> IntArray:
    n = gold.shape[0]
    if given is not None:
        counts = _integers(given, "n_choices")
        counts = np.broadcast_to(counts, (n,)) if counts.ndim == 0 else _shaped(counts, "n_choices", (n,))
    elif orders is not None:
        counts = np.sum(orders[:, 0] >= 0, axis=1)
    elif logprobs is not None:
        finite = np.asarray(np.isfinite(logprobs).any(axis=1))
        counts = logprobs.shape[2] - finite[:, ::-1].argmax(axis=1)
    else:  # the highest index seen; at least two options
        counts = np.broadcast_to(np.maximum(2, max(answers.max(), gold.max()) + 1), (n,))
    counts = np.asarray(counts)
    if counts.min() < 2:
        row = int(counts.argmin())
        raise CrossinError(f"question row {row} has {counts[row]} choices; at least 2 are needed")
    for array, what in ((orders, "orders"), (logprobs, "logprobs")):
        if array is not None and counts.max() > array.shape[2]:
            row = int(counts.argmax())
            raise CrossinError(
                f"{what} have {array.shape[2]} options, but question row {row} has {counts[row]} choices"
            )
    return counts.astype(np.int32)


def _in_range(array: IntArray, low: int, counts: IntArray, what: str, names: tuple[str, ...]) -> None:
    if array.min() >= low and array.max() < counts.min():
        return
    bad = (array < low) | (array >= counts[:, None])
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        place = f"question row {row}" + (f", language {names[column]}" if array.shape[1] == len(names) else "")
        none = ", or -1 for None" if low < 0 else ""
        raise CrossinError(f"{what} has {array[row, column]} at {place}; allowed: 0 to {counts[row] - 1}{none}")


def _check_orders(orders: IntArray, counts: IntArray, names: tuple[str, ...]) -> IntArray:
    most = int(counts.max())
    cut = orders[:, :, :most]
    within = np.arange(most) < counts[:, None]
    wanted = np.where(within, np.arange(most), most)
    found = np.sort(np.where(within[:, None], cut, most), axis=2)
    bad = (found != wanted[:, None]).any(axis=2)
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        raise CrossinError(
            f"orders at question row {row}, language {names[column]} is {orders[row, column].tolist()}, "
            f"not a permutation of its {counts[row]} options"
        )
    return np.where(within[:, None], cut, -1)


def _check_logprobs(logprobs: FloatArray, answers: IntArray, counts: IntArray, names: tuple[str, ...]) -> None:
    within = np.arange(logprobs.shape[2]) < counts[:, None, None]
    holes = (np.isnan(logprobs) | (logprobs == np.inf)) & within
    empty = ~(np.isfinite(logprobs) & within).any(axis=2)
    bad = np.asarray(np.where(empty, answers >= 0, holes.any(axis=2)))
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        raise CrossinError(
            f"logprobs at question row {row}, language {names[column]} are {logprobs[row, column].tolist()}: "
            "an answered row needs a number (or -inf) for each option, and one finite at least"
        )


def _positions(
    answers: IntArray,
    gold: IntArray,
    counts: IntArray,
    positions: npt.ArrayLike | None,
    gold_positions: npt.ArrayLike | None,
    orders: IntArray | None,
    names: tuple[str, ...],
) -> tuple[IntArray, IntArray, bool]:
    """Return positions and gold positions `[n_languages, n_questions]`, and whether languages share one order."""
    n_languages, n = answers.shape
    if orders is not None:
        if positions is not None or gold_positions is not None:
            raise CrossinError("give either orders, or positions with gold_positions, not both")
        by_language = orders.transpose(1, 0, 2)
        where = np.where(answers >= 0, (by_language == answers[:, :, None]).argmax(axis=2), -1).astype(answers.dtype)
        gold_where = (by_language == gold[None, :, None]).argmax(axis=2).astype(answers.dtype)
        return where, gold_where, bool((orders == orders[:, :1]).all())
    if (positions is None) != (gold_positions is None):
        raise CrossinError("positions and gold_positions belong together: give both or neither")
    if positions is None or gold_positions is None:
        return answers, np.broadcast_to(gold, (n_languages, n)), True
    shown = _shaped(_integers(positions, "positions"), "positions", (n, n_languages))
    gold_shown = _shaped(_integers(gold_positions, "gold_positions"), "gold_positions", (n, n_languages))
    _in_range(shown, -1, counts, "positions", names)
    _in_range(gold_shown, 0, counts, "gold_positions", names)
    where, gold_where = (np.ascontiguousarray(a.T.astype(answers.dtype)) for a in (shown, gold_shown))
    # The picked option is the gold one exactly if both stand at one letter, and no letter means no answer.
    wrong = ((where < 0) != (answers < 0)) | ((answers >= 0) & ((where == gold_where) != (answers == gold)))
    if wrong.any():
        row, column = (int(i) for i in np.argwhere(wrong.T)[0])
        raise CrossinError(
            f"positions at question row {row}, language {names[column]} contradict answers and gold: answer "
            f"{answers[column, row]} shown at {where[column, row]}, gold {gold[row]} at {gold_where[column, row]}"
        )
    return where, gold_where, bool((gold_where == gold_where[:1]).all())
