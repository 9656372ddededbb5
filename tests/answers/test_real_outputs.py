"""The reader on real outputs and real options (others' data beside the checkout; skipped where it is absent)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crossin_metrics.answers import read_answer
from crossin_metrics.answers.cleaning import LETTERS
from crossin_metrics.answers.reading import explain_answer
from crossin_metrics.languages import language_code
from tests.answers.fuzz_outputs import fuzz

# Our own readings, by hand, of the official cases whose `plain_reading` is null; the reader saw text and options only.
BY_HAND = Path(__file__).parent / "cases" / "official_by_hand.jsonl"
KEY = ("dataset", "id", "language", "model", "mode", "prompt")


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def official(shared: Path) -> list[dict[str, Any]]:
    """The official cases with `ours` (the reader's answer) and `hand` (a careful person's)."""
    by_hand = {tuple(row[name] for name in KEY): row["answer"] for row in read_lines(BY_HAND)}
    cases = read_lines(shared / "data" / "golden" / "alignment_cases.jsonl")
    for case in cases:
        plain = case["plain_reading"]
        case["hand"] = plain if plain is not None else by_hand[tuple(case[name] for name in KEY)]
        case["ours"] = read_answer(case["text"], case["choices"], language_code(case["language"]))
    return cases


def test_official_cases_are_read_as_a_careful_person_reads_them(official: list[dict[str, Any]]) -> None:
    assert [case for case in official if case["ours"] is not None and case["ours"] != case["hand"]] == []
    plain = [case for case in official if case["plain_reading"] is not None]
    assert sum(case["ours"] == case["hand"] for case in plain) >= 0.99 * len(plain) > 150
    others = [case for case in official if case["plain_reading"] is None and case["hand"] is not None]
    assert sum(case["ours"] == case["hand"] for case in others) >= 0.9 * len(others) > 50


def test_outputs_in_many_languages_and_formats(shared: Path) -> None:
    cases = read_lines(shared / "data" / "outputs" / "readings_dev.jsonl")
    for case in cases:
        case["ours"] = explain_answer(case["text"], case["choices"], case["language"])
    wrong = [case for case in cases if case["ours"].answer is not None and case["ours"].answer != case["expected"]]
    assert wrong == []
    assert sum(case["ours"].answer == case["expected"] for case in cases) >= 0.99 * len(cases)


def rows(shared: Path) -> Iterator[tuple[str, str, str, list[str]]]:
    """(language, question, context, unlabelled choices) of 326 questions in seven languages."""
    for name in ("cross_mmlu", "cross_logiqa"):
        for question in read_lines(shared / "data" / "seaeval" / f"{name}.jsonl"):
            for language, row in question.items():
                if language != "id":
                    choices = [c[4:] if c.startswith("(") and c[2] == ")" else c for c in row["choices"]]
                    yield language_code(language), row["question"], row.get("context") or "", choices


def test_repeated_questions_and_options_are_not_answers(shared: Path) -> None:
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


def test_mutations_of_outputs_raise_nothing_and_end() -> None:
    count, _, problems = fuzz(1_000, seconds=5)
    assert not problems
    assert count > 50


def test_the_fuzzer_keeps_what_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.answers.fuzz_outputs.explain_answer", lambda text, options, language: 1 / 0)
    _, _, problems = fuzz(3, seconds=5, keep=tmp_path / "failing")
    ((problem, times),) = problems.items()
    assert problem.startswith("ZeroDivisionError")
    assert times == 3
    (kept,) = (tmp_path / "failing").iterdir()
    assert set(json.loads(kept.read_text("utf-8"))) == {"problem", "text", "choices", "language"}
