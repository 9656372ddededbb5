"""What a model's words are read with: cleaning, the options as patterns, and labels such as ``(B)``.

Used by :mod:`crossin_metrics.answers`, which holds the rules.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

from crossin_metrics.answers import cues
from crossin_metrics.errors import CrossinError

LETTERS = "ABCDEFGHIJ"
SEVERAL, NO_ANSWER, CONFLICT = -1, -2, -3  # what a stated answer can be, when it is not an option


# --- options ---------------------------------------------------------------------------------------------------------


class Options(NamedTuple):
    """A question's options, prepared for being found in a text."""

    texts: tuple[str, ...]  # cleaned, unlabelled
    exact: dict[str, int]  # folded text -> index, unambiguous ones only
    squeezed: dict[str, int]  # the same without spaces and most signs, for formulas
    pattern: re.Pattern[str] | None  # any option's text, the longest first
    letters: str  # "ABCD"


_CHOICE_LABEL = re.compile(r"\s*[(\[]?\s*([A-J])\s*[)\].:、]\s*(?=\S)")
END = " \t\n.。!?,;:、؟۔।\"'`”“’‘«»「」『』"


@lru_cache(maxsize=65536)
def options_of(choices: tuple[str, ...]) -> Options:
    """Prepare options for matching, cached; raises CrossinError unless there are 2 to 10."""
    if not 2 <= len(choices) <= len(LETTERS):
        raise CrossinError(f"{len(choices)} choices given; an answer can be read among 2 to {len(LETTERS)}")
    texts = [clean(choice) for choice in choices]
    labels = [_CHOICE_LABEL.match(text) for text in texts]
    if all(m is not None and m[1] == letter for m, letter in zip(labels, LETTERS, strict=False)):
        texts = [text[m.end() :] for text, m in zip(texts, labels, strict=True) if m is not None]
    folded = [fold(text) for text in texts]
    by_length = sorted({f for f in folded if f}, key=len, reverse=True)
    groups = [_literal(f) for f in by_length]
    unique = {f: folded.index(f) for f in by_length if folded.count(f) == 1}
    squeezed = [squeeze(text) for text in texts]
    return Options(
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
    return (char.isalnum() or char == "_") and not CJK.match(char)


def option_at(text: str, position: int, options: Options) -> tuple[int | None, int]:
    """The option whose text stands at `position` (None: none; SEVERAL: two options of one wording) and its end."""
    match = options.pattern.match(text, position) if options.pattern else None
    if match is None:
        return None, position
    return options.exact.get(fold(match[0]), SEVERAL), match.end()


# --- cleaning --------------------------------------------------------------------------------------------------------

CJK = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff\uac00-\ud7af\u0e00-\u0e7f]")
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


def fold(text: str) -> str:
    """Return the text without differences of case, end punctuation and white space."""
    return " ".join(text.casefold().strip(END).split())


_DROPPED = r"[\s×·⋅*^_(){}\[\]\"'`$;:!?。、.,]+"
_SQUEEZED_OUT = re.compile(rf"(?<!\d){_DROPPED}|{_DROPPED}(?!\d|[\s×·⋅*^_(){{}}\[\].,])")  # kept between two digits


def squeeze(text: str) -> str:
    """Return the text in lower case without punctuation and spaces, except those between two digits."""
    return _SQUEEZED_OUT.sub("", text.casefold())


_NEXT = re.compile(
    rf"(?:^|\n)[ ]*(?:{cues.NEXT_QUESTION}|{cues.NEXT_TURN})|(?<=[.。!?\n])assistant\n|(?<=\s)#{{2,}}\s*{cues.TURN}",
    re.IGNORECASE,
)


def this_question(text: str, options: Options) -> str:
    """The part before a next question or turn. A text that opens with one is kept if it repeats our options."""
    found = _NEXT.search(text)
    if found is None:
        return text
    if found.start() > 0:
        return text[: found.start()].strip()
    second = _NEXT.search(text, found.end())
    text = text[: second.start()].strip() if second else text
    seen = {options.exact.get(fold(m[0])) for m in options.pattern.finditer(text)} if options.pattern else set()
    return text if len(seen - {None}) >= 2 else ""


# --- labels ----------------------------------------------------------------------------------------------------------

OPEN, CLOSE = r"[(\[{<【「『〔《]", r"[)\]}>】」』〕》]"
_ENCLOSED = re.compile(rf"{OPEN}\s?([A-Ja-j])\s?{CLOSE}")
_HALF = re.compile(rf"([A-Ja-j])\s?{CLOSE}")
_CUT = re.compile(r"[(\[【]\s?([A-J])[\s.。!\"']*\Z")
_BARE = re.compile(r"([A-Ja-j])(?![\w'])|([A-J])(?=因为|由于|选?项|吧|です|입니다|이다)")
_AFTER_BARE = re.compile(
    r"\s*\Z|\s*\n|\s?[;!\"»|]|\s?:(?!\s*\d)|\s?\.(?!\w)|\.(?=[^\W\d_]{2}|[\u4e00-\u9fff])|[。、]|\s-+\s"
)
_CONNECTIVE = re.compile(rf",?\s*(?:{cues.CONNECTIVE})(?!\w)|\s*(?:因为|由于|吧|项|选项)", re.IGNORECASE)
_OTHER_SCRIPT = re.compile(r"\s+(?:\d|[\u4e00-\u9fff])")
_COMMA = re.compile(r",(?=\s|[^\x00-\x7f])")
_ANEW = re.compile(r"\s+[^a-z\s]|[^\x00-\x7f]")  # after "the answer is B": no word in small letters, as in "C major"
_ALONE = re.compile(r"[\s.。!\"']*\Z")
TOGETHER = re.compile(
    rf"\s*{cues.TOGETHER}\s*(?:{cues.TOGETHER}\s*)?(?:{cues.OPTION_WORD}\s*)?{OPEN}?\s?([A-J])(?![\w'])", re.IGNORECASE
)
_ABBREVIATION = re.compile(r"\.\s?[A-Za-z]\.")


class Label(NamedTuple):
    """An option's letter in a text: which option it names, and where it ends."""

    choice: int  # may lie outside the options: a label nonetheless
    end: int


def label_at(text: str, position: int, options: Options, words: str, after_cue: bool) -> Label | None:
    """The label at `position`: ``(B)``, ``B)``, ``(B`` at the very end, or a bare ``B`` that cannot be a word."""
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
    if _AFTER_BARE.match(text, end) or TOGETHER.match(text, end):
        return Label(index, end)
    if letter not in words and _COMMA.match(text, end):
        return Label(index, end)
    if (after_cue or (letter != "I" and text.startswith(",", end))) and _CONNECTIVE.match(text, end):
        return Label(index, end)
    if letter not in words and at is None and (_ANEW if after_cue else _OTHER_SCRIPT).match(text, end):
        return Label(index, end)
    return None


_SEPARATOR = re.compile(r"[\s.:,、。;(\"'-]*")
LINE_END = re.compile(r"\s*(?:\Z|\n|[.。;!)(](?!\d))")
_LINE_LABEL = re.compile(rf"{OPEN}\s?([A-J])\s?{CLOSE}|([A-J])\s?(?:{CLOSE}|[.:、](?!\w\.)|\Z)")
_ANSWER_WORD = re.compile(r"(?:answer|respuesta|答案|đáp án|jawaban|jawapan|sagot)\s*[:.]?\s*\Z", re.IGNORECASE)


_NEXT_ENTRY = re.compile(rf"[\s,;.。!?\"'|]*{OPEN}([A-J]){CLOSE}")


def skip(text: str, position: int) -> int:
    """Return the position behind a separator that begins at `position`, or `position`."""
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
        if following is not None and LETTERS.index(following[1]) != label.choice:
            return SEVERAL
    elif TOGETHER.match(text, label.end):
        return SEVERAL
    elif at is not None and at >= 0 and (LINE_END.match(text, end) or end - start >= 10):
        return CONFLICT
    return SEVERAL if listed(text, label.end, label.choice, options) else label.choice


def listed(text: str, position: int, index: int, options: Options) -> bool:
    """Do the lines right after name other options in the same way? Then this is a list, not an answer."""
    for line in text[position:].split("\n")[1:]:
        line = line.strip()
        if not line or _ANSWER_WORD.match(line):
            continue
        match = _LINE_LABEL.match(line)
        other = LETTERS.index(match[1] or match[2]) if match else options.exact.get(fold(line))
        if other is None or other >= len(options.letters):
            return False
        if match and not _is_entry(line[match.end() :].strip(), options):
            return False
        if other != index:
            return True
    return False


JUDGED = re.compile(
    r"\s*(?:is|are|was|were|isn't|would|could|can|cannot|can't|does|doesn't|may|might|seems|states|says|suggests|describes|"
    r"es|son|no|sería|dice|是|不|描述|说|là|không|sai|nói|adalah|ialah|bukan|tidak|salah|ay|ang|hindi|mali|ist|est|é|è)(?!\w)",
    re.IGNORECASE,
)


def _is_entry(rest: str, options: Options) -> bool:
    """Is what follows a label in a line the option alone ("(A) the Nile"), not words about it ("(A) is too short")?"""
    if not rest:
        return True
    at, end = option_at(rest, 0, options)
    if at is not None:
        return _ALONE.match(rest, end) is not None
    return JUDGED.match(" " + rest) is None
