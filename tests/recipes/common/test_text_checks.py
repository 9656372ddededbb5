"""Checks of translations: good ones pass, broken ones do not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crossin_metrics.errors import CrossinError
from recipes.common import text_checks as gates


def pair(source: str, target: str, language: str = "es") -> list[gates.Pair]:
    return [gates.Pair("output", source, target, source, target, "en", language)]


ENGLISH = "The train leaves at noon and arrives in the old town before dinner, so that we can still visit the museum."
SPANISH = "El tren sale al mediodía y llega a la ciudad vieja antes de la cena, para que aún podamos visitar el museo."
CHINESE = "火车中午出发，晚饭前到达老城，这样我们还能参观博物馆。"


@pytest.mark.parametrize(("target", "language"), [(SPANISH, "es"), (CHINESE, "zh")])
def test_a_good_translation_passes_every_gate(target: str, language: str) -> None:
    built = gates.build_gates(gates.GATES, ["en", "es", "zh", "vi"])
    assert gates.first_finding(built, pair(ENGLISH, target, language)) is None


@pytest.mark.parametrize(
    ("source", "target", "lost"),
    [
        ("It took 25 days.", "Tardó 25 días.", False),
        ("It took 25 days.", "Tardó veinticinco días.", True),
        ("It took 5 days.", "Tardó cinco días.", False),
        ("About 20 million people.", "约有2000万人。", False),
        ("They were 1,250 in all.", "Eran 1.250 en total.", False),
        ("They were 1,250 in all.", "Eran 1 250 en total.", False),
        ("In 2021 it was 12.", "في ٢٠٢١ كان ١٢.", False),
        ("The year 2021", "El año 2012", True),
        ("Meet at 10 pm.", "晚上二十二点见。", False),
        ("25 and 25 again", "25 y otra vez 25", False),
        ("There are 25.", "Hay 2 o 5.", True),
        ("1,000,000 and 12", "1.000.000 y 12", False),
        ("from 10 to 20 of 1500", "de 10 a 20 de 1 500", False),
    ],
)
def test_numbers_are_kept(source: str, target: str, lost: bool) -> None:
    assert (gates.gate_numbers(pair(source, target)) is not None) == lost


def test_length_depends_on_the_language() -> None:
    assert gates.gate_length(pair(ENGLISH, CHINESE, "zh")) is None
    assert gates.gate_length(pair(ENGLISH, CHINESE, "es")) is not None  # as Spanish this is far too short
    assert gates.gate_length(pair(ENGLISH, SPANISH, "es")) is None
    assert gates.gate_length(pair(ENGLISH, SPANISH, "zh")) is not None  # as Chinese far too long
    assert gates.gate_length(pair("Yes.", "Sí.")) is None
    assert gates.gate_length(pair("Yes.", SPANISH)) is not None


def test_copies_are_seen_but_names_may_stay() -> None:
    assert gates.gate_copy(pair(ENGLISH, ENGLISH.upper())) is not None
    assert gates.gate_copy(pair(ENGLISH, "Bueno: " + ENGLISH[:80])) is not None
    assert gates.gate_copy(pair("Marie Curie", "Marie Curie")) is None
    assert gates.gate_copy(pair(ENGLISH, SPANISH)) is None


def test_repetition_is_measured_against_the_source() -> None:
    assert gates.gate_repetition(pair(ENGLISH * 3, SPANISH[:12] * 30)) is not None
    assert gates.gate_repetition(pair(ENGLISH, CHINESE[:4] * 20, "zh")) is not None
    assert gates.gate_repetition(pair("ha " * 60, "ja " * 60)) is None  # the source says it so too
    assert gates.gate_repetition(pair(ENGLISH, SPANISH)) is None


def test_script_share() -> None:
    assert gates.gate_script(pair(ENGLISH, SPANISH, "zh")) is not None
    assert gates.gate_script(pair(ENGLISH, CHINESE, "es")) is not None
    assert gates.gate_script(pair(ENGLISH, "Word 和 Excel 是办公软件，可以写文章和做表格。", "zh")) is None
    assert gates.gate_script(pair("Hi", "Hi", "zh")) is None  # too short to say
    assert gates.gate_script(pair(ENGLISH, "電車は正午に出て、夕食前に旧市街に着きます。", "ja")) is None


def test_language_gate_is_lenient_with_short_texts_and_near_languages() -> None:
    gate = gates.LanguageGate(["en", "es", "id", "ms", "fil"])
    assert gate(pair(ENGLISH, ENGLISH, "es")) is not None
    assert gate(pair(ENGLISH, SPANISH, "es")) is None
    assert gate(pair("No.", "No.", "es")) is None
    malay = (
        "Kereta api bertolak pada tengah hari dan tiba di bandar lama sebelum makan malam, supaya kita dapat melawat."
    )
    assert gate(pair(ENGLISH, malay, "id")) is None
    assert gate(pair(ENGLISH, malay, "fil")) is not None


def test_unknown_gates_are_refused() -> None:
    with pytest.raises(CrossinError, match="unknown gate 'lenght'"):
        gates.build_gates(["lenght"], ["en"])


def test_the_gates_pass_translations_by_people(shared: Path) -> None:
    """XQuAD's professional translations: nearly all must pass, and the wrong language must not."""
    texts: dict[str, list[str]] = {}
    for language in ("en", "es", "zh", "vi", "ar", "hi", "ru", "th"):
        data = json.loads((shared / "data" / "xquad" / f"xquad.{language}.json").read_text("utf-8"))["data"]
        texts[language] = [
            text
            for article in data[::6]
            for p in article["paragraphs"]
            for text in (p["context"], p["qas"][0]["question"])
        ]
    built = gates.build_gates(gates.GATES, texts)
    failed: dict[str, list[str]] = {}
    for language in list(texts)[1:]:
        for source, target in zip(texts["en"], texts[language], strict=True):
            finding = gates.first_finding(built, pair(source, target, language))
            if finding is not None:
                failed.setdefault(language, []).append(f"{finding.reason}: {finding.detail}: {source[:60]}")
    n = len(texts["en"])
    assert n >= 60
    for language, reasons in failed.items():
        assert len(reasons) <= 0.04 * n, (language, reasons)  # one or two each, most with a number that did change
    seen = [
        gates.first_finding(built, pair(source, target, "es")) is not None
        for source, target in zip(texts["en"], texts["vi"], strict=True)
    ]
    assert sum(seen) >= 0.95 * n


def test_the_packaged_translations_pass_every_gate() -> None:
    """Sixty-odd rows that people wrote in four languages, with lists, sums, code, tables and names in them."""
    from recipes.mixes.sources import SourceSpec
    from recipes.translation.rows import read_source

    rows = {
        language: read_source(SourceSpec("packaged:seed_mini", (language,))).rows
        for language in ("en", "zh", "vi", "es")
    }
    built = gates.build_gates(gates.GATES, rows)
    findings = []
    for language in ("zh", "vi", "es"):
        for source, target in zip(rows["en"], rows[language], strict=True):
            pairs = [
                gates.Pair(name, text, target.fields[name], text, target.fields[name], "en", language)
                for name, text in source.fields.items()
                if text
            ]
            finding = gates.first_finding(built, pairs)
            if finding is not None:
                findings.append((language, source.id, finding))
    assert findings == []
