"""Rules without a model, and the tokens, sentences and kinds of options that they look at."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from crossin_metrics.sets.answer_kinds import kind
from crossin_metrics.shortcuts.report import analyse
from crossin_metrics.shortcuts.rules import RULES, best, picks
from crossin_metrics.shortcuts.texts import closest_sentence, sentences, share_in, tokens
from tests.helpers.planted import plain


def test_ties_are_guesses_that_differ_between_languages_and_stay_the_same() -> None:
    data = plain(400, languages=("en", "es"))
    same = {c: tuple(replace(item, choices=("a", "b", "c", "d")) for item in col) for c, col in data.items.items()}
    data = replace(data, items=same)
    numbers = np.arange(400)
    first = {code: picks(RULES[0], data, code, numbers) for code in data.languages}
    assert (picks(RULES[0], data, "en", numbers) == first["en"]).all()
    assert np.bincount(first["en"]).min() > 70
    assert 0.15 < (first["en"] == first["es"]).mean() < 0.35
    assert best([1.0, 3.0, 3.0, 2.0], "key") in (1, 2)


def test_questions_without_a_passage_are_left_out_of_the_rules_that_read_it() -> None:
    data = plain(60)
    mixed = {
        code: tuple(replace(item, context=None) if n % 3 else item for n, item in enumerate(column))
        for code, column in data.items.items()
    }
    report = analyse(replace(data, items=mixed), n_permutations=99)
    assert {t.n for t in report.tests if t.reads_passage and t.language == "en"} == {20}
    assert report.languages["en"]["in_passage"]["n_questions"] == 20
    none = analyse(plain(60, passage=False), n_permutations=99)
    assert not [test for test in none.tests if test.reads_passage]
    assert none.languages["en"]["in_passage"] is None


@pytest.mark.parametrize(
    ("option", "wanted"),
    [
        *[(text, "date") for text in ("1066", "20 de enero", "1953年", "ngày 7 tháng 2", "1960s", "٢٠٠٦", "5 мая")],
        *[(text, "number") for text in ("308", "12%", "1,500", "27 टचडाउन", "二十", "15 million", "2 000")],
        *[(text, "name") for text in ("Denver Broncos", "University of Oxford", "Đà Nẵng", "Мартин Лютер")],
        *[(text, "phrase") for text in ("in the middle", "marched", "三个月前的船", "القرن العاشر", "A large boat")],
    ],
)  # fmt: skip
def test_kinds(option: str, wanted: str) -> None:
    assert kind(option) == wanted


def test_tokens_and_sentences_of_many_scripts() -> None:
    assert tokens("The Mill's 2nd wheel") == ("the", "mill", "s", "2nd", "wheel")
    assert tokens("水车在河边") == ("水车", "车在", "在河", "河边")
    assert tokens("1953年的NFL") == ("1953", "年的", "nfl")
    assert tokens("किताब है") == ("किताब", "है")
    assert tokens("ＡＢ") == ("ab",)
    assert share_in("the mill", "A mill. The end") == 1.0
    assert share_in("...", "x") == 0.0
    assert sentences("One. Two? Three!") == ("One.", "Two?", "Three!")
    assert sentences("一。二？") == ("一。", "二？")
    assert sentences("هل؟ نعم۔ لا") == ("هل؟", "نعم۔", "لا")
    assert sentences("แม่น้ำ ภูเขา") == ("แม่น้ำ", "ภูเขา")
    assert closest_sentence("A dog ran. The cat slept. A dog sat.", "Where did the cat sleep?") == "The cat slept."
