"""Reading answers out of words: our own cases, then properties."""

from __future__ import annotations

import pytest
from answer_cases import CASES, SETS

from crossin_metrics.answers import LETTERS, explain_answer, read_answer


@pytest.mark.parametrize(("category", "language", "options", "text", "answer"), CASES)
def test_own_cases(category: str, language: str, options: str, text: str, answer: str | None) -> None:
    expected = None if answer is None else LETTERS.index(answer)
    reading = explain_answer(text, SETS[options], language)
    assert reading.answer == expected, reading
    labelled = [f"({letter}) {choice}" for letter, choice in zip(LETTERS, SETS[options], strict=False)]
    assert read_answer(text, labelled, language) == expected
