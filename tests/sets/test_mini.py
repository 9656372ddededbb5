"""The packaged smoke test: balanced, parallel, in the four languages it claims, and easy to tell apart by text."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from importlib import resources

import pytest

from crossin_metrics.sets.loading import load_parallel
from crossin_metrics.sets.parallel_set import ParallelMCQ
from crossin_metrics.sets.spans import normalise

FOUR = ("en", "zh", "vi", "es")


@pytest.fixture(scope="module")
def mini() -> ParallelMCQ:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("CROSSIN_DATA_DIR", raising=False)
        return load_parallel("crossin_mini")


def texts(mini: ParallelMCQ, language: str) -> list[str]:
    return [text for item in mini.items[language] for text in (item.context, item.question, *item.choices) if text]


def test_size_languages_and_place_of_the_right_option(mini: ParallelMCQ) -> None:
    assert mini.languages == FOUR
    assert mini.ids == tuple(f"mini_{number:02d}" for number in range(1, 33))
    assert Counter(mini.gold) == {0: 8, 1: 8, 2: 8, 3: 8}
    assert mini.source == "packaged:crossin_mini"
    assert mini.hash == "74bc95a20242"  # a change of the data is a new version: say so in its README
    assert all(len(item.choices) == 4 for language in FOUR for item in mini.items[language])


def test_no_constant_or_cyclic_pattern_of_right_options(mini: ParallelMCQ) -> None:
    for shift in range(1, 4):
        steps = Counter((b - a) % 4 for a, b in zip(mini.gold, mini.gold[shift:], strict=False))
        assert max(steps.values()) <= len(mini) / 2


def test_eight_questions_stand_on_three_shared_passages(mini: ParallelMCQ) -> None:
    with_passage = [n for n, item in enumerate(mini.items["en"]) if item.context is not None]
    assert Counter(mini.groups[n] for n in with_passage) == {"mini_25": 3, "mini_28": 3, "mini_31": 2}
    assert len(set(mini.groups)) == 32 - 8 + 3
    for language in FOUR:
        assert len({mini.items[language][n].context for n in with_passage}) == 3
        for n in with_passage:
            context = mini.items[language][n].context
            assert context is not None
            assert 2 <= len(re.findall(r"[.。](?:\s|$)|。", context)) <= 3


def test_questions_are_distinct_and_options_do_not_contain_one_another(mini: ParallelMCQ) -> None:
    for language in FOUR:
        questions = [item.question for item in mini.items[language]]
        assert len(set(questions)) == len(questions)
        for identifier, item in zip(mini.ids, mini.items[language], strict=True):
            folded = [normalise(choice, language) for choice in item.choices]
            assert all(folded)
            for i, one in enumerate(folded):
                for j, other in enumerate(folded):
                    assert i == j or one not in other, (identifier, language, item.choices)


def test_options_with_numbers_or_names_are_parallel_in_place(mini: ParallelMCQ) -> None:
    """Digits and Latin names are the same in every language, so they show whether two options were swapped."""
    checked = 0
    for n, identifier in enumerate(mini.ids):
        for place in range(4):
            numbers = [re.findall(r"\d+", mini.items[language][n].choices[place]) for language in FOUR]
            assert all(found == numbers[0] for found in numbers), (identifier, numbers)
            checked += bool(numbers[0])
        numbers = [sorted(re.findall(r"\d+", mini.items[language][n].question)) for language in FOUR]
        if identifier == "mini_22" or not numbers[0]:
            continue
        assert all(found == numbers[0] for found in numbers), (identifier, numbers)
    assert checked == 4 * 8


@pytest.mark.parametrize(
    ("number", "value"), [(12, 7 + 5), (13, 9 * 3), (14, 2 * 6), (15, 10 - 4), (16, 50 // 2), (17, 13), (18, 100 - 45)]
)
def test_the_arithmetic_is_right(mini: ParallelMCQ, number: int, value: int) -> None:
    n = mini.ids.index(f"mini_{number}")
    for language in FOUR:
        right = [
            place
            for place, choice in enumerate(mini.items[language][n].choices)
            if re.findall(r"\d+", choice) == [str(value)]
        ]
        assert right == [mini.gold[n]]


def test_each_language_is_written_in_its_script_and_punctuation(mini: ParallelMCQ) -> None:
    for text in texts(mini, "zh"):
        assert not re.search(r"[A-Za-z?,.;:!]", text), text
        assert re.search(r"[\u4e00-\u9fff]|^\d+$", text), text
    for language in ("en", "vi", "es"):
        for text in texts(mini, language):
            assert not re.search(r"[\u3000-\u9fff\uff00-\uffef]", text), text
    assert all(text.isascii() or "×" in text or "−" in text for text in texts(mini, "en"))
    for item in mini.items["es"]:
        assert re.search(r"(^|[.,] )¿[^¿?]+\?$", item.question), item.question
    for item in mini.items["zh"]:
        assert item.question.endswith("？")
    vietnamese = [item.question for item in mini.items["vi"]]
    assert all(question.endswith("?") for question in vietnamese)
    # Every Vietnamese question has letters with diacritics or đ.
    assert all(len(unicodedata.normalize("NFD", q)) > len(q) or "đ" in q for q in vietnamese)


def test_texts_are_composed_and_clean(mini: ParallelMCQ) -> None:
    for language in FOUR:
        for text in texts(mini, language):
            assert unicodedata.is_normalized("NFC", text), text
            assert "  " not in text
            assert not any(unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp") for c in text), text


def test_no_translation_was_left_in_english(mini: ParallelMCQ) -> None:
    for n, english in enumerate(mini.items["en"]):
        for language in ("zh", "vi", "es"):
            assert mini.items[language][n].question != english.question


def test_its_readme_says_that_it_is_no_benchmark() -> None:
    readme = (resources.files("crossin_metrics") / "data" / "README.md").read_text(encoding="utf-8")
    assert "smoke test, not a benchmark" in readme
    assert "Licence: Apache-2.0" in readme
