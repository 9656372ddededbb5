"""From a model's words to the option they name: :func:`read_answer`, deterministic, in any of the project's languages.

A reading is a short ordered list of rules, each of which either decides or passes on:

1. ``whole``     the text is nothing but a letter, or nothing but an option's text;
2. ``boxed``     the last ``\\boxed{...}``;
3. ``leading``   the text begins with a letter set off as a label: ``B)``, ``**B.``, ``(B) ...``, a line ``B``;
4. ``announced`` the last "the answer is ...", "(B) is correct", "答案是B" (:mod:`crossin_metrics.answer_cues`);
5. ``first_line`` the text begins with an option's text, set off from what follows;
6. ``only_label`` one label in the whole text, introduced as one ("is (B)", "option B:") or before its option's text;
7. ``only_option`` one option in the whole text, named in the first or last complete sentence without a negation.

Precision comes first. Texts that name several answers, contradict themselves (label B with option C's words, a leading
B and a final "the answer is C" without a word of correction), decline, or merely echo the options, are read as None.
What follows a next question or an end-of-turn token is not read, nor is an unfinished ``<think>`` block.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from crossin_metrics import answer_cues as cues
from crossin_metrics.errors import CrossinError

LETTERS = "ABCDEFGHIJ"
SEVERAL, NO_ANSWER, CONFLICT = -1, -2, -3  # what a stated answer can be, when it is not an option


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
    options = _options(tuple(choices))
    text = clean(text)
    text = _this_question(text, options)
    if not text:
        return Reading(None, "")
    words = _word_letters(language)
    whole = _whole(text, options)
    if whole is not None:
        return Reading(whole if whole >= 0 else None, "whole")
    boxed = _boxed(text, options, words)
    if boxed is not None:
        return Reading(boxed if boxed >= 0 else None, "boxed")
    leading = _leading(text, options, words)
    stated, first_cue = _announced(text, options, words)
    if leading is not None and leading >= 0 and stated is not None and stated != leading:
        corrected = stated >= 0 and _CORRECTION.search(text)
        return Reading(stated if corrected else None, "announced" if corrected else "contradiction")
    if leading is not None and leading >= 0:
        return Reading(leading, "leading")
    if stated is not None:
        if first_cue is not None and stated >= 0 and first_cue != stated and not _CORRECTION.search(text):
            return Reading(None, "contradiction")
        return Reading(stated if stated >= 0 else None, "announced")
    if leading is not None:
        return Reading(None, "leading")
    for name, rule in (("first_line", _first_line), ("only_label", _only_label), ("only_option", _only_option)):
        answer = rule(text, options, words)
        if answer is not None:
            return Reading(answer if answer >= 0 else None, name)
    return Reading(None, "")


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


# --- options ---------------------------------------------------------------------------------------------------------


class _Options(NamedTuple):
    texts: tuple[str, ...]  # cleaned, unlabelled
    exact: dict[str, int]  # folded text -> index, unambiguous ones only
    squeezed: dict[str, int]  # the same without spaces and most signs, for formulas
    pattern: re.Pattern[str] | None  # any option's text, the longest first
    letters: str  # "ABCD"


_CHOICE_LABEL = re.compile(r"\s*[(\[]?\s*([A-J])\s*[)\].:、]\s*(?=\S)")
_END = " \t\n.。!?,;:、؟۔।\"'`”“’‘«»「」『』"


@lru_cache(maxsize=65536)
def _options(choices: tuple[str, ...]) -> _Options:
    if not 2 <= len(choices) <= len(LETTERS):
        raise CrossinError(f"{len(choices)} choices given; an answer can be read among 2 to {len(LETTERS)}")
    texts = [clean(choice) for choice in choices]
    labels = [_CHOICE_LABEL.match(text) for text in texts]
    if all(m is not None and m[1] == letter for m, letter in zip(labels, LETTERS, strict=False)):
        texts = [text[m.end() :] for text, m in zip(texts, labels, strict=True) if m is not None]
    folded = [_fold(text) for text in texts]
    by_length = sorted({f for f in folded if f}, key=len, reverse=True)
    groups = [_literal(f) for f in by_length]
    unique = {f: folded.index(f) for f in by_length if folded.count(f) == 1}
    squeezed = [_squeeze(text) for text in texts]
    return _Options(
        tuple(texts),
        unique,
        {s: i for i, s in enumerate(squeezed) if len(s) >= 3 and squeezed.count(s) == 1},
        re.compile("|".join(f"({g})" for g in groups), re.IGNORECASE) if groups else None,
        LETTERS[: len(choices)],
    )


def _literal(folded: str) -> str:
    """A pattern for an option's text: any white space, no letter or digit of the same word or number around it."""
    body = r"\s+".join(re.escape(word) for word in folded.split())
    before, after = folded[0], folded[-1]
    head = r"(?<![\w.,+-])" if before.isdigit() else r"(?<!\w)" if _spaced(before) else ""
    tail = r"(?!\w|[.,:]\d)" if after.isdigit() else r"(?!\w)" if _spaced(after) else ""
    return head + body + tail


def _spaced(char: str) -> bool:
    """Is this a letter or digit of a script that puts spaces between words?"""
    return (char.isalnum() or char == "_") and not _CJK.match(char)


def _at(text: str, position: int, options: _Options) -> tuple[int | None, int]:
    """The option whose text stands at `position` (None: none; SEVERAL: two options of one wording) and its end."""
    match = options.pattern.match(text, position) if options.pattern else None
    if match is None:
        return None, position
    return options.exact.get(_fold(match[0]), SEVERAL), match.end()


# --- cleaning --------------------------------------------------------------------------------------------------------

_CJK = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff\uac00-\ud7af\u0e00-\u0e7f]")
_SIGNS = str.maketrans({"−": "-", "‐": "-", "‑": "-", "–": "-", "—": "-", "’": "'", "‘": "'", "“": '"', "”": '"'})
_INVISIBLE = re.compile(r"[\u200b-\u200f\u2060\ufeff\u00ad\x00-\x08\x0b-\x1f]")
_THOUGHT = re.compile(r"<(think|thinking|reasoning)>.*?(?:</\1>|\Z)", re.DOTALL | re.IGNORECASE)
_END_OF_TURN = re.compile(r"<\|(?:im_end|eot_id|endoftext|end_of_text|end|eom_id|EOT)\|>|</s>|<eos>|<end_of_turn>")
_ROLE = re.compile(r"<\|(?:im_start|start_header_id)\|>\s*\w*\s*(?:<\|end_header_id\|>)?|<start_of_turn>\s*\w*")
_SPECIAL = re.compile(r"<\|[^<>|\n]{1,40}\|>|</?(?:s|pad|bos|unk|sep|cls|mask)>|\[/?(?:INST|PAD|CLS|SEP|UNK|BOS|EOS)\]")
_LATEX = re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf|mathsf|rm|bf)\s*\{([^{}]*)\}|\\[()\[\]]|\$")
_MARKDOWN = re.compile(r"(?m)\*+(?=\S)|(?<=\S)\*+|__+|`+|^[ \t]*(?:#{1,6}|>+)[ \t]*(?=\S)|^[ \t]*[-•·][ \t]+(?=\S)|~~")
_MARKUP_SIGNS = frozenset("*_`#>$\\<[-•·~")
_BLANKS = re.compile(r"[^\S\n]+")


def clean(text: str) -> str:
    """Strip what is not words: compatibility forms (full width), special tokens, thoughts, Markdown, LaTeX, blanks."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text).translate(_SIGNS)
    text = _INVISIBLE.sub("", text)
    if not _MARKUP_SIGNS.isdisjoint(text):
        text = _THOUGHT.sub("", text)
        pieces = [_SPECIAL.sub(" ", _ROLE.sub(" ", piece)) for piece in _END_OF_TURN.split(text)]
        text = next((piece for piece in pieces if piece.strip()), "")
        text = _MARKDOWN.sub("", _LATEX.sub(lambda m: m[1] or "", text))
    return _BLANKS.sub(" ", text).strip()


def _fold(text: str) -> str:
    return " ".join(text.casefold().strip(_END).split())


_DROPPED = r"[\s×·⋅*^_(){}\[\]\"'`$;:!?。、.,]+"
_SQUEEZED_OUT = re.compile(rf"(?<!\d){_DROPPED}|{_DROPPED}(?!\d|[\s×·⋅*^_(){{}}\[\].,])")  # kept between two digits


def _squeeze(text: str) -> str:
    return _SQUEEZED_OUT.sub("", text.casefold())


_NEXT = re.compile(
    rf"(?:^|\n)[ ]*(?:{cues.NEXT_QUESTION}|{cues.NEXT_TURN})|(?<=[.。!?\n])assistant\n|(?<=\s)#{{2,}}\s*{cues.TURN}",
    re.IGNORECASE,
)


def _this_question(text: str, options: _Options) -> str:
    """The part before a next question or turn. A text that opens with one is kept if it repeats our options."""
    found = _NEXT.search(text)
    if found is None:
        return text
    if found.start() > 0:
        return text[: found.start()].strip()
    second = _NEXT.search(text, found.end())
    text = text[: second.start()].strip() if second else text
    seen = {options.exact.get(_fold(m[0])) for m in options.pattern.finditer(text)} if options.pattern else set()
    return text if len(seen - {None}) >= 2 else ""


# --- labels ----------------------------------------------------------------------------------------------------------

_OPEN, _CLOSE = r"[(\[{<【「『〔《]", r"[)\]}>】」』〕》]"
_ENCLOSED = re.compile(rf"{_OPEN}\s?([A-Ja-j])\s?{_CLOSE}")
_HALF = re.compile(rf"([A-Ja-j])\s?{_CLOSE}")
_CUT = re.compile(r"[(\[【]\s?([A-J])[\s.。!\"']*\Z")
_BARE = re.compile(r"([A-Ja-j])(?![\w'])|([A-J])(?=因为|由于|项)|([A-J])(?=[\u4e00-\u9fff]*[。.]?\Z)")
_AFTER_BARE = re.compile(r"\s*\Z|\s*\n|\s?[;:!?\"»|]|\s?\.(?!\w)|\.(?=[^\W\d_]{2}|[\u4e00-\u9fff])|[。、]|\s-+\s")
_CONNECTIVE = re.compile(rf",?\s*(?:{cues.CONNECTIVE})(?!\w)|\s*(?:因为|由于|吧|项|选项)", re.IGNORECASE)
_OTHER_SCRIPT = re.compile(r"\s+(?:\d|[\u4e00-\u9fff])")
_ALONE = re.compile(r"[\s.。!\"']*\Z")
_TOGETHER = re.compile(
    rf"\s*{cues.TOGETHER}\s*(?:{cues.TOGETHER}\s*)?(?:{cues.OPTION_WORD}\s*)?{_OPEN}?\s?([A-J])(?![\w'])", re.IGNORECASE
)
_ABBREVIATION = re.compile(r"\.\s?[A-Za-z]\.")


class _Label(NamedTuple):
    index: int  # may lie outside the options: a label nonetheless
    end: int
    enclosed: bool


def _label_at(text: str, position: int, options: _Options, words: str, after_cue: bool) -> _Label | None:
    """The label at `position`: ``(B)``, ``B)``, ``(B`` at the very end, or a bare ``B`` that cannot be a word."""
    match = _ENCLOSED.match(text, position) or _HALF.match(text, position) or _CUT.match(text, position)
    if match is not None:
        return _Label(LETTERS.index(match[1].upper()), match.end(), True)
    match = _BARE.match(text, position)
    if match is None:
        return None
    letter, end = match[match.lastindex or 1], match.end()
    index = LETTERS.index(letter.upper())
    if letter.islower():
        return _Label(index, end, False) if _ALONE.match(text, end) else None
    if _ABBREVIATION.match(text, end):
        return None
    if (
        _AFTER_BARE.match(text, end)
        or _TOGETHER.match(text, end)
        or (text.startswith(", ", end) and letter not in words)
    ):
        return _Label(index, end, False)
    if (after_cue or text.startswith(",", end)) and _CONNECTIVE.match(text, end):
        return _Label(index, end, False)
    at, _ = _at(text, _skip(text, end), options)
    if at == index:
        return _Label(index, end, False)
    if letter not in words and at is None and (after_cue or _OTHER_SCRIPT.match(text, end)):
        return _Label(index, end, False)
    return None


_SEPARATOR = re.compile(r"[\s.:,、。;\"'-]*")
_LINE_END = re.compile(r"\s*(?:\Z|\n|[.。;!)(](?!\d))")
_LINE_LABEL = re.compile(rf"{_OPEN}\s?([A-J])\s?{_CLOSE}|([A-J])\s?(?:{_CLOSE}|[.:、](?!\w\.)|\Z)")
_ANSWER_WORD = re.compile(r"(?:answer|respuesta|答案|đáp án|jawaban|jawapan|sagot)\s*[:.]?\s*\Z", re.IGNORECASE)


_NEXT_ENTRY = re.compile(rf"[\s,;.]*{_OPEN}([A-J]){_CLOSE}")


def _skip(text: str, position: int) -> int:
    match = _SEPARATOR.match(text, position)
    return match.end() if match else position


def _settle(text: str, label: _Label, options: _Options) -> int:
    """What a label in the place of an answer amounts to: its index, SEVERAL, CONFLICT or NO_ANSWER (no such option)."""
    if label.index >= len(options.letters):
        return NO_ANSWER
    start = _skip(text, label.end)
    at, end = _at(text, start, options)
    if at == label.index:
        following = _NEXT_ENTRY.match(text, end)
        if following is not None and LETTERS.index(following[1]) != label.index:
            return SEVERAL
    elif _TOGETHER.match(text, label.end):
        return SEVERAL
    elif at is not None and (_LINE_END.match(text, end) or end - start >= 10):
        return CONFLICT
    return SEVERAL if _listed(text, label.end, label.index, options) else label.index


def _listed(text: str, position: int, index: int, options: _Options) -> bool:
    """Do the lines right after name other options in the same way? Then this is a list, not an answer."""
    for line in text[position:].split("\n")[1:]:
        line = line.strip()
        if not line or _ANSWER_WORD.match(line):
            continue
        match = _LINE_LABEL.match(line)
        other = LETTERS.index(match[1] or match[2]) if match else options.exact.get(_fold(line))
        if other is None or other >= len(options.letters):
            return False
        if match and not _is_entry(line[match.end() :].strip(), options.texts[other], options):
            return False
        if other != index:
            return True
    return False


def _is_entry(rest: str, own: str, options: _Options) -> bool:
    """Is what follows a label in a line the option alone ("(A) the Nile"), not words about it ("(A) is too short")?"""
    if not rest:
        return True
    at, end = _at(rest, 0, options)
    if at is not None:
        return _ALONE.match(rest, end) is not None
    return _JUDGED.match(" " + rest) is None and len(rest) <= 1.5 * len(own) + 8


# --- rules -----------------------------------------------------------------------------------------------------------

_WHOLE_LABEL = re.compile(
    rf"[\"']?(?:{_OPEN}\s?([A-Ja-j])\s?{_CLOSE}?|([A-Ja-j])\s?{_CLOSE}?|([A-J])(?:[\s.,]+\3(?!\w))+)[\s.。:!,\"']*\Z"
)


def _whole(text: str, options: _Options) -> int | None:
    index = options.exact.get(_fold(text))
    match = _WHOLE_LABEL.match(text)
    if match is not None:
        label = LETTERS.index((match[1] or match[2] or match[3]).upper())
        if match[1] is None and index is not None and index != label:
            return SEVERAL  # a bare "A" where another option reads "A"
        return label if label < len(options.letters) else NO_ANSWER
    return index if index is not None or "\n" in text else options.squeezed.get(_squeeze(text))


_BOXED = re.compile(r"\\boxed\s*\{\s*((?:[^{}]|\{[^{}]*\})*)\}")


def _boxed(text: str, options: _Options, words: str) -> int | None:
    found = _BOXED.findall(text)
    if not found:
        return None
    inside = found[-1].strip()
    whole = _whole(inside, options)
    return whole if whole is not None else _leading(inside, options, words)


_PREAMBLE = re.compile(rf"[\s\"'(]*(?:{cues.OPTION_WORD}\s*(?=[(\[]?[A-J](?![\w']))|[\s\"']*)", re.IGNORECASE)
_JUDGED = re.compile(
    r"\s*(?:is|are|was|were|isn't|would|could|can|cannot|can't|does|doesn't|may|might|seems|states|says|suggests|describes|"
    r"es|son|no|sería|dice|是|不|描述|说|là|không|sai|nói|adalah|ialah|bukan|tidak|salah|ay|ang|hindi|mali|ist|est|é|è)(?!\w)",
    re.IGNORECASE,
)


def _leading(text: str, options: _Options, words: str) -> int | None:
    start = _PREAMBLE.match(text)
    position = start.end() if start else 0
    label = _label_at(text, position, options, words, after_cue=False)
    if label is None:
        return None
    at, _ = _at(text, _skip(text, label.end), options)
    if at != label.index and _JUDGED.match(text, label.end):
        return None  # "(A) is wrong": the letter is spoken about; "(A) is correct" is for the cues
    return _settle(text, label, options)


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
    rf"(?:{_OPEN}\s?([A-J])\s?{_CLOSE}|(?<![\w(])([A-J]))\s*[\"']?\s*{cues.any_of(cues.ENDORSED)}", re.IGNORECASE
)
_ANY_LETTER = re.compile(rf"{_OPEN}\s?[A-J]\s?{_CLOSE}|\b[B-J]\b")
_CLAUSE = re.compile(r"[.。,;!?\n]")


def _announced(text: str, options: _Options, words: str) -> tuple[int | None, int | None]:
    """The last announced answer, and the first if the text opens with its announcement."""
    stated: list[tuple[int, int]] = []
    for match in _CUE.finditer(text):
        gap = next((value for name, value in match.groupdict().items() if value is not None), "")
        before = _CLAUSE.split(text[max(0, match.start() - 40) : match.start()])[-1]
        if _NEGATION.search(gap) or _CONDITION.search(before) or _WRONG.search(before):
            if _NO_OPTION.match(gap):
                stated.append((match.start(), NO_ANSWER))
            continue
        if _ANY_LETTER.search(gap):
            continue
        answer = _target(text, match.end(), options, words)
        if answer is not None:
            stated.append((match.start(), answer))
    for match in _ENDORSED.finditer(text):
        before = _CLAUSE.split(text[max(0, match.start() - 40) : match.start()])[-1]
        letter = match[1] or match[2]
        if letter.isupper() and not _NEGATION.search(before) and not _CONDITION.search(before):
            index = LETTERS.index(letter)
            stated.append((match.start(), index if index < len(options.letters) else NO_ANSWER))
    if not stated:
        return None, None
    stated.sort()
    opening = stated[0][1] if stated[0][0] <= 4 and stated[0][1] >= 0 else None
    return stated[-1][1], opening


_ASKED = re.compile(r"[)\]\"']*\s*\?")  # "Is the answer (A)?"


def _target(text: str, position: int, options: _Options, words: str) -> int | None:
    """The answer that stands right after a cue, or None when what follows is something else."""
    filler = _FILLER.match(text, position)
    start = filler.end() if filler else position
    for place in sorted({start, _skip(text, position)}, reverse=True):
        at, end = _at(text, place, options)
        if at is not None and at >= 0 and (len(options.texts[at]) > 1 or _LINE_END.match(text, end)):
            if _TOGETHER.match(text, end) or (options.texts[at].isdigit() and not _LINE_END.match(text, end)):
                return None
            as_label = _label_at(text, place, options, words, after_cue=True)
            if as_label is None or as_label.index == at or end > as_label.end:
                return at
            return CONFLICT
        label = _label_at(text, place, options, words, after_cue=True)
        if label is not None:
            if _ASKED.match(text, label.end):
                return None
            return _settle(text, label, options)
        if _NO_OPTION.match(text, place):
            return NO_ANSWER
    return None


_STOP = re.compile(r"[\"']?[.。!;]\s|[。；]")
_ANEW = re.compile(r"\W*(?:\Z|\d|[A-Z]|\n)")  # a digit or a capital: something else begins


def _first_line(text: str, options: _Options, words: str) -> int | None:
    index, end = _at(text, 0, options)
    line = text.split("\n", 1)[0]
    if index is None or index < 0:
        return None
    alone = _fold(line) == _fold(options.texts[index])
    worded = any(c.isalpha() for c in options.texts[index])
    sentence = worded and _STOP.match(text, end)
    long = (end >= 20 or len(_CJK.findall(text[:end])) >= 8) and _ANEW.match(text, end)
    if not (alone or sentence or long):
        return None
    others = {options.exact.get(_fold(m[0])) for m in options.pattern.finditer(text)} if options.pattern else set()
    if _listed(text, 0, index, options) or (not alone and others - {index, None}):
        return SEVERAL
    return index


_INTRODUCED = re.compile(
    rf"(?:\b(?:is|be|es|adalah|ialah|ay|là)|[是为:]|(?:{cues.OPTION_WORD}))\s*[\"']?\s*\Z", re.IGNORECASE
)
_QUOTED = re.compile(r"[\"「『]\s*\Z")
_REFUSAL = re.compile(cues.REFUSAL, re.IGNORECASE)
_MENTION = re.compile(
    rf"(?<![\w(])(?:{_OPEN}\s?([A-J])\s?{_CLOSE}|([A-J])\s?{_CLOSE}|([A-J])(?=:\s))|{_OPEN}\s?([A-J])\s?\Z"
)
_COMPLETE = re.compile(r"[^.。!?\n]+(?:[.。!?]|(?=\n))")


def _only_label(text: str, options: _Options, words: str) -> int | None:
    """One letter set off as a label, brought forward as one and not denied."""
    if _REFUSAL.search(text):
        return None
    found: dict[int, list[re.Match[str]]] = {}
    for match in _MENTION.finditer(text):
        letter = next(g for g in match.groups() if g)
        found.setdefault(LETTERS.index(letter), []).append(match)
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
        start = _skip(text, match.end())
        at, _ = _at(text, start, options)
        before = text[max(0, match.start() - 40) : match.start()]
        own = at == index or _fold(text[start : start + 12]) == _fold(options.texts[index][:12]) != ""
        introduced = _INTRODUCED.search(before) is not None or _QUOTED.search(before) is not None
        if (own or introduced or _BUT.search(before)) and at in (None, index):
            return _settle(text, _Label(index, match.end(), True), options)
    return None


_BUT = re.compile(r"\b(?:but|sino|melainkan|tetapi|mà là|kundi)\s*\Z|而是\s*\Z", re.IGNORECASE)
_DENIED_AFTER = re.compile(
    rf"[^.。!?\n]{{0,12}}?(?:{cues.any_of(cues.NEGATION)})|\s*(?:wrong|salah|incorrect|不对)", re.IGNORECASE
)


def _denied(text: str, start: int, end: int) -> bool:
    """Is the phrase at [start, end) negated in its own clause, before it or right after it?"""
    before = re.split(r"[.。!?,;\n]|\bbut\b|\bsino\b|\bmelainkan\b|而是", text[max(0, start - 80) : start])[-1]
    return _NEGATION.search(before) is not None or _DENIED_AFTER.match(text, end) is not None


def _only_option(text: str, options: _Options, words: str) -> int | None:
    """One option named in prose. Numbers never count (working has many), nor does an option that opens a sentence."""
    if options.pattern is None or _REFUSAL.search(text) or _MENTION.search(text):
        return None
    found = [(options.exact.get(_fold(m[0]), SEVERAL), m) for m in options.pattern.finditer(text)]
    if len({index for index, _ in found}) != 1 or found[0][0] < 0:
        return None
    index, words_of_it = found[0][0], options.texts[found[0][0]]
    letters = sum(c.isalpha() for c in words_of_it)
    if letters < (3 if _CJK.search(words_of_it) else 4):
        return None
    complete = [m for m in _COMPLETE.finditer(text) if m[0].strip() and not m[0].rstrip().endswith(":")]
    for sentence in (complete[0], complete[-1]) if complete else ():
        for _, match in found:
            inside = sentence.start() <= match.start() and match.end() <= sentence.end()
            opens = not text[sentence.start() : match.start()].strip(_END)
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
