"""The cues' words as patterns: any word of some fields, and finders of patterns that begin with such a word."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache

from crossin_metrics.answers.cleaning import INVISIBLE
from crossin_metrics.answers.cues import CUES


def normalised(words: str) -> str:
    """Words of the table as a regular expression in the form of cleaned text."""
    return INVISIBLE.sub("", unicodedata.normalize("NFKC", words.lower())).replace(" ", r"\s")


# Vowel signs and viramas are no `\w`, though words go on with them: the last letter of "प्रश्न" is not the word "न".
# The visarga, with which "উত্তরঃ B" announces, is left out.
_SIGN = r"\u064b-\u0652\u0900-\u0902\u093a-\u094f\u0981\u0982\u09bc-\u09cd\u0b82\u0bbe-\u0bcd\u0c00-\u0c02\u0c3e-\u0c4d"
NO_SPACES = re.compile(r"[\u0e00-\u0e7f\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]")  # Thai, Han, kana, Hangul


def any_word(*fields: str, languages: tuple[str, ...] | None = None) -> str:
    """Any word of some fields of the table, the longest first, as one pattern with word boundaries where they apply."""
    words: dict[str, None] = {}
    for code, cue in CUES.items():
        if languages is None or code in languages:
            for field in fields:
                words.update(dict.fromkeys(split_words(normalised(getattr(cue, field)))))
    spaced = sorted((w for w in words if not NO_SPACES.search(w)), key=len, reverse=True)
    joined = sorted((w for w in words if NO_SPACES.search(w)), key=len, reverse=True)
    parts = [rf"(?<![\w{_SIGN}])(?:{_by_letter(spaced)})(?![\w{_SIGN}])"] if spaced else []
    return f"(?:{'|'.join([*parts, *joined])})"


def _by_letter(words: list[str]) -> str:
    """The words as one pattern that looks at those with a text's first letter only; their order is kept."""
    groups: dict[str, list[str]] = {}
    for word in words:
        groups.setdefault(word[0] if len(_plain(word)) > 1 else word, []).append(word)
    return "|".join(
        f"{letter}(?:{'|'.join(word[1:] for word in group)})" if len(group) > 1 else group[0]
        for letter, group in groups.items()
    )


class Finder:
    """Matches of a pattern that begins with words of some fields, found through those words' first letters.

    The same as `pattern.finditer`, without trying hundreds of words at every position.
    """

    def __init__(self, pattern: str, *fields: str, signs: tuple[str, ...] = ()) -> None:
        self._pattern = re.compile(pattern)
        words = {
            word for cue in CUES.values() for field in fields for word in split_words(normalised(getattr(cue, field)))
        }
        heads: dict[str, set[str]] = {}
        for plain in (*(plain for word in words for plain in _beginnings(word)), *signs):
            heads.setdefault(_STARTS.match(plain)[1], set()).add(plain)  # type: ignore[index]
        self._heads = {head: tuple(found) for head, found in heads.items()}
        _HEADS.update(heads)

    def __call__(self, text: str, starts: Sequence[tuple[int, str]]) -> Iterator[re.Match[str]]:
        """The matches in a text with these :func:`word_starts`, left to right, none overlapping another."""
        position = 0
        for start, head in starts:
            if head in self._heads and start >= position and text.startswith(self._heads[head], start):
                match = self._pattern.match(text, start)
                if match is not None:
                    position = max(match.end(), start + 1)
                    yield match


_LETTER = rf"[^\W_{NO_SPACES.pattern[1:]}"
_STARTS = re.compile(rf"({_LETTER}{{1,3}}|{NO_SPACES.pattern}|[=\-⇒→∴])(?:(?<={_LETTER}){_LETTER}+)?")
_HEADS = set[str]()  # of all finders


@lru_cache(maxsize=8)
def word_starts(text: str) -> list[tuple[int, str]]:
    """Where words begin that a finder may want, and their first letters (one, in a script without spaces)."""
    return [(match.start(), match[1]) for match in _STARTS.finditer(text) if match[1] in _HEADS]


def _beginnings(word: str) -> list[str]:
    """The plain beginnings of a word of the table: several, if it begins with a group."""
    group = re.match(r"\(\?:([^()]*)\)", word)
    return [begin for part in group[1].split("|") for begin in _beginnings(part)] if group else [_plain(word)]


def _plain(word: str) -> str:
    """The characters with which a word of the table begins, up to those that are optional or of a pattern."""
    plain = re.match(r"[^\\(\[?*{]*", word)[0]  # type: ignore[index]
    return plain[:-1] if word[len(plain) : len(plain) + 1] in tuple("?*{") else plain


def split_words(words: str) -> list[str]:
    """Split at each `|` outside brackets."""
    parts, depth, start = [], 0, 0
    for position, char in enumerate(words):
        depth += (char in "([") - (char in ")]")
        if char == "|" and depth == 0:
            parts.append(words[start:position])
            start = position + 1
    return [part for part in [*parts, words[start:]] if part]
