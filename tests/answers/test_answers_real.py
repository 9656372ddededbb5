"""Reading answers out of real outputs and real options (others' data beside the checkout; skipped where absent)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from crossin_metrics.answers import read_answer
from crossin_metrics.answers.rules import LETTERS
from crossin_metrics.languages import language_code
from tests.answers.make_answers_report import Case, read_cases, report


@pytest.fixture(scope="module")
def cases(shared: Path) -> list[Case]:
    return read_cases(shared)


def test_at_least_98_percent_of_plain_readings(cases: list[Case]) -> None:
    stated = [case for case in cases if case.plain is not None]
    assert len(stated) == 158
    assert sum(case.ours.answer == case.plain for case in stated) >= 0.98 * len(stated)


def test_no_plain_reading_is_contradicted(cases: list[Case]) -> None:
    assert [case for case in cases if case.plain is not None and case.ours.answer not in (None, case.plain)] == []


def test_nothing_is_claimed_where_the_words_name_no_option(cases: list[Case]) -> None:
    unnamed = [case for case in cases if case.hand is None]
    assert len(unnamed) > 90
    assert [case for case in unnamed if case.ours.answer is not None] == []


def test_most_answers_without_a_plain_reading_are_read_too(cases: list[Case]) -> None:
    named = [case for case in cases if case.plain is None and case.hand is not None]
    assert [case for case in named if case.ours.answer not in (None, case.hand)] == []
    assert sum(case.ours.answer == case.hand for case in named) >= 0.9 * len(named)


def test_committed_report_is_the_current_one(cases: list[Case]) -> None:
    committed = Path(__file__).with_name("answers_report.md").read_text(encoding="utf-8")
    assert committed == report(cases), "run python tests/answers/make_answers_report.py"


# --- every real question as if it were an output ---------------------------------------------------------------------


def rows(shared: Path) -> Iterator[tuple[str, str, str, list[str]]]:
    """(language, question, context, unlabelled choices) of 326 questions in seven languages."""
    for name in ("cross_mmlu", "cross_logiqa"):
        with open(shared / "data" / "seaeval" / f"{name}.jsonl", encoding="utf-8") as lines:
            for line in lines:
                question = json.loads(line)
                for language, row in question.items():
                    if language != "id":
                        choices = [c[4:] if c.startswith("(") and c[2] == ")" else c for c in row["choices"]]
                        yield language_code(language), row["question"], row.get("context") or "", choices


def test_echoes_of_real_questions_are_not_read(shared: Path) -> None:
    claims = total = 0
    for language, question, context, choices in rows(shared):
        labelled = [f"({letter}) {choice}" for letter, choice in zip(LETTERS, choices, strict=False)]
        block = "\n".join(labelled)
        echoes = [question, context, block, " ".join(labelled), f"{question}\n{block}", "\n".join(choices), block[:-8]]
        total += len(echoes)
        claims += sum(read_answer(text, choices, language) is not None for text in echoes)
    assert total == 326 * 7 * 7
    # Three passages (one question in three languages) end by naming an option in a statement, as an answer would.
    assert claims <= 3


FORMS = [
    "{t}",
    "({l}) {t}",
    "{l}: {t}",
    "The answer is ({l}) {t}",
    "Answer: {t}",
    "**{l}. {t}**\n\n{q}",
    "答案：{l}。{t}",
]


@pytest.mark.parametrize(("offset", "form"), enumerate(FORMS))
def test_real_options_in_plain_forms_are_read(shared: Path, offset: int, form: str) -> None:
    # Every third row, beginning elsewhere for each form: all rows take part, and seconds suffice.
    for language, question, _, choices in list(rows(shared))[offset % 3 :: 3]:
        if len(set(choices)) < len(choices):
            continue
        for i, choice in enumerate(choices):
            text = form.format(t=choice, l=LETTERS[i], q=question)
            assert read_answer(text, choices, language) == i, (language, text)
