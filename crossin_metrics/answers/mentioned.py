"""Answers without an announcement: an option's text, or a single label, that the text brings forward."""

from __future__ import annotations

import re
from itertools import zip_longest

from crossin_metrics.answers.announced import CONDITION, LINK, MOST_LABELS, NEGATION, NO, SPOKEN_OF, WRONG
from crossin_metrics.answers.cleaning import CJK, LETTERS, fold, lowered, strip_markdown
from crossin_metrics.answers.patterns import Finder, any_word, word_starts
from crossin_metrics.answers.text import (
    ARTICLE,
    CLOSE,
    NO_ANSWER,
    OPEN,
    OPTION_NOUN,
    OPTION_WORD,
    REASON,
    SEVERAL,
    Label,
    Options,
    listed,
    option_at,
    options_in,
    settle,
    skip,
)

_STOP = re.compile(rf"[\"']?[.。।!;]\s|[。；।]|\s\((?![^)]{{0,60}}{NO})[^()\n]{{1,60}}\)\.?\Z|{REASON}")
_ANEW = re.compile(r"\W{0,4}(?:\Z|\d|[A-Z]|\n)")  # a digit or a capital: something else begins
_ONE_WORD = re.compile(r"\s[^\W\d_]{3,20}[.!。]?\Z")


def first_line(text: str, options: Options, words: str) -> int | None:
    """The option whose text begins the output, set off from what follows; SEVERAL where others are named too."""
    index, end = option_at(text, 0, options)
    line = text.split("\n", 1)[0]
    if index is None or index < 0:
        return None
    alone = fold(line) == fold(options.texts[index])
    worded = any(c.isalpha() for c in options.texts[index])
    sentence: object = worded and (_STOP.match(text, end) or _ONE_WORD.match(text, end))  # "The Amazon River."
    if len(options.texts[index].split()) == 1 and text.startswith((", ", "、"), end):
        sentence = worded  # "No, the trial was too small."
    long = (end >= 20 or len(CJK.findall(text[:end])) >= 8) and _ANEW.match(text, end)
    if not (alone or sentence or long):
        return None
    others = {named.option for named in options_in(text, options)}
    if listed(text, 0, index, options) or (not alone and others - {index, SEVERAL}):
        return SEVERAL
    return index


_LAST_LABEL = re.compile(
    rf"(?:{OPEN}{{1,2}}\s?([A-J])\s?{CLOSE}{{1,2}}|([A-J])(?:\s?{CLOSE})?)[^\w?]{{0,8}}(?P<rest>.*)"
)


def last_line(text: str, options: Options, words: str) -> int | None:
    """The answer alone in the last line, below reasoning: a label, a label with its option's text, or that text."""
    *above, last = [line.strip() for line in text.rstrip().split("\n") if line.strip()]
    if not above or len(last) > 1_000:
        return None
    index = _alone(last, options)
    before, entry = _alone(above[-1], options), _LISTED.match(above[-1])
    listed = (before is not None and before != index) or (entry and LETTERS.index(entry[1]) + 1 == index)
    return None if listed else index  # not the end of a list


def _alone(line: str, options: Options) -> int | None:
    label = _LAST_LABEL.fullmatch(line)
    if label is None:
        return options.exact.get(fold(line))
    index = LETTERS.index(label[1] or label[2])
    if index >= len(options.letters) or (label["rest"] and options.exact.get(fold(label["rest"])) != index):
        return None
    return index


_INTRODUCED = re.compile(rf"(?:{LINK}|:|{OPTION_WORD})\s?[\"']?\s?\Z")
_QUOTED = re.compile(r"[\"「『]\s?\Z")
_NAMED = re.compile(rf"{OPTION_NOUN}\s*([A-J])(?![\w'])")
_REFUSALS = Finder(any_word("refusal"), "refusal")
_MENTION = re.compile(
    rf"(?<![\w(])(?:{OPEN}\s?([A-J])\s?{CLOSE}|([A-J])\s?{CLOSE}|([A-J])(?=:\s))|{OPEN}\s?([A-J])\s?\Z"
)
_SHORT = re.compile(
    rf"\A(?:(?![B-HJ](?![\w'])|A[,.])[^\W\d_'][\w']{{0,16}}[\s,:.!]{{1,5}}){{1,7}}?(?:{OPEN}\s?([A-J])\s?{CLOSE}|([A-J]))"
    r"(?:(?<=het\s[A-J])\sis|(?<=es\s[A-J])\sist|(?:이?라고|로)\s?(?:생각|보)[^.\n]{1,6})?[.!。]?\Z"
)
_SHORT_HAN = re.compile(r"\A[\u4e00-\u9fff,:]{0,12}(?:是|为|為)\s?(?:选项|選項)?\s?([A-J])(?:项|項)?[.。!]?\Z")
_NOT_BUT = re.compile(  # "It is not A, it is B", "A değil, B"
    rf"(?:[^\W\d_]['\w]*\s){{0,4}}([A-J])(?:\s[^\W\d_]+)?,\s(?P<bridge>(?:[^\W\d_]['\w]{{0,8}}\s){{0,3}}){OPEN}?([A-J]){CLOSE}?(?:'[dt][ıiuü]r)?[.!。]?"
)
_SPOKEN_OF = re.compile(rf"\b{SPOKEN_OF}[^:.!,]*\Z")
_OTHER_ANSWER = re.compile(WRONG + any_word("answer"))
_NOT_SHORT = (NEGATION, CONDITION, _SPOKEN_OF, _OTHER_ANSWER, re.compile(rf"\b[A-J]\s?{any_word('both')}\s?\W?\Z"))
_QUESTION_OR_LIST = re.compile(r"[?;]|\(\d\)|(?m:^\s{0,8}\d{1,3}[.)])")
_COPULA = re.compile(rf"\A[^.。।!?\n]{{0,200}}?(?:{LINK}|[=:])\s?[\"']?\Z")
_CONCLUDES = re.compile(rf"\W{{0,3}}(?:{any_word('so')})")
_CONTRAST = re.compile(rf"\s?,\s?(?:(?:{any_word('both')}|\w)\s)?{NO}\s(?:\w{{1,4}}\s)?")  # also Russian "а не"
_OTHER_NUMBER = re.compile(r"[\d.。।!?\n]")  # or another sentence
_ALONE = re.compile(r"[\s.。।!\"']{0,8}\Z")
_UNIT_LAST = re.compile(  # "It is 5 m long.", "1914年です。"
    rf"(?:\s[^\W\d_]{{3,6}}|(?![번番]){CJK.pattern}{{1,2}}(?:です|입니다)?)?[\s.。।!\"']{{0,8}}\Z"
)
_IS = re.compile(rf"\s{LINK}[\s.。।!]{{0,8}}\Z")
_ARTICLE = re.compile(rf"\W{{0,4}}(?:{ARTICLE}|an|los|las|các|những)?\W{{0,4}}", re.IGNORECASE)
_A_FEW = 4  # sentences; in a longer text (a passage, working) a single mention says little
_COMPLETE = re.compile(r"(?<![^.。।!?\n])[^.。।!?\n]+(?:[.。।!?]|(?=\n))")


def only_label(text: str, options: Options, words: str) -> int | None:
    """One letter set off as a label, brought forward as one and not denied."""
    low = lowered(text)
    if _refuses(low):
        return None
    short = _SHORT.match(text) or _SHORT_HAN.match(text)
    if short is not None and not any(p.search(low[: short.start(short.lastindex or 1)]) for p in _NOT_SHORT):
        index = LETTERS.index(short[short.lastindex or 1])
        return index if index < len(options.letters) else NO_ANSWER  # "Definitely C!"
    either = _NOT_BUT.fullmatch(text)
    if either is not None and NEGATION.search(low[: either.start(3)]) and not NEGATION.search(either["bridge"].lower()):
        index = LETTERS.index(either[3])
        return index if index < len(options.letters) else NO_ANSWER
    found: dict[int, list[re.Match[str]]] = {}
    for match in list(_MENTION.finditer(text))[:MOST_LABELS]:
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
        before = low[max(0, match.start() - 40) : match.start()]
        own = (
            at == index
            or _own_before(text, match.start(), index, options)
            or fold(text[start : start + 12]) == fold(options.texts[index][:12]) != ""
        )
        introduced = _INTRODUCED.search(before) is not None or _QUOTED.search(before) is not None
        if (own or introduced or _BUT_BEFORE.search(before)) and at in (None, index):
            return settle(text, Label(index, match.end()), options)
    return None


def _refuses(low: str) -> bool:
    return next(_REFUSALS(low, word_starts(low)), None) is not None


def _own_before(text: str, position: int, index: int, options: Options) -> bool:
    """Does the option's own text stand right before its label, as in "it is the Amazon (B)"?"""
    return any(named.option == index and position - 2 < named.end <= position for named in options_in(text, options))


_TICK = re.compile(r"[✅✔☑✓👈]|\[[xX]\]|←|<-|\((?:correct|right)\)", re.IGNORECASE)
_BOLD = re.compile(r"\s*(?:[-*•]\s+)?(?:\*\*|__)(?P<inside>.*)(?:\*\*|__)\W*")
_YES = rf"{any_word('yes')}(?!\w)"
_VERDICT = re.compile(rf"\W{{0,4}}(?:{any_word('right')}|{_YES})")
_JUDGED = re.compile(  # "A: false, B: true", "A? No. B? Yes."
    rf"(?<![\w'])[\"'(]?([A-J])[\"')]?\s?[:?=–-]+\s?(?:(?P<yes>{any_word('right')}|{_YES})|{NO})(?=\s*(?:[.,;|}}\n]|\Z))"
)
_LISTED = re.compile(rf"\W{{0,8}}(?:\[.\]\s?)?{OPEN}?\s?([A-J])\s?(?:{CLOSE}|[.:、]|\s[-|])+\s*")
_B_JUDGED = re.compile(r"B[\"')]?\s?[:?=–-]")


def judged(text: str, options: Options) -> int | None:
    """The only option called right where each is judged in turn; SEVERAL where none or more than one is."""
    if not _B_JUDGED.search(text, 0, 1_000):
        return None
    verdicts = list(_JUDGED.finditer(lowered(text[:1_000])))
    if "".join(verdict[1] for verdict in verdicts) != options.letters:
        return None
    right = [index for index, verdict in enumerate(verdicts) if verdict["yes"]]
    return right[0] if len(right) == 1 else SEVERAL


def marked(text: str, options: Options) -> int | None:
    """The only ticked, right or bold option where a text lists all options, each once, one in a line."""
    lines: dict[int, str] = {}
    rest: dict[int, str] = {}  # of the line, behind the option
    for line in text.split("\n"):
        plain = strip_markdown(line)
        label = _LISTED.match(plain) if len(line) < 1_000 else None
        if label is None or LETTERS.index(label[1]) >= len(options.letters):
            continue
        index = LETTERS.index(label[1])
        if index in lines:
            return None
        at, end = option_at(plain, label.end(), options)
        lines[index], rest[index] = line, lowered(plain)[end if at == index else label.end() :]
    if len(lines) != len(options.letters):
        return None
    denied = [NEGATION.search(said[:40]) is not None for said in rest.values()]
    for found in (
        [index for index, line in lines.items() if _TICK.search(line)],
        [index for index, said in rest.items() if _VERDICT.match(said)] if sum(denied) == len(lines) - 1 else [],
        [index for index, line in lines.items() if _BOLD.fullmatch(line)],
    ):
        if found:
            return found[0] if len(found) == 1 else None
    return None


_BUT_BEFORE = re.compile(rf"{any_word('but')}\s?\Z")
_DENIED_AFTER = re.compile(rf"[^.。।!?\n]{{0,12}}?{NO}")
_SENTENCE_END = re.compile(r"[.。।!?\n]")
_IN_QUESTION = re.compile(r"[^.。।!?\n]{0,80}\?")
_HALVES = re.compile(rf"[.。।!?,;\n]|{any_word('but')}")


def _denied(text: str, start: int, end: int) -> bool:
    """Is the phrase at [start, end) negated in its own clause, before it or right after it, or asked or supposed?"""
    low = lowered(text)
    if CONDITION.search(_SENTENCE_END.split(low[max(0, start - 120) : start])[-1]) or _IN_QUESTION.match(text, end):
        return True
    before = _HALVES.split(low[max(0, start - 80) : start])[-1]
    return NEGATION.search(before) is not None or _DENIED_AFTER.match(low, end) is not None


def only_option(text: str, options: Options, words: str) -> int | None:
    """One option named in prose.

    Working is full of numbers, so a number counts only in a lone "... is 150."; an option that opens a sentence is
    spoken about, not chosen.
    """
    if _refuses(lowered(text)) or _MENTION.search(text) or _NAMED.search(lowered(text)):
        return None
    found = options_in(text, options)
    complete = [m for m in _COMPLETE.finditer(text) if m[0].strip() and not m[0].rstrip().endswith(":")]
    last_sentence = [named for named in found if complete and named.start >= complete[-1].start()]
    concluded = last_sentence and _CONCLUDES.match(lowered(text), complete[-1].start())
    mentions = last_sentence if concluded else found
    found, contrast_ends = [], {}  # "not the Nile but the Amazon", "the Amazon, not the Nile"
    for one, following in zip_longest(mentions, mentions[1:]):
        if following and _CONTRAST.fullmatch(lowered(text), one.end, following.start):
            contrast_ends[one.end] = following.end
            found.append(one)
        elif not _denied(text, one.start, one.end):
            found.append(one)
    if len({one.option for one in found}) != 1 or found[0].option < 0:
        return None
    index, option = found[0].option, options.texts[found[0].option]
    letters = sum(c.isalpha() for c in option)
    last = found[-1]
    if len(found) < len(mentions) and _IS.match(lowered(text), last.end):
        return index  # "London is not the capital; Paris is."
    tail = _UNIT_LAST if option[:1].isdigit() else _ALONE
    if len(found) == 1 and tail.match(text, contrast_ends.get(last.end, last.end)):
        number_alone = not letters and not _OTHER_NUMBER.search(text[: last.start])
        if number_alone or _COPULA.search(lowered(text)[: last.start]):
            return index  # "The number is 150.", "It ended in 1945."
    if letters < (3 if CJK.search(option) else 4):
        return None
    if _QUESTION_OR_LIST.search(text):
        return None
    ends = (complete[-1],) if concluded else (complete[0], complete[-1]) if 1 <= len(complete) <= _A_FEW else ()
    for sentence in ends:
        for one in found:
            inside = sentence.start() <= one.start and one.end <= sentence.end()
            opens = _ARTICLE.fullmatch(text, sentence.start(), one.start)
            if inside and not opens:
                return index
    return None
