"""The table of languages, and the two tables of words beside it."""

from __future__ import annotations

import pytest

from crossin_metrics.answers.cues import CUES
from crossin_metrics.errors import CrossinError
from crossin_metrics.harness.prompt_words import WORDS
from crossin_metrics.harness.prompts import prompt_for, resolve_prompt, signed_prompt
from crossin_metrics.languages import LANGUAGES, SIMILAR, language_code, language_name, log_language


def test_word_tables_cover_the_languages() -> None:
    assert len(LANGUAGES) >= 80
    assert len(WORDS) >= 55
    assert set(CUES) | set(WORDS) <= set(LANGUAGES)


def test_a_language_without_words_is_asked_in_english_and_the_signature_says_so() -> None:
    assert {"ha", "yo"} & set(WORDS) == set()
    for code, english in (("ha", True), ("de", False)):
        rendered = prompt_for(resolve_prompt("native"), code).render("P", "Q", ("a", "b"), "letter")
        assert rendered.startswith("P\n\nQuestion: Q") == english
    assert signed_prompt("native", ["de", "yo", "ha"]) == "native2(en=ha,yo)"
    assert (signed_prompt("native", ["de"]), signed_prompt("p1", ["ha"])) == ("native2", "p1")


def test_every_name_of_a_language_leads_to_its_code() -> None:
    for code, language in LANGUAGES.items():
        assert code == language.code
        for name in (code, language.iso3, language.flores, language.english, language.native.upper(), f"{code}-XX"):
            assert language_code(name) == code
        assert log_language(language.flores) == code
        assert language.length > 0
        assert language.compression > 1
    assert len({language.flores for language in LANGUAGES.values()}) == len(LANGUAGES)
    assert all(group <= set(LANGUAGES) for group in SIMILAR)
    with pytest.raises(CrossinError, match=r"unknown language 'Klingon'; known: af, .*zu"):
        language_code("Klingon")


def test_facts_that_follow_from_the_script() -> None:
    assert {code for code, row in LANGUAGES.items() if row.direction == "rtl"} == {"ar", "fa", "he", "ur"}
    assert {code for code, row in LANGUAGES.items() if not row.spaced} == {"zh", "ja", "th", "km", "lo", "my"}
    assert LANGUAGES["ja"].scripts == ("Han", "Hiragana", "Katakana")
    assert (language_name("es"), language_name("en")) == ("Spanish (Español)", "English")


LOGGED = {
    "eng_Latn": "en",
    "zho_Hans": "zh",
    "zho_Hant": "zho_hant",
    "arb_Arab": "ar",
    "arb_Latn": "arb_latn",
    "hin_Deva": "hi",
    "hin_Latn": "hin_latn",
    "jpn_Jpan": "ja",
    "zsm_Latn": "ms",
    "ace_Arab": "ace_arab",
    "pt_br": "pt",
    "zh-CN": "zh",
    "Filipino": "fil",
    "yo": "yo",
    "swa": "sw",
    "lug": "lug",
    "pes_Arab": "fa",
    "als_Latn": "sq",
    "nob_Latn": "no",
    "srp_Cyrl": "sr",
    "srp_Latn": "srp_latn",
}


@pytest.mark.parametrize("name", LOGGED)
def test_languages_of_logs(name: str) -> None:
    assert log_language(name) == LOGGED[name]
    assert log_language(LOGGED[name]) == LOGGED[name]
