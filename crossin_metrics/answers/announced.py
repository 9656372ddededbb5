"""Announced answers: "the answer is B", "(B) is correct", "so it must be B", in every language of the cues."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from crossin_metrics.answers.cleaning import CJK, LETTERS, lowered
from crossin_metrics.answers.cues import NO_COPULA, VERB_FINAL
from crossin_metrics.answers.patterns import NO_SPACES, Finder, any_word, word_starts
from crossin_metrics.answers.text import (
    ARTICLE,
    CLOSE,
    CONFLICT,
    LINE_END,
    NO_ANSWER,
    NOT_AFTER,
    OPEN,
    OPTION_WORD,
    SEVERAL,
    TOGETHER,
    Label,
    Options,
    label_at,
    option_at,
    options_in,
    settle,
    skip,
)

_ANSWER = any_word("answer")
_OPTION = any_word("option")
_RIGHT = any_word("right")
_CHOSEN = any_word("right", "chosen")
LINK = any_word("link")
NO = any_word("no")
_ARTICLE_AHEAD = rf"(?:{ARTICLE}\s)?"
_LABEL_AHEAD = rf"(?={_ARTICLE_AHEAD}[\"'(\[{{<【「『]{{0,2}}[^\S\n]?[A-J](?:(?!{NOT_AFTER})|(?={NO_SPACES.pattern})))"
_ADVERB = (
    r"(?:\s+(?:most likely|likely|probably|therefore|thus|clearly|definitely|simply|indeed|actually|donc|also|daher|"
    r"quindi|portanto|logo|deci)(?!\w))?"
)
_AFTER_ADVERB = re.compile(rf"{_ADVERB}[\s\"':,]{{1,6}}(?:{OPTION_WORD}\s)?")
_NOUNS = Finder(
    rf"{_ANSWER}|{_CHOSEN}\s{{0,2}}(?:\w{{1,20}}\s)?{_OPTION}|{_OPTION}(?=[^.\n:;。]{{0,30}}?{_CHOSEN})",
    "answer",
    "right",
    "chosen",
    "option",
)
_LINKED = re.compile(rf"(?:{LINK}(?:\s?:)?|[:=]|(?<=\s)-+(?=\s)|[→⇒\u0983\u0903])")
_GAP_END = re.compile(r"[.。।\n:;؛]")
_LONGEST_GAP = 80
_DIRECT = Finder(
    rf"(?:{_CHOSEN}|{_OPTION})\s?[的の]?\s?(?:{LINK}|[:=])\s?{_ADVERB}\s?{_ARTICLE_AHEAD}(?:{_OPTION}\s?)?{_LABEL_AHEAD}"
    rf"|(?:{_ANSWER}(?:\s{_CHOSEN})?|{_CHOSEN}\s{{0,2}}{_OPTION}|{_OPTION}\s{_CHOSEN})[】\])]?[^\S\n]?(?:{_OPTION}\s?)?{_LABEL_AHEAD}"
    rf"|{any_word('choose')}\s?(?::|{LINK})?"
    rf"|{any_word('but')}\s?(?:\w{{1,3}}\s)?(?:{_OPTION}\s?)?{_LABEL_AHEAD}",
    "answer",
    "right",
    "chosen",
    "option",
    "choose",
    "but",
)
_BUT = re.compile(any_word("but"))
_WAIT, _STOPS = any_word("wait"), r"[\s,:.!、。]{1,5}(?<![^,:.!、。]\s)"
SPOKEN_OF = r"(?:consider|look|looking|check|checking|compare|examine|analy[sz]e|start|discuss|evaluate|let|what|how)\b"
_FEW_WORDS = r"(?:[^\W\d_]{1,12}\s){0,3}?"
_CONCLUSIONS = Finder(
    rf"(?:(?P<so>{any_word('so')}|[=-]>|[⇒→∴])\s?[,:]?\s?(?:{_FEW_WORDS}(?={_OPTION}))?"
    rf"|(?P<wait>{_WAIT}(?:[\s,:.!、。]{{1,5}}{_WAIT})?){_STOPS}"
    rf"(?:(?:(?!{SPOKEN_OF})[^\W\d_]{{1,12}}\s){{0,3}}?(?={_OPTION}|{OPEN}?(?!I\s\w)[A-J](?![\w'])))?(?:{LINK}\s?)?)(?:{_OPTION}\s?)?"
    rf"|(?<![\w'])(?:{any_word('pronoun')})(?:'s|\s+(?:is|was|must\s+be|would\s+be|has\s+to\s+be|should\s+be)){_ADVERB}\s+(?:{_OPTION}\s?)?",
    "so",
    "wait",
    "pronoun",
    signs=("=>", "->", "⇒", "→", "∴"),
)
_CONCLUDED = re.compile(
    rf"(?:{OPEN}\s?([A-J])\s?{CLOSE}|([A-J]))(?:です|입니다|(?![\w']))[\"']?\s?(?:it\s(?:is|must be))?"
    r"(?:[.。!]|\Z|\n|,?\s(?:but|though|although)\s[iI](?!\w))"
)
NEGATION = re.compile(NO)
CONDITION = re.compile(any_word("condition"))
_CORRECTION = re.compile(rf"[.!?。।,;:\n-]\s?(?:\w{{1,5}}\s)?{_WAIT}")
_RETRACTED = re.compile(  # "Wait, that can't be right."
    rf"{_STOPS}{any_word('pronoun')}(?:'s)?\s[^.!?,\n]{{0,15}}?"
    r"(?:wrong|incorrect|mistaken|(?:not|n't|cannot)\s(?:be\s)?(?:right|correct))(?!\w)"
)
_NO_OPTION = re.compile(rf"[\s\"']{{0,4}}{any_word('none')}(?!\sother\sthan)")
_FILLER = re.compile(
    rf"(?:[\s\"':,]|\.{{3}}){{0,6}}(?:{OPTION_WORD}[\s\"':]{{0,4}}|(?:{ARTICLE}|là)\s+(?=\S))?[\s\"']{{0,4}}"
)
WRONG = r"(?:wrong|incorrect|false|second|third|other|alternative|common|tempting|错误的?|不正确的?)\s?"
_WRONG = re.compile(rf"{WRONG}\Z")
_LABEL = re.compile(rf"{OPEN}\s?([A-J])\s?{CLOSE}|([A-J])(?<![A-Za-z0-9_'(].)(?:\)|(?![A-Za-z0-9_']))")
# "Bを選びます", "B'yi seçiyorum", "ich würde B wählen"
_VERB_LAST = ("ja", "ko", "hi", "bn", "ta", "mr", "ur", "fa", "tr", "az", "hu", "eu")
_CHOSEN_AFTER = (
    rf"(?:'?\w{{1,3}}|[を를을])?\s?(?:{_OPTION}[を를을]?\s?)?(?:को\s|কে\s)?"
    rf"(?:{any_word('choose', languages=_VERB_LAST)}|\b(?:wählen|nehmen|kiezen)\b)"
)
_CHOOSES = re.compile(_CHOSEN_AFTER)
_ENDORSED = re.compile(
    rf"[\"']?\s?(?:[の의]?\s?{_OPTION}\s?)?"
    rf"(?:(?:{LINK}|\b(?:best|fits|matches|seems|looks|sounds|appears))\s?(?:[^\W\d_A-J]{{1,12}}\s){{0,3}}?"
    rf"(?:{_RIGHT}|{_ANSWER}|fits|match|true\b)(?:\s?(?:{_ANSWER}|{_OPTION}))?"
    rf"|(?:{_OPTION}|{_ANSWER})\s?{_RIGHT}"
    r"|(?:is|seems)\s(?:the\s)?most\s(?:likely|probable)(?=\s?[.!\n]|\s?\Z)"
    r"|(?<=only\s.\s)(?:satisfies|meets|fits|matches|works|follows|remains|answers)\b"
    rf"|{_CHOSEN_AFTER}"
    r"|\s(?:richtig|korrekt|rätt)\b"
    rf"|{ARTICLE}\s(?:{_RIGHT}\s(?:{_ANSWER}|{_OPTION})|(?:{_ANSWER}|{_OPTION})\s{_RIGHT})"
    rf"|(?:번|番)?[가이은는が]?\s?(?:[最更]|{any_word('option')})?\s?"
    rf"{any_word('right', languages=NO_COPULA)}"
    rf"(?:\s?(?:{_ANSWER}|{_OPTION}))?"
    rf"|(?:번|番)?[가이은는がは]\s?{any_word('answer', languages=('ja', 'ko'))})"
    rf"(?![^.。।,、;!?\n]{{0,12}}?{NO})"
)
_SUBJECT = re.compile(
    rf"(?:\A|\b(?:{ARTICLE}|A|az|ist|är)|{_OPTION}|{_ANSWER}|{any_word('so')}|"
    r"\b(?:then|that|only|and|think|believe|these|makes|making|leaves)\s?,?)\s?[\"']?\Z"
)
_AS_OPTION = re.compile(rf"\s?[の의]?\s?{any_word('option', languages=VERB_FINAL)}")  # "D বিকল্পটি সঠিক"
_REJECTED = re.compile(rf"[^\n]{{0,3}}[A-J]{CLOSE}?\s?{NO}")  # "the option B not ..."
_SENTENCE_OVER = re.compile(r"\s?(?!\.{3})(?:[.。।!?\n]|\Z)")
_CALLED = re.compile(f"{_ANSWER}|{_OPTION}")
_AFTER_ARTICLE = re.compile(r"\s(?:resposta|alternativa|opção|opción|válasz)")
_ANY_LETTER = re.compile(rf"{OPEN}\s?[A-J]\s?{CLOSE}|\b(?!I\s\w)[B-J]\b")
_SENTENCE_START = re.compile(r"[.。।!?\n:]")
_SUPPOSED = re.compile(r"\b(?:would|could|wäre|serait|sería|seria|sarebbe)\b")
_CLAUSE = re.compile(r"[.。।,;!?\n]")
_HALVES = re.compile(rf"[.。।,;:!?\n]|(?<![A-J)])、|{any_word('but')}[、,]?\s?")
MOST_LABELS = 200  # labels of a text that are looked at


# A heading with the answer in the line below: "### Final Answer".
_HEADING = re.compile(rf"(?:\A|\n)[ ]?(?:[^\W\d_]{{1,14}}[ ]){{0,2}}{_ANSWER}[ ]?\n\s*(?=\S)")


def _announcements(low: str, starts: list[tuple[int, str]]) -> Iterator[tuple[int, int, str | None]]:
    """Where an announcement begins and ends, and the words between its noun and its verb (None: there is no verb)."""
    for noun in _NOUNS(low, starts):
        for link in _LINKED.finditer(low, noun.end(), noun.end() + _LONGEST_GAP + 20):  # a link may be another word
            if link.start() > noun.end() + _LONGEST_GAP or _GAP_END.search(low, noun.end(), link.start()):
                break
            yield noun.start(), link.end(), low[noun.end() : link.start()]
    for match in _DIRECT(low, starts):
        yield match.start(), match.end(), None


def announced(text: str, options: Options, words: str) -> tuple[int | None, int | None, int]:
    """The last announced answer, the first if the text opens with its announcement, and where the last one begins."""
    low = lowered(text)
    starts = word_starts(low)
    stated: list[tuple[int, int]] = []
    done = -1
    for start, end, gap in _announcements(low, starts):
        if start == done:
            continue
        before = _CLAUSE.split(low[max(0, start - 40) : start])[-1]
        if CONDITION.search(before) or _WRONG.search(before):
            continue
        denied = NEGATION.search(before if gap is None else gap)
        if denied and not _BUT.match(low, start):
            if gap is not None and _NO_OPTION.match(gap):
                stated.append((start, NO_ANSWER))
            continue
        if gap is not None and _ANY_LETTER.search(gap):
            continue
        answer = _target(text, end, options, words)
        if answer is not None and not (gap is None and (_REJECTED.match(low, end) or _SENTENCE_OVER.match(low, end))):
            stated.append((start, answer))
            done = start
    retracted = -1
    for match in _CONCLUSIONS(low, starts):
        if match["wait"] and _RETRACTED.match(low, match.end("wait")):
            retracted = match.end("wait")
        concluded = _CONCLUDED.match(text, match.end())
        at, end = option_at(text, match.end(), options)
        before = _CLAUSE.split(low[max(0, match.start() - 40) : match.start()])[-1]
        # "so x = 3."
        word = max(match.end("so"), match.end("wait"))  # negative: a pronoun
        by_text = at is not None and at >= 0 and word >= 0 and "\n" not in match[0] and LINE_END.match(text, end)
        denied = NEGATION.search(low, max(word, match.start()), match.end())
        if (concluded or by_text) and not denied and not CONDITION.search(before):
            index = LETTERS.index(concluded[1] or concluded[2]) if concluded else at or 0
            start = match.end("wait") if match["wait"] else match.start()
            stated.append((start, index if index < len(options.letters) else NO_ANSWER))
    for match in list(_LABEL.finditer(text))[-MOST_LABELS:]:
        before = _HALVES.split(low[max(0, match.start() - 40) : match.start()])[-1]
        own, end = option_at(text, skip(text, match.end()), options)
        # "Option C, the Danube, is correct": the option's own words, whatever they are, are stepped over.
        inserted = own == LETTERS.index(match[1] or match[2]) or text[match.start() - 2 : match.start()] == ", "
        endorsed = _ENDORSED.match(low, _past(text, end) if inserted else match.end())
        if not endorsed or _supposed(low, endorsed):
            continue
        set_off = match[1] or _SUBJECT.search(before)
        if not (set_off or _AS_OPTION.match(low, match.end()) or _CHOOSES.match(low, match.end())):
            continue  # "Vitamin C is the best source"
        if match[2] == "A" and not before.strip() and _AFTER_ARTICLE.match(endorsed[0]):
            continue  # Portuguese "A resposta correta ...": an article
        if not any(pattern.search(before) for pattern in (NEGATION, CONDITION)) and not NEGATION.search(endorsed[0]):
            index = LETTERS.index(match[1] or match[2])
            stated.append((match.start(), index if index < len(options.letters) else NO_ANSWER))
    headed = _under_heading(text, low, options, words)
    stated += [headed] if headed else []
    for option in options_in(text, options)[-MOST_LABELS:]:  # "The Amazon is the correct answer."
        endorsed = _ENDORSED.match(low, _past(text, option.end))
        before = _SENTENCE_START.split(low[max(0, option.start - 80) : option.start])[-1]
        named = endorsed and (_CALLED.search(endorsed[0]) or _SENTENCE_OVER.match(low, endorsed.end()))
        if (
            endorsed
            and named
            and not _supposed(low, endorsed)
            and not any(pattern.search(before + endorsed[0]) for pattern in (NEGATION, CONDITION))
        ):
            stated.append((option.start, option.option))
    if not stated:
        return None, None, 0
    stated.sort()
    supposed = {answer for start, answer in stated if _opens_with_condition(low, start)}
    if len(supposed) > 1 and _opens_with_condition(low, stated[-1][0]):
        return SEVERAL, None, 0
    if retracted > stated[-1][0]:
        return SEVERAL, None, 0
    opening = stated[0][1] if stated[0][0] <= 4 and stated[0][1] >= 0 else None
    return stated[-1][1], opening, stated[-1][0]


def _opens_with_condition(low: str, position: int) -> bool:
    """ "If it is about France, the answer is A. If it is about Germany, ..." """
    return CONDITION.match(_SENTENCE_START.split(low[max(0, position - 120) : position])[-1].lstrip()) is not None


def _under_heading(text: str, low: str, options: Options, words: str) -> tuple[int, int] | None:
    """Where the text's only heading "Answer" is, and the answer that begins the line below it."""
    headings = list(islice(_HEADING.finditer(low), 2)) if "\n" in low else []
    if len(headings) != 1 or _WRONG.search(headings[0][0]) or NEGATION.search(headings[0][0]):
        return None
    start = headings[0].end()
    at, end = option_at(text, start, options)
    label = label_at(text, start, options, words, after_cue=True)
    if label is not None and (LINE_END.match(text, label.end) or _own_follows(text, label, options)):
        return headings[0].start(), settle(text, label, options)
    return (headings[0].start(), at) if at is not None and LINE_END.match(text, end) else None


def _own_follows(text: str, label: Label, options: Options) -> bool:
    return option_at(text, skip(text, label.end), options)[0] == label.choice


def _supposed(low: str, endorsed: re.Match[str]) -> bool:
    """ "C would be the answer if ..." """
    rest = _SENTENCE_START.split(low[endorsed.end() : endorsed.end() + 200], maxsplit=1)[0]
    return _SUPPOSED.search(endorsed[0]) is not None and CONDITION.search(rest) is not None


def _past(text: str, position: int) -> int:
    """The position behind the comma, quote or bracket that ends an inserted option."""
    return position + (text[position : position + 1] in tuple(",)]\"'"))


def corrected(text: str, end: int) -> bool:
    """Does the writer take back what it said first before the last announcement, at `end`, which then counts?"""
    found = _CORRECTION.search(lowered(text))
    return found is not None and found.end() <= end


_ASKED = re.compile(r"[)\]\"']{0,4}\s?\?")  # "Is the answer (A)?"


def _target(text: str, position: int, options: Options, words: str) -> int | None:
    """The answer right after a cue, or None when what follows is something else."""
    low = lowered(text)
    filler = _FILLER.match(low, position)
    start = filler.end() if filler else position
    adverb = _AFTER_ADVERB.match(low, position)
    places = {start, skip(text, position), adverb.end() if adverb else start}
    for place in sorted(places, reverse=True):
        at, end = option_at(text, place, options)
        if at is not None and at >= 0 and (len(options.texts[at]) > 1 or LINE_END.match(text, end)):
            if TOGETHER.match(low, end) or not _complete(text, place, end, options.texts[at]):
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
        if _NO_OPTION.match(low, place):
            return NO_ANSWER
    return None


_BOUNDARY = re.compile(
    rf"\s?(?:\Z|[\n,;:!?\"')(。।、|<]|\.(?!\d)|-)|です|だ\b|である|입니다|이다|"
    rf"\s?{any_word('link', languages=VERB_FINAL)}|,?\s?{any_word('because')}"
)


def _complete(text: str, start: int, end: int, option: str) -> bool:
    """Is the option's text at [start, end) a phrase of its own ("the Nile."), not part of one ("the Nile delta")?"""
    if _BOUNDARY.match(lowered(text), end):
        return True
    return any(c.isalpha() for c in option) and (end - start >= 15 or len(CJK.findall(option)) >= 6)
