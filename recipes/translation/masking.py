"""Replace what must not be translated by numbered sentinels, and restore it exactly.

A translation must contain every sentinel of its field exactly once, in any order, and no other. A sentinel-like string
in the source is masked itself, so data cannot be confused with sentinels.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from recipes.common.text_checks import Pair

VERSION = 1  # part of every request's key: increase it with any change to the patterns below

_URL_END = r"\s<>\"'`，。；、）】」"
_PATTERNS: dict[str, str] = {
    "fence": r"^(?P<tick>```|~~~)[^\n]*\n(?:.*?\n)??[ \t]*(?P=tick)[ \t]*$",
    "math": r"\$\$.{1,1000}?\$\$|\\\(.{1,500}?\\\)|\\\[.{1,1000}?\\\]",
    "code": r"(?<!`)`[^`\n]+`(?!`)",
    "url": rf"(?:https?|ftp)://[^{_URL_END}]*[^{_URL_END}.,;:!?)\]}}]|\bwww\.[\w-]+(?:\.[\w-]+)+(?:/[\w./?%&=#~-]*\w)?",
    "email": r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b",
    "placeholder": (
        r"\$?\{\{?[\w .:-]{1,40}\}?\}"  # {x} {{x}} ${x} {0:.2f}
        r"|%\(\w+\)[sdifr]|%(?:\.\d+)?[sdifr](?!\w)"  # %(name)s %s %.2f
        r"|</?[A-Za-z][\w-]*(?:\s+[\w-]+=(?:\"[^\"\n]*\"|'[^'\n]*'))*\s*/?>"  # <tag attribute="value"> </tag>
        r"|\[[A-Z][A-Z0-9_]*(?: [A-Z0-9_]+)*\](?!\()"  # [NAME] [PHONE NUMBER]
    ),
}
# "long": three digits or more, or a decimal point, thousands separator, time or percent sign. Shorter numbers stay in
# the text, because plural agreement and word order need them; the gate on numbers checks them.
NUMBERS: dict[str, str] = {
    "none": "",
    "long": (
        r"(?<![\w.,])[-−]?(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:[.:]\d+)+|\d{3,})(?:\s?%)?(?!\w|[.,:]\d)"
        r"|(?<![\w.,])\d+\s?%"
    ),
    "all": r"(?<![\w.,])[-−]?\d+(?:[.,:]\d+)*(?:\s?%)?(?!\w)",
}


class MaskError(ValueError):
    """Sentinels are missing, duplicated, unknown or in the wrong field."""


@dataclass(frozen=True)
class Masked:
    """Masked texts and what their sentinels stand for.

    Attributes:
        fields: field name -> text with sentinels.
        spans: (field name, masked string) of each sentinel; numbering starts at 0 and runs on over the fields.
        sentinel: the format of the sentinels.
    """

    fields: dict[str, str]
    spans: tuple[tuple[str, str], ...]
    sentinel: str


@functools.cache
def sentinel_pattern(sentinel: str) -> re.Pattern[str]:
    """The pattern that finds sentinels of a format; spaces inside are accepted, since some models add them."""
    left, right = sentinel.split("{}")
    return re.compile(rf"{re.escape(left)}\s*(\d+)\s*{re.escape(right)}")


@functools.cache
def _mask_pattern(sentinel: str, numbers: str) -> re.Pattern[str]:
    left, right = sentinel.split("{}")
    parts = [rf"{re.escape(left)}\s*\d+\s*{re.escape(right)}", *_PATTERNS.values(), NUMBERS[numbers]]
    return re.compile("|".join(f"(?:{part})" for part in parts if part), re.DOTALL | re.MULTILINE)


def mask(fields: Mapping[str, str], sentinel: str, numbers: str = "long") -> Masked:
    """Replace code, formulas, addresses, placeholders and numbers by sentinels.

    Args:
        fields: field name -> text.
        sentinel: a format with one `{}` for the number, such as `"⟦{}⟧"`.
        numbers: which numbers to mask, a key of :data:`NUMBERS`.
    """
    spans: list[tuple[str, str]] = []
    masked: dict[str, str] = {}
    for name, text in fields.items():

        def replace(match: re.Match[str], name: str = name) -> str:
            spans.append((name, match.group(0)))
            return sentinel.format(len(spans) - 1)

        masked[name] = _mask_pattern(sentinel, numbers).sub(replace, text)
    return Masked(masked, tuple(spans), sentinel)


def unmask(masked: Masked, translated: Mapping[str, str]) -> dict[str, str]:
    """Put the masked strings back into a translation of `masked.fields`.

    Raises:
        MaskError: a field's sentinels are not exactly those of the source.
    """
    restored: dict[str, str] = {}
    pattern = sentinel_pattern(masked.sentinel)
    for name, text in translated.items():
        wanted = Counter(index for index, (owner, _) in enumerate(masked.spans) if owner == name)
        found = Counter(int(number) for number in pattern.findall(text))
        if found != wanted:
            lost = [masked.spans[index][1] for index in sorted(wanted - found)]
            extra = [masked.sentinel.format(index) for index in sorted(found - wanted)]
            raise MaskError(f"{name}: lost {lost}, duplicated or unknown {extra}")
        restored[name] = pattern.sub(lambda match: masked.spans[int(match.group(1))][1], text)
    return restored


def has_words(text: str, sentinel: str) -> bool:
    """Whether there is anything to translate: a letter outside the sentinels."""
    return any(character.isalpha() for character in sentinel_pattern(sentinel).sub(" ", text))


def make_pairs(
    masked: Masked, masked_target: Mapping[str, str], target: Mapping[str, str], source: Mapping[str, str],
    source_language: str, target_language: str,
) -> list[Pair]:  # fmt: skip
    """Pair the translated fields of a row with their sources."""
    marks = sentinel_pattern(masked.sentinel)
    return [
        Pair(
            name,
            source[name],
            target[name],
            marks.sub(" ", masked.fields[name]),
            marks.sub(" ", masked_target[name]),
            source_language,
            target_language,
        )
        for name in masked_target
    ]
