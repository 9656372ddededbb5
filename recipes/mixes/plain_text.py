"""Parallel passages as plain text for continued pre-training: languages alternate by sentence or by document."""

from __future__ import annotations

import re

from crossin_metrics.languages import LANGUAGES

_SENTENCE_END = re.compile(r"(?<=[.!?؟।])\s+|(?<=[。！？])\s*")


def by_document(first: str, second: str) -> str:
    """The passage in one language, then in the other."""
    return f"{first}\n\n{second}"


def by_sentence(first: str, second: str, first_lang: str, second_lang: str) -> str:
    """Sentence 1 in the first language, sentence 2 in the second, and so on; by document if they differ in number."""
    sides = [[part for part in _SENTENCE_END.split(text) if part.strip()] for text in (first, second)]
    if len(sides[0]) != len(sides[1]) or len(sides[0]) < 2:
        return by_document(first, second)
    spaced = LANGUAGES[first_lang].spaced or LANGUAGES[second_lang].spaced
    return (" " if spaced else "").join(pair[number % 2] for number, pair in enumerate(zip(*sides, strict=True)))
