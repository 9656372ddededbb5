"""Thoughts of every family: closed, several, nested, without an opening mark, cut; nothing is read out of them."""

from __future__ import annotations

import pytest

from crossin_metrics.answers.reading import explain_answer
from crossin_metrics.answers.thoughts import MARKS, split_thought

CHOICES = ["the Nile", "the Amazon", "the Yangtze", "the Mississippi"]
THOUGHT = 'The Nile is long, so the answer is A. **Answer: A** {"answer": "A"} <answer>A</answer> \\boxed{A}'
ANSWERS = ["B", "The answer is (B).", "**Answer:** B", "<answer>B</answer>", '{"answer": "B"}', "the Amazon"]


@pytest.mark.parametrize(("opening", "closing"), MARKS)
@pytest.mark.parametrize("answer", ANSWERS)
def test_the_answer_after_a_thought_is_read(opening: str, closing: str, answer: str) -> None:
    whole = f"{opening}{THOUGHT}{closing}"
    for thought in (
        whole,
        f"{THOUGHT}{closing}",  # the prompt supplies the opening mark
        f"{whole}\n{whole}",
        f"{opening}{THOUGHT}{whole}{closing}",
        whole.upper() if "|" not in opening and "unused" not in opening else whole,
    ):
        reading = explain_answer(f"{thought}\n\n{answer}", CHOICES, "en")
        assert reading.answer == 1, thought
        assert reading.thought >= len(THOUGHT)


@pytest.mark.parametrize(("opening", "closing"), MARKS)
def test_a_thought_without_an_end_is_no_answer(opening: str, closing: str) -> None:
    for text in (
        f"{opening}{THOUGHT}",
        f"{opening}{THOUGHT}{closing}{opening}{THOUGHT}",
        f"The answer is B.\n{opening}{THOUGHT}",
        opening,
    ):
        assert explain_answer(text, CHOICES, "en")[:2] == (None, "cut")


@pytest.mark.parametrize(("opening", "closing"), MARKS)
def test_a_thought_without_an_answer_is_no_answer(opening: str, closing: str) -> None:
    reading = explain_answer(f"{opening}{THOUGHT}{closing}", CHOICES, "en")
    assert (reading.answer, reading.rule) == (None, "")


def test_channels_whose_special_tokens_were_skipped() -> None:
    assert explain_answer(f"analysis{THOUGHT}assistantfinalB", CHOICES).answer == 1
    assert (
        explain_answer(f"analysis{THOUGHT}assistantcommentary call assistantfinalThe answer is B", CHOICES).answer == 1
    )
    assert explain_answer(f"analysis{THOUGHT}", CHOICES)[:2] == (None, "cut")
    assert explain_answer("analysis of the options: the answer is B", CHOICES).answer == 1
    assert explain_answer("assistantfinalB", CHOICES).answer is None


def test_marks_of_the_users_own() -> None:
    text = f"{THOUGHT} <END_OF_THOUGHT> B"
    assert explain_answer(text, CHOICES).answer != 1
    assert explain_answer(text, CHOICES, marks=[("", "<END_OF_THOUGHT>")]).answer == 1


def test_a_text_without_a_thought_is_left_alone() -> None:
    assert split_thought("I think, therefore B") == ("I think, therefore B", "", False)
