"""Parallel tasks the harness already has, one task a language: how their sample logs join into one run.

A family says, for the tasks whose name matches its pattern, where the language stands in the name, which fields
of a document are the question's id (the same in every language), and where the gold option is. Options of these
sets are parallel by index. Rows are joined on the id only, never on a row number or a hash of the text.
Sets whose documents carry no id shared by the languages (XNLI, XWinograd, multilingual HellaSwag) are not listed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crossin_metrics.errors import CrossinError

_XX = r"(?P<language>[a-z]{2,3})"
_FLORES = r"(?P<language>[a-z]{3}_[A-Za-z]{4})"


@dataclass(frozen=True)
class Family:
    """One family of per-language tasks.

    Attributes:
        name: the run's task name, where the pattern has no `task` group.
        pattern: matches a whole task name; groups `language` and, where they exist, `subject` and `prompt`.
        id_fields: fields of the document that together are the question's id; a tuple inside lists alternatives.
        gold: field of the document with the right option.
        gold_base: what that field holds: "letter", or the number that the first option has (0 or 1).
        options: fields with the options' texts, for answers in words; null ones are left out.
    """

    name: str
    pattern: re.Pattern[str]
    id_fields: tuple[str | tuple[str, ...], ...]
    gold: str
    gold_base: int | str
    options: tuple[str, ...] = ()


def _family(name: str, pattern: str, ids: tuple[str | tuple[str, ...], ...], gold: str, base: int | str) -> Family:
    options = tuple(f"option_{i}" for i in range(10)) if name.startswith("mmlu_prox") else ()
    return Family(name, re.compile(pattern), ids, gold, base, options)


# Field names as in the data sets' own cards and the harness's templates (lm-eval 0.4.13).
FAMILIES: tuple[Family, ...] = (
    # facebook/belebele: link and question_number identify a question; correct_answer_num counts from 1.
    _family("belebele", rf"belebele_{_FLORES}", ("link", "question_number"), "correct_answer_num", 1),
    _family(
        "belebele", rf"belebele_{_XX}_prompt_(?P<prompt>\d+)", ("link", "question_number"), "correct_answer_num", 1
    ),
    # CohereLabs/Global-MMLU and -Lite: sample_id is MMLU's subject/split/number.
    _family("global_mmlu_full", rf"global_mmlu_full_{_XX}(_(?P<subject>\w+))?", ("sample_id",), "answer", "letter"),
    _family("global_mmlu", rf"global_mmlu_{_XX}(_(?P<subject>\w+))?", ("sample_id",), "answer", "letter"),
    # li-lab/MMLU-ProX: MMLU-Pro's numbers; releases differ in which of the two fields they have.
    _family(
        "mmlu_prox_lite",
        rf"mmlu_prox_lite_{_XX}(_(?P<subject>\w+))?",
        ("category", ("question_id", "question_id_src")),
        "answer",
        "letter",
    ),
    _family(
        "mmlu_prox",
        rf"mmlu_prox_{_XX}(_(?P<subject>\w+))?",
        ("category", ("question_id", "question_id_src")),
        "answer",
        "letter",
    ),
    # openai/MMMLU: the unnamed first CSV column numbers MMLU's test questions, in every locale alike.
    _family("mmmlu", r"mmmlu_(?P<language>[a-z]{2}_[a-z]{2})(_(?P<subject>\w+))?", ("Unnamed: 0",), "Answer", "letter"),
    # alexandrainst/m_mmlu and m_arc (Okapi's translations).
    _family("m_mmlu", rf"m_mmlu_{_XX}", ("id",), "answer", "letter"),
    _family("m_arc", rf"arc_{_XX}", ("id",), "gold", 0),
    _family("xcopa", rf"xcopa_{_XX}", ("idx",), "label", 0),
    _family("xstorycloze", rf"xstorycloze_{_XX}", ("story_id",), "answer_right_ending", 1),
    _family("paws-x", rf"paws_{_XX}", ("id",), "label", 0),
)


def find_family(task: str) -> tuple[Family, re.Match[str]] | None:
    """The family a harness task belongs to, with the match of its name; None where no family knows it."""
    for family in FAMILIES:
        match = family.pattern.fullmatch(task)
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
        names = (field,) if isinstance(field, str) else field
        value = next((doc[name] for name in names if doc.get(name) is not None), None)
        if value is None:
            raise CrossinError(
                f"the document has no field {' or '.join(map(repr, names))}, by which {family.name} questions "
                f"are joined (it has {', '.join(map(str, doc)) or 'none'}); name another with --id-field"
            )
        parts.append(str(value))
    if family.name == "mmmlu" and subject:  # the number may restart in each subject's file
        parts.insert(0, subject)
    return "#".join(parts)


def letter_index(letter: str) -> int | None:
    """0 for "A", 1 for "(b)" ...; None where it is no single Latin letter."""
    bare = letter.strip().strip("().").upper()
    return ord(bare) - ord("A") if len(bare) == 1 and "A" <= bare <= "Z" else None


def gold_index(doc: Mapping[str, Any], family: Family) -> int:
    """The right option's index, from 0.

    Raises:
        CrossinError: the field is missing, or not what the family's documents hold.
    """
    value = doc.get(family.gold)
    if family.gold_base == "letter":
        index = letter_index(value) if isinstance(value, str) else None
    else:
        text = str(value).strip()
        index = int(text) - int(family.gold_base) if text.lstrip("-").isdigit() else None
    if index is None or index < 0:
        raise CrossinError(f"gold field {family.gold!r} holds {value!r}, no option of {family.name}")
    return index
