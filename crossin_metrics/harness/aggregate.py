"""From the answered rows of a harness run to scores: in any order, joined on the question's id, whole questions only.

The harness hands each metric's aggregation that metric's row values and nothing else, so every value is a whole `Row`.
"""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from crossin_metrics.scores.answer_matrix import AnswerMatrix, IntArray, answer_matrix, shared_passages
from crossin_metrics.scores.catalogue import MAIN_SCORES, SCORES, describe
from crossin_metrics.scores.causes.noise_floor import noise_floor
from crossin_metrics.scores.definitions import score_questions
from crossin_metrics.scores.per_question import PIVOT
from crossin_metrics.scores.readings import reading_scores
from crossin_metrics.scores.ties import tie_note
from crossin_metrics.scores.uncertainty import Replicates, bootstrap, standard_errors

logger = logging.getLogger("lm_eval.crossin")
ASKED_AGAIN = ["asked_again", "asked_across", "language_ratio", "language_ratio_kappa"]


@dataclasses.dataclass(frozen=True)
class Row:
    """One answered row.

    `answer` and `gold` are option indices (-1: no answer), `order[position]` the option shown there (empty: unknown),
    `logprobs` log-probabilities in option order. Of generated text: `rule` that read it, characters of `thought`,
    `written` language of thought and answer ("": unknown; None: not detected), `self_agreement` of its repeats.
    `again` names the asking, "" the first: the scores are of that one. `group`: passage, subject or relation.
    """

    id: str
    language: str
    answer: int
    gold: int
    order: tuple[int, ...] = ()
    logprobs: tuple[float, ...] | None = None
    rule: str = ""
    thought: int = 0
    written: tuple[str, str] | None = None
    self_agreement: float = 1.0
    again: str = ""
    group: str = ""


class RowResult(dict[str, Any]):
    """A row's results in the two forms lm-eval needs from one mapping (`lm_eval.evaluator.evaluate`, 0.4.13).

    lm-eval copies the mapping itself into the sample log and aggregates what `items()` yields. Only `answer` (the
    option picked, None: no answer), `acc` (1 or 0) and how a generated text was read mean something for a single row,
    so only they are logged; all other scores are of whole questions in all languages, so `items()` yields a `Row` for
    each of them.
    """

    def __init__(
        self, rows: Mapping[str, Row], metrics: Mapping[str, tuple[str, str]], log: Mapping[str, Any] | None = None
    ) -> None:
        """Take suffix of the answers ("" or "_norm") -> row, see :func:`headline_metrics`, and what else to log."""
        super().__init__(log or {})
        for suffix, row in rows.items():
            self[f"answer{suffix}"] = None if row.answer < 0 else row.answer
            self[f"acc{suffix}"] = int(row.answer == row.gold)
        # `x_stderr` comes right after `x`: its value replaces the "N/A" that lm-eval puts there for unknown functions.
        self._values: dict[str, Row] = {}
        for name, (suffix, _) in metrics.items():
            self._values |= {name: rows[suffix], f"{name}_stderr": rows[suffix]}

    def items(self) -> Any:
        """Metric -> row, for aggregation."""
        return self._values.items()


def headline_metrics(
    formulation: str,
    languages: Sequence[str],
    *,
    thinks: bool = False,
    repeats: int = 1,
    again: bool = False,
    detects: bool = False,
) -> dict[str, tuple[str, str]]:
    """Return the metrics of the harness's table for a formulation: name -> (suffix of the answers, score key).

    Tables of rows asked `again` show the noise floor. Tables of generation tasks count unanswered rows per language; of
    models that think, cut rows and thoughts too.
    """
    keys = [key for key, score in SCORES.items() if formulation in score.harness]
    if PIVOT not in languages:
        keys.remove("transfer")
    if repeats == 1 and "self_agreement" in keys:
        keys.remove("self_agreement")
    if not thinks:
        keys = [key for key in keys if key not in ("thought", "thought_own_language")]
    if not detects:
        keys = [key for key in keys if not key.endswith("_own_language")]
    if len(languages) == 1:
        keys = [key for key in keys if key == "acc" or SCORES[key].kind in ("count", "reading")]
    elif formulation == "gen":
        names = ["n_unanswered", *(("n_cut", "thought") if thinks else ())]
        names += [key for key in keys if key.endswith("_own_language")]
        keys += [f"{name}_{language}" for name in names for language in languages]
    keys[1:1] = [f"acc_{language}" for language in languages]
    if again:
        keys += ASKED_AGAIN if len(languages) > 1 else ASKED_AGAIN[:1]
    metrics = {key: ("", key) for key in keys}
    if formulation == "cf":
        metrics |= {f"{key}_norm": ("_norm", key) for key in MAIN_SCORES if key in keys}
    return metrics


def aggregate(key: str, languages: Sequence[str]) -> Callable[[Sequence[Row]], float | int | str]:
    """Return the aggregation of one score: a function of the rows, in any order."""

    def function(rows: Sequence[Row]) -> float | int | str:
        score = _scores(tuple(rows), tuple(languages)).get(key, math.nan)
        if math.isnan(score):  # without cases, as transfer with nothing right in English; NaN would be no valid JSON
            return "N/A"
        return int(score) if key.startswith("n_") else score

    function.__name__ = key
    return function


def standard_error(
    key: str, languages: Sequence[str], replicates: int, seed: int
) -> Callable[[Sequence[Row]], float | str]:
    """Return the aggregation of one score's standard error: bootstrap over questions; "N/A" if there is none."""

    def function(rows: Sequence[Row]) -> float | str:
        if describe(key).kind not in ("score", "cause") or replicates < 2:
            return "N/A"
        error = _errors(tuple(rows), tuple(languages), replicates, seed).get(key, math.nan)
        return "N/A" if math.isnan(error) else error

    function.__name__ = f"{key}_stderr"
    return function


def aggregate_rows(key: str, rows: Sequence[Row]) -> float:
    """Return one score of rows in any order, over the languages that occur; NaN if the score is undefined."""
    return _scores(tuple(rows), tuple(sorted({row.language for row in rows}))).get(key, math.nan)


# Cached, so that all metrics of a task share one computation.


@lru_cache(maxsize=8)
def _scores(rows: tuple[Row, ...], languages: tuple[str, ...]) -> dict[str, float]:
    matrix = _matrix(rows, languages)
    broken = sum(row.logprobs is not None and row.answer < 0 for row in rows)
    if broken:
        logger.warning(
            "%d of %d rows have log-probabilities that are NaN, +inf or all -inf: they count as unanswered",
            broken,
            len(rows),
        )
    if note := tie_note(matrix.ties, matrix.answers.size):
        logger.warning("%s", note)
    ordered = _whole_questions(rows, languages)
    shape = (len(ordered) // len(languages), len(languages))
    answers, rules, thoughts = (
        np.array([getattr(row, name) for row in ordered]).reshape(shape) for name in ("answer", "rule", "thought")
    )
    written = [row.written for row in ordered if row.written is not None]
    known = np.array(written).reshape(*shape, 2) if len(written) == len(ordered) else None
    readings = reading_scores(answers, rules, thoughts, languages, known)
    agreement = float(np.mean([row.self_agreement for row in ordered]))
    scores = score_questions(matrix) | readings | {"self_agreement": agreement}
    return scores | (_floor(rows, languages, 2, 0).estimate if any(row.again for row in rows) else {})


@lru_cache(maxsize=8)
def _errors(rows: tuple[Row, ...], languages: tuple[str, ...], replicates: int, seed: int) -> dict[str, float]:
    matrix = _matrix(rows, languages)
    if matrix.n_questions < 2:
        return {}
    errors = standard_errors(bootstrap(matrix, n_resamples=replicates, seed=seed))
    if any(row.again for row in rows):
        errors |= standard_errors(_floor(rows, languages, replicates, seed))
    return errors


@lru_cache(maxsize=8)
def _whole_questions(rows: tuple[Row, ...], languages: tuple[str, ...]) -> list[Row]:
    """Join first askings on the question's id; a question that lacks a language (`--limit`) is left out, and said."""
    by_question: dict[str, dict[str, Row]] = {}
    for row in (row for row in rows if not row.again):
        by_question.setdefault(row.id, {})[row.language] = row
    whole = [found for _, found in sorted(by_question.items()) if all(code in found for code in languages)]
    if len(whole) < len(by_question):
        logger.warning(
            "%d of %d questions were not asked in all of %s and are left out",
            len(by_question) - len(whole),
            len(by_question),
            ", ".join(languages),
        )
    return [found[code] for found in whole for code in languages]


def _floor(rows: Sequence[Row], languages: tuple[str, ...], replicates: int, seed: int) -> Replicates:
    """The noise floor over the questions asked in all languages, each time."""
    askings: dict[str, list[Row]] = {}
    for row in rows:
        askings.setdefault(row.again, []).append(dataclasses.replace(row, again=""))
    whole = [_whole_questions(tuple(asked), languages) for asked in askings.values()]
    ids = set.intersection(*({row.id for row in asked} for asked in whole))
    kept = [[row for row in asked if row.id in ids] for asked in whole]
    shape, widest = (len(kept), len(ids), len(languages)), max(len(row.order) for row in kept[0])
    orders = [[(*row.order, *[-1] * (widest - len(row.order))) for row in asked] for asked in kept]
    return noise_floor(
        np.array([[row.answer for row in asked] for asked in kept]).reshape(shape),
        languages,
        np.array([len(row.order) for row in kept[0][:: len(languages)]]),
        orders=np.array(orders).reshape(*shape, widest),
        passages=_passages(kept[0][:: len(languages)]),
        n_resamples=replicates,
        seed=seed,
    )


@lru_cache(maxsize=8)
def _matrix(rows: tuple[Row, ...], languages: tuple[str, ...]) -> AnswerMatrix:
    """The rows of whole questions as an answer matrix."""
    ordered = _whole_questions(rows, languages)
    shape = (len(ordered) // len(languages), len(languages))
    widest = max(len(row.order) for row in ordered)
    orders = np.full((*shape, widest), -1, dtype=np.int64)
    logprobs = np.full((*shape, widest), -np.inf)
    for number, row in enumerate(ordered):
        at = divmod(number, shape[1])
        orders[at][: len(row.order)] = row.order
        if row.logprobs is not None and row.answer >= 0:
            logprobs[at][: len(row.order)] = row.logprobs
    return answer_matrix(
        np.array([row.answer for row in ordered]).reshape(shape),
        np.array([row.gold for row in ordered]).reshape(shape),
        languages,
        n_choices=np.array([len(row.order) for row in ordered]).reshape(shape)[:, 0] if widest else None,
        orders=orders if widest else None,
        logprobs=logprobs if any(row.logprobs is not None for row in ordered) else None,
        passages=_passages(ordered[:: shape[1]]),
    )


def _passages(rows: Sequence[Row]) -> IntArray | None:
    """The passages that questions share, of one row a question."""
    return shared_passages([row.id for row in rows], [row.group for row in rows])
