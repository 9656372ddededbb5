"""Checks of parallel multiple-choice rows: what is wrong is named, never repaired silently.

A *row* here is one question in all its languages, as the SeaEval sets store it: `id`, then per language an object
`{context?, question, choices, answer}` whose `answer` is one of `choices`. Everything wrong in a row raises
`CrossinError` naming file, line, id, language and remedy.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from crossin_metrics.errors import CrossinError
from crossin_metrics.languages import LANGUAGES, language_code
from crossin_metrics.records import Record

_LABEL = re.compile(r"\(([A-Z])\)\s*")


@dataclass(frozen=True, slots=True)
class Item:
    """One question in one language: passage (None where there is none), question, options without labels."""

    context: str | None
    question: str
    choices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Checked:
    """Rows that passed every check, transposed by language; fields as in `ParallelMCQ`."""

    languages: tuple[str, ...]
    ids: tuple[str, ...]
    items: dict[str, tuple[Item, ...]]
    gold: tuple[int, ...]
    groups: tuple[str, ...]


def check_rows(rows: Iterable[Record], languages: Sequence[str] | None = None) -> Checked:
    """Check raw rows and transpose them by language.

    Args:
        rows: raw rows in their order; not empty.
        languages: codes or English names to load; None takes those of the first row, in its order. Languages that
            are not asked for are not checked.

    Returns:
        The checked rows. Labels `(A) `, `(B) ` ... are taken off where every option of a row carries its own; outer
        white space is taken off everything. Equal options in a row raise a warning, and an error only where the right
        one cannot be told from its double.

    Raises:
        CrossinError: anything else that breaks the schema.
    """
    rows = list(rows)
    wanted = None if languages is None else unique_codes(languages)
    ids: dict[str, str] = {}
    columns: dict[str, list[Item]] = {}
    gold: list[int] = []
    passages: list[set[str]] = []
    doubles: list[str] = []
    for row in rows:
        identifier = _identifier(row)
        if identifier in ids:
            raise CrossinError(
                f"{row.where}, id {identifier}: this id stands before, at {ids[identifier]}; make ids unique"
            )
        ids[identifier] = row.where
        where = f"{row.where}, id {identifier}"
        objects = _language_objects(row.value, where, wanted)
        if wanted is None:
            wanted = tuple(objects)
            if not wanted:
                raise CrossinError(
                    f"{where}: no language; after `id` comes an object per language, as in 'en': {{...}}"
                )
        columns = columns or {code: [] for code in wanted}
        first: tuple[str, int, int, bool] | None = None
        for code in wanted:
            if code not in objects:
                have = ", ".join(sorted(objects)) or "none"
                raise CrossinError(
                    f"{where}, language {code}: missing (it has {have}); add it or ask for other languages"
                )
            at = f"{where}, language {code}"
            item, index = _item(objects[code], at, doubles)
            this = code, len(item.choices), index, item.context is not None
            first = first or this
            if this[1] != first[1]:
                raise CrossinError(f"{at}: {this[1]} choices where {first[0]} has {first[1]}; options must be parallel")
            if this[2] != first[2]:
                raise CrossinError(
                    f"{at}: the answer is choice {index} (from 0) where in {first[0]} it is {first[2]}; "
                    "options must stand in the same order in every language"
                )
            if this[3] != first[3]:
                raise CrossinError(
                    f"{at}: has {'a' if this[3] else 'no'} context, unlike {first[0]}; give all or none one"
                )
            columns[code].append(item)
        assert first is not None
        gold.append(first[2])
        passages.append(_passages(objects))
    if wanted is None:
        raise CrossinError("no rows; a parallel set holds at least one question")
    if doubles:
        warnings.warn(f"equal choices in {len(doubles)} rows, the first at {doubles[0]}", stacklevel=3)
    keys = tuple(ids)
    return Checked(wanted, keys, {c: tuple(v) for c, v in columns.items()}, tuple(gold), _groups(keys, passages))


def unique_codes(languages: Sequence[str]) -> tuple[str, ...]:
    """Return language codes for codes or names, in their order; `CrossinError` if none, unknown or twice the same."""
    if isinstance(languages, str):
        languages = [part for part in re.split(r"[,\s]+", languages) if part]
    codes = tuple(language_code(name) for name in languages)
    if not codes:
        raise CrossinError("no languages asked for; name at least one, as in en,zh")
    if len(set(codes)) < len(codes):
        twice = next(code for code in codes if codes.count(code) > 1)
        raise CrossinError(f"language {twice} is asked for twice in {', '.join(languages)}; name each once")
    return codes


def _identifier(row: Record) -> str:
    value = row.value.get("id")
    if isinstance(value, dict):
        raise CrossinError(
            f"{row.where}: `id` holds an object; it is the question's id, Indonesian is named 'Indonesian'"
        )
    if isinstance(value, bool) or not isinstance(value, (str, int)) or not str(value).strip():
        raise CrossinError(f"{row.where}: `id` is {value!r}; give each question an id, a text that is not empty")
    return _text(str(value), "`id`", row.where)


def _language_objects(row: dict[str, Any], where: str, wanted: tuple[str, ...] | None) -> dict[str, Any]:
    """The row's values by language code. Keys that are no language are other columns, unless they hold an object."""
    objects: dict[str, Any] = {}
    for key, value in row.items():
        if key == "id" or value is None:  # Parquet and the hub fill up what a row lacks with null
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


def _text(value: Any, what: str, at: str) -> str:
    if not isinstance(value, str):
        raise CrossinError(f"{at}: {what} is {type(value).__name__}, not text; make it a JSON string")
    text = value.strip()
    if not text:
        raise CrossinError(f"{at}: {what} is empty; fill it in or leave the question out")
    if any("\ud800" <= character <= "\udfff" for character in text):  # JSON can escape half a character; UTF-8 cannot
        raise CrossinError(f"{at}: {what} has half a character (a lone surrogate); write it out in UTF-8")
    return text


def _item(value: Any, at: str, doubles: list[str]) -> tuple[Item, int]:
    """One language's item and the index of its right option."""
    if not isinstance(value, dict):
        raise CrossinError(f"{at}: {type(value).__name__} instead of an object {{context?, question, choices, answer}}")
    for key in ("question", "choices", "answer"):
        if value.get(key) is None:
            raise CrossinError(f"{at}: no {key!r}; a row needs question, choices and answer")
    raw = value["choices"]
    if not isinstance(raw, (list, tuple)):
        raise CrossinError(f"{at}: choices is {type(raw).__name__}, not a list; make it a JSON array of texts")
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
        shown = " | ".join(choices)
        raise CrossinError(f"{at}: the answer {answer!r} is not among the choices ({shown}); copy it from one of them")
    if len(matches) > 1:
        raise CrossinError(f"{at}: the answer {answer!r} is {len(matches)} of the choices; make the choices differ")
    if len(set(choices)) < len(choices):
        doubles.append(at)
    context = value.get("context")
    passage = None if context is None or context == "" else _text(context, "context", at)
    return Item(passage, _text(value["question"], "question", at), tuple(choices)), matches[0]


def _without_labels(texts: list[str], at: str) -> list[str]:
    """Take off `(A) `, `(B) ` ... where every option has one. A lone "(A) ..." is an option's own text and stays."""
    found = [_LABEL.match(text) for text in texts]
    if not all(found):
        return texts
    letters = "".join(label[1] for label in found if label)
    if letters != "".join(chr(ord("A") + number) for number in range(len(texts))):
        raise CrossinError(
            f"{at}: the choices are labelled {', '.join(letters)}; label them A, B, C ... in order or not at all"
        )
    stripped = [text[label.end() :].strip() for text, label in zip(texts, found, strict=True) if label]
    if not all(stripped):
        raise CrossinError(f"{at}: choice {letters[stripped.index('')]} is empty; fill it in or leave the question out")
    return _without_labels(stripped, at)  # labels given twice; and reading back what was written changes nothing


def _passages(objects: dict[str, Any]) -> set[str]:
    """The row's passages in every language the file has, so that groups do not depend on the languages asked for."""
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


def english_name(code: str) -> str:
    """The key a language is written under. Not its code: Indonesian's, `id`, is the key of the question's id."""
    return LANGUAGES[code].english
