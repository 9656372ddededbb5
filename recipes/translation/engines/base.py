"""What a translator is: requests in, replies out, and an identity that goes into every key and every row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from recipes.llm.replies import Accept, Request, Usage, content_key

if TYPE_CHECKING:
    from recipes.translation.config import EngineOptions

ATTEMPTS = 2  # a translation that fails a gate is requested once more, with another seed and temperature


class Engine(Protocol):
    """A translator.

    Attributes:
        identity: everything that changes the replies (engine, model, prompt, sampling); JSON types only, no addresses
            and no tokens.
        joint: True when the fields of a row go into one request and come back as one JSON object.
        sentinel: format of the marks that stand for masked text, such as `"⟦{}⟧"`.
        usage: totals of this run; the caller counts replies, the engine its retries.
    """

    identity: Mapping[str, Any]
    joint: bool
    sentinel: str
    usage: Usage

    def check(self, source: str, targets: Iterable[str]) -> None:
        """Raise CrossinError within seconds when the engine does not support these languages or cannot be reached."""

    def translate(self, requests: Iterable[Request], accept: Accept) -> None:
        """Answer every request, in any order, calling `accept` once for each as soon as its reply arrives.

        An exception from `accept` ends the call at once. Requests that are given up come back with `error` set.

        Raises:
            CrossinError: the engine is gone, or refuses everything.
        """

    def prompt_characters(self, request: Request) -> int:
        """Length of the prompt of this request, in characters, for the estimate of a dry run."""


def build_engine(options: EngineOptions) -> Engine:
    """The engine that the options name; nothing is loaded or reached before its `check`.

    Raises:
        CrossinError: an impossible combination, a missing package, or a model whose licence was not accepted.
    """
    if options.engine == "endpoint":
        from recipes.translation.engines.openai_endpoint import OpenAIEndpoint

        return OpenAIEndpoint(options)
    from recipes.translation.engines.seq2seq import Seq2SeqEngine

    return Seq2SeqEngine(options)


def make_request(
    identity: Mapping[str, Any], fields: Mapping[str, str], source: str, target: str, attempt: int
) -> Request:
    """Build a request with its key."""
    address = {"engine": identity, "fields": fields, "source": source, "target": target, "attempt": attempt}
    return Request(content_key(address), dict(fields), source, target, attempt)
