"""Checks on texts, without a model. Comparison with the English options is in `across.py`.

Control characters, HTML and scripts in a text are not findings: they are text, and are shown as such.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

from crossin_metrics.languages import LANGUAGES
from recipes.common.text_checks import LanguageGate, Pair, script_share
from recipes.cross_xquad.checks.across import check_parallel
from recipes.cross_xquad.checks.base import CheckInput
from recipes.cross_xquad.items import N_CHOICES, Finding
from recipes.cross_xquad.sources import PIVOT, Source, SourceQuestion
from recipes.cross_xquad.texts import contains, initials, kind, number_value, same, share_in, words

# An option is odd if it is LENGTH_FACTOR times as long as the longest other (or the shortest other is that many times
# as long as it), and the difference is at least LENGTH_SLACK characters of English.
LENGTH_FACTOR = 2.0
LENGTH_SLACK = 15
# Share of an option's words that must be in the passage, where languages have endings and words move. English options
# are copied from the passage, so the whole option must be there.
LOOSE_SHARE = 0.6
SCRIPT_LEAST = 0.5
LOST_LETTERS = 4  # an untranslated copy is recognised by a lower-case English word of at least this many letters


class Checker:
    """The checks on texts.

    Args:
        source: for the human answers to other questions on the same passages.
        off_passage: `allow` turns `not_in_passage` off.
    """

    def __init__(self, source: Source, off_passage: str = "review") -> None:
        self._languages = source.languages
        self._off_passage = off_passage
        self._on_article: dict[int, list[SourceQuestion]] = {}
        for question in source.neighbours:
            self._on_article.setdefault(question.article, []).append(question)

    def check(self, one: CheckInput) -> list[Finding]:
        """Findings about one version."""
        found = _malformed(one)
        if found:
            return found
        for index, option in enumerate(one.version.choices):
            if index == one.gold:
                continue
            against = self._against_answer(one, option)
            if against is not None:  # one reason an option is enough; what follows is finer
                found.append(one.finding(against[0], index, against[1]))
            else:
                found += [one.finding(code, index, detail) for code, detail in self._off_topic(one, option)]
            found += _wrong_language(one, index)
        found += _duplicates(one)
        found += _odd_lengths(one)
        if one.language == PIVOT:
            found += _odd_kinds(one)
        found += self._identified(one, found)
        if one.language != PIVOT:
            neighbours = self._others(one.question)
            found += check_parallel([q for q in neighbours if q.passage == one.question.passage], one)
        return found

    def _others(self, question: SourceQuestion) -> list[SourceQuestion]:
        """The other questions of the article, with their human answers in every language."""
        return [other for other in self._on_article.get(question.article, []) if other.id != question.id]

    def _against_answer(self, one: CheckInput, option: str) -> tuple[str, str] | None:
        """Why the option may be right: reason and detail."""
        language, right, spans = one.language, one.version.choices[one.gold], one.question.spans
        if same(option, right, language):
            return "equals_answer", f"has the same words as the right option, {right!r}"
        if contains(option, right, language) or contains(right, option, language):
            longer = "contains" if contains(option, right, language) else "is a part of"
            return "overlaps_answer", f"{longer} the right option, {right!r}"
        if _spans_overlap(one.question.contexts[language], option, right):
            return "overlaps_answer", f"stands in the passage only where the right option, {right!r}, stands"
        if language == PIVOT:
            value = number_value(option)
            if value is not None and value == number_value(right):
                return "is_right", f"is the same number as the right option, {right!r}"
            if _abbreviates(option, right):
                return "is_right", f"abbreviates, or is abbreviated by, the right option, {right!r}"
        elif same(option, spans[PIVOT].answer, PIVOT):
            return "is_right", f"is the right option in English, {spans[PIVOT].answer!r}"
        for other in self._others(one.question):
            span = other.spans[language]
            if same(span.question, spans[language].question, language) and same(span.answer, option, language):
                return "is_right", f"is the answer to question {other.id}, which has the same words"
        return None

    def _off_topic(self, one: CheckInput, option: str) -> Iterator[tuple[str, str]]:
        """The option is not in the passage, or (English only, as the others follow) it is in the question.

        Not where the question names the right option too ("A or B?").
        """
        language, version = one.language, one.version
        if self._off_passage != "allow" and not contains(version.context, option, language):
            share = share_in(version.context, option, language)
            if language == PIVOT:
                yield "not_in_passage", f"is not in the passage as it stands ({share:.0%} of its words are)"
            elif share < LOOSE_SHARE:
                yield "not_in_passage", f"{share:.0%} of its words are in the passage"
        asked, right = version.question, version.choices[one.gold]
        if language == PIVOT and contains(asked, option, PIVOT) and not contains(asked, right, PIVOT):
            yield "in_question", "stands in the question as it is"

    def _identified(self, one: CheckInput, found: list[Finding]) -> list[Finding]:
        """Identify the language of the wrong options that the passage does not have; together, as one is short."""
        language, version = one.language, one.version
        if any(finding.code == "wrong_language" for finding in found):
            return []
        loose = [
            option
            for index, option in enumerate(version.choices)
            if index != one.gold and not contains(version.context, option, language)
        ]
        text = "\n".join(loose)
        if not loose or any(not words(option, language) for option in loose):
            return []
        verdict = _language_gate(self._languages)([Pair("options", "", text, "", text, PIVOT, language)])
        if verdict is None:
            return []
        return [one.finding("wrong_language", None, f"the wrong options together: {verdict.detail}")]


@functools.lru_cache(maxsize=4)
def _language_gate(languages: tuple[str, ...]) -> LanguageGate:
    return LanguageGate(languages)


def _malformed(one: CheckInput) -> list[Finding]:
    choices = one.version.choices
    if len(choices) != N_CHOICES:
        return [one.finding("malformed", None, f"{len(choices)} options where there should be {N_CHOICES}")]
    empty = [index for index, option in enumerate(choices) if not option.strip()]
    return [one.finding("malformed", index, "this option is empty") for index in empty]


def _wrong_language(one: CheckInput, index: int) -> Iterator[Finding]:
    language, version, option = one.language, one.version, one.version.choices[index]
    if contains(version.context, option, language) or contains(version.question, option, language):
        return
    english = one.english.choices[index]
    share, letters = script_share(option, language)
    if letters >= 1 and share < SCRIPT_LEAST:
        detail = f"{share:.0%} of its letters are of the language's script, and the passage does not have it so"
        yield one.finding("wrong_language", index, detail)
    elif language != PIVOT and same(option, english, PIVOT):
        lower = [word for word in english.split() if word.isalpha() and word.islower() and len(word) >= LOST_LETTERS]
        if lower:
            detail = f"is the English option, and the passage does not have its word {lower[0]!r}"
            yield one.finding("wrong_language", index, detail)
        elif share_in(version.context, option, language) >= LOOSE_SHARE:  # Danes, where the passage says daneses
            detail = "is the English option, and the passage has it in another form"
            yield one.finding("wrong_language", index, detail)


def _duplicates(one: CheckInput) -> Iterator[Finding]:
    """Wrong options with the same words, or one within another (then both fall together)."""
    wrong = [(index, option) for index, option in enumerate(one.version.choices) if index != one.gold]
    for a, left in wrong:
        for b, right in wrong:
            if a != b and same(left, right, one.language):
                if a < b:
                    yield one.finding("duplicate", b, f"has the same words as option {'ABCD'[a]}")
            elif a != b and contains(left, right, one.language):
                yield one.finding("duplicate", b, f"is a part of option {'ABCD'[a]}, {left[:80]!r}")


def _odd_lengths(one: CheckInput) -> Iterator[Finding]:
    """An option that stands out by its length, the right one or another."""
    lengths = [round(_english_length(option, one.language)) for option in one.version.choices]
    for index, length in enumerate(lengths):
        others = lengths[:index] + lengths[index + 1 :]
        if length >= LENGTH_FACTOR * max(others) and length - max(others) >= LENGTH_SLACK:
            other = f"the longest other {max(others)}"
        elif min(others) >= LENGTH_FACTOR * length and min(others) - length >= LENGTH_SLACK:
            other = f"the shortest other {min(others)}"
        else:
            continue
        what = "the right option" if index == one.gold else "this option"
        yield one.finding("odd_length", index, f"{what} has {length} characters (as English counts), {other}")


def _english_length(text: str, language: str) -> float:
    """Characters that an English text of this length would have; a Chinese sign counts for three, a digit for one."""
    letters = sum(character.isalpha() and not character.isascii() for character in text)
    if LANGUAGES[language].spaced:
        return len(text) / LANGUAGES[language].length
    return letters / LANGUAGES[language].length + len(text) - letters


def _odd_kinds(one: CheckInput) -> list[Finding]:
    """A number or date among words, or words among numbers, or the right option alone of its kind; English only."""
    kinds, gold = [kind(option) for option in one.version.choices], one.gold
    numeric = [name in ("number", "date") for name in kinds]
    found = [
        one.finding("odd_type", index, f"a {name}, where the right option is a {kinds[gold]}")
        for index, name in enumerate(kinds)
        if index != gold and numeric[index] != numeric[gold]
    ]
    others = {name for index, name in enumerate(kinds) if index != gold}
    if not found and kinds[gold] not in others and len(others) == 1:
        detail = f"the right option is a {kinds[gold]}, all others a {others.pop()}"
        found.append(one.finding("odd_type", gold, detail))
    return found


def _spans_overlap(context: str, option: str, right: str) -> bool:
    """Whether every place of the option in the passage overlaps a place of the right option, and there is one."""
    places, golds = _places(context, option), _places(context, right)
    return bool(places) and all(
        any(start < at + len(right) and at < start + len(option) for at in golds) for start in places
    )


def _places(context: str, part: str) -> list[int]:
    return [start for start in range(len(context)) if part and context.startswith(part, start)]


def _abbreviates(a: str, b: str) -> bool:
    return any(
        len(short) >= 2 and short.isupper() and short.isalpha() and short == initials(long)
        for short, long in ((a, b), (b, a))
        if " " in long and " " not in short
    )
