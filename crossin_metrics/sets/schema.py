"""The schema of parallel sets: raw rows are checked and become a `ParallelMCQ`, nothing is repaired silently.

A raw row is one question in all its languages, as the SeaEval sets store it: `id`, then per language an object
`{context?, question, choices, answer}` whose `answer` is one of `choices`.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

from crossin_metrics.errors import CrossinError
from crossin_metrics.languages import language_code, language_codes
from crossin_metrics.records import Record, other_kind
from crossin_metrics.sets.parallel_set import Item, ParallelMCQ

_LABEL = re.compile(r"\(([A-Z])\)\s*")


def parse_rows(
    rows: Iterable[Record], languages: Sequence[str] | None = None, *, name: str, source: str
) -> ParallelMCQ:
    """Check raw rows and turn them into a parallel set.

    Labels `(A) `, `(B) ` ... are stripped where every option of a row has its own, and outer white space everywhere.
    Equal options in a row raise a warning; an error only if the right option is among them.

    Args:
        rows: raw rows in their order.
        languages: codes or English names to load; None: those of the first row. Other languages are not checked.
        name, source: of the set.

    Raises:
        CrossinError: no rows, or a row that breaks the schema; with file, line, id, language and remedy.
    """
    wanted = None if languages is None else language_codes(languages)
    ids: dict[str, str] = {}
    columns: dict[str, list[Item]] = {}
    gold: list[int] = []
    passages: list[set[str]] = []
    doubles: list[str] = []
    for row in rows:
        identifier = _identifier(row)
        if identifier in ids:
            raise CrossinError(f"{row.where}, id {identifier}: duplicate id, first at {ids[identifier]}")
        ids[identifier] = row.where
        where = f"{row.where}, id {identifier}"
        objects = _language_objects(row.value, where, wanted)
        wanted = wanted or tuple(objects)
        if not wanted:
            kind = other_kind(row.value) or "; after `id` comes an object per language, as in 'en': {...}"
            raise CrossinError(f"{where}: no language{kind}")
        columns = columns or {code: [] for code in wanted}
        gold.append(_parallel_items(objects, wanted, where, columns, doubles))
        passages.append(_passages(objects))
    if wanted is None:
        raise CrossinError("no rows; a parallel set holds at least one question")
    if doubles:
        warnings.warn(f"equal choices in {len(doubles)} rows, the first at {doubles[0]}", stacklevel=3)
    items = {code: tuple(column) for code, column in columns.items()}
    return ParallelMCQ(name, wanted, tuple(ids), items, tuple(gold), _groups(tuple(ids), passages), source)


def _identifier(row: Record) -> str:
    if not isinstance(row.value, dict):
        raise CrossinError(f"{row.where}: must be an object with `id` and languages, not {type(row.value).__name__}")
    value = row.value.get("id")
    if isinstance(value, dict):
        raise CrossinError(f"{row.where}: `id` must be the question's id; the key for Indonesian is 'Indonesian'")
    if isinstance(value, bool) or not isinstance(value, (str, int)) or not str(value).strip():
        raise CrossinError(f"{row.where}: `id` must be a non-empty string, not {value!r}{other_kind(row.value)}")
    return _text(str(value), "`id`", row.where)


def _language_objects(row: dict[str, Any], where: str, wanted: tuple[str, ...] | None) -> dict[str, Any]:
    """The row's values by language code. Other keys are extra columns, unless they hold an object."""
    objects: dict[str, Any] = {}
    for key, value in row.items():
        if key == "id" or value is None:  # Parquet and the hub fill missing values with null
            continue
        try:
            code = language_code(key)
        except CrossinError as error:
            if wanted is None and isinstance(value, dict):
                raise CrossinError(f"{where}: {error}") from None
            continue
        if code in objects:
            raise CrossinError(f"{where}, language {code}: given twice, again as {key!r}; keep one of the two")
        objects[code] = value
    return objects


def _parallel_items(
    objects: dict[str, Any], wanted: tuple[str, ...], where: str, columns: dict[str, list[Item]], doubles: list[str]
) -> int:
    """Append the row's item in each language to `columns`; returns the gold index, the same in all."""
    first, gold = None, -1
    for code in wanted:
        at = f"{where}, language {code}"
        if code not in objects:
            have = ", ".join(sorted(objects)) or "none"
            raise CrossinError(f"{at}: missing (the row has {have}); add it, or choose other languages")
        item, index = _item(objects[code], at, doubles)
        if first is None:
            first, gold = item, index
        n_first, n_here = len(first.choices), len(item.choices)
        if n_here != n_first:
            raise CrossinError(f"{at}: {n_here} choices, but {n_first} in {wanted[0]}; options must be parallel")
        if index != gold:
            raise CrossinError(
                f"{at}: the answer is choice {index} (from 0), but {gold} in {wanted[0]}; "
                "options must be in the same order in every language"
            )
        if (item.context is None) != (first.context is None):
            has = "no" if item.context is None else "a"
            raise CrossinError(f"{at}: has {has} context, unlike {wanted[0]}; all or none must have one")
        columns[code].append(item)
    return gold


def _text(value: Any, what: str, at: str) -> str:
    if not isinstance(value, str):
        raise CrossinError(f"{at}: {what} must be a string, not {type(value).__name__}")
    text = value.strip()
    if not text:
        raise CrossinError(f"{at}: {what} is empty; fill it in or drop the question")
    if any("\ud800" <= character <= "\udfff" for character in text):  # JSON can escape half a character; UTF-8 cannot
        raise CrossinError(f"{at}: {what} has half a character (a lone surrogate); write it in UTF-8")
    return text


def _item(value: Any, at: str, doubles: list[str]) -> tuple[Item, int]:
    """One language's item and the index of its right option."""
    if not isinstance(value, dict):
        raise CrossinError(
            f"{at}: must be an object {{context?, question, choices, answer}}, not {type(value).__name__}"
        )
    for key in ("question", "choices", "answer"):
        if value.get(key) is None:
            raise CrossinError(f"{at}: no {key!r}; a row needs question, choices and answer")
    raw = value["choices"]
    if not isinstance(raw, (list, tuple)):
        raise CrossinError(f"{at}: choices must be an array of strings, not {type(raw).__name__}")
    if len(raw) < 2:
        raise CrossinError(f"{at}: {len(raw)} choice(s); a multiple-choice question needs at least 2")
    texts = [_text(choice, f"choice {number} (from 0)", at) for number, choice in enumerate(raw)]
    choices = _without_labels(texts, at)
    answer = _text(value["answer"], "answer", at)
    matches = [number for number, text in enumerate(texts) if text == answer]  # with labels even doubles differ
    matches = matches or [number for number, choice in enumerate(choices) if choice == answer]
    if not matches and (label := _LABEL.match(answer)):
        position = ord(label[1]) - ord("A")
        if position < len(choices) and choices[position] == answer[label.end() :].strip():
            matches = [position]
    if not matches:
        raise CrossinError(f"{at}: the answer {answer!r} is not among the choices ({' | '.join(choices)})")
    if len(matches) > 1:
        raise CrossinError(f"{at}: the answer {answer!r} is {len(matches)} of the choices; choices must differ")
    if len(set(choices)) < len(choices):
        doubles.append(at)
    context = value.get("context")
    passage = None if context is None or context == "" else _text(context, "context", at)
    return Item(passage, _text(value["question"], "question", at), tuple(choices)), matches[0]


def _without_labels(texts: list[str], at: str) -> list[str]:
    """Strip `(A) `, `(B) ` ... if every option has one. A lone "(A) ..." is the option's own text."""
    found = [_LABEL.match(text) for text in texts]
    if not all(found):
        return texts
    letters = "".join(label[1] for label in found if label)
    if letters != "".join(chr(ord("A") + number) for number in range(len(texts))):
        raise CrossinError(f"{at}: the choices are labelled {', '.join(letters)}; use A, B, C ... in order or none")
    stripped = [text[label.end() :].strip() for text, label in zip(texts, found, strict=True) if label]
    if not all(stripped):
        raise CrossinError(f"{at}: choice {letters[stripped.index('')]} is empty; fill it in or drop the question")
    return _without_labels(stripped, at)  # some sets label twice


def _passages(objects: dict[str, Any]) -> set[str]:
    """The row's passages in all languages of the file, so that groups do not depend on the languages loaded."""
    contexts = (value.get("context") for value in objects.values() if isinstance(value, dict))
    return {text.strip() for text in contexts if isinstance(text, str) and text.strip()}


def _groups(ids: Sequence[str], passages: Sequence[set[str]]) -> tuple[str, ...]:
    """Give questions that share a passage in any language one key: the id of the first of them."""
    parent = list(range(len(ids)))  # union by the lower position, so that a root is its group's first question
    first_with: dict[str, int] = {}

    def root(position: int) -> int:
        while parent[position] != position:
            position = parent[position]
        return position

    for position, texts in enumerate(passages):
        for text in texts:
            low, high = sorted((root(first_with.setdefault(text, position)), root(position)))
            parent[high] = low
    return tuple(ids[root(position)] for position in range(len(ids)))
