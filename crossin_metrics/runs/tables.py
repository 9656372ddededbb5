"""Prediction tables: columns `id, language, answer, gold` as JSON Lines (also .gz), CSV or Parquet.

Optional columns: `task, model, mode, prompt, variant` (one file may hold many runs), `signature` (the run's, the same
in all its rows), `group` (passage, subject or relation), `logprobs` (one number an option), `n_choices` or `choices`
(the options), `order` (`order[position]` = option shown there) and `text` (the model's output, read by
`crossin_metrics.answers` if there is no `answer` column). The content decides the format, not the name.
"""

from __future__ import annotations

import ast
import contextlib
import csv
import json
import math
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from crossin_metrics.errors import DAMAGE, CrossinError, located, one_line
from crossin_metrics.languages import log_language
from crossin_metrics.records import Record, csv_columns, csv_rows, json_lines, other_kind, parquet_rows, text_lines

_COLUMNS = frozenset(
    {"id", "language", "answer", "gold", "task", "model", "mode", "prompt", "text"}
    | {"logprobs", "n_choices", "choices", "order", "variant", "signature", "group"}
)
_READERS: dict[str, Callable[[Path], Iterator[Record]]] = {
    "jsonl": partial(json_lines, unique_keys=True),
    "csv": csv_rows,
    "parquet": parquet_rows,
}


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
    written: tuple[str, str] | None = None  # languages of thought and answer ("": unknown), where they were detected
    self_agreement: float | None = None  # share of pairs of the row's repeats with one answer, where it is repeated
    group: str = ""  # passage, subject or relation
    signature: str = ""  # the run's, of a table that carries it


def read_table(path: Path, kind: str) -> Iterator[tuple[RunKey, AnswerRow]]:
    """Rows of a prediction table, each with the run it belongs to.

    Args:
        path: the file.
        kind: "jsonl", "csv" or "parquet".

    Raises:
        CrossinError: a column is missing or a value is invalid; with file, line, id and language.
    """
    if kind == "csv":
        _check_header(path)
    records = _named(_READERS[kind](path))
    task = _task_of(path)
    keys: dict[tuple[str, ...], RunKey] = {}
    languages: dict[str, str] = {}
    for place, record in records:
        try:
            named = tuple(
                _text(record.get(column), column) for column in ("task", "model", "mode", "prompt", "variant")
            )
            if named not in keys:
                keys[named] = _run_key(task, *named)
            row = _row(record, languages, place)
        except DAMAGE as error:
            raise located(place, error) from error
        yield keys[named], row


def _named(records: Iterable[Record]) -> Iterator[Record]:
    """The records with this module's column names, however their case and blanks are written.

    Raises:
        CrossinError: two names for one column.
    """
    known: dict[tuple[str, ...], list[str]] = {}
    for where, record in records:
        given = tuple(record)
        if given not in known:
            folded = [name.strip().casefold() for name in given]
            names = [fold if fold in _COLUMNS else name for fold, name in zip(folded, given, strict=True)]
            if len(set(names)) < len(names):
                twice = next(name for name in names if names.count(name) > 1)
                raise CrossinError(f"{where}: duplicate column {twice!r}; remove one")
            known[given] = names
        yield Record(where, dict(zip(known[given], record.values(), strict=True)))


def _run_key(default_task: str, task: str, model: str, mode: str, prompt: str, variant: str) -> RunKey:
    number = integer(prompt)
    return RunKey(task or default_task, model, mode, prompt if number is None else f"p{number}", variant)


def _language(name: str, languages: dict[str, str]) -> str:
    """The language's code, remembered in `languages`.

    Raises:
        CrossinError: unknown, or two regions or scripts of one language.
    """
    if name not in languages:
        code = log_language(name, strict=True)
        region = re.split("[-_]", name.casefold())[1:]
        for other, other_code in languages.items():
            if other_code == code and region and re.split("[-_]", other.casefold())[1:] not in ([], region):
                raise CrossinError(f"{other} and {name} are one language here, {code}; keep one of them in a file")
        languages[name] = code
    return languages[name]


def _check_header(path: Path) -> None:
    """Refuse a text of another kind by its first line: its rows would only show that it is no CSV."""
    head = next(text_lines(path), "")
    with contextlib.suppress(csv.Error):  # broken CSV, and NUL bytes, have messages of their own
        columns = csv_columns(head)[0]
        if "\0" not in head and all(columns[1:]):
            try:
                _check_columns(dict.fromkeys(map(str.casefold, columns)))
            except CrossinError as error:
                raise located(f"{path}, line 1", error) from None


def _check_columns(record: Mapping[str, Any]) -> None:
    missing = [name for name in ("id", "language", "gold") if name not in record]
    if "answer" not in record and "text" not in record:
        missing.append("answer")
    if missing:
        raise CrossinError(
            f"column{'s' if len(missing) > 1 else ''} {', '.join(missing)} missing (it has "
            f"{one_line(', '.join(map(str, record)), 150)})"
            + (other_kind(record) or "; a prediction table needs id, language, answer and gold")
        )


def _row(record: Mapping[str, Any], languages: dict[str, str], place: str) -> AnswerRow:
    _check_columns(record)
    identifier = re.sub(r"^(-?\d+)\.0$", r"\1", _text(record["id"], "id"))  # 1.0: a column with gaps, in pandas
    if not identifier:
        raise CrossinError("empty id")
    try:
        language = _language(_text(record["language"], "language") or str(record["language"]), languages)
    except CrossinError as error:
        raise CrossinError(f"id {identifier!r}: {error}") from None
    where = f"id {identifier!r}, language {language}"
    gold = integer(record["gold"])
    if gold is None or gold < 0:
        raise CrossinError(f"{where}: gold {_short(record['gold'])} must be an option index (0, 1, ...)")
    choices = _list(record.get("choices"), "choices", where)
    logprobs = _list(record.get("logprobs"), "logprobs", where)
    order = _list(record.get("order"), "order", where)
    n_choices = integer(record.get("n_choices"))
    if (n_choices is None and not _is_missing(record.get("n_choices"))) or (n_choices is not None and n_choices < 1):
        raise CrossinError(f"{where}: n_choices {_short(record['n_choices'])} must be a whole number above 0, or empty")
    if choices is not None and len(choices) < 2:
        raise CrossinError(f"{where}: choices {_short(record['choices'])} must be a list of the question's options")
    for values, name in ((choices, "choices"), (logprobs, "logprobs"), (order, "order")):
        if values and n_choices is None:
            n_choices = len(values)
        elif values and len(values) != n_choices:
            raise CrossinError(f"{where}: {len(values)} values in {name}, but {n_choices} options")
    if logprobs and not all(x is None or type(x) is float or (type(x) is int and abs(x) < 1e300) for x in logprobs):
        raise CrossinError(f"{where}: logprobs {_short(logprobs)} must be {n_choices} numbers, one for each option")
    if order and ({type(x) for x in order} != {int} or sorted(order) != list(range(len(order)))):
        raise CrossinError(f"{where}: order {_short(order)} is not a permutation of the options")
    answer = _answer(record, choices, language, where)
    if logprobs and not _rankable(logprobs):
        answer, logprobs = -1, [-math.inf] * len(logprobs)
    if n_choices is not None and not (answer < n_choices and gold < n_choices):
        wrong = "answer" if answer >= n_choices else "gold"
        raise CrossinError(
            f"{where}: {wrong} {max(answer, gold)} is not among the {n_choices} choices (0 ... {n_choices - 1}); "
            "options count from 0: subtract 1 if these count from 1"
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
        group=_text(record.get("group"), "group"),
        signature=sys.intern(_text(record.get("signature"), "signature")),
    )


def _rankable(logprobs: list[Any]) -> bool:
    """Whether there is a best option: numbers (-inf is one) of which one is finite; pandas writes NaN as null."""
    return None not in logprobs and not any(math.isnan(x) for x in logprobs) and math.isfinite(max(logprobs))


def _answer(record: Mapping[str, Any], choices: list[Any] | None, language: str, where: str) -> int:
    if "answer" not in record:
        if not choices:
            raise CrossinError(
                f"{where}: text but neither answer nor choices; add a column choices to read the answer from the text"
            )
        from crossin_metrics.answers import read_answer

        text = "" if _is_empty(record["text"]) else str(record["text"])
        read = read_answer(text, [str(choice) for choice in choices], language)
        return -1 if read is None else read
    value = record["answer"]
    answer = integer(value)
    if answer is None and _is_missing(value):
        return -1
    if answer is None or answer < -1:
        raise CrossinError(
            f"{where}: answer {_short(value)} must be an option index (0, 1, ...), or -1 or empty if there is none"
        )
    return answer


def _is_empty(value: Any) -> bool:
    if isinstance(value, float):
        return math.isnan(value)
    return value is None or (isinstance(value, str) and value.strip().casefold() in {"", "nan", "none", "null"})


def _is_missing(value: Any) -> bool:
    """Whether a cell of a column without text holds nothing, as spreadsheets and pandas write that."""
    return _is_empty(value) or (isinstance(value, str) and value.strip().casefold() in {"na", "n/a", "#n/a", "<na>"})


def _short(value: Any) -> str:
    return shown if len(shown := ascii(value)) <= 80 else shown[:77] + "..."


def _text(value: Any, column: str) -> str:
    """A name as text.

    Raises:
        CrossinError: a list or an object, or a text that no file can hold.
    """
    if _is_empty(value):
        return ""
    text = str(value).strip()
    if isinstance(value, (list, dict, bool)) or len(text) > 500:
        raise CrossinError(f"{column} {_short(value)} must be text or a number, of 500 characters at most")
    return text


def integer(value: Any) -> int | None:
    """An integer of 9 digits at most, also from "2", "2.0" or 2.0 (columns with gaps become floats); else None."""
    if type(value) is int:
        return value if abs(value) < 10**9 else None
    if isinstance(value, str):
        return int(float(value)) if re.fullmatch(r"\s*-?[0-9]{1,9}(\.0*)?\s*", value) else None
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 10**9 else None


def _list(value: Any, name: str, where: str) -> list[Any] | None:
    if value is None or _is_missing(value):
        return None
    if isinstance(value, str):
        value = _written_list(value)
    if isinstance(value, list):
        return value or None
    raise CrossinError(
        f"{where}: {name} must be a list (in CSV a JSON array such as [0, 1]: json.dumps(list(values)) in Python)"
    )


def _written_list(text: str) -> Any:
    """The list that a cell holds as JSON or as Python prints it; None for anything else."""
    if len(text) > 100_000:
        return None
    with contextlib.suppress(ValueError, RecursionError):
        return json.loads(text)
    with contextlib.suppress(ValueError, RecursionError):  # [-1.0, -inf, nan], as Python prints numbers
        text_of = {"inf": "Infinity", "nan": "NaN"}
        return json.loads(re.sub(r"(?<=[\[\s,-])(inf|nan)(?=[\s,\]])", lambda found: text_of[found[1]], text))
    with contextlib.suppress(ValueError, SyntaxError, RecursionError, MemoryError):
        return ast.literal_eval(text.strip())
    return None


def _task_of(path: Path) -> str:
    """The task of a table without a task column: the file's name without endings and a leading `predictions_`."""
    name = path.name
    for ending in (".gz", ".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet"):
        name = name.removesuffix(ending)
    return name.removeprefix("predictions_")
