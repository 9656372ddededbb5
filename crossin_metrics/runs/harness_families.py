"""Parallel tasks that the harness already has, one task a language, and how their sample logs join into one run.

A family says, for the tasks whose names match its pattern, where the language is in the name, which fields of a
document are the question's id (the same in every language), and where the gold option is. Options of these sets are
parallel by index. Sets whose documents have no id shared by the languages (XNLI, XWinograd, multilingual HellaSwag)
are not listed: rows are never joined on a row number or a hash of the text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from crossin_metrics.errors import CrossinError

_XX = r"(?P<language>[a-z]{2,3})"
_SUBJECT = r"(_(?P<subject>\w+))?"
_BELEBELE = ("link", "question_number")
_PROX = ("category", "question_id|question_id_src")  # releases differ in which of the two they have


class Family(NamedTuple):
    """One family of per-language tasks.

    Attributes:
        name: the run's task name.
        pattern: matches a whole task name; groups `language` and, if the name has them, `subject` and `prompt`.
        id_fields: fields of the document that together are the question's id; "a|b" are alternatives.
        gold: field of the document with the correct option.
        gold_base: what that field holds: "letter", or the number of the first option (0 or 1).
        options: fields with the options' texts, to read generated answers; null ones are left out.
    """

    name: str
    pattern: str
    id_fields: tuple[str, ...]
    gold: str
    gold_base: int | str
    options: tuple[str, ...] = ()


_OPTIONS = tuple(f"option_{i}" for i in range(10))

# Field names as in the data sets' own cards and the harness's templates (lm-eval 0.4.13).
FAMILIES: tuple[Family, ...] = (
    Family("belebele", r"belebele_(?P<language>[a-z]{3}_[A-Za-z]{4})", _BELEBELE, "correct_answer_num", 1),
    Family("belebele", rf"belebele_{_XX}_prompt_(?P<prompt>\d+)", _BELEBELE, "correct_answer_num", 1),
    # CohereLabs/Global-MMLU and -Lite: sample_id is MMLU's subject/split/number.
    Family("global_mmlu_full", rf"global_mmlu_full_{_XX}{_SUBJECT}", ("sample_id",), "answer", "letter"),
    Family("global_mmlu", rf"global_mmlu_{_XX}{_SUBJECT}", ("sample_id",), "answer", "letter"),
    # li-lab/MMLU-ProX has MMLU-Pro's numbers.
    Family("mmlu_prox_lite", rf"mmlu_prox_lite_{_XX}{_SUBJECT}", _PROX, "answer", "letter", _OPTIONS),
    Family("mmlu_prox", rf"mmlu_prox_{_XX}{_SUBJECT}", _PROX, "answer", "letter", _OPTIONS),
    # openai/MMMLU: the unnamed first CSV column numbers MMLU's test questions, the same in every locale.
    Family("mmmlu", rf"mmmlu_(?P<language>[a-z]{{2}}_[a-z]{{2}}){_SUBJECT}", ("Unnamed: 0",), "Answer", "letter"),
    # alexandrainst/m_mmlu and m_arc (Okapi's translations).
    Family("m_mmlu", rf"m_mmlu_{_XX}", ("id",), "answer", "letter"),
    Family("m_arc", rf"arc_{_XX}", ("id",), "gold", 0),
    Family("xcopa", rf"xcopa_{_XX}", ("idx",), "label", 0),
    Family("xstorycloze", rf"xstorycloze_{_XX}", ("story_id",), "answer_right_ending", 1),
    Family("paws-x", rf"paws_{_XX}", ("id",), "label", 0),
)


def find_family(task: str) -> tuple[Family, re.Match[str]] | None:
    """The family of a harness task, with the match of its name; None if there is none."""
    for family in FAMILIES:
        match = re.fullmatch(family.pattern, task)
        if match:
            return family, match
    return None


def question_id(doc: Mapping[str, Any], family: Family, subject: str | None) -> str:
    """The question's id, the same in every language of the family.

    Raises:
        CrossinError: the document lacks an id field.
    """
    parts = []
    for field in family.id_fields:
        value = next((doc[name] for name in field.split("|") if doc.get(name) is not None), None)
        if value is None:
            raise CrossinError(
                f"the document has no field {' or '.join(map(repr, field.split('|')))}, the id of {family.name} "
                f"questions (it has {', '.join(map(str, doc)) or 'none'}); choose another with --id-field"
            )
        parts.append(str(value))
    if family.name == "mmmlu" and subject:  # the number may restart in each subject's file
        parts.insert(0, subject)
    return "#".join(parts)


def letter_index(letter: str) -> int | None:
    """0 for "A", 1 for "(b)" ...; None if it is not a single Latin letter."""
    bare = letter.strip().strip("().").upper()
    return ord(bare) - ord("A") if len(bare) == 1 and "A" <= bare <= "Z" else None


def gold_index(doc: Mapping[str, Any], family: Family) -> int:
    """The correct option's index, from 0.

    Raises:
        CrossinError: the field is missing or holds something else.
    """
    value = doc.get(family.gold)
    if family.gold_base == "letter":
        index = letter_index(value) if isinstance(value, str) else None
    else:
        text = str(value).strip()
        index = int(text) - int(family.gold_base) if text.lstrip("-").isdigit() else None
    if index is None or index < 0:
        raise CrossinError(f"gold field {family.gold!r} holds {value!r}, which is not an option of {family.name}")
    return index
