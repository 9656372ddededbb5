"""Items of a finished build, in our own words: articles of two passages, each with two questions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from recipes.cross_xquad.items import Decision, Finding, Item, Version

_PASSAGE = {
    "en": "The mill of {a} stands on the river {b}. It was built by {c} and sold to {d}.",
    "zh": "{a}的磨坊位于{b}河畔。它由{c}建造，后来卖给了{d}。",
    "vi": "Cối xay {a} nằm bên sông {b}. Nó do {c} xây và bán cho {d}.",
    "es": "El molino de {a} está junto al río {b}. Lo construyó {c} y se vendió a {d}.",
}
_QUESTIONS = {
    "en": ("Who built the mill of {a}?", "On which river does the mill of {a} stand?"),
    "zh": ("谁建造了{a}的磨坊？", "{a}的磨坊位于哪条河？"),
    "vi": ("Ai đã xây cối xay {a}?", "Cối xay {a} nằm bên sông nào?"),
    "es": ("¿Quién construyó el molino de {a}?", "¿Junto a qué río está el molino de {a}?"),
}
FACTS: dict[str, Any] = {
    "source": "hub:google/xquad@0a1b2c",
    "source_licence": "CC-BY-SA-4.0",
    "source_sha256": "5" * 64,
    "languages": ["en", "zh", "vi", "es"],
    "model": "lab/writer-7b",
    "model_licence": "Apache-2.0",
    "model_settings": {"temperature": 0.0, "seed": 0},
    "prompt_version": "2",
    "stages": {
        "distractors": {"stage": "distractors", "inputs": {"source": "abc"}, "items_sha256": "f" * 64, "n_items": 24},
        "check": {"n_items": 24, "without_findings": 20, "findings": {"odd_length": {"en": 3}}},
    },
}


def items(n_articles: int = 6, languages: tuple[str, ...] = ("en", "zh", "vi", "es")) -> list[Item]:
    """Clean items, two a passage, two passages an article; places of the right option balanced."""
    out = []
    for number in range(4 * n_articles):
        passage, asked = divmod(number, 2)
        words = {key: f"{name}{passage}" for key, name in zip("abcd", ("Arl", "Bro", "Cox", "Dun"), strict=True)}
        right = "c" if asked == 0 else "b"
        options = [words[key] for key in "abcd" if key != right]
        options.insert(number % 4, words[right])
        versions = {
            code: Version(_PASSAGE[code].format(**words), _QUESTIONS[code][asked].format(**words), tuple(options))
            for code in languages
        }
        out.append(Item(f"q{number:03d}", passage // 2, passage, number % 4, versions))
    return out


def finding(code: str = "odd_length", language: str | None = "en") -> Finding:
    return Finding(code, language, None, "one option is longer")


def decided(item: Item, verdict: str, reviewer: str = "AB", edit: str | None = None) -> Item:
    """The item with a finding and a decision on it; `edit` rewords its last English option."""
    item = replace(item, findings=(finding(),))
    seen = item.sha256()
    if edit is None:
        return replace(item, decision=Decision(verdict, reviewer, "a note for colleagues only", {}, seen))
    english = item.versions["en"]
    index = 3 if item.gold != 3 else 2
    choices = tuple(edit if n == index else text for n, text in enumerate(english.choices))
    versions = {**item.versions, "en": replace(english, choices=choices)}
    return replace(item, versions=versions, decision=Decision(verdict, reviewer, "", {"en": {index: edit}}, seen))


def mixed() -> list[Item]:
    """24 items: one accepted with an edit, one accepted by two people, one rejected, one undecided, one sent back."""
    out = items()
    out[0] = decided(out[0], "accept", edit="<b>Eve</b> | *Ada*")
    out[1] = decided(out[1], "reject")
    out[2] = replace(out[2], findings=(finding("is_right"),))
    out[3] = decided(out[3], "redo", "CD")
    out[4] = decided(out[4], "accept", "CD, EF")
    return out


def contents(folder: Path) -> dict[str, bytes]:
    """File -> bytes."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
