"""Translating through any server that speaks the OpenAI interface."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from recipes.llm.endpoint import OpenAIClient
from recipes.llm.replies import Accept, Request, Usage
from recipes.translation import prompts

if TYPE_CHECKING:
    from recipes.translation.config import EngineOptions


class OpenAIEndpoint:
    """Translate through `/chat/completions` or `/completions`, many requests in flight. See :class:`base.Engine`."""

    sentinel = "⟦{}⟧"

    def __init__(self, options: EngineOptions) -> None:
        self.options = options
        self.joint = options.answer_format != "fields"
        self.usage = Usage()
        self.client = OpenAIClient(options, self.usage)
        self.identity: Mapping[str, Any] = {
            "engine": "openai_endpoint",
            "model": options.model,
            "api": options.api,
            "answer_format": options.answer_format,
            "prompt": prompts.template(options.api, self.joint),
            "max_tokens": options.max_tokens,
            "temperature": options.temperature,
            "retry_temperature": options.retry_temperature,
            "seed": options.seed,
            "extra_body": options.extra(),
        }

    # -- the contract ------------------------------------------------------------------------------------------------

    def check(self, source: str, targets: Iterable[str]) -> None:
        """Ask the server which models it has, within seconds."""
        self.client.check()

    def translate(self, requests: Iterable[Request], accept: Accept) -> None:
        """Send the requests, many at a time."""
        self.client.send(((request, self.body(request), self._tokens(request)) for request in requests), accept)

    def prompt_characters(self, request: Request) -> int:
        """Characters of the whole prompt."""
        return len(self._words(request))

    # -- what is sent ------------------------------------------------------------------------------------------------

    def _words(self, request: Request) -> str:
        words = prompts.template(self.options.api, self.joint)
        return prompts.render(words, request.fields, request.source, request.target, self.sentinel, self.joint)

    def body(self, request: Request) -> dict[str, Any]:
        """The JSON body of a request."""
        options = self.options
        characters = sum(len(text) for text in request.fields.values())
        body: dict[str, Any] = {
            "model": options.model,
            # a token for each source character is more than any language of the table needs with a current tokenizer
            "max_tokens": min(options.max_tokens, 64 + characters),
            "temperature": options.temperature if request.attempt == 0 else options.retry_temperature,
            "seed": options.seed + request.attempt,
        }
        if options.api == "chat":
            body["messages"] = [{"role": "user", "content": self._words(request)}]
        else:
            body["prompt"] = self._words(request) + ("\n\n" if self.joint else "")
            if not self.joint:
                body["stop"] = prompts.stop_words(next(iter(request.fields.values())), request.source)
        if options.answer_format == "json_schema":
            body["response_format"] = prompts.json_schema(request.fields)
        body |= options.extra()
        return {name: value for name, value in body.items() if value is not None}

    def _tokens(self, request: Request) -> int:
        return (self.prompt_characters(request) + sum(map(len, request.fields.values()))) // 4
