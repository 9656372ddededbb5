"""Does an option say in another language what the English one says? As far as texts alone can tell.

Two things are certain without a model: numbers are kept; and if an English wrong option is the human answer to another
question on the same passage, its human translations are known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from recipes.common.text_checks import Pair, gate_numbers
from recipes.cross_xquad.checks.base import CheckInput
from recipes.cross_xquad.items import Finding
from recipes.cross_xquad.sources import PIVOT, SourceQuestion
from recipes.cross_xquad.texts import contains, same, share_in

LIKE = 0.5  # share of words (pairs of signs in Chinese, Japanese, Thai) from which two texts may be the same thing


def check_parallel(neighbours: Sequence[SourceQuestion], one: CheckInput) -> Iterator[Finding]:
    """Findings `options_not_parallel` of a version that is not English.

    Args:
        neighbours: the other questions on the passage.
        one: the version, with as many options as the English one.
    """
    for index, (theirs, ours) in enumerate(zip(one.english.choices, one.version.choices, strict=True)):
        if index != one.gold:
            why = _numbers(theirs, ours, one.language) or _human(neighbours, theirs, ours, one.language)
            if why is not None:
                yield one.finding("options_not_parallel", index, why)


def _numbers(english: str, text: str, language: str) -> str | None:
    """Numbers that one of the two lacks: lost ones always, new ones where the English has digits without such words."""
    text = _MYRIADS.sub(lambda match: str(round(float(match[1]) * 10 ** (4 if match[2] in "万萬" else 8))), text)
    lost = gate_numbers([Pair("option", english, text, english, text, PIVOT, language)])
    if lost is not None and not _groups(lost.detail) <= _groups(text):  # 3:08 may be 3 min 8 s
        return f"{lost.detail}: English has {english!r}"
    new = gate_numbers([Pair("option", text, english, text, english, language, PIVOT)])
    if new is None or not any(c.isdigit() for c in english) or _REWORDED.search(english):
        return None
    if _groups(new.detail) <= _groups(english):
        return None
    return f"{new.detail.removesuffix(' is lost')} is not in the English option, {english!r}"


_MYRIADS = re.compile(r"(\d+(?:\.\d+)?)\s*([万萬亿億])")  # 50万 is 500,000
# months become numbers in Chinese and Vietnamese; decades, "30m" and "30 thousand" get other digits
_REWORDED = re.compile(
    r"\d0s\b|\d\s?(?:k|m|bn|million|billion|trillion|thousand|hundred|dozen)\b|\b[ap]\.?m\b|century|"
    r"\b(?:January|February|March|April|May|June|July|August|September|October|November|December)\b",
    re.IGNORECASE,
)


def _groups(text: str) -> set[int]:
    return {int(digits) for digits in re.findall(r"\d+", text)}


def _human(neighbours: Sequence[SourceQuestion], english: str, text: str, language: str) -> str | None:
    """Compare with people's translations of the same words of the passage."""
    known = [other.spans[language].answer for other in neighbours if same(other.spans[PIVOT].answer, english, PIVOT)]
    if known and not any(_like(text, answer, language) for answer in known):
        return f"people translated {english!r} as {known[0]!r} on this passage"
    for other in neighbours:
        answer, original = other.spans[language].answer, other.spans[PIVOT].answer
        if same(answer, text, language) and not _like(english, original, PIVOT):
            return f"is how people translated {original!r} on this passage, not {english!r}"
    return None


def _like(a: str, b: str, language: str) -> bool:
    if contains(a, b, language) or contains(b, a, language):
        return True
    return max(share_in(a, b, language), share_in(b, a, language)) >= LIKE
