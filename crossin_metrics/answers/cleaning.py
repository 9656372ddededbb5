"""Cleaned text: what of a generated text is words, in one form."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

LETTERS = "ABCDEFGHIJ"
END = " \t\n.。!?,;:、؟۔।\"'`”“’‘«»「」『』"

CJK = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff\uac00-\ud7af\u0e00-\u0e7f]")
_SIGNS = str.maketrans(
    {
        "−": "-",
        "‐": "-",
        "‑": "-",
        "–": "-",
        "—": "-",
        "’": "'",
        "‘": "'",
        "：": ":",
        "。": "。",
        "٪": "%",
        "٫": ".",
        "٬": ",",
        "،": ",",
    }
    | dict.fromkeys("“”„‟«»‹›", '"')
    | {code: str(digit) for code in range(128, 0x1FBFA) if (digit := unicodedata.decimal(chr(code), None)) is not None}
    | {first + i: LETTERS[i] for first in (0x1F150, 0x1F170, 0x1F1E6) for i in range(len(LETTERS))}  # Ⓑ-like emoji
)
INVISIBLE = re.compile(r"[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufe0f\ufeff\u00ad\x00-\x08\x0b-\x1f]")
_END_OF_TURN = re.compile(
    r"<\|(?:im_end|eot_id|endoftext|end_of_text|end|eom_id|EOT|return|END_RESPONSE|END_OF_TURN_TOKEN)\|>|</s>|<eos>|"
    r"<end_of_turn>"
)
_HEADED_TURN = re.compile(r"(?<=\n)[ \t]*#{2,}\s*(?:user|human|instruction|input|question|system)\b", re.IGNORECASE)
_ASKED = re.compile(r"\[INST\](?:(?!\[INST\]).)*?\[/INST\]", re.DOTALL)  # a user's turn
_OTHERS_TURN = re.compile(r"\s*(?:<\|(?:im_start|start_header_id)\|>|<start_of_turn>)\s*(?:user|system)\b")
_ROLE = re.compile(r"<\|(?:im_start|start_header_id)\|>\s*\w*\s*(?:<\|end_header_id\|>)?|<start_of_turn>\s*\w*")
_SPECIAL = re.compile(r"<\|[^<>|\n]{1,40}\|>|</?(?:s|pad|bos|unk|sep|cls|mask)>|\[/?(?:INST|PAD|CLS|SEP|UNK|BOS|EOS)\]")
_LATEX = re.compile(
    r"\\(?:text|textbf|textit|mathrm|mathbf|mathsf|rm|bf|emph|underline)\s*\{([^{}]{0,500})\}|\\[()\[\]]|\$(?<!\\\$)|"
    r"\\(?:begin|end)\s?\{\w{1,20}\*?\}|\\(?=[%$#&_])|\\[,;!]|\\q?quad\b"
)
_MARKDOWN = re.compile(
    r"\*\**(?=\S)|\*(?<=\S\*)\**|__+|_(?<![^\W_]_)(?=[^\W_])|_(?<=[^\s_]_)(?![\w{])|``*|~~|"
    r"\n[ \t]*(?:(?:#{1,6}|>+)[ \t]*|[-•·][ \t]+)(?=\S)"
)  # each alternative begins with a character, which `re` looks for quickly
_MARKUP_SIGNS = frozenset("*_`#>-•·~")
_TAGS = re.compile(  # capital letters may be labels: <B>
    r"</?(p|b|i|u|em|strong|mark|center|div|span|font|h[1-6]|ul|ol|li|br|hr|BR|P)(?:\s[^<>\n]{0,200})?/?>"
)
_BLANKS = re.compile(r" [^\S\n]+|[^\S\n ][^\S\n]*")
_OTHER_BLANK = re.compile(r"[^\S\n ]")
_HEAD, _TAIL = 8_000, 24_000  # characters kept of a longer text: an answer is near one of its ends


def clean(text: str) -> str:
    """Strip what is not words: compatibility forms, special tokens, Markdown, LaTeX, repeated blanks."""
    return strip_latex(strip_markdown(first_turn(text)))


def first_turn(text: str) -> str:
    """The model's first turn, in NFKC, without special tokens; very long texts keep head and tail."""
    if len(text) > _HEAD + _TAIL:
        text = text[:_HEAD] + "\n\n" + text[-_TAIL:]
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text).translate(_SIGNS)
    text = INVISIBLE.sub("", text)
    if "<" in text or "[" in text:
        turns = [turn for turn in _END_OF_TURN.split(_ASKED.sub("<eos>", text)) if not _OTHERS_TURN.match(turn)]
        pieces = [_SPECIAL.sub(" ", _ROLE.sub(" ", turn)) for turn in turns]
        text = next((piece for piece in pieces if piece.strip()), "")
    headed = _HEADED_TURN.search(text.lstrip()) if "##" in text else None
    return text.lstrip()[: headed.start()] if headed else text


def strip_markdown(text: str) -> str:
    """The text without Markdown's marks."""
    if _MARKUP_SIGNS.isdisjoint(text):
        return text
    return _MARKDOWN.sub(lambda m: "\n" if m[0][0] == "\n" else "", "\n" + text)[1:]


_BLOCKS = frozenset(["p", "P", "br", "BR", "hr", "div", "li", "ul", "ol", "center", *(f"h{n}" for n in range(1, 7))])


def strip_html(text: str) -> str:
    """The text without HTML's marks of format; blocks begin new lines."""
    return _TAGS.sub(lambda m: "\n" if m[1] in _BLOCKS else "", text) if "<" in text else text


def strip_latex(text: str) -> str:
    """The text without LaTeX's marks, white space folded."""
    if "\\" in text or "$" in text:
        text = _LATEX.sub(lambda m: m[1] or "", text)
    if "  " in text or _OTHER_BLANK.search(text):
        text = _BLANKS.sub(" ", text)
    return text.strip()


_CAPITAL = re.compile(r"[A-J](?<![A-Za-z\u00c0-\u024f\u1e00-\u1eff].)(?![A-Za-z\u00c0-\u024f\u1e00-\u1eff])")


@lru_cache(maxsize=8)
def lowered(text: str) -> str:
    """The text in lower case but for lone capitals A to J, which may be labels; positions stay the same."""
    low = text.lower()
    if len(low) != len(text):
        low = "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
    capitals = [match.start() for match in _CAPITAL.finditer(text)]
    if not capitals:
        return low
    chars = list(low)
    for position in capitals:
        chars[position] = text[position]
    return "".join(chars)


def fold(text: str) -> str:
    """The text without differences of case, end punctuation and white space."""
    return " ".join(text.casefold().strip(END).split())


_DROPPED = r"[\s×·⋅*^_(){}\[\]\"'`$;:!?。、.,]"
_SQUEEZED_OUT = re.compile(rf"(?<!\d){_DROPPED}|{_DROPPED}(?!{_DROPPED}{{0,20}}\d)")  # kept between two digits


def squeeze(text: str) -> str:
    """The text in lower case without punctuation and spaces, except those between two digits."""
    return _SQUEEZED_OUT.sub("", text.casefold())


THOUSANDS = re.compile(r"(?<=\d)[, .'](?=\d{3}(?:\D|\Z))")
_ZEROS = re.compile(r"\.0+(?=%?\Z)")
_NUMBER = re.compile(r"-?\d+(?:[.,]\d+)?\s?%?\Z")


def number(text: str) -> str:
    """A number without thousands separators ("100,000" is "100000"); "" where the text is something else."""
    plain = THOUSANDS.sub("", text.strip(END))
    return _ZEROS.sub("", plain.replace(" ", "").replace(",", ".")) if _NUMBER.match(plain) else ""


@lru_cache(maxsize=8)
def small_letters(text: str) -> str:
    """The text without differences of case; positions stay the same."""
    small = text.casefold()
    if len(small) != len(text):
        small = "".join(next((f for f in (c.casefold(), c.lower()) if len(f) == 1), c) for c in text)
    return small
