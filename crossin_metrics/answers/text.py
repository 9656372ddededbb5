"""A question's options and labels such as `(B)` in a cleaned text: what the rules of `reading.py` work on."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from crossin_metrics.answers.cleaning import (
    CJK,
    END,
    LETTERS,
    THOUSANDS,
    clean,
    fold,
    lowered,
    number,
    small_letters,
    squeeze,
)
from crossin_metrics.answers.cues import CUES, VERB_FINAL
from crossin_metrics.answers.patterns import NO_SPACES, any_word
from crossin_metrics.errors import CrossinError

SEVERAL, NO_ANSWER, CONFLICT = -1, -2, -3  # what an announced answer can be when it is not one option


# --- options ---------------------------------------------------------------------------------------------------------


class Options(NamedTuple):
    """A question's options, prepared to be found in a text."""

    texts: tuple[str, ...]  # cleaned, without labels
    exact: dict[str, int]  # folded text -> index; only texts that one option has
    squeezed: dict[str, int]  # the same without spaces and punctuation, for formulas
    numbers: dict[str, int]  # the same for numbers without thousands separators
    wordings: tuple[Wording, ...]  # the longest first
    heads: tuple[str, ...]  # their first words
    letters: str  # "ABCD"
    digits: bool  # whether an option has a digit
    own_labels: bool  # whether one has a label of another script


class Wording(NamedTuple):
    """An option's text as it is looked for: its words in lower case, with any white space between them."""

    words: tuple[str, ...]
    joined: str  # by one blank, as nearly always
    option: int  # its index; SEVERAL: two options have this text
    before: str  # what may not stand right before the first character and after the last: "word", "number" or ""
    after: str


class Found(NamedTuple):
    """An option's text in a text; `option` is its index or SEVERAL."""

    option: int
    start: int
    end: int


_CHOICE_LABEL = re.compile(r"\s*[(\[]?\s*([A-J])\s*[)\].:、]\s*(?=\S)")


@lru_cache(maxsize=65536)
def options_of(choices: tuple[str, ...]) -> Options:
    """Prepare options for matching, cached; raises CrossinError unless there are 2 to 10."""
    if not 2 <= len(choices) <= len(LETTERS):
        raise CrossinError(f"{len(choices)} choices given; there must be 2 to {len(LETTERS)}")
    texts = [clean(choice) for choice in choices]
    labels = [_CHOICE_LABEL.match(text) for text in texts]
    if all(m is not None and m[1] == letter for m, letter in zip(labels, LETTERS, strict=False)):
        texts = [text[m.end() :] for text, m in zip(texts, labels, strict=True) if m is not None]
    folded = [fold(text) for text in texts]
    exact = _unique(folded, 1)
    wordings = {
        small_letters(text).strip(END): exact.get(form, SEVERAL) for text, form in zip(texts, folded, strict=True)
    }
    digits = _DIGIT.search(" ".join(texts)) is not None
    for form, index in list(wordings.items()) if digits else ():  # "2,5" for 2.5, "100000" for 100,000
        for other in (_COMMAS.sub(lambda m: ".,"[m[0] == "."], form), THOUSANDS.sub("", form)):
            wordings.setdefault(other, index)
    found = tuple(_wording(text, wordings[text]) for text in sorted(wordings, key=len, reverse=True) if text)
    return Options(
        tuple(texts),
        exact,
        _unique([squeeze(text) for text in texts], 3),
        _unique([number(text) for text in texts], 1),
        found,
        tuple({wording.words[0] for wording in found}),
        LETTERS[: len(choices)],
        digits,
        any(_OWN_LABEL.search(text) for text in texts),
    )


_DIGIT = re.compile(r"\d")
_COMMAS = re.compile(r"(?<=\d)[.,](?=\d)")


def _unique(forms: list[str], shortest: int) -> dict[str, int]:
    return {form: i for i, form in enumerate(forms) if len(form) >= shortest and forms.count(form) == 1}


def _wording(text: str, option: int) -> Wording:
    before = "number" if text[0].isdigit() else "word" if _spaced(text[0]) else ""
    after = "number" if text[-1].isdigit() else "word" if _spaced(text[-1]) else ""
    words = tuple(_OPERATOR.sub(r" \1 ", text).split())
    return Wording(words, " ".join(words), option, before, after)


def _spaced(char: str) -> bool:
    """Is this a letter or digit of a script that puts spaces between words?"""
    return (char.isalnum() or char == "_") and (char.isascii() or not CJK.match(char))


def option_at(text: str, position: int, options: Options) -> tuple[int | None, int]:
    """The option whose text begins at `position` (None: none; SEVERAL: two options of one wording) and its end."""
    small = small_letters(text)
    if small.startswith(options.heads, position):
        for wording in options.wordings:
            end = _end_of(small, position, wording)
            if end is not None:
                return wording.option, end
    return None, position


def options_in(text: str, options: Options) -> list[Found]:
    """All options named in a text, left to right, none overlapping another; of two at one place the longer."""
    small, found = small_letters(text), []
    for rank, wording in enumerate(options.wordings):
        start = small.find(wording.words[0])
        while start >= 0:
            end = _end_of(small, start, wording)
            if end is not None:
                found.append((start, rank, Found(wording.option, start, end)))
            start = small.find(wording.words[0], start + 1)
    kept: list[Found] = []
    for start, _, one in sorted(found):
        if not kept or start >= kept[-1].end:
            kept.append(one)
    return kept


def _end_of(small: str, position: int, wording: Wording) -> int | None:
    """Where an option's text that begins at `position` ends; None where it does not, or within a word or number."""
    before = small[position - 1 : position]
    if wording.before and (_in_word(before) or (wording.before == "number" and before in _IN_NUMBER)):
        return None
    end = position
    words = wording.words
    if small.startswith(wording.joined, position):
        words, end = (), position + len(wording.joined)
    elif len(words) == 1:
        return None
    for place, word in enumerate(words):
        if place:
            gap = _GAP.match(small, end)
            if gap is None and not (_OPERATOR.match(word) or _OPERATOR.match(wording.words[place - 1])):
                return None
            end = gap.end() if gap else end
        if not small.startswith(word, end):
            return None
        end += len(word)
    if wording.after == "word" and position + 3 < end and (copula := _COPULA.match(small, end)):
        end = copula.end()
    after = small[end : end + 1]
    if wording.after and (_in_word(after) or (wording.after == "number" and after in _NUMERALS)):
        return None
    return None if wording.after == "number" and _DECIMALS.match(small, end) else end


_COPULA = re.compile(r"[dt][ıiuü]r(?!\w)")  # Turkish "gümüştür": it is silver
_OPERATOR = re.compile(r"([=<>≤≥≈+×*/^])")  # "x=3" is "x = 3"
_GAP = re.compile(r"\s+")
_NUMERALS = frozenset("十百千万萬億亿兆만억")  # "12万" is 120,000
_IN_NUMBER = _NUMERALS | set(".,+-")
_DECIMALS = re.compile(r"[.,:]\d")


def _in_word(char: str) -> bool:
    """Does a word in a script with spaces go on with this character? (In "DNAです" it does not.)"""
    return bool(char) and _spaced(char)


# --- labels in other scripts -----------------------------------------------------------------------------------------

# "В" (Cyrillic, like Latin B) is the third letter of its own alphabet: read only before the third option's text.
_LOOK_ALIKE = {"С": "C", "Ε": "E", "Α": "A"}
_OWN_LABELS: dict[str, str] = {
    form: LETTERS[position]
    for cue in CUES.values()
    for position, letter in enumerate(cue.labels)
    for form in {letter, letter.upper()}
} | _LOOK_ALIKE
_OWN_LABEL = re.compile(
    r"(?<=[はがを为為是选選:])[アイウエオ甲乙丙丁戊](?=です|だ\b|が正|を|[。.\s]|项|項|\Z)|(?<!\w)[가나다라마](?=입니다|번\b|이다)|"
    rf"(?<!\w)(?<![\u0300-\u036f\u064b-\u065f\u0900-\u0dff\u0e31-\u0e3a\u0e47-\u0e4e])[{''.join(_OWN_LABELS)}](?![\w\u0300-\u036f\u0610-\u061a\u064b-\u065f\u0900-\u0903\u093a-\u094f\u0981-\u09cd"
    r"\u0b82-\u0bcd\u0e31-\u0e3a\u0e47-\u0e4e])"
)
_UPPER_ONLY = re.compile(r"[а-яα-ω]")


_PLACE = re.compile(  # "the second option", "第二个选项"; "2번", "option 2"
    r"(?:the\s)?(?<!\w)(first|second|third|fourth|1st|2nd|3rd|4th)\s(?:option|(?:one|answer|choice)(?=\W?\Z))(?!\w)|"
    r"第\s?([一二三四1-4])\s?[个個]?(?:选项|選項|選択肢|[项項](?!目))|"
    r"(?<![\d.,+-])([1-4])\s?[번番](?=입니다|이다|이\s|です|だ|が|[\s.。]|\Z)|"
    r"(?<![\w.,+-])#?(one|two|three|four|[1-4])(?![\w%]|[.,:]\d)",
    re.IGNORECASE,
)
_COUNT = re.compile(r"1|2|3|4|第|first|second|third|fourth|one|two|three|four")  # what each alternative needs
_PLACES = {
    word: place
    for place, words in enumerate(
        ("first 1st one 1 一", "second 2nd two 2 二", "third 3rd three 3 三", "fourth 4th four 4 四")
    )
    for word in words.split()
}
_OPTION_BEFORE = re.compile(rf"{any_word('option')}\s?(?:number\s)?\Z")
_NO_COUNTED = re.compile(r"(?:\bone|statement|conclusion|letter|câu|nhận\sđịnh|kết\sluận|pernyataan|kenyataan)\s?\Z")


def latin_labels(text: str, options: Options) -> str:
    """Replace labels of other scripts (ب, ख, Б, 甲) by Latin ones where they stand alone, as in "ب) ..." or "(Б)".

    Places are replaced, too ("option 2", "the second option", "2번"), unless options have numbers.
    """
    if not options.digits and _COUNT.search(low := lowered(text)):

        def letter(match: re.Match[str]) -> str:
            place = _PLACES[match[match.lastindex or 1].lower()]
            head = low[max(0, match.start() - 30) : match.start()]
            counted = match[4] is None or (_OPTION_BEFORE.search(head) and not _NO_COUNTED.search(head))
            if not counted or place >= len(options.letters):
                return match[0]
            return ("" if match[3] or match[4] else "option ") + LETTERS[place]

        text = _PLACE.sub(letter, text)
    if options.own_labels or text.isascii():
        return text

    def latin(match: re.Match[str]) -> str:
        enclosed = match.string[match.end() : match.end() + 1] in (")", "]", "】", "」")
        if match[0] in "вВ" and option_at(text, skip(text, match.end() + enclosed), options)[0] != 2:
            return match[0]
        small = _UPPER_ONLY.match(match[0]) is not None  # "а" and "с" are words unless set off as a label
        return match[0] if small and not enclosed else _OWN_LABELS[match[0]]

    return _OWN_LABEL.sub(latin, text)


# --- labels ----------------------------------------------------------------------------------------------------------

OPTION_NOUN = rf"{any_word('option', 'answer')}(?:\s+(?:number|letter))?"
ARTICLE = "(?:the|la|el|le|il|o|a|die|der|das|den|de|het|ang|η|το)"
OPTION_WORD = rf"(?:{ARTICLE}\s+|l')?{OPTION_NOUN}"
OPEN, CLOSE = r"[(\[{<【「『〔《〈]", r"[)\]}>】」』〕》〉]"
_ENCLOSED = re.compile(rf"{OPEN}{{1,2}}\s?([A-Ja-j])\s?{CLOSE}{{1,2}}")
_HALF = re.compile(rf"([A-Ja-j])\s?{CLOSE}")
_CUT = re.compile(r"[(\[【]\s?([A-J])[\s.。!\"']*\Z")
NOT_AFTER = r"\w|'(?![dt][ıiuü]r)(?=\w)"  # "A's" and "I'd" are words, Turkish "A'dır" is "is A"
_BARE = re.compile(rf"([A-Ja-j])(?!{NOT_AFTER})|([A-J])(?={NO_SPACES.pattern})")
_AFTER_BARE = re.compile(
    r"\s*\Z|\s*\n|\s?[;!\"|]|'|\s?:(?!\s*\d)|\s?\.(?!\w)|\.(?=[^\W\d_]{2}|[\u4e00-\u9fff])|[。、।]|\s[-→⇒]+\s|\s?[\u2600-\u27bf\U0001f300-\U0001faff]"
)
REASON = rf",?\s?(?!(?:as|for|which|that|with|from|given|da|therefore)\b|项|項|选|選|吧){any_word('because')}"
_REASON = re.compile(REASON)
_CONNECTIVE = re.compile(
    rf",?\s*{any_word('because')}|\s(?:rather than|instead of|and|not)\b|"
    r"\s*(?:'[dt][ıiuü]r|번|입니다|이다|です|だ|ครับ|ค่ะ)|"
    rf"\s*(?:{any_word('option', 'answer', 'right', 'link', languages=VERB_FINAL)})"
)
_OTHER_SCRIPT = re.compile(r"\s+(?:\d|[\u4e00-\u9fff])")
_COMMA = re.compile(r",(?=\s|[^\x00-\x7f])")
_ANEW = re.compile(r"\s+[^a-z\s]|[^\x00-\x7f]")  # after "the answer is B": no word in small letters, as in "C major"
_ALONE = re.compile(r"[\s.。!\"']*\Z")
_BOTH = rf"(?:,|/|&|\+|、|;|{any_word('both')})"
TOGETHER = re.compile(rf"\s*{_BOTH}\s*(?:{_BOTH}\s*)?(?:{OPTION_WORD}\s*)?{OPEN}?\s?(?!I\s\w)([A-J])(?![\w'])")
_BRACKET = re.compile(r"\s\(")  # "Answer: A (certain)"
_ABBREVIATION = re.compile(r"\.\s?[A-Za-z]\.")


class Label(NamedTuple):
    """An option's letter in a text: which option it names, and where it ends."""

    choice: int  # may lie outside the options: a label nonetheless
    end: int


def label_at(text: str, position: int, options: Options, words: str, after_cue: bool) -> Label | None:
    """The label at `position`: `(B)`, `B)`, `(B` at the very end, or a bare `B` that cannot be a word."""
    match = _ENCLOSED.match(text, position) or _HALF.match(text, position) or _CUT.match(text, position)
    if match is not None:
        return Label(LETTERS.index(match[1].upper()), match.end())
    match = _BARE.match(text, position)
    if match is None:
        return None
    letter, end = match[match.lastindex or 1], match.end()
    index = LETTERS.index(letter.upper())
    if letter.islower():
        return Label(index, end) if _ALONE.match(text, end) else None
    at, _ = option_at(text, skip(text, end), options)
    if at == index:
        return Label(index, end)
    if _ABBREVIATION.match(text, end):
        return None
    if _AFTER_BARE.match(text, end) or TOGETHER.match(lowered(text), end):
        return Label(index, end)
    if letter not in words and _COMMA.match(text, end):
        return Label(index, end)
    if after_cue and _BRACKET.match(text, end):
        return Label(index, end)
    if (after_cue or (letter != "I" and text.startswith(",", end))) and _CONNECTIVE.match(lowered(text), end):
        return Label(index, end)
    if letter not in words and _REASON.match(lowered(text), end):
        return Label(index, end)
    if letter not in words and at is None and (_ANEW if after_cue else _OTHER_SCRIPT).match(text, end):
        return Label(index, end)
    return None


_SEPARATOR = re.compile(r"[\s.:,、。;(\"'→⇒>=-]*")
LINE_END = re.compile(r"\s*(?:\Z|\n|[.。;!)(।](?!\d))")
_LINE_LABEL = re.compile(rf"{OPEN}\s?([A-J])\s?{CLOSE}|([A-J])\s?(?:{CLOSE}|[.:、](?!\w\.)|\Z)")
_ANSWER_WORD = re.compile(rf"{any_word('answer')}\s*[:.]?\s*\Z")
_NEXT_ENTRY = re.compile(rf"[\s,;.。!?\"'|]*(?:({OPEN})\s?)?([A-J])\s?(?:{CLOSE}|[.:、])")


def skip(text: str, position: int) -> int:
    """The position behind a separator that begins at `position`, or `position`."""
    match = _SEPARATOR.match(text, position)
    return match.end() if match else position


def settle(text: str, label: Label, options: Options) -> int:
    """What a label in the place of an answer amounts to: its index, SEVERAL, CONFLICT or NO_ANSWER (no such option)."""
    if label.choice >= len(options.letters):
        return NO_ANSWER
    start = skip(text, label.end)
    at, end = option_at(text, start, options)
    if at == label.choice:
        following = _NEXT_ENTRY.match(text, end)
        if following is not None and LETTERS.index(following[2]) != label.choice:
            other, _ = option_at(text, skip(text, following.end()), options)
            if following[1] or other == LETTERS.index(following[2]):
                return SEVERAL
    elif TOGETHER.match(lowered(text), label.end):
        return SEVERAL
    elif at is not None and at >= 0 and (LINE_END.match(text, end) or end - start >= 10):
        return CONFLICT
    return SEVERAL if listed(text, label.end, label.choice, options) else label.choice


def listed(text: str, position: int, index: int, options: Options) -> bool:
    """Do the lines right after name other options in the same way? Then this is a list, not an answer."""
    for line in text[position : position + 2_000].split("\n")[1:]:
        line = line.strip()
        if not line or _ANSWER_WORD.match(line.lower()):
            continue
        match = _LINE_LABEL.match(line)
        other = LETTERS.index(match[1] or match[2]) if match else options.exact.get(fold(line))
        if other is None or other >= len(options.letters):
            return False
        if match and (index, other) == (0, 1) and option_at(line, skip(line, match.end()), options)[0] == 1:
            return True  # "A. the Nile", then "B. the Amazon ...", whatever is said of it
        if match and not _is_entry(line[match.end() :].strip(), other == index + 1, options):
            return False
        if other != index:
            return True
    return False


JUDGED = re.compile(
    r"\s*(?:is|are|was|were|isn't|would|could|can|cannot|can't|does|doesn't|may|might|seems|states|says|suggests|describes|"
    r"es|son|no|sería|wäre|serait|seria|sarebbe|dice|là|không|sai|nói|adalah|ialah|bukan|tidak|salah|ay|ang|hindi|mali|ist|est|é|è)(?!\w)|\s*(?:是|不|描述|说|說)",
    re.IGNORECASE,
)


def _is_entry(rest: str, follows: bool, options: Options) -> bool:
    """Is what follows a label in a line the option alone ("(A) the Nile"), not words about it ("(A) is too short")?

    The option in other words counts where its letter follows the one above.
    """
    if not rest:
        return True
    at, end = option_at(rest, 0, options)
    if at is not None:
        return _ALONE.match(rest, end) is not None
    return follows and JUDGED.match(" " + rest) is None
