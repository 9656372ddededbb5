"""Comparing short texts in any language: words, containment, kinds."""

from __future__ import annotations

import functools
import itertools
import re
import unicodedata

import regex  # knows Unicode's letters and marks, without which Hindi and Thai words fall apart; comes with lm-eval

from crossin_metrics.languages import LANGUAGES

_NUMBER = r"\p{N}+(?:[.,]\p{N}+)*"
# Without spaces between words, each character counts as a word, as does a run of digits or Latin letters.
_SIGNS = regex.compile(rf"{_NUMBER}|[\p{{Latin}}\p{{M}}]+|\p{{L}}\p{{M}}*")
_WORDS = regex.compile(rf"{_NUMBER}|[\p{{L}}\p{{M}}]+(?:['’][\p{{L}}\p{{M}}]+)*")
_ARTICLES = {"a", "an", "the"}
_SEPARATOR = "\x1f"

_MONTHS = {
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
}  # fmt: skip
_NUMBER_WORDS = {
    "zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16,
    "seventeen": 17, "eighteen": 18, "nineteen": 19, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50,
    "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90, "hundred": 100, "thousand": 1000, "million": 10**6,
    "billion": 10**9, "half": 0, "dozen": 12, "twice": 2, "third": 3, "quarter": 4,
}  # fmt: skip
_SMALL = {"of", "the", "and", "de", "la", "le", "van", "von", "der", "den", "al", "bin", "a", "an", "in", "on", "at"}


@functools.lru_cache(maxsize=8192)  # the same passage is needed many times
def words(text: str, language: str) -> tuple[str, ...]:
    """Words, case and width folded, without punctuation; English articles left out (as SQuAD's own scorer does)."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    folded = "".join(str(unicodedata.decimal(c, c)) for c in folded)
    found = tuple((_WORDS if LANGUAGES[language].spaced else _SIGNS).findall(folded))
    kept = tuple(word for word in found if word not in _ARTICLES) if language == "en" else found
    return kept or found


def contains(text: str, part: str, language: str) -> bool:
    """Whether `text` has `part`'s words in sequence; "1338" does not contain "3"."""
    inner = words(part, language)
    return bool(inner) and _joined(inner) in _joined(words(text, language))


def same(a: str, b: str, language: str) -> bool:
    """Whether two texts have the same words; texts without words are compared by their characters."""
    left, right = words(a, language), words(b, language)
    return left == right if left or right else a.split() == b.split()


def _joined(parts: tuple[str, ...]) -> str:
    return _SEPARATOR + _SEPARATOR.join(parts) + _SEPARATOR


def share_in(text: str, part: str, language: str) -> float:
    """Share of `part`'s words that `text` has, 0 to 1, allowing for endings (five first letters, or all but two).

    Without spaces between words, pairs of neighbouring characters are counted instead.
    """
    own, there = words(part, language), words(text, language)
    if not own:
        return 0.0
    if not LANGUAGES[language].spaced:
        if len(own) == 1:
            return float(own[0] in there)
        pairs, have = list(itertools.pairwise(own)), set(itertools.pairwise(there))
        return sum(pair in have for pair in pairs) / len(pairs)
    whole = set(there)
    stems = {word[:n] for word in whole for n in range(3, len(word) + 1)}
    return sum(word in whole or (len(word) > 4 and word[: max(5, len(word) - 2)] in stems) for word in own) / len(own)


def number_value(text: str) -> str | None:
    """An English number in digits: "3" for "three", "3" and "3.0"; None if the text is not one number."""
    found = words(text, "en")
    if len(found) != 1:
        return None
    if found[0] in _NUMBER_WORDS:
        return str(_NUMBER_WORDS[found[0]])
    digits = found[0].replace(",", "")
    return re.sub(r"\.0+$", "", digits) if re.fullmatch(r"\d+(\.\d+)?", digits) else None


def kind(text: str) -> str:
    """Kind of an English option: `date`, `number`, `name` or `phrase`."""
    found = _WORDS.findall(unicodedata.normalize("NFKC", text))
    lower = [word.casefold() for word in found]
    if not found:
        return "phrase"
    months = any(word in _MONTHS for word in lower)
    years = any(re.fullmatch(r"1\d\d\d|20\d\d", word) for word in lower)
    numbers = sum(word[0].isdigit() or word in _NUMBER_WORDS for word in lower)
    if (months and numbers) or (years and len(found) <= 4 and numbers * 2 >= len(found)):
        return "date"
    if numbers * 3 >= len(found):
        return "number"
    if all(word[0].isupper() or word[0].isdigit() or word.casefold() in _SMALL for word in found):
        return "name"
    return "phrase"


def initials(text: str) -> str:
    """First letters of a name's capitalised words: "National Football League" -> "NFL"."""
    return "".join(word[0] for word in _WORDS.findall(text) if word[0].isupper())
