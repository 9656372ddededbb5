"""The rows of one run, joined on the questions' ids: which questions are complete, and whether their rows agree."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from crossin_metrics.errors import CrossinError
from crossin_metrics.runs.tables import AnswerRow, RunKey


def complete(
    key: RunKey, questions: dict[str, dict[str, AnswerRow]], languages: list[str]
) -> tuple[list[str], list[str]]:
    """Sorted ids of the questions that have every language, and notes."""
    relevant = {name: by for name, by in questions.items() if any(language in by for language in languages)}
    ids = sorted(name for name, by in relevant.items() if all(language in by for language in languages))
    if len(ids) == len(relevant):
        return ids, []
    lacking = {language: [name for name, by in relevant.items() if language not in by] for language in languages}
    by_language = ", ".join(f"{language} lacks {len(names)}" for language, names in lacking.items() if names)
    language, names = next((language, names) for language, names in lacking.items() if names)
    place = next(iter(relevant[names[0]].values())).place
    said = f"{by_language}; the first: id {names[0]!r} ({place}) has no {language}"
    if not ids:
        raise CrossinError(
            f"run {key.name}: none of its {len(relevant)} questions has all of {', '.join(languages)} "
            f"({said}); ids must be the same in every language; --languages chooses some"
        )
    n_left_out = len(relevant) - len(ids)
    return ids, [f"run {key.name}: {n_left_out} of {len(relevant)} questions left out, not in every language: {said}"]


def mismatch(row: list[AnswerRow]) -> str | None:
    """How gold or the number of choices differs between the languages of one question; None if they agree."""
    first = next((cell for cell in row if cell.n_choices is not None), row[0])
    for cell in row:
        agreed = cell.n_choices == first.n_choices or None in (cell.n_choices, first.n_choices)
        if cell.gold == first.gold and agreed:
            continue
        what, one, other = (
            ("gold", first.gold, cell.gold)
            if cell.gold != first.gold
            else ("the number of choices", first.n_choices, cell.n_choices)
        )
        return f"{what} is {one} in {first.language} ({first.place}) but {other} in {cell.language} ({cell.place})"
    return None


def check_answers(rows: list[list[AnswerRow]], n_choices: Sequence[int | None]) -> None:
    """Refuse answers beyond the options and, where options are not counted, those that seem to count from 1 or to be
    a code for no answer, such as 99."""
    golds = {row[0].gold for row in rows}
    picked = {cell.answer for row in rows for cell in row if cell.answer >= 0}
    if len(rows) >= 4 and len(golds) > 1 and not any(n_choices):
        place, else_ = rows[0][0].place, "or add a column n_choices if they do count from 0"
        if 1 in golds & picked and 0 not in golds | picked:
            raise CrossinError(
                f"{place}: no answer and no gold option is 0, so they seem to count from 1; subtract 1 from both "
                f"columns, {else_}"
            )
        for one, other, name in ((picked, golds, "answers"), (golds, picked, "gold options")):
            if one == {option + 1 for option in other}:
                raise CrossinError(
                    f"{place}: {name} go from {min(one)} to {max(one)}, the other column from {min(other)} to "
                    f"{max(other)}, so they seem to count from 1; subtract 1, {else_}"
                )
    if not any(n_choices) and max(picked, default=0) > max(25, 2 * max(golds)):
        cell = next(cell for row in rows for cell in row if cell.answer == max(picked))
        raise CrossinError(
            f"{cell.place}: answer {cell.answer}, but no gold option is above {max(golds)}; leave the cell empty if "
            "there is no answer, or add a column n_choices"
        )
    for row, n in zip(rows, n_choices, strict=True):
        for cell in row:
            if n is not None and cell.answer >= n:
                raise CrossinError(f"{cell.place}: answer {cell.answer} is not among the {n} choices (0 ... {n - 1})")


def logprob_notes(key: RunKey, rows: list[list[AnswerRow]]) -> list[str]:
    """Sentences where only some rows have log-probabilities, and where some rank no option first."""
    lacking = [cell for row in rows for cell in row if cell.logprobs is None]
    broken = [cell for row in rows for cell in row if cell.logprobs and max(cell.logprobs) == -math.inf]
    n_rows, notes = sum(map(len, rows)), []
    if 0 < len(lacking) < n_rows:
        notes.append(
            f"run {key.name}: {len(lacking)} of {n_rows} rows have no logprobs, so scores that need them are left out; "
            f"the first: {lacking[0].place}"
        )
    if broken:
        notes.append(
            f"run {key.name}: {len(broken)} of {n_rows} rows have logprobs that are NaN, +inf or all -inf, and count "
            f"as unanswered; the first: {broken[0].place}"
        )
    return notes


def option_orders(rows: list[list[AnswerRow]]) -> NDArray[np.int64] | None:
    """`[n_questions, n_languages, n_choices]`: the option at each position, -1 past the last; None where unknown."""
    lacking = [cell for row in rows for cell in row if cell.order is None]
    if len(lacking) == sum(map(len, rows)):
        return None
    if lacking:
        raise CrossinError(
            f"{lacking[0].place}: id {lacking[0].id!r}, language {lacking[0].language}: order is empty but given in "
            f"other rows ({len(lacking)} such rows); fill it in, or remove the column"
        )
    widest = max(cell.n_choices or 0 for row in rows for cell in row)
    values = np.full((len(rows), len(rows[0]), widest), -1, dtype=np.int64)
    for q, row in enumerate(rows):
        for column, cell in enumerate(row):
            order = cell.order or ()
            values[q, column, : len(order)] = order
    return values


def log_probabilities(rows: list[list[AnswerRow]]) -> NDArray[np.float64] | None:
    """`[n_questions, n_languages, n_choices]` in option order, -inf past the last; None where a row has none."""
    if any(cell.logprobs is None for row in rows for cell in row):
        return None
    widest = max(len(cell.logprobs or ()) for row in rows for cell in row)
    values = np.full((len(rows), len(rows[0]), widest), -np.inf)
    for q, row in enumerate(rows):
        for column, cell in enumerate(row):
            values[q, column, : len(cell.logprobs or ())] = cell.logprobs
    return values
