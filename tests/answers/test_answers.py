"""Reading answers out of words: our own cases, then properties of the reader on any text."""

from __future__ import annotations

import random
import time
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossin_metrics.answers import read_answer
from crossin_metrics.answers.rules import LETTERS, explain_answer, random_answer
from crossin_metrics.errors import CrossinError
from tests.answers.answer_cases import CASES, SETS
from tests.answers.answer_cases_held_out import FOUND, HELD_OUT, THIRD

ALL = CASES + HELD_OUT + THIRD + FOUND


def index_of(letter: str | None) -> int | None:
    return None if letter is None else LETTERS.index(letter)


@pytest.mark.parametrize(("category", "language", "options", "text", "answer"), ALL)
def test_own_cases(category: str, language: str, options: str, text: str, answer: str | None) -> None:
    reading = explain_answer(text, SETS[options], language)
    assert reading.answer == index_of(answer), reading


@pytest.mark.parametrize("style", ["({}) ", "{}. ", "{}) ", "{}: ", "{}、"])
def test_labels_of_choices_are_ignored(style: str) -> None:
    for _, language, options, text, answer in ALL:
        labelled = [style.format(letter) + choice for letter, choice in zip(LETTERS, SETS[options], strict=False)]
        assert read_answer(text, labelled, language) == index_of(answer), (style, text)


def test_cases_cover_seven_languages_and_many_categories() -> None:
    languages = Counter(language for _, language, *_ in ALL)
    assert {"en", "zh", "vi", "es", "id", "ms", "fil"} <= set(languages)
    assert min(languages[code] for code in ("zh", "vi", "es", "id", "ms", "fil")) >= 15
    assert len({category for category, *_ in ALL}) >= 10


# --- properties ------------------------------------------------------------------------------------------------------

FRAGMENTS = st.sampled_from([
    "(A)", "B)", "Answer:", "the answer is ", "答案是", "\\boxed{", "}", "**", "\n", " ", "C", "not ", "the Nile", "12",
    "<pad>", "<|im_end|>", "Question:", "（Ｄ", "Option ", "。", ".", "I ", "A ", "y ", "<think>", "</think>", "$", "`",
    "1. ", "?",
])  # fmt: skip
ANY_TEXT = st.one_of(
    st.text(st.characters(exclude_categories=()), max_size=80),  # with lone surrogates and control characters
    st.lists(st.one_of(FRAGMENTS, st.text(max_size=5)), max_size=25).map("".join),
)
ANY_CHOICES = st.one_of(st.sampled_from(list(SETS.values())), st.lists(st.text(max_size=12), min_size=2, max_size=10))


@settings(max_examples=600, deadline=None)
@given(ANY_TEXT, ANY_CHOICES, st.sampled_from([None, "en", "zh", "es", "xx"]))
def test_any_text_gives_an_option_or_none(text: str, choices: list[str], language: str | None) -> None:
    answer = read_answer(text, choices, language)
    assert answer is None or answer in range(len(choices))
    assert read_answer(text, tuple(choices), language) == answer


PLAIN = [case for case in ALL if case[0] != "markup" and case[3]]


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(PLAIN), st.sampled_from(["", "**", "__", "*"]), st.text(" \n\t\u3000\u200b", max_size=4))
def test_dress_does_not_matter(case: tuple[str, str, str, str, str | None], mark: str, blanks: str) -> None:
    _, language, options, text, answer = case
    assert read_answer(f"{blanks}{mark}{text.strip()}{mark}{blanks}", SETS[options], language) == index_of(answer)


@pytest.mark.parametrize(
    "end", [".", "!", "。", " .", "</s>", "<|im_end|>\n", "\n\nQuestion: What is next?\nAnswer: (A)"]
)
def test_what_comes_after_the_answer_does_not_matter(end: str) -> None:
    for category, language, options, text, answer in ALL:
        if category in {"markup", "cut", "ramble"} or text.endswith("?") or not text:
            continue
        assert read_answer(text + end, SETS[options], language) == index_of(answer), (text, end)


TEMPLATES = [
    "{l}", "({l})", "{l}. {t}", "({l}) {t}", "**{l}) {t}**", "{t}", "The answer is ({l}) {t}.", "答案是{l}。",
    "La respuesta correcta es ({l}) {t}", "Jawaban: {l}", "Jawapannya ialah {l}.", "Ang tamang sagot ay ({l}).",
    "It is not ({o}). The answer is ({l}).", "\\boxed{{{l}}}", "正确答案：（{l}）{t}", "Đáp án là {l}.",
]  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(TEMPLATES),
    st.sampled_from(["river", "num", "zh", "vis", "ess", "id", "ms", "fils", "two", "ten", "bigo", "nested"]),
    st.randoms(use_true_random=False),
)
def test_relabelled_options_give_the_same_option(template: str, options: str, rng: random.Random) -> None:
    choices = list(SETS[options])
    order = rng.sample(range(len(choices)), len(choices))
    meant = rng.randrange(len(choices))
    shown = [choices[i] for i in order]
    place = order.index(meant)
    other = LETTERS[(place + 1) % len(choices)]
    text = template.format(l=LETTERS[place], t=choices[meant], o=other)
    answer = read_answer(text, shown)
    assert answer is not None
    assert order[answer] == meant


@pytest.mark.parametrize("n", range(2, 11))
def test_every_letter_of_every_number_of_choices(n: int) -> None:
    choices = SETS["ten"][:n]
    for i, letter in enumerate(LETTERS):
        expected = i if i < n else None
        for text in (
            letter,
            f"({letter})",
            f"{letter}.",
            f"The answer is {letter}.",
            f"（{letter}）",
            f"答案：{letter}",
        ):
            assert read_answer(text, choices) == expected, text


@pytest.mark.parametrize("choices", [[], ["only one"], [str(i) for i in range(11)]])
def test_too_few_or_too_many_choices_is_an_error(choices: list[str]) -> None:
    with pytest.raises(CrossinError, match=f"{len(choices)} choices"):
        read_answer("A", choices)


def test_two_options_of_one_wording_are_told_apart_by_letter_only() -> None:
    choices = ["same", "other", "same"]
    assert read_answer("same", choices) is None
    assert read_answer("The answer is same.", choices) is None
    assert read_answer("(C) same", choices) == 2


def test_long_hostile_texts_take_no_time() -> None:
    pieces = [
        "\\boxed{",
        "answer ",
        "(A",
        "is ",
        "**",
        "答案",
        "A, ",
        "\n1. ",
        " ",
        "[",
        "the Nile ",
        "not (A). ",
        "(A)\n",
    ]
    start = time.perf_counter()
    for piece in pieces:
        read_answer(piece * 5_000, SETS["river"])
    assert time.perf_counter() - start < 15  # about 1 s; reading in quadratic time takes minutes


# --- unanswered=random -----------------------------------------------------------------------------------------------


def test_random_answer_is_the_same_on_every_machine() -> None:
    # Literal values: a change of the hash would silently change published scores.
    assert [random_answer(f"test_{i}", "en", 4, seed=0) for i in range(8)] == [2, 1, 3, 2, 3, 3, 3, 1]
    assert random_answer("test_0", "en", 4, seed=0) == random_answer("test_0", "en", 4)


def test_random_answer_depends_on_each_argument_and_is_uniform() -> None:
    draws = [
        random_answer(f"q{i}", language, 4, seed) for i in range(500) for language in ("en", "zh") for seed in (0, 1)
    ]
    counts = Counter(draws)
    assert set(counts) == {0, 1, 2, 3}
    assert all(abs(count - 500) < 5 * (2000 * 0.25 * 0.75) ** 0.5 for count in counts.values())
    for vary in (
        [("q", "en", s) for s in range(20)],
        [("q", code, 0) for code in "abcdefghij"],
        [(f"q{i}", "en", 0) for i in range(20)],
    ):
        assert len({random_answer(i, code, 10, seed) for i, code, seed in vary}) > 3


def test_random_answer_without_choices_is_an_error() -> None:
    with pytest.raises(CrossinError, match="no choices"):
        random_answer("q", "en", 0)
