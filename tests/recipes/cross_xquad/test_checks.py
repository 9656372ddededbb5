"""Each check by itself, and all of them on what people wrote."""

from __future__ import annotations

import random
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from crossin_metrics.sets.spans import cross_xquad_spans
from crossin_metrics.sets.xquad import Span
from recipes.cross_xquad.checks.base import REASONS, CheckInput
from recipes.cross_xquad.checks.by_model import EncoderCheck
from recipes.cross_xquad.checks.within import Checker
from recipes.cross_xquad.config import SetOptions
from recipes.cross_xquad.items import Version
from recipes.cross_xquad.sources import Source, SourceQuestion, load_source
from recipes.cross_xquad.texts import contains, kind, number_value, same, share_in, words

PASSAGES = {
    "en": "In 1512, the National Harbour Office counted 14 ships, 30 carts and three cranes. Anna Bell, Carl Dorn, Eva "
    "Falk and Georg Hahn signed the list on 3 May 1512. The old wooden bridge was sold. NHO means the same office.",
    "es": "En 1512, la Oficina Nacional del Puerto contó 14 barcos, 30 carros y tres grúas. Anna Bell, Carl Dorn, Eva "
    "Falk y Georg Hahn firmaron la lista el 3 de mayo de 1512. Se vendió el viejo puente de madera.",
    "zh": "1512年，国家港务局清点了14艘船、30辆车和三台起重机。"
    "安娜·贝尔、卡尔·多恩、伊娃·法尔克和格奥尔格·哈恩于1512年5月3日签署了名单。旧木桥被卖掉了。",
}
ASKED = {  # id -> language -> question, answer
    "q1": {
        "en": ("Who signed first?", "Anna Bell"),
        "es": ("¿Quién firmó primero?", "Anna Bell"),
        "zh": ("谁先签的？", "安娜·贝尔"),
    },
    "q2": {
        "en": ("Who signed second?", "Carl Dorn"),
        "es": ("¿Quién firmó después?", "Carl Dorn"),
        "zh": ("谁第二个签的？", "卡尔·多恩"),
    },
    "q3": {
        "en": ("What was sold?", "wooden bridge"),
        "es": ("¿Qué se vendió?", "puente de madera"),
        "zh": ("卖掉了什么？", "旧木桥"),
    },
    "q4": {
        "en": ("How many cranes?", "three"),
        "es": ("¿Cuántas grúas?", "tres"),
        "zh": ("几台起重机？", "三台"),
    },
    "q5": {
        "en": ("Who counted?", "National Harbour Office"),
        "es": ("¿Quién contó?", "Oficina Nacional del Puerto"),
        "zh": ("谁清点了？", "国家港务局"),
    },
    "q6": {
        "en": ("Who signed first?", "Eva Falk"),
        "es": ("¿Quién firmó primero?", "Eva Falk"),
        "zh": ("谁先签的？", "伊娃·法尔克"),
    },
}


@pytest.fixture(scope="module")
def source() -> Source:
    questions = []
    for key, by in ASKED.items():
        spans = {code: Span(asked, right, PASSAGES[code].index(right)) for code, (asked, right) in by.items()}
        questions.append(SourceQuestion(key, 0, 0, PASSAGES, spans))
    return Source("test", "CC0-1.0", ("en", "es", "zh"), tuple(questions), tuple(questions), {})


def check(source: Source, key: str, language: str, wrong: list[str], english: list[str] | None = None) -> set[str]:
    """Codes found with these wrong options after the right one."""
    question = next(one for one in source.questions if one.id == key)

    def version(code: str, options: list[str]) -> Version:
        return Version(PASSAGES[code], question.spans[code].question, (question.spans[code].answer, *options))

    pivot = version("en", english or wrong)
    found = Checker(source).check(CheckInput(question, language, pivot, version(language, wrong), 0))
    assert all(finding.code in REASONS and finding.language == language and finding.detail for finding in found)
    return {finding.code for finding in found}


@pytest.mark.parametrize(
    ("key", "wrong", "codes"),
    [
        ("q1", ["Carl Dorn", "Georg Hahn", "Eva Falk"], {"is_right"}),  # q6 asks the same and is answered by Eva Falk
        ("q2", ["Anna Bell", "Georg Hahn", "Eva Falk"], set()),
        ("q2", ["Anna Bell", "Georg Hahn", "carl  DORN"], {"equals_answer"}),
        ("q2", ["Anna Bell", "Georg Hahn", "the Carl Dorn, Eva"], {"overlaps_answer"}),
        ("q2", ["Anna Bell", "Georg Hahn", "Dorn"], {"overlaps_answer"}),
        (
            "q2",
            ["Anna Bell", "Georg Hahn", "Dorn, Eva Falk"],
            {"overlaps_answer"},
        ),  # in the passage, part of the right one
        ("q2", ["Anna Bell", "Georg Hahn", "Otto Prim"], {"not_in_passage"}),
        ("q2", ["Anna Bell", "Georg Hahn", "georg hahn."], {"duplicate"}),
        ("q2", ["Anna Bell", "Georg Hahn", "Hahn"], {"duplicate"}),
        ("q2", ["Anna Bell", "Georg Hahn", "14"], {"odd_type"}),
        ("q4", ["14", "30", "3"], {"is_right"}),  # three
        ("q4", ["14", "30", "1512"], set()),
        ("q4", ["Carl Dorn", "Georg Hahn", "Eva Falk"], {"odd_type"}),
        ("q5", ["Anna Bell", "Georg Hahn", "NHO"], {"is_right"}),
        ("q2", ["Anna Bell", "Georg Hahn", "14 ships, 30 carts and three cranes"], {"odd_length", "odd_type"}),
        ("q3", ["30 carts", "安娜·贝尔", "three cranes"], {"wrong_language", "not_in_passage", "odd_type"}),
        ("q3", ["Anna Bell", "<script>alert(1)</script>", "Georg Hahn"], {"not_in_passage"}),
        ("q4", ["14", "30", "cranes"], {"in_question", "odd_type"}),
        ("q3", ["Anna Bell", "", "Georg Hahn"], {"malformed"}),
        ("q3", ["Anna Bell", "Georg Hahn"], {"malformed"}),
    ],
)
def test_english(source: Source, key: str, wrong: list[str], codes: set[str]) -> None:
    found = check(source, key, "en", wrong)
    assert found >= codes if codes else found == set()
    if "malformed" not in codes and len(codes) == 1:
        assert found - codes <= {"odd_type", "odd_length"}


NAMES = ["Anna Bell", "Georg Hahn", "Eva Falk"]
BRIDGE = ["wooden bridge", "Georg Hahn", "Eva Falk"]
COUNTS = ["14 ships", "30 carts", "three cranes"]


@pytest.mark.parametrize(
    ("key", "language", "english", "wrong", "codes"),
    [
        ("q2", "es", NAMES, NAMES, set()),
        ("q2", "zh", NAMES, ["安娜·贝尔", "格奥尔格·哈恩", "伊娃·法尔克"], set()),
        ("q2", "zh", NAMES, ["Anna Bell", "格奥尔格·哈恩", "伊娃·法尔克"], {"wrong_language", "options_not_parallel"}),
        ("q2", "zh", NAMES, ["伊娃·法尔克", "格奥尔格·哈恩", "安娜·贝尔"], {"options_not_parallel"}),
        ("q2", "zh", NAMES, ["安娜·贝尔", "卡尔·多恩", "伊娃·法尔克"], {"equals_answer"}),
        ("q2", "es", BRIDGE, ["puentes de madera", "Georg Hahn", "Eva Falk"], set()),
        ("q2", "es", BRIDGE, BRIDGE, {"wrong_language"}),
        ("q3", "es", COUNTS, ["14 barcos", "30 carros", "tres grúas"], set()),
        ("q3", "es", COUNTS, ["30 carros", "14 barcos", "tres grúas"], {"options_not_parallel"}),
        ("q3", "zh", COUNTS, ["14艘船", "30辆车", "三台起重机"], set()),
        ("q3", "zh", COUNTS, ["14艘船", "31辆车", "三台起重机"], {"options_not_parallel"}),
        ("q3", "zh", COUNTS, ["14艘船", "30辆车", "wooden bridge"], {"is_right"}),
        ("q4", "zh", ["3 May 1512", "30", "14"], ["1512年5月3日", "30辆", "14艘"], set()),
    ],
)
def test_other_languages(
    source: Source, key: str, language: str, english: list[str], wrong: list[str], codes: set[str]
) -> None:
    found = check(source, key, language, wrong, english)
    assert found >= codes if codes else found == set()


@pytest.mark.parametrize(
    ("text", "language", "wanted"),
    [
        ("The “Broncos”, Ｎｏ. 1,000", "en", ("broncos", "no", "1,000")),
        ("the", "en", ("the",)),
        ("हिन्दी में", "hi", ("हिन्दी", "में")),
        ("14艘船 NFL", "zh", ("14", "艘", "船", "nfl")),
        ("O'Neill and l’eau", "es", ("o'neill", "and", "l’eau")),
        ("١٤", "ar", ("14",)),
        ("…", "en", ()),
    ],
)
def test_words(text: str, language: str, wanted: tuple[str, ...]) -> None:
    assert words(text, language) == wanted


def test_containment_is_by_words() -> None:
    assert contains("the 1338 ships", "1338", "en")
    assert not contains("the 1338 ships", "3", "en")
    assert not contains("1338艘", "3", "zh")
    assert contains("旧木桥被卖掉了", "木桥", "zh")
    assert not same("ไก่", "ไข่", "th")  # two words that differ by a sign
    assert same("3°", "3", "en")
    assert share_in("los puentes de madera", "puente de madera", "es") == 1.0
    assert share_in("旧木桥被卖掉了", "卖掉木桥", "zh") == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("3 May 1512", "date"), ("1512", "date"), ("the 1990s", "number"), ("14", "number"), ("forty-two", "number"),
        ("$5.2 million", "number"), ("Anna Bell", "name"), ("University of Vienna", "name"), ("wood bridge", "phrase"),
        ("because of the 3 long and very cold winters", "phrase"), ("", "phrase"),
    ],
)  # fmt: skip
def test_kinds(text: str, wanted: str) -> None:
    assert kind(text) == wanted


def test_number_values() -> None:
    assert number_value("Three") == number_value("3") == number_value("3.0") == "3"
    assert number_value("1,000") == "1000"
    assert number_value("3 ships") is None


class Dictionary:
    """An encoder in place of a published one, which tests do not fetch: equal vectors for equal meanings."""

    MEANINGS = ("ship", "cart", "crane", "bridge")
    WORDS = {"barcos": "ship", "carros": "cart", "grúas": "crane", "puente": "bridge"}  # noqa: RUF012

    def encode(self, texts: list[str], **options: Any) -> Any:
        assert options["normalize_embeddings"] is True
        vectors = np.full((len(texts), len(self.MEANINGS)), 0.1)
        for row, text in enumerate(texts):
            english = " ".join(self.WORDS.get(word, word) for word in text.split())
            vectors[row] += [meaning in english for meaning in self.MEANINGS]
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_an_encoder_finds_what_changed_places(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    package = SimpleNamespace(SentenceTransformer=lambda name: Dictionary())
    monkeypatch.setitem(sys.modules, "sentence_transformers", package)
    encoder = EncoderCheck("dictionary", 0.5)
    question = source.questions[2]

    def look(language: str, *wrong: str) -> CheckInput:
        english = Version(PASSAGES["en"], "What was sold?", ("wooden bridge", "ships", "carts", "cranes"))
        right = question.spans[language].answer
        return CheckInput(question, language, english, Version(PASSAGES[language], "", (right, *wrong)), 0)

    looks = [
        look("en", "ships", "carts", "cranes"),
        look("es", "barcos", "carros", "grúas"),
        look("es", "carros", "barcos", "grúas"),
        look("es", "barcos", "carros", "ruedas"),
    ]
    found = [[finding.choice for finding in findings] for findings in encoder(looks)]
    assert found[:3] == [[], [], [1, 2]]
    assert found[3] == []  # a word that the dictionary lacks is equally near to everything


# -- on what people wrote ----------------------------------------------------------------------------------------------

LANGUAGES = ["en", "zh", "vi", "es", "ru", "th"]  # in the last two most is named, of the twelve
# Checks that a human translation should pass, whatever the options are. The others judge how options were chosen, and
# those of this set were never matched by length or kind.
ABOUT_TEXT = {"malformed", "equals_answer", "overlaps_answer", "wrong_language", "duplicate", "options_not_parallel"}


def test_human_texts_pass(shared: Path) -> None:
    """Every third of the 1,190 questions of cross_xquad_spans 1: at most 5% have findings in any language.

    Measured on all, in all twelve languages: none in English, 2 (es) to 33 (ru) in the others. Most are right: a
    translation left out a year, or has another span.
    """
    source = load_source(SetOptions(output_dir="out", data_dir=str(shared / "data"), languages=LANGUAGES))
    built, _ = cross_xquad_spans(languages=LANGUAGES, data_dir=shared / "data", distractors="drawn")
    questions = {question.id: question for question in source.questions}
    checker = Checker(source)
    named: Counter[str] = Counter()
    shuffled_named: Counter[str] = Counter()
    shuffle = random.Random(0)
    for number, identifier in list(enumerate(built.ids))[::3]:
        question, gold = questions[identifier], built.gold[number]
        versions = {}
        for code in LANGUAGES:
            item = built.items[code][number]
            versions[code] = Version(item.context or "", item.question, item.choices)
        wrong = [index for index in range(4) if index != gold]
        a, b = shuffle.sample(wrong, 2)
        for code, version in versions.items():
            found = checker.check(CheckInput(question, code, versions["en"], version, gold))
            if code != "en":
                choices = list(version.choices)
                choices[a], choices[b] = choices[b], choices[a]
                moved = replace(version, choices=tuple(choices))
                found_moved = checker.check(CheckInput(question, code, versions["en"], moved, gold))
                shuffled_named[code] += any(finding.code == "options_not_parallel" for finding in found_moved)
            named[code] += any(finding.code in ABOUT_TEXT for finding in found)
    assert named["en"] == 0
    assert max(named.values()) <= 0.05 * len(built) / 3
    # and two wrong options that changed places are found, as nearly all of them are people's answers on the passage
    assert min(shuffled_named.values()) >= 0.8 * len(built) / 3
