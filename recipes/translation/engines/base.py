"""What a translator is: requests in, replies out, and an identity that goes into every key and every row."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from crossin_metrics.files import canonical
from recipes.llm.replies import Accept, Request, Usage

ATTEMPTS = 2  # a translation that fails a gate is asked for once more, with another seed and temperature


class Engine(Protocol):
    """A translator.

    Attributes:
        identity: everything that changes what is answered (engine, model, prompt, sampling); JSON types only, no
            addresses and no tokens.
        joint: True when the fields of a row go into one request and come back as one JSON object.
        sentinel: format of the marks that stand for masked text, such as `"⟦{}⟧"`.
        usage: totals of this run; the caller counts replies, the engine what it repeats.
    """

    identity: Mapping[str, Any]
    joint: bool
    sentinel: str
    usage: Usage

    def check(self, source: str, targets: Iterable[str]) -> None:
        """Raise CrossinError within seconds when the engine cannot serve these languages or cannot be reached."""

    def translate(self, requests: Iterable[Request], accept: Accept) -> None:
        """Answer every request, in any order, calling `accept` once for each as soon as its reply is there.

        An exception from `accept` ends the call at once. Requests that are given up come back with `error` set.

        Raises:
            CrossinError: the engine is gone, or refuses everything.
        """

    def prompt_characters(self, request: Request) -> int:
        """Length of what would be sent for this request, in characters, for the estimate of a dry run."""


def make_request(
    identity: Mapping[str, Any], fields: Mapping[str, str], source: str, target: str, attempt: int
) -> Request:
    """Build a request with its content address."""
    payload = canonical(
        {"engine": identity, "fields": fields, "source": source, "target": target, "attempt": attempt}
    ).encode("utf-8", "surrogatepass")
    return Request(hashlib.sha256(payload).hexdigest(), dict(fields), source, target, attempt)
