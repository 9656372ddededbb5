"""Is this a usable translation? Checks from cheap to expensive; the first that fails gives the reason.

The thresholds are wide: they catch broken replies and do not judge style. On XQuAD (240 passages, 1,190 questions and
answers, translated by people into 11 languages) they reject 1.6% of 28,820 translations, mostly names that stay the
same or numbers that the translator did change. They catch 95.5% of 7,150 passages and questions in the wrong language
and 99.8% of untranslated ones; what they miss is short. They do not notice that half a text is missing: the gates with
models do.
"""

from __future__ import annotations

import functools
import re
import unicodedata
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from crossin_metrics.errors import CrossinError
from crossin_metrics.languages import LANGUAGES, SIMILAR


@dataclass(frozen=True)
class Finding:
    """Why a translation was not accepted: the gate's name, the field, and what was seen."""

    reason: str
    field: str
    detail: str


@dataclass(frozen=True)
class Pair:
    """One field of a row, source and translation: as they will be written, and the words alone without masked spans."""

    field: str
    source: str
    target: str
    source_words: str
    target_words: str
    source_language: str
    target_language: str


Gate = Callable[[list[Pair]], Finding | None]

# With these, 15 of 28,820 XQuAD passages, questions and answers fail (11 languages), no passage among them.
LENGTH_FACTOR = 2.5
LENGTH_SLACK = 10  # characters below; twice as many above
# Compression ratio over the source's, each over its language's usual one. XQuAD: at most 1.30 in any language.
REPETITION_FACTOR = 2.0
REPETITION_MIN_CHARACTERS = 60
COPY_MIN_WORDS = 4  # shorter ones are often names
COPY_NGRAM_SHARE = 0.5
SCRIPT_ROW_SHARE = 0.5
SCRIPT_FIELD_SHARE = 0.2  # one field may be a list of foreign names
SCRIPT_MIN_LETTERS = 12
LANGUAGE_MIN_LETTERS = 20  # in English-sized letters; below, identification is guessing
LANGUAGE_SURE_LETTERS = 60
LANGUAGE_CONFIDENCE = 0.6  # of another language, for long texts
LANGUAGE_CONFIDENCE_SHORT = 0.9


# -- gates that look at text alone, cheap first ----------------------------------------------------------------------


def gate_numbers(pairs: list[Pair]) -> Finding | None:
    """Numbers of two digits and more are kept, in any digits and with any separators."""
    for pair in pairs:
        wanted = [number for number in _NUMBER.findall(pair.source) if len(_digits(number)) >= 2]
        if not wanted:
            continue
        found = _numbers_in(pair.target)
        for number in wanted:
            if _digits(number) not in found:
                return Finding("numbers", pair.field, f"{number} is lost")
    return None


def _numbers_in(text: str) -> set[str]:
    """The digits of all numbers in a text, read with and without the separators between their groups."""
    found = set()
    for run in re.findall(r"\d+(?:[\s.,:'’\u066b\u066c]\d+)*", text):
        groups = [_digits(group) for group in re.findall(r"\d+", run)]
        for start in range(len(groups)):
            for end in range(start + 1, min(start + 5, len(groups)) + 1):  # five groups: up to 999 billion and cents
                found.add("".join(groups[start:end]))
    return found


# not: 20 million (2000万), 90s, 10 pm (22:00), 12-hour clock times
_NUMBER = re.compile(
    r"(?<![\w.,])(\d+(?:[.,:]\d+)*)(?!\w|[.,:]\d)"
    r"(?!\s*-?(?:hundred|thousand|million|billion|trillion|[ap]\.?m\b|o'clock|dozen|k\b|[MB]\b))"
)


def _digits(text: str) -> str:
    return "".join(str(unicodedata.digit(character)) for character in text if character.isdigit())


def gate_length(pairs: list[Pair]) -> Finding | None:
    """The translation is about as long as its language usually needs."""
    for pair in pairs:
        expected = len(pair.source) * LANGUAGES[pair.target_language].length
        expected /= LANGUAGES[pair.source_language].length
        low, high = expected / LENGTH_FACTOR - LENGTH_SLACK, expected * LENGTH_FACTOR + 2 * LENGTH_SLACK
        if not low <= len(pair.target) <= high:
            detail = f"{len(pair.target)} characters for {len(pair.source)}, expected {max(low, 1):.0f} to {high:.0f}"
            return Finding("length_ratio", pair.field, detail)
    return None


def gate_copy(pairs: list[Pair]) -> Finding | None:
    """The translation does not repeat the source, or half of it."""
    for pair in pairs:
        source, target = _words(pair.source_words), _words(pair.target_words)
        if len(source) >= COPY_MIN_WORDS and source == target:
            return Finding("copy", pair.field, "same words as the source")
        theirs, ours = set(_ngrams(source, 4)), _ngrams(target, 4)
        if len(source) >= 2 * COPY_MIN_WORDS and ours:
            share = sum(ngram in theirs for ngram in ours) / len(ours)
            if share >= COPY_NGRAM_SHARE:
                return Finding("copy", pair.field, f"{share:.0%} of its 4-grams are in the source")
    return None


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W\d_]+", text.casefold())


def likeness(one: str, other: str) -> float:
    """Share (0-1) of the words of two texts that both have."""
    first, second = set(_words(one)), set(_words(other))
    return len(first & second) / max(1, len(first | second))


def _ngrams(words: list[str], size: int) -> list[tuple[str, ...]]:
    return [tuple(words[start : start + size]) for start in range(len(words) - size + 1)]


def gate_repetition(pairs: list[Pair]) -> Finding | None:
    """The translation does not loop: it compresses about as well as its source."""
    for pair in pairs:
        if len(pair.target) < REPETITION_MIN_CHARACTERS * LANGUAGES[pair.target_language].length:
            continue
        ratio = _compression(pair.target) / LANGUAGES[pair.target_language].compression
        usual = _compression(pair.source) / LANGUAGES[pair.source_language].compression
        if ratio > REPETITION_FACTOR * max(usual, 0.5):  # a short source hardly compresses at all
            return Finding("repetition", pair.field, f"compresses {ratio / usual:.1f} times as well as its source")
    return None


def _compression(text: str) -> float:
    data = text.encode("utf-8", "surrogatepass")
    return len(data) / len(zlib.compress(data))


@functools.cache
def _letter_patterns(language: str) -> tuple[Any, Any]:
    """Patterns of one letter of the language's script, and of any letter."""
    import regex  # knows Unicode scripts; installed with transformers

    scripts = LANGUAGES[language].scripts
    return regex.compile("[" + "".join(rf"\p{{Script={name}}}" for name in scripts) + "]"), regex.compile(r"\p{L}")


def script_share(text: str, language: str) -> tuple[float, float]:
    """Share of letters in the language's script, and number of letters, both in English-sized letters."""
    own_letter, letter = _letter_patterns(language)
    own = len([found for found in own_letter.findall(text) if found.isalpha()])
    others = len(letter.findall(text)) - own
    weighted = own / min(1.0, LANGUAGES[language].length)
    return (weighted / (weighted + others) if weighted + others else 1.0), weighted + others


def gate_script(pairs: list[Pair]) -> Finding | None:
    """Most letters are of the language's script; a single field may hold many foreign names."""
    if not pairs:
        return None
    language = pairs[0].target_language
    whole = ("row", "\n".join(pair.target_words for pair in pairs), SCRIPT_ROW_SHARE)
    for name, text, least in [whole, *((pair.field, pair.target_words, SCRIPT_FIELD_SHARE) for pair in pairs)]:
        share, letters = script_share(text, language)
        if letters >= SCRIPT_MIN_LETTERS * (1 if name == "row" else 3) and share < least:
            return Finding("script", name, f"{share:.0%} of its letters are {LANGUAGES[language].script}")
    return None


class LanguageGate:
    """The translation is in the target language, by lingua; candidates are the run's languages only.

    Short texts pass unless another language is nearly certain; similar languages count as one. A language that is the
    only candidate in its script is left to the faster script gate.
    """

    def __init__(self, languages: Iterable[str], scripts_checked: bool = True) -> None:
        try:
            from lingua import IsoCode639_3, Language, LanguageDetectorBuilder
        except ImportError as error:
            raise CrossinError(
                "the language gate needs lingua: pip install 'crossin[translate]', or remove `language` from --gates"
            ) from error
        named = {"fil": "tgl"}  # lingua files Filipino under Tagalog
        by_code = {language.iso_code_639_3: language for language in Language.all()}
        self._language = {
            code: by_code[IsoCode639_3.from_str(named.get(code, LANGUAGES[code].iso3).upper())] for code in languages
        }
        scripts = [LANGUAGES[code].script for code in self._language]
        alone = {code for code in self._language if scripts.count(LANGUAGES[code].script) == 1}
        self._decided = alone if scripts_checked else set()
        self._detector = LanguageDetectorBuilder.from_languages(*self._language.values()).build()

    def __call__(self, pairs: list[Pair]) -> Finding | None:
        if not pairs or pairs[0].target_language in self._decided:
            return None
        texts = [("row", "\n".join(pair.target_words for pair in pairs))]
        texts += [(pair.field, pair.target_words) for pair in pairs if len(pairs) > 1]
        for name, text in texts:
            _, letters = script_share(text, pairs[0].target_language)
            if letters < (LANGUAGE_MIN_LETTERS if name == "row" else LANGUAGE_SURE_LETTERS):
                continue
            finding = self._judge(name, text, pairs[0].target_language, letters)
            if finding is not None:
                return finding
        return None

    def _judge(self, name: str, text: str, wanted: str, letters: float) -> Finding | None:
        codes = {language: code for code, language in self._language.items()}
        best = self._detector.compute_language_confidence_values(text)[0]
        code = codes[best.language]
        least = LANGUAGE_CONFIDENCE if letters >= LANGUAGE_SURE_LETTERS else LANGUAGE_CONFIDENCE_SHORT
        if code == wanted or best.value < least or any({code, wanted} <= group for group in SIMILAR):
            return None
        return Finding("language", name, f"looks like {LANGUAGES[code].english} ({best.value:.0%})")


_TEXT_GATES: dict[str, Gate] = {
    "numbers": gate_numbers,
    "length_ratio": gate_length,
    "copy": gate_copy,
    "repetition": gate_repetition,
    "script": gate_script,
}
# finish_reason, format, empty and placeholders are judged while the reply is read (run.py)
GATES = (*_TEXT_GATES, "language")


def build_gates(names: Iterable[str], languages: Iterable[str]) -> list[Gate]:
    """The named gates, from cheap to expensive.

    Raises:
        CrossinError: an unknown name, or a gate whose package is missing.
    """
    wanted = list(names)
    unknown = [name for name in wanted if name not in GATES]
    if unknown:
        raise CrossinError(f"unknown gate {unknown[0]!r}; known: {', '.join(GATES)}")
    gates: list[Gate] = [gate for name, gate in _TEXT_GATES.items() if name in wanted]
    if "language" in wanted:
        gates.append(LanguageGate(dict.fromkeys(languages), "script" in wanted))
    return gates


def first_finding(gates: Iterable[Gate], pairs: list[Pair]) -> Finding | None:
    """Run the gates in order and return the first finding."""
    return next((finding for gate in gates if (finding := gate(pairs)) is not None), None)
