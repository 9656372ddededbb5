"""Requests to a language model and how its replies are read."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

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


_FENCED = re.compile(r"^\s*```(?:json)?\s*\n(.*?)\n?\s*```\s*$", re.DOTALL)
_THINKING = re.compile(r"^\s*<think>.*?</think>\s*", re.DOTALL)


def read_reply(request: Request, text: str, joint: bool) -> dict[str, str]:
    """Return field name -> translated (still masked) text of a reply, stripped.

    A reasoning block at the start and a Markdown fence around the object are accepted, nothing else.

    Raises:
        FormatError: a joint reply is not a JSON object with exactly the requested fields, all strings; or a text is
            not valid Unicode, or holds replacement characters, as a cut-off reply in UTF-8 does.
    """
    text = _THINKING.sub("", text)
    fields = _read_object(request, text) if joint else dict.fromkeys(request.fields, text)
    for name, value in fields.items():
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise FormatError(f"{name}: not valid Unicode (a lone surrogate)")
        if "\ufffd" in value and "\ufffd" not in request.fields[name]:
            raise FormatError(f"{name}: holds replacement characters")
    return {name: fields[name].strip() for name in request.fields}


def _read_object(request: Request, text: str) -> dict[str, str]:
    fenced = _FENCED.match(text)
    try:
        value = json.loads(fenced.group(1) if fenced else text)
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
