"""Tokens and sentences, as the rules see them: for any script, exact for none.

Known limits: words of Chinese, Japanese, Thai, Lao, Khmer and Burmese are pairs of characters; nothing is stemmed, so
an inflected form is another token; sentences end at their marks (in Thai, which has none, at spaces).
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

# Scripts written without spaces between words: Thai, Lao, Burmese, Khmer, kana, Han.
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
_SENTENCE = re.compile(r"(?<=[.!?؟۔।॥])\s+|(?<=[。！？])|\n+")


def fold(text: str) -> str:
    """Fold what makes no difference between two texts: NFKC, case, outer and repeated white space."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


@lru_cache(maxsize=65536)
def tokens(text: str) -> tuple[str, ...]:
    """Words of the folded text, in order; of scripts without spaces every two neighbouring characters are one."""
    out: list[str] = []
    word = ""
    for character in [*fold(text), " "]:
        if unicodedata.category(character)[0] in "LMN":
            word += character
            continue
        if word:
            out += _cut(word) if _UNSPACED.search(word) else [word]
            word = ""
    return tuple(out)


def _cut(word: str) -> list[str]:
    """Runs without spaces as pairs of neighbours, the runs between them (digits, Latin letters) whole."""
    out = []
    for run in re.findall(f"{_UNSPACED.pattern}+|[^{_UNSPACED.pattern[1:-1]}]+", word):
        whole = len(run) == 1 or not _UNSPACED.match(run)
        out += [run] if whole else [run[i : i + 2] for i in range(len(run) - 1)]
    return out


@lru_cache(maxsize=4096)
def sentences(text: str) -> tuple[str, ...]:
    """The text's sentences, none empty; at least one."""
    found = [part.strip() for part in _SENTENCE.split(text) if part and part.strip()]
    if len(found) < 2 and _UNSPACED.search(text):
        found = text.split()
    return tuple(found or [text])


def share_in(part: str, whole: str) -> float:
    """Share of the distinct tokens of `part` that are in `whole`, in [0, 1]; 0 where it has none."""
    words = set(tokens(part))
    return len(words & set(tokens(whole))) / len(words) if words else 0.0


def closest_sentence(passage: str, question: str) -> str:
    """The sentence with most of the question's tokens, rare ones of the passage weighing more; the first of equals."""
    parts = sentences(passage)
    asked = set(tokens(question))
    bags = [set(tokens(part)) for part in parts]
    weights = {word: 1 / n for word in asked if (n := sum(word in bag for bag in bags))}
    scores = [sum(weights[word] for word in bag if word in weights) for bag in bags]
    return parts[max(range(len(parts)), key=lambda i: (round(scores[i], 9), -i))]
