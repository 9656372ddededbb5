"""From a model's words to the option they name: :func:`read_answer`, deterministic, in any of the project's languages.

A reading is a short ordered list of rules, each of which either decides or passes on:

1. ``whole``     the text is nothing but a letter, or nothing but an option's text;
2. ``boxed``     the last ``\\boxed{...}``;
3. ``leading``   the text begins with a letter set off as a label: ``B)``, ``**B.``, ``(B) ...``, a line ``B``;
4. ``announced`` the last "the answer is ...", "(B) is correct", "答案是B" (:mod:`crossin_metrics.answers.cues`);
5. ``first_line`` the text begins with an option's text, set off from what follows;
6. ``only_label`` one label in the whole text, introduced as one ("is (B)", "option B:") or before its option's text;
7. ``only_option`` one option in a text of a few sentences, named in its first or last complete one and not negated.

Precision comes first. Texts that name several answers, contradict themselves (label B with option C's words, a leading
B and a final "the answer is C" without a word of correction), decline, or merely echo the options, are read as None.
What follows a next question or an end-of-turn token is not read, nor is an unfinished ``<think>`` block.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from crossin_metrics.answers import cues
from crossin_metrics.answers.text import (
    CJK,
    CLOSE,
    CONFLICT,
    JUDGED,
    LETTERS,
    LINE_END,
    NO_ANSWER,
    OPEN,
    SEVERAL,
    TOGETHER,
    Label,
    Options,
    clean,
    fold,
    label_at,
    listed,
    option_at,
    options_of,
    settle,
    skip,
    squeeze,
    this_question,
)
from crossin_metrics.errors import CrossinError


class Reading(NamedTuple):
    """A choice index (0-based) or None, and the name of the rule that decided ("" where none did)."""

    answer: int | None
    rule: str


def read_answer(text: str, choices: Sequence[str], language: str | None = None) -> int | None:
    """Return the index of the choice that a model's words name, or None when they name none.

    Args:
        text: the model's output, of any length, as generated.
        choices: 2 to 10 options in the order shown to the model; labels like ``(A) `` are ignored if all have one.
        language: ISO 639 code of the row; only decides which capital letters may be words (English "A", Spanish "E").
            Cue phrases of all languages are always tried, since models answer in other languages than asked.

    Returns:
        An index in ``range(len(choices))``, or None. Never a guess.

    Raises:
        CrossinError: there are fewer than 2 or more than 10 choices.
    """
    return explain_answer(text, choices, language).answer


def explain_answer(text: str, choices: Sequence[str], language: str | None = None) -> Reading:
    """Like :func:`read_answer`, together with the rule that decided."""
    options = options_of(tuple(choices))
    text = clean(text)
    text = this_question(text, options)
    if not text:
        return Reading(None, "")
    words = _word_letters(language)
    whole = _whole(text, options)
    if whole is not None:
        return _reading(whole, "whole")
    boxed = _boxed(text, options, words)
    if boxed is not None:
        return _reading(boxed, "boxed")
    leading = _leading(text, options, words)
    stated, opening = _announced(text, options, words)
    first = leading if leading is not None else opening
    if first is not None and (first >= 0 or first == CONFLICT) and stated is not None and stated != first:
        return _reading(stated, "announced") if _CORRECTION.search(text) else Reading(None, "contradiction")
    if leading is not None and leading >= 0:
        return Reading(leading, "leading")
    if stated is not None:
        return _reading(stated, "announced")
    if leading is not None:
        return Reading(None, "leading")
    for name, rule in (("first_line", _first_line), ("only_label", _only_label), ("only_option", _only_option)):
        answer = rule(text, options, words)
        if answer is not None:
            return _reading(answer, name)
    return Reading(None, "")


def _reading(answer: int, rule: str) -> Reading:
    """A rule's decision; SEVERAL, NO_ANSWER and CONFLICT (negative) are decisions for None."""
    return Reading(answer if answer >= 0 else None, rule)


def random_answer(question_id: str, language: str, n_choices: int, seed: int = 0) -> int:
    """A choice for a row whose words name none, uniform as in the reference scorer, but repeatable.

    The index, in ``range(n_choices)``, depends on the arguments alone (SHA-256): the same on every machine and in any
    order of rows.

    Raises:
        CrossinError: ``n_choices`` is not positive.
    """
    if n_choices < 1:
        raise CrossinError(f"question {question_id!r} ({language}) has no choices to pick from; check the data set")
    key = "\x1f".join((str(seed), str(question_id), str(language)))
    return int.from_bytes(hashlib.sha256(key.encode("utf-8")).digest()[:8], "big") % n_choices


# --- rules -----------------------------------------------------------------------------------------------------------

_WHOLE_LABEL = re.compile(
    rf"[\"']?(?:{OPEN}\s?([A-Ja-j])\s?{CLOSE}?|([A-Ja-j])\s?{CLOSE}?|([A-J])(?:[\s.,]+\3(?!\w))+)[\s.。:!,\"']*\Z"
)


def _whole(text: str, options: Options) -> int | None:
    index = options.exact.get(fold(text))
    match = _WHOLE_LABEL.match(text)
    if match is not None:
        label = LETTERS.index((match[1] or match[2] or match[3]).upper())
        if match[1] is None and index is not None and index != label:
            return SEVERAL  # a bare "A" where another option reads "A"
        return label if label < len(options.letters) else NO_ANSWER
    return index if index is not None or "\n" in text else options.squeezed.get(squeeze(text))


_BOXED = re.compile(r"\\boxed\s*\{\s*((?:[^{}]|\{[^{}]*\})*)\}")


def _boxed(text: str, options: Options, words: str) -> int | None:
    found = _BOXED.findall(text)
    if not found:
        return None
    inside = found[-1].strip()
    whole = _whole(inside, options)
    return whole if whole is not None else _leading(inside, options, words)


_NAMED = re.compile(rf"(?i:{cues.OPTION_WORD})\s*([A-J])(?![\w'])")
_ENTRY = re.compile(rf"(?i:{cues.OPTION_WORD})\s*([A-J])\s?:")
_PREAMBLE = re.compile(rf"[\s\"'(]*(?:{cues.OPTION_WORD}\s*(?=[(\[]?[A-J](?![\w']))|[\s\"']*)", re.IGNORECASE)


def _leading(text: str, options: Options, words: str) -> int | None:
    start = _PREAMBLE.match(text)
    position = start.end() if start else 0
    label = label_at(text, position, options, words, after_cue=False)
    if label is None:
        return None
    if any(LETTERS.index(m[1]) != label.choice for m in _ENTRY.finditer(text, label.end)):
        return None  # "Option A: ... Option B: ...": the options one after the other
    at, _ = option_at(text, skip(text, label.end), options)
    if at != label.choice and JUDGED.match(text, label.end):
        return None  # "(A) is wrong": the letter is spoken about; "(A) is correct" is for the cues
    return settle(text, label, options)


_CUE = cues.compiled_cues()
_NEGATION = re.compile(cues.any_of(cues.NEGATION), re.IGNORECASE)
_CONDITION = re.compile(cues.CONDITION, re.IGNORECASE)
_CORRECTION = re.compile(cues.CORRECTION, re.IGNORECASE)
_NO_OPTION = re.compile(rf"[\s\"']*{cues.NO_OPTION}", re.IGNORECASE)
_FILLER = re.compile(
    rf"[\s\"':,]*(?:(?:{cues.OPTION_WORD})[\s\"':]*|(?:la|el|ang|là)\s+(?=\S))?[\s\"']*", re.IGNORECASE
)
_WRONG = re.compile(r"(?:wrong|incorrect|false|错误的?|不正确的?|不是)\s*\Z", re.IGNORECASE)
_ENDORSED = re.compile(
    rf"(?:{OPEN}\s?([A-J])\s?{CLOSE}|(?<![A-Za-z0-9_'(])([A-J]))\s*[\"']?\s*{cues.any_of(cues.ENDORSED)}", re.IGNORECASE
)
_SUBJECT = re.compile(rf"(?:\A|{cues.OPTION_WORD}|{cues.SO})\s*[\"']?\Z", re.IGNORECASE)
_ANY_LETTER = re.compile(rf"{OPEN}\s?[A-J]\s?{CLOSE}|\b[B-J]\b")
_CLAUSE = re.compile(r"[.。,;!?\n]")


def _announced(text: str, options: Options, words: str) -> tuple[int | None, int | None]:
    """The last announced answer, and the first if the text opens with its announcement."""
    stated: list[tuple[int, int]] = []
    for match in _CUE.finditer(text):
        gap = next((value for value in match.groupdict().values() if value is not None), None)
        before = _CLAUSE.split(text[max(0, match.start() - 40) : match.start()])[-1]
        if _CONDITION.search(before) or _WRONG.search(before):
            continue
        if _NEGATION.search(before if gap is None else gap):
            if gap is not None and _NO_OPTION.match(gap):
                stated.append((match.start(), NO_ANSWER))
            continue
        if gap is not None and _ANY_LETTER.search(gap):
            continue
        answer = _target(text, match.end(), options, words)
        if answer is not None:
            stated.append((match.start(), answer))
    for match in _ENDORSED.finditer(text):
        before = _CLAUSE.split(text[max(0, match.start() - 40) : match.start()])[-1]
        letter = match[1] or match[2]
        if match[1] is None and not _SUBJECT.search(before):
            continue  # "Vitamin C is the best source"
        if letter.isupper() and not _NEGATION.search(before) and not _CONDITION.search(before):
            index = LETTERS.index(letter)
            stated.append((match.start(), index if index < len(options.letters) else NO_ANSWER))
    if not stated:
        return None, None
    stated.sort()
    opening = stated[0][1] if stated[0][0] <= 4 and stated[0][1] >= 0 else None
    return stated[-1][1], opening


_ASKED = re.compile(r"[)\]\"']*\s*\?")  # "Is the answer (A)?"


def _target(text: str, position: int, options: Options, words: str) -> int | None:
    """The answer that stands right after a cue, or None when what follows is something else."""
    filler = _FILLER.match(text, position)
    start = filler.end() if filler else position
    for place in sorted({start, skip(text, position)}, reverse=True):
        at, end = option_at(text, place, options)
        if at is not None and at >= 0 and (len(options.texts[at]) > 1 or LINE_END.match(text, end)):
            if TOGETHER.match(text, end) or not _complete(text, place, end, options.texts[at]):
                return None
            as_label = label_at(text, place, options, words, after_cue=True)
            if as_label is None or as_label.choice == at or end > as_label.end:
                return at
            return CONFLICT
        label = label_at(text, place, options, words, after_cue=True)
        if label is not None:
            if _ASKED.match(text, label.end):
                return None
            return settle(text, label, options)
        if _NO_OPTION.match(text, place):
            return NO_ANSWER
    return None


_BOUNDARY = re.compile(
    rf"\s*(?:\Z|[\n,;:!?\"')(。、|<]|\.(?!\d)|-)|,?\s+{cues.CONNECTIVE}(?!\w)|因为|由于|吧", re.IGNORECASE
)


def _complete(text: str, start: int, end: int, option: str) -> bool:
    """Is the option's text at [start, end) a phrase of its own ("the Nile."), not part of one ("the Nile delta")?"""
    if _BOUNDARY.match(text, end):
        return True
    return any(c.isalpha() for c in option) and (end - start >= 15 or len(CJK.findall(option)) >= 6)


_STOP = re.compile(r"[\"']?[.。!;]\s|[。；]")
_ANEW = re.compile(r"\W*(?:\Z|\d|[A-Z]|\n)")  # a digit or a capital: something else begins


def _first_line(text: str, options: Options, words: str) -> int | None:
    index, end = option_at(text, 0, options)
    line = text.split("\n", 1)[0]
    if index is None or index < 0:
        return None
    alone = fold(line) == fold(options.texts[index])
    worded = any(c.isalpha() for c in options.texts[index])
    sentence = worded and _STOP.match(text, end)
    long = (end >= 20 or len(CJK.findall(text[:end])) >= 8) and _ANEW.match(text, end)
    if not (alone or sentence or long):
        return None
    others = {options.exact.get(fold(m[0])) for m in options.pattern.finditer(text)} if options.pattern else set()
    if listed(text, 0, index, options) or (not alone and others - {index, None}):
        return SEVERAL
    return index


_INTRODUCED = re.compile(
    rf"(?:\b(?:is|be|es|adalah|ialah|ay|là)|[是为:]|(?:{cues.OPTION_WORD}))\s*[\"']?\s*\Z", re.IGNORECASE
)
_QUOTED = re.compile(r"[\"「『]\s*\Z")
_REFUSAL = re.compile(cues.REFUSAL, re.IGNORECASE)
_MENTION = re.compile(
    rf"(?<![\w(])(?:{OPEN}\s?([A-J])\s?{CLOSE}|([A-J])\s?{CLOSE}|([A-J])(?=:\s))|{OPEN}\s?([A-J])\s?\Z"
)
_QUESTION_OR_LIST = re.compile(r"[?;]|\(\d\)|(?m:^\s*\d+[.)])")
_COPULA = re.compile(
    r"\A[^.。!?\n]*(?:\b(?:is|are|was|were|es|son|era|là|adalah|ialah|ay)\s+|[是为])[\"']?\Z", re.IGNORECASE
)
_ALONE = re.compile(r"[\s.。!\"']*\Z")
_ARTICLE = re.compile(r"\W*(?:the|an?|el|la|los|las|ang|si|các|những)?\W*", re.IGNORECASE)
_A_FEW = 4  # sentences; in a longer text (a passage, working) a single mention says little
_COMPLETE = re.compile(r"(?<![^.。!?\n])[^.。!?\n]+(?:[.。!?]|(?=\n))")


def _only_label(text: str, options: Options, words: str) -> int | None:
    """One letter set off as a label, brought forward as one and not denied."""
    if _REFUSAL.search(text):
        return None
    found: dict[int, list[re.Match[str]]] = {}
    for match in _MENTION.finditer(text):
        letter = next(g for g in match.groups() if g)
        found.setdefault(LETTERS.index(letter), []).append(match)
    if sum(any(option_at(text, skip(text, m.end()), options)[0] == i for m in ms) for i, ms in found.items()) > 1:
        return None  # two options with their texts: a list of them
    kept = {}
    for index, matches in found.items():
        affirmed = [m for m in matches if not _denied(text, m.start(), m.end())]
        if affirmed:
            kept[index] = affirmed
    if len(kept) != 1:
        return None
    ((index, matches),) = kept.items()
    if index >= len(options.letters):
        return None
    for match in matches:
        start = skip(text, match.end())
        at, _ = option_at(text, start, options)
        before = text[max(0, match.start() - 40) : match.start()]
        own = at == index or fold(text[start : start + 12]) == fold(options.texts[index][:12]) != ""
        introduced = _INTRODUCED.search(before) is not None or _QUOTED.search(before) is not None
        if (own or introduced or _BUT.search(before)) and at in (None, index):
            return settle(text, Label(index, match.end()), options)
    return None


_BUT = re.compile(r"\b(?:but|sino|melainkan|tetapi|mà là|kundi)\s*\Z|而是\s*\Z", re.IGNORECASE)
_DENIED_AFTER = re.compile(
    rf"[^.。!?\n]{{0,12}}?(?:{cues.any_of(cues.NEGATION)})|\s*(?:wrong|salah|incorrect|不对)", re.IGNORECASE
)


_SENTENCE_END = re.compile(r"[.。!?\n]")
_IN_QUESTION = re.compile(r"[^.。!?\n]{0,80}\?")


def _denied(text: str, start: int, end: int) -> bool:
    """Is the phrase at [start, end) negated in its own clause, before it or right after it, or asked or supposed?"""
    if _CONDITION.search(_SENTENCE_END.split(text[max(0, start - 120) : start])[-1]) or _IN_QUESTION.match(text, end):
        return True
    before = re.split(r"[.。!?,;\n]|\bbut\b|\bsino\b|\bmelainkan\b|而是", text[max(0, start - 80) : start])[-1]
    return _NEGATION.search(before) is not None or _DENIED_AFTER.match(text, end) is not None


def _only_option(text: str, options: Options, words: str) -> int | None:
    """One option named in prose.

    Working is full of numbers, so a number counts only in a lone "... is 150."; an option that opens a sentence is
    spoken about, not chosen.
    """
    if options.pattern is None or _REFUSAL.search(text) or _MENTION.search(text) or _NAMED.search(text):
        return None
    found = [(options.exact.get(fold(m[0]), SEVERAL), m) for m in options.pattern.finditer(text)]
    if len({index for index, _ in found}) != 1 or found[0][0] < 0:
        return None
    index, words_of_it = found[0][0], options.texts[found[0][0]]
    letters = sum(c.isalpha() for c in words_of_it)
    last = found[-1][1]
    if len(found) == 1 and _COPULA.search(text[: last.start()]) and _ALONE.match(text, last.end()):
        return None if _denied(text, last.start(), last.end()) else index  # one sentence, "The number is 150."
    if letters < (3 if CJK.search(words_of_it) else 4):
        return None
    if _QUESTION_OR_LIST.search(text):
        return None
    complete = [m for m in _COMPLETE.finditer(text) if m[0].strip() and not m[0].rstrip().endswith(":")]
    for sentence in (complete[0], complete[-1]) if 1 <= len(complete) <= _A_FEW else ():
        for _, match in found:
            inside = sentence.start() <= match.start() and match.end() <= sentence.end()
            opens = _ARTICLE.fullmatch(text, sentence.start(), match.start())
            if inside and not opens and not _denied(text, match.start(), match.end()):
                return index
    return None


@lru_cache(maxsize=256)
def _word_letters(language: str | None) -> str:
    """Capital letters that can be words in a row of this language (English always counts; all languages if unknown)."""
    table = cues.WORD_LETTERS
    if language is None:
        return "".join(sorted(set("".join(table.values()))))
    return "".join(sorted(set(table["en"] + table.get(language, ""))))
