"""Prediction tables: columns `id, language, answer, gold` as JSON Lines (also .gz), CSV or Parquet.

Optional columns: `task, model, mode, prompt` (one file may hold many runs), `logprobs` (one number an option),
`n_choices` or `choices` (the options), `order` (`order[position]` = option shown there) and `text` (the model's output,
read by `crossin_metrics.answers` if there is no `answer` column). The content decides the format, not the name.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from crossin_metrics.errors import CrossinError
from crossin_metrics.languages import log_language
from crossin_metrics.records import csv_rows, json_lines, parquet_rows


class RunKey(NamedTuple):
    """What distinguishes runs; "" for a part that does not apply."""

    task: str
    model: str = ""
    mode: str = ""
    prompt: str = ""
    variant: str = ""

    @property
    def name(self) -> str:
        """`task|model|mode|p1|variant`, empty parts left out."""
        return "|".join(part for part in self if part)


class AnswerRow(NamedTuple):
    """A model's answer to one question in one language: an option index from 0, or -1 if its output names none."""

    id: str
    language: str
    answer: int
    gold: int
    n_choices: int | None = None
    order: tuple[int, ...] | None = None
    logprobs: tuple[float, ...] | None = None
    place: str = ""  # file and line, for messages
    rule: str | None = None  # of generated text: the rule that read it ("": none did), and the length of its thought
    thought: int = 0


def read_table(path: Path, kind: str) -> Iterator[tuple[RunKey, AnswerRow]]:
    """Rows of a prediction table, each with the run it belongs to.

    Args:
        path: the file.
        kind: "jsonl", "csv" or "parquet".

    Raises:
        CrossinError: a column is missing or a value is invalid; with file, line, id and language.
    """
    records = {"jsonl": json_lines, "csv": csv_rows, "parquet": parquet_rows}[kind](path)
    task = _task_of(path)
    keys: dict[tuple[Any, ...], RunKey] = {}
    languages: dict[Any, str] = {}
    for place, record in records:
        try:
            named = (record.get("task"), record.get("model"), record.get("mode"), record.get("prompt"))
            if named not in keys:
                keys[named] = _run_key(task, *named)
            row = _row(record, languages, place)
        except CrossinError as error:
            raise CrossinError(f"{place}: {error}") from None
        yield keys[named], row


def _run_key(default_task: str, task: Any, model: Any, mode: Any, prompt: Any) -> RunKey:
    number = _integer(prompt)
    shown = f"p{number}" if number is not None else _text(prompt)
    return RunKey(_text(task) or default_task, _text(model), _text(mode), shown)


def _row(record: Mapping[str, Any], languages: dict[Any, str], place: str) -> AnswerRow:
    missing = [name for name in ("id", "language", "gold") if name not in record]
    if "answer" not in record and "text" not in record:
        missing.append("answer")
    if missing:
        raise CrossinError(
            f"column{'s' if len(missing) > 1 else ''} {', '.join(missing)} missing "
            f"(it has {', '.join(map(str, record))}); a prediction table needs id, language, answer and gold"
        )
    identifier = _text(record["id"])
    if not identifier:
        raise CrossinError("empty id")
    named = record["language"]
    try:
        if named not in languages:
            languages[named] = log_language(_text(named), strict=True)
    except CrossinError as error:
        raise CrossinError(f"id {identifier!r}: {error}") from None
    language = languages[named]
    where = f"id {identifier!r}, language {language}"
    gold = _integer(record["gold"])
    if gold is None or gold < 0:
        raise CrossinError(f"{where}: gold {record['gold']!r} must be an option index (0, 1, ...)")
    choices = _list(record.get("choices"), "choices", where)
    logprobs = _list(record.get("logprobs"), "logprobs", where)
    order = _list(record.get("order"), "order", where)
    n_choices = _integer(record.get("n_choices"))
    for values in (choices, logprobs, order):
        if n_choices is None and values:
            n_choices = len(values)
    if logprobs is not None and not (
        len(logprobs) == n_choices
        and all(isinstance(x, (int, float)) and x < math.inf for x in logprobs)
        and max(logprobs) > -math.inf
    ):
        raise CrossinError(
            f"{where}: logprobs {logprobs} must be {n_choices} numbers, one for each option and not all -inf"
        )
    if order and sorted(order) != list(range(len(order))):
        raise CrossinError(f"{where}: order {order} is not a permutation of the options")
    answer = _answer(record, choices, language, where)
    if n_choices is not None and not (answer < n_choices and gold < n_choices):
        wrong = "answer" if answer >= n_choices else "gold"
        raise CrossinError(
            f"{where}: {wrong} {max(answer, gold)} is not among the {n_choices} choices (0 ... {n_choices - 1})"
        )
    return AnswerRow(
        identifier,
        language,
        answer,
        gold,
        n_choices,
        tuple(order) if order else None,
        tuple(map(float, logprobs)) if logprobs else None,
        place,
    )


def _answer(record: Mapping[str, Any], choices: list[Any] | None, language: str, where: str) -> int:
    if "answer" not in record:
        if not choices:
            raise CrossinError(
                f"{where}: text but neither answer nor choices; add a column choices to read the answer from the text"
            )
        from crossin_metrics.answers import read_answer

        read = read_answer(_text(record["text"]), [str(choice) for choice in choices], language)
        return -1 if read is None else read
    value = record["answer"]
    answer = _integer(value)
    if answer is None and _is_empty(value):
        return -1
    if answer is None or answer < -1:
        raise CrossinError(
            f"{where}: answer {value!r} must be an option index (0, 1, ...), or -1 or empty if there is none"
        )
    return answer


def _is_empty(value: Any) -> bool:
    if isinstance(value, float):
        return math.isnan(value)
    return value is None or (isinstance(value, str) and value.strip().casefold() in {"", "nan", "none", "null"})


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value.strip()
    return "" if _is_empty(value) else str(value)


def _integer(value: Any) -> int | None:
    """An integer, also from "2" or 2.0 (columns with gaps become floats); None for anything else."""
    if type(value) is int:
        return value
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    if isinstance(value, bool) or _is_empty(value):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return int(number) if number.is_integer() else None


def _list(value: Any, name: str, where: str) -> list[Any] | None:
    if value is None or _is_empty(value):
        return None
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            value = None
    if isinstance(value, list):
        return value
    raise CrossinError(f"{where}: {name} must be a list (in CSV a JSON array such as [0, 1])")


def _task_of(path: Path) -> str:
    """The task of a table without a task column: the file's name without endings and a leading `predictions_`."""
    name = path.name
    for ending in (".gz", ".jsonl", ".ndjson", ".json", ".csv", ".parquet"):
        name = name.removesuffix(ending)
    return name.removeprefix("predictions_")
