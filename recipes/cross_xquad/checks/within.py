"""What is looked at in an item before people are: reason codes, and the checks within one language.

Checks across languages are in `parallelism.py`. Every check is a function of texts; the optional ones that ask a model
are in `model_checks.py`. Control characters, HTML and script in a text are no findings: they are text, shown as such.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Sequence

from recipes.common.text_checks import LanguageGate, Pair, characters_per_english, script_share
from recipes.cross_xquad.items import N_CHOICES, Finding, Item, Version
from recipes.cross_xquad.sources import PIVOT, Source, SourceQuestion
from recipes.cross_xquad.texts import contains, initials, kind, number_value, same, share_in, spaced, words

CHECKS_VERSION = "1"  # of every check on texts: with another, items are looked at anew

REASONS: dict[str, str] = {
    "malformed": "The model's reply could not be read: no JSON, cut off, refused, or an option missing or empty.",
    "not_in_passage": "A wrong option is not taken from the passage.",
    "equals_answer": "A wrong option has the same words as the right one.",
    "overlaps_answer": "A wrong option contains the right one, is a part of it, or overlaps it in the passage.",
    "is_right": "A wrong option may be right as well.",
    "wrong_language": "An option is in another language, or was left untranslated.",
    "odd_type": "The right option can be told by its kind: one number among names, one date among numbers.",
    "odd_length": "One option is far longer or shorter than the three others.",
    "in_question": "A wrong option repeats words of the question, and nobody would choose it.",
    "duplicate": "Two wrong options say the same, or one contains the other.",
    "gold_balance": "Right options do not stand in each place equally often (of the set, not of an item).",
    "options_not_parallel": "An option does not say what the English one says.",
}

# An option is odd where it is LENGTH_FACTOR times as long as the longest other (or the shortest other so many times as
# long as it), and the difference is at least LENGTH_SLACK characters of English.
LENGTH_FACTOR = 2.0
LENGTH_SLACK = 15
# Share of an option's words that must be in the passage, where languages have endings and words move. In English, from
# which it was to be copied, the whole option must stand there.
LOOSE_SHARE = 0.6
SCRIPT_LEAST = 0.5
LOST_LETTERS = 4  # letters of a lower-case English word from which an untranslated copy is told


class Checker:
    """The checks that look at texts alone.

    Args:
        source: for what people wrote about the same passages.
        off_passage: `allow` leaves `not_in_passage` out.
    """

    def __init__(self, source: Source, off_passage: str = "review") -> None:
        self._languages = source.languages
        self._off_passage = off_passage
        self._on_passage: dict[int, list[SourceQuestion]] = {}
        self._on_article: dict[int, list[SourceQuestion]] = {}
        for question in source.neighbours:
            self._on_passage.setdefault(question.passage, []).append(question)
            self._on_article.setdefault(question.article, []).append(question)

    def same_passage(self, question: SourceQuestion) -> list[SourceQuestion]:
        """The other questions on the passage, with their human answers in every language."""
        return [other for other in self._on_passage.get(question.passage, []) if other.id != question.id]

    def check(
        self, question: SourceQuestion, language: str, english: Version, version: Version, gold: int
    ) -> list[Finding]:
        """Findings about one language of an item, but for those across languages.

        Args:
            question: the source's question.
            language: code.
            english: the English version, the same as `version` where that is English.
            version: what is looked at.
            gold: index of the right option.
        """
        found: list[Finding] = []
        if not self._well_formed(version, language, found):
            return found
        right = version.choices[gold]
        for index, option in enumerate(version.choices):
            if index == gold:
                continue
            before = len(found)
            self._against_answer(question, language, option, right, index, found)
            if len(found) == before:  # one reason an option is enough; what follows is finer
                self._in_passage(version, language, option, index, found)
                self._in_question(version, language, option, right, index, found)
            self._language(version, language, english.choices[index], option, index, found)
        found += duplicates(version, language, gold)
        found += odd_lengths(version, language, gold)
        if language == PIVOT:
            found += odd_kinds(version, gold)
        found += self._identified(version, language, gold, found)
        return found

    def _well_formed(self, version: Version, language: str, found: list[Finding]) -> bool:
        if len(version.choices) != N_CHOICES:
            detail = f"{len(version.choices)} options where there should be {N_CHOICES}"
            found.append(Finding("malformed", language, None, detail))
        for index, option in enumerate(version.choices):
            if not option.strip():
                found.append(Finding("malformed", language, index, "this option is empty"))
        return not found

    def _against_answer(
        self, question: SourceQuestion, language: str, option: str, right: str, index: int, found: list[Finding]
    ) -> None:
        def add(code: str, detail: str) -> None:
            found.append(Finding(code, language, index, detail))

        if same(option, right, language):
            return add("equals_answer", f"has the same words as the right option, {right!r}")
        if contains(option, right, language) or contains(right, option, language):
            longer = "contains" if contains(option, right, language) else "is a part of"
            return add("overlaps_answer", f"{longer} the right option, {right!r}")
        if _spans_overlap(question.contexts[language], option, right):
            return add("overlaps_answer", f"stands in the passage only where the right option, {right!r}, stands")
        value = number_value(option) if language == PIVOT else None
        if value is not None and value == number_value(right):
            return add("is_right", f"is the same number as the right option, {right!r}")
        if language == PIVOT and _abbreviates(option, right):
            return add("is_right", f"abbreviates, or is abbreviated by, the right option, {right!r}")
        if language != PIVOT and same(option, question.spans[PIVOT].answer, PIVOT):
            return add("is_right", f"is the right option in English, {question.spans[PIVOT].answer!r}")
        asked = question.spans[language].question
        for other in self._on_article.get(question.article, []):
            if other.id == question.id:
                continue
            answer = other.spans[language].answer
            if same(other.spans[language].question, asked, language) and same(answer, option, language):
                return add("is_right", f"is the answer to question {other.id}, which has the same words")
        return None

    def _in_passage(self, version: Version, language: str, option: str, index: int, found: list[Finding]) -> None:
        if self._off_passage == "allow" or contains(version.context, option, language):
            return
        share = share_in(version.context, option, language)
        if language == PIVOT:
            detail = f"is not in the passage as it stands ({share:.0%} of its words are)"
        elif share < LOOSE_SHARE:
            detail = f"{share:.0%} of its words are in the passage"
        else:
            return
        found.append(Finding("not_in_passage", language, index, detail))

    def _in_question(
        self, version: Version, language: str, option: str, right: str, index: int, found: list[Finding]
    ) -> None:
        """English only, as the others follow; not where the question names the right option too ("A or B?")."""
        asked = version.question
        if language == PIVOT and contains(asked, option, language) and not contains(asked, right, language):
            found.append(Finding("in_question", language, index, "stands in the question as it is"))

    def _language(
        self, version: Version, language: str, english: str, option: str, index: int, found: list[Finding]
    ) -> None:
        if contains(version.context, option, language) or contains(version.question, option, language):
            return
        share, letters = script_share(option, language)
        if letters >= 1 and share < SCRIPT_LEAST:
            detail = f"{share:.0%} of its letters are of the language's script, and the passage does not have it so"
            found.append(Finding("wrong_language", language, index, detail))
        elif language != PIVOT and same(option, english, PIVOT):
            lower = [
                word for word in english.split() if word.isalpha() and word.islower() and len(word) >= LOST_LETTERS
            ]
            if lower:
                detail = f"is the English option, and the passage does not have its word {lower[0]!r}"
                found.append(Finding("wrong_language", language, index, detail))
            elif share_in(version.context, option, language) >= LOOSE_SHARE:  # Danes, where the passage says daneses
                detail = "is the English option, and the passage has it in another form"
                found.append(Finding("wrong_language", language, index, detail))

    def _identified(self, version: Version, language: str, gold: int, found: Sequence[Finding]) -> list[Finding]:
        """Identify the language of the wrong options that the passage does not have; together, as one is short."""
        if any(finding.code == "wrong_language" for finding in found):
            return []
        loose = [
            option
            for index, option in enumerate(version.choices)
            if index != gold and not contains(version.context, option, language)
        ]
        text = "\n".join(loose)
        if not loose or any(not words(option, language) for option in loose):
            return []
        verdict = _language_gate(self._languages)([Pair("options", "", text, "", text, PIVOT, language)])
        if verdict is None:
            return []
        return [Finding("wrong_language", language, None, f"the wrong options together: {verdict.detail}")]


@functools.lru_cache(maxsize=4)
def _language_gate(languages: tuple[str, ...]) -> LanguageGate:
    return LanguageGate(languages)


def duplicates(version: Version, language: str, gold: int) -> list[Finding]:
    """Wrong options with the same words, or one within another (then both fall together)."""
    found = []
    for a, left in enumerate(version.choices):
        for b, right in enumerate(version.choices):
            if gold in (a, b) or a == b:
                continue
            if same(left, right, language):
                if a < b:
                    found.append(Finding("duplicate", language, b, f"has the same words as option {'ABCD'[a]}"))
            elif contains(left, right, language):
                found.append(Finding("duplicate", language, b, f"is a part of option {'ABCD'[a]}, {left[:80]!r}"))
    return found


def odd_lengths(version: Version, language: str, gold: int) -> list[Finding]:
    """An option that stands out by its length, the right one or another."""
    lengths = [round(_english_length(option, language)) for option in version.choices]
    found = []
    for index, length in enumerate(lengths):
        others = lengths[:index] + lengths[index + 1 :]
        what = "the right option" if index == gold else "this option"
        if length >= LENGTH_FACTOR * max(others) and length - max(others) >= LENGTH_SLACK:
            detail = f"{what} has {length} characters (as English counts), the longest other {max(others)}"
        elif min(others) >= LENGTH_FACTOR * length and min(others) - length >= LENGTH_SLACK:
            detail = f"{what} has {length} characters (as English counts), the shortest other {min(others)}"
        else:
            continue
        found.append(Finding("odd_length", language, index, detail))
    return found


def _english_length(text: str, language: str) -> float:
    """Characters that an English text of this length would have; a Chinese sign counts for three, a digit for one."""
    letters = sum(character.isalpha() and not character.isascii() for character in text)
    if spaced(language):
        return len(text) / characters_per_english(language)
    return letters / characters_per_english(language) + len(text) - letters


def odd_kinds(version: Version, gold: int) -> list[Finding]:
    """A number or date among words, or words among numbers, or the right option alone of its kind; English only."""
    kinds = [kind(option) for option in version.choices]
    numeric = [name in ("number", "date") for name in kinds]
    found = []
    for index, name in enumerate(kinds):
        if index != gold and numeric[index] != numeric[gold]:
            found.append(Finding("odd_type", PIVOT, index, f"a {name}, where the right option is a {kinds[gold]}"))
    others = {name for index, name in enumerate(kinds) if index != gold}
    if not found and kinds[gold] not in others and len(others) == 1:
        detail = f"the right option is a {kinds[gold]}, all others a {others.pop()}"
        found.append(Finding("odd_type", PIVOT, gold, detail))
    return found


def gold_balance(items: Iterable[Item]) -> list[Finding]:
    """Whether each place holds a quarter of the right options, to within one; a finding about the whole set."""
    counts = Counter(item.gold for item in items)
    held = [counts[place] for place in range(N_CHOICES)]
    if max(held) - min(held) <= 1:
        return []
    return [Finding("gold_balance", None, None, f"right options at A, B, C, D: {', '.join(map(str, held))}")]


def _spans_overlap(context: str, option: str, right: str) -> bool:
    """Whether every place of the option in the passage overlaps a place of the right option, and there is one."""
    places = _places(context, option)
    golds = _places(context, right)
    return bool(places) and all(
        any(start < at + len(right) and at < start + len(option) for at in golds) for start in places
    )


def _places(context: str, part: str) -> list[int]:
    places, start = [], context.find(part)
    while start >= 0 and part:
        places.append(start)
        start = context.find(part, start + 1)
    return places


def _abbreviates(a: str, b: str) -> bool:
    return any(
        len(short) >= 2 and short.isupper() and short.isalpha() and short == initials(long)
        for short, long in ((a, b), (b, a))
        if " " in long and " " not in short
    )
