"""Requests to a language model and how its replies are read."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from crossin_metrics.answers.thoughts import split_thought
from crossin_metrics.files import canonical

GOOD_FINISH = ("stop", "eos", "eos_token", "end_turn", "stop_sequence")
"""Finish reasons of a reply that the model ended by itself."""


@dataclass(frozen=True)
class Request:
    """One thing to translate: all fields of a row together, or one field alone (see :attr:`Engine.joint`)."""

    key: str  # its content address, see `content_key`
    fields: Mapping[str, str]  # field name -> masked text, none of them empty
    source: str  # ISO 639 codes of the project's language table
    target: str
    attempt: int  # 0, or 1 for the second try


def content_key(address: Mapping[str, Any]) -> str:
    """Sha256 of everything that decides a reply: a stored reply answers the same request of any later run."""
    return hashlib.sha256(canonical(address).encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True)
class Reply:
    """What came back, unchanged: replies are stored before they are read."""

    text: str
    finish_reason: str = "stop"  # "length" when the model was cut off
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    error: str | None = None  # the request was refused or never answered; such a reply is not stored


Accept = Callable[[Request, Reply], None]


@dataclass
class Usage:
    """Totals of one run with an engine. `waits` counts retries by what went wrong."""

    replies: int = 0
    errors: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    waits: Counter[str] = field(default_factory=Counter)

    def count(self, reply: Reply) -> None:
        """Add one reply."""
        self.replies += reply.error is None
        self.errors += reply.error is not None
        self.prompt_tokens += reply.prompt_tokens or 0
        self.completion_tokens += reply.completion_tokens or 0

    def __str__(self) -> str:
        parts = [f"{self.replies} requests answered in this run"]
        if self.prompt_tokens:
            parts.append(f"{self.prompt_tokens} prompt and {self.completion_tokens} reply tokens")
        parts += [f"{count} retries after: {name}" for name, count in self.waits.most_common()]
        return ", ".join(parts)


class FormatError(ValueError):
    """A reply that is not the requested object."""


_FENCED = re.compile(r"\s*(```|~~~)\w*[ \t]*\n(.*?)\n?[ \t]*\1\s*", re.DOTALL)
_TRANSLATION = (  # as models announce one, in English and in the languages of translations
    r"\btranslat|traduc|tradu[çz]|überset|vertaling|bản dịch|dịch sang|翻译|翻譯|译文|譯文|译成|翻訳|번역|terjemah|"
    r"salin|перев[оі]д|ترجم|अनुवाद|คำแปล|แปล|çevir"
)
_PREAMBLE = re.compile(rf"[^\n:：]{{0,100}}?(?:{_TRANSLATION})[^\n:：]{{0,80}}[:：](?:\*\*)?\s*", re.IGNORECASE)
_QUOTES = ('""', "''", "“”", "„“", "‘’", "«»", "「」", "『』")


def is_failed(text: str, finish_reason: str) -> bool:
    """Whether a reply is empty or was not ended by the model: the next run asks again."""
    return not text.strip() or finish_reason not in GOOD_FINISH


def read_reply(request: Request, text: str, joint: bool) -> dict[str, str]:
    """Return field name -> translated (still masked) text of a reply, stripped.

    Thoughts before it, and what models put around a text (a Markdown fence, "Here is the translation:", quotes), are
    taken off where the source has none.

    Raises:
        FormatError: a joint reply is not a JSON object with exactly the requested fields, all strings; a text has
            more around it; or it is not valid Unicode, or holds replacement characters, as a cut-off reply does.
    """
    split = split_thought(text)
    if split.cut:
        raise FormatError("the thought does not end")
    text = split.answer
    fields = _read_object(request, text) if joint else dict.fromkeys(request.fields, text)
    for name, value in fields.items():
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise FormatError(f"{name}: not valid Unicode (a lone surrogate)")
        if "\ufffd" in value and "\ufffd" not in request.fields[name]:
            raise FormatError(f"{name}: holds replacement characters")
    return {name: _unwrap(name, fields[name], source) for name, source in request.fields.items()}


def _unwrap(name: str, text: str, source: str) -> str:
    """The text without what a model put around it.

    Raises:
        FormatError: something that the source lacks is left.
    """
    if not source:  # written, not translated
        return text.strip()
    before = None
    while text != before:
        before = text = text.strip()
        if (fenced := _FENCED.fullmatch(text)) and source[:3] != text[:3]:
            text = fenced.group(2)
        if (preamble := _PREAMBLE.match(text)) and _colons(text) > _colons(source):
            text = text[preamble.end() :]
        inner = text[1:-1]
        quoted = text[:1] + text[-1:] in _QUOTES and not {text[0], text[-1]} & set(inner)
        if quoted and inner and source[:1] + source[-1:] not in _QUOTES:
            text = inner
    for mark in ("```", "~~~"):
        if mark in text and mark not in source:
            raise FormatError(f"{name}: a code fence that the source lacks")
    first, _, rest = text.partition("\n")
    if rest.strip() and first.rstrip().endswith((":", "：")) and not re.search(r":\s*(?:\n|$)", source):
        raise FormatError(f"{name}: begins with a line that the source lacks: {first[:80]!r}")
    if "\n\n" in text and "\n" not in source.strip():
        raise FormatError(f"{name}: paragraphs that the source lacks")
    return text


def _colons(text: str) -> int:
    return text.count(":") + text.count("：")


def _read_object(request: Request, text: str) -> dict[str, str]:
    fenced = _FENCED.fullmatch(text)
    try:
        value = json.loads(fenced.group(2) if fenced else text)
    except json.JSONDecodeError as error:
        raise FormatError(f"not JSON: {error.msg} at character {error.pos}") from None
    except RecursionError:
        raise FormatError("not readable JSON: nested too deep") from None
    if not isinstance(value, dict):
        raise FormatError(f"a JSON {type(value).__name__}, not an object")
    missing = [name for name in request.fields if name not in value]
    extra = [name for name in value if name not in request.fields]
    if missing or extra:
        raise FormatError(f"missing fields: {missing}, unexpected fields: {extra}")
    wrong = [name for name in value if not isinstance(value[name], str)]
    if wrong:
        raise FormatError(f"fields that are not strings: {wrong}")
    return value
