"""A client of any server with the OpenAI interface: vLLM, SGLang, llama.cpp, TGI, hosted ones.

Keeps many requests in flight, within limits, with retries that honour `Retry-After`, and waits while a server restarts.
aiohttp and tenacity are what the harness itself uses for such servers (`lm_eval[api]`); aiolimiter adds the limits per
minute.
"""

from __future__ import annotations

import asyncio
import email.utils
import importlib.util
import json
import math
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

from crossin_metrics.errors import CrossinError, say
from crossin_metrics.secrets import masked, secret_place
from recipes.common.options import check_minimum, check_types, option
from recipes.llm.replies import Reply, Usage

PREFLIGHT_SECONDS = 5.0
LONG_PAUSE_SECONDS = 30.0  # worth a line to the user
MAX_RETRY_AFTER = 3600.0  # seconds; who asks for more is asked again after an hour
FAILURES_IN_A_ROW = 20  # with no success between: the set-up is wrong, not these requests
RETRIED = (408, 409, 425, 429)  # and every 5xx

_SECRET_GOES = "put it into the environment variable that api_key_env names, and leave it out here"

T = TypeVar("T")


@dataclass(kw_only=True)
class EndpointOptions:
    """How to reach a server."""

    model: str = option("Model id: as the server names it, a hub id, or a folder; {lang} is replaced by the target.")
    base_url: str = option("endpoint: address of the server.", "http://127.0.0.1:8000/v1")
    api: Literal["chat", "completions"] = option("endpoint: which interface; completions for base models.", "chat")
    api_key_env: str = option("endpoint: environment variable that holds the access token.", "OPENAI_API_KEY")
    concurrency: int = option("endpoint: requests in flight.", 64)
    requests_per_minute: int = option("endpoint: limit; 0 for none.", 0)
    tokens_per_minute: int = option("endpoint: limit, estimated from the text; 0 for none.", 0)
    request_timeout: float = option("endpoint: seconds for one reply.", 300.0)
    max_tries: int = option("endpoint: tries of one request that meets errors, with growing pauses.", 8)
    backoff_seconds: float = option("endpoint: first pause; it doubles, with jitter. Retry-After wins.", 1.0)
    backoff_max_seconds: float = option("endpoint: longest pause.", 60.0)
    patience_seconds: float = option("endpoint: how long a server may be away during a run, as for a restart.", 300.0)
    extra_body: str = option(
        "endpoint: JSON object added to every request, as chat_template_kwargs; null removes a field.", "{}"
    )

    def __post_init__(self) -> None:
        check_types(self)
        self.extra()
        check_minimum(self, 1, "concurrency", "max_tries")
        check_minimum(self, 0, "requests_per_minute", "tokens_per_minute", "backoff_seconds", "patience_seconds")
        # No message repeats what may be a secret.
        address = urlsplit(self.base_url)
        if "@" in self.base_url or address.query or address.fragment or secret_place(self.base_url):
            raise CrossinError(f"base_url holds a secret, which would be stored: {_SECRET_GOES}")
        if address.scheme not in ("http", "https") or not address.hostname:
            raise CrossinError(f"base_url: {self.base_url!r} must be an address such as http://127.0.0.1:8000/v1")
        if place := secret_place(self.extra(), "extra_body"):
            raise CrossinError(f"{place} holds a secret, which would be stored and sent to others: {_SECRET_GOES}")
        if not _is_variable(self.api_key_env):
            raise CrossinError(
                "api_key_env: must be the name of an environment variable in capitals, such as OPENAI_API_KEY, not the "
                "token itself: export the token under such a name"
            )

    def extra(self) -> dict[str, Any]:
        """`extra_body` as an object."""
        try:
            value = json.loads(self.extra_body)
        except json.JSONDecodeError as error:
            raise CrossinError(f"extra_body: not JSON ({error.msg}, column {error.colno})") from None
        if not isinstance(value, dict):
            raise CrossinError("extra_body: must be a JSON object")
        return value

    def body(
        self, prompt: str, settings: Mapping[str, Any], name: str = "", schema: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """The JSON body of a request.

        Args:
            prompt: the user's message, or the text to continue.
            settings: sampling fields such as `max_tokens`, `temperature`, `seed`, `stop`.
            name, schema: of the JSON object that the server must reply with; None for free text.
        """
        body: dict[str, Any] = {"model": self.model, **settings}
        if self.api == "chat":
            body["messages"] = [{"role": "user", "content": prompt}]
        else:
            body["prompt"] = prompt
        if schema is not None:
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": name, "strict": True, "schema": schema},
            }
        return {name: value for name, value in (body | self.extra()).items() if value is not None}


def _is_variable(name: str) -> bool:
    """Whether this is a variable's name, rather than a token that was put in its place."""
    if name in os.environ:
        return True
    looks_random = len(name) >= 16 and sum(c.isdigit() for c in name) >= 3
    return bool(re.fullmatch(r"[A-Z][A-Z0-9_]*", name)) and not looks_random and secret_place(name) is None


class _Retry(Exception):
    """A failure that may pass; `after`: seconds the server asked to wait; `gone`: nobody answered at all."""

    def __init__(self, reason: str, after: float | None = None, gone: bool = False) -> None:
        super().__init__(reason)
        self.after = after
        self.gone = gone


class _Refused(Exception):
    """The server refuses this request, however often it is sent."""


class OpenAIClient:
    """Sends bodies to `/chat/completions` or `/completions` of a server.

    Args:
        options: how to reach the server; the access token is read from the environment for each run and never stored.
        usage: where retries are counted; the caller counts replies.

    Raises:
        CrossinError: a package is missing.
    """

    def __init__(self, options: EndpointOptions, usage: Usage) -> None:
        missing = [name for name in ("aiohttp", "aiolimiter", "tenacity") if importlib.util.find_spec(name) is None]
        if missing:
            raise CrossinError(f"engine endpoint needs {', '.join(missing)}: pip install 'crossin[translate]'")
        self.options = options
        self.usage = usage
        self.url = options.base_url.rstrip("/")

    def check(self) -> None:
        """Ask the server which models it has, within seconds.

        Raises:
            CrossinError: nobody answers, the token is refused, or the model is not served.
        """
        served = asyncio.run(self._served_models())
        if served is not None and self.options.model not in served:
            raise CrossinError(
                f"{self.url} does not serve model {self.options.model!r}; it serves: {', '.join(served) or 'none'}"
            )

    def send(self, requests: Iterable[tuple[T, Mapping[str, Any], int]], accept: Callable[[T, Reply], None]) -> None:
        """Answer every request, in any order, calling `accept` once for each as soon as its reply arrives.

        Args:
            requests: what `accept` gets back, the JSON body, and roughly the tokens of prompt and reply together.
            accept: an exception from it ends the call at once. A request that was given up has `Reply.error` set.

        Raises:
            CrossinError: the server is gone, refuses the token, or fails many requests in a row.
        """
        asyncio.run(self._send(iter(requests), accept))

    @property
    def _token(self) -> str:
        return os.environ.get(self.options.api_key_env, "")

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"} if self._token else {}

    async def _served_models(self) -> list[str] | None:
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=PREFLIGHT_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, headers=self._headers()) as session,
                session.get(f"{self.url}/models") as response,
            ):
                self._check_token(response.status)
                if response.status != 200:  # not every server lists its models; the first request will show
                    return None
                listed = (await response.json(content_type=None)).get("data", [])
                return [str(entry.get("id")) for entry in listed]
        except CrossinError:
            raise
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError, ValueError, AttributeError) as error:
            reason = "no answer" if isinstance(error, asyncio.TimeoutError) else str(error) or type(error).__name__
            raise CrossinError(
                f"cannot reach {self.url} ({reason}). Start the server, for instance "
                f"`vllm serve {self.options.model}`, or give its address with --base_url"
            ) from error

    def _check_token(self, status: int) -> None:
        if status in (401, 403):
            raise CrossinError(
                f"{self.url} answered {status}: set the access token in the environment variable "
                f"{self.options.api_key_env} (or name another with --api_key_env)"
            )

    async def _send(
        self, requests: Iterator[tuple[T, Mapping[str, Any], int]], accept: Callable[[T, Reply], None]
    ) -> None:
        import aiohttp
        from aiolimiter import AsyncLimiter

        options = self.options
        self._failures = 0
        self._heard = time.monotonic()  # when the server last answered anything
        self._hold_until = 0.0
        per_minute = (options.requests_per_minute, options.tokens_per_minute)
        self._limits = [AsyncLimiter(limit, 60) if limit > 0 else None for limit in per_minute]
        timeout = aiohttp.ClientTimeout(total=options.request_timeout, sock_connect=10)
        connector = aiohttp.TCPConnector(limit=options.concurrency)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector, headers=self._headers()) as session:

            async def worker() -> None:
                for request, body, tokens in requests:  # one iterator for all: each worker takes the next one
                    accept(request, await self._ask(session, body, tokens))

            workers = [asyncio.create_task(worker()) for _ in range(options.concurrency)]
            try:
                await asyncio.gather(*workers)
            finally:
                for task in workers:
                    task.cancel()
                await asyncio.gather(*workers, return_exceptions=True)

    async def _ask(self, session: Any, body: Mapping[str, Any], tokens: int) -> Reply:
        from tenacity import AsyncRetrying, RetryError, retry_if_exception_type

        attempts = AsyncRetrying(
            retry=retry_if_exception_type(_Retry), stop=self._stop(), wait=self._wait, before_sleep=self._before_sleep
        )
        try:
            async for attempt in attempts:
                with attempt:
                    await self._turn(tokens)
                    reply = await self._post(session, body)
            self._failures = 0
            return reply
        except RetryError as error:
            failure = error.last_attempt.exception()
            silent = time.monotonic() - self._heard
            if isinstance(failure, _Retry) and failure.gone and silent >= self.options.patience_seconds:
                raise CrossinError(
                    f"{self.url} has not answered for {silent:.0f} s ({failure}). All replies so far are stored: start "
                    "the server and rerun the same command to resume"
                ) from None
            reason = f"gave up after {error.last_attempt.attempt_number} tries: {failure}"
        except _Refused as error:
            reason = f"refused: {error}"
        self._failures += 1
        if self._failures >= FAILURES_IN_A_ROW:
            raise CrossinError(
                f"{self.url} failed {self._failures} requests in a row, the last: {reason}. All replies so far are "
                "stored: fix the problem and rerun the same command to resume"
            )
        return Reply("", error=reason)

    async def _turn(self, tokens: int) -> None:
        """Wait until a request of this size may be sent."""
        for limit, amount in zip(self._limits, (1, tokens), strict=True):
            if limit is not None:
                await limit.acquire(min(amount, limit.max_rate))
        while (pause := self._hold_until - time.monotonic()) > 0:
            await asyncio.sleep(pause)

    def _stop(self) -> Callable[[Any], bool]:
        """A fresh rule for one request: when to give it up.

        A try counts when the server refused it, or dropped it while answering others. While the server answers nobody,
        as during a restart, tries do not count and `patience_seconds` decides.
        """
        counted = 0
        failed_before = math.inf

        def rule(state: Any) -> bool:
            nonlocal counted, failed_before
            gone = state.outcome.exception().gone
            counted += not gone or self._heard > failed_before
            failed_before = time.monotonic()
            silent = failed_before - self._heard
            return counted >= self.options.max_tries or (gone and silent >= self.options.patience_seconds)

        return rule

    def _wait(self, state: Any) -> float:
        """Seconds to wait: what the server asked for, or exponential backoff with jitter."""
        from tenacity import wait_exponential_jitter

        first, most = self.options.backoff_seconds, self.options.backoff_max_seconds
        after = state.outcome.exception().after
        return float(after if after is not None else wait_exponential_jitter(first, most, jitter=first)(state))

    def _before_sleep(self, state: Any) -> None:
        """Count the retry, and hold back all requests where the server asked for a pause."""
        failure = state.outcome.exception()
        self.usage.waits["no answer" if failure.gone else str(failure).split(":")[0]] += 1
        if failure.after is not None:
            self._hold_until = max(self._hold_until, time.monotonic() + failure.after)
            if failure.after >= LONG_PAUSE_SECONDS:
                say(f"the server asks for a pause of {failure.after:.0f} s ({failure})")

    async def _post(self, session: Any, body: Mapping[str, Any]) -> Reply:
        import aiohttp

        path = "/chat/completions" if self.options.api == "chat" else "/completions"
        try:
            async with session.post(self.url + path, json=body) as response:
                text = await response.text(encoding="utf-8", errors="replace")
                status, headers = response.status, response.headers
        except asyncio.TimeoutError:
            raise _Retry(f"no answer within {self.options.request_timeout:g} s", gone=True) from None
        except (aiohttp.ClientError, OSError) as error:
            gone = isinstance(error, (aiohttp.ClientConnectionError, OSError))
            raise _Retry(str(error) or type(error).__name__, gone=gone) from None
        self._heard = time.monotonic()
        self._check_token(status)
        excerpt = masked(" ".join(text[:10_000].split()), [self._token])[:200]
        if status == 404:
            raise CrossinError(f"{self.url} answered 404 for {path}: {excerpt}")
        if status in RETRIED or status >= 500:
            raise _Retry(f"status {status}: {excerpt}", after=retry_after(headers.get("Retry-After")))
        if status != 200:
            raise _Refused(f"status {status}: {excerpt}")
        try:
            value = json.loads(text)
            choice = value["choices"][0]
            content = choice["message"]["content"] if self.options.api == "chat" else choice["text"]
            finish_reason = str(choice.get("finish_reason") or "stop")
            usage = value.get("usage") or {}
            if not isinstance(content, str):  # a refusal or an empty message: the gates report it
                content = ""
            content = content.encode("utf-8", "replace").decode()  # half of a surrogate pair becomes "?"
            return Reply(content, finish_reason, usage.get("prompt_tokens"), usage.get("completion_tokens"))
        except (ValueError, KeyError, IndexError, TypeError, AttributeError):
            raise _Retry(f"not a reply of this interface: {excerpt}") from None


def retry_after(value: str | None) -> float | None:
    """Seconds from a Retry-After header, a number or an HTTP date (RFC 9110, 10.2.3), an hour at most.

    None if it is absent or unreadable, or asks for no pause (0, a date in the past): then the usual backoff applies.
    """
    try:
        seconds = float(value or "")
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(value or "").timestamp() - time.time()
        except (TypeError, ValueError, OverflowError):
            return None
    return min(seconds, MAX_RETRY_AFTER) if 0.0 < seconds < math.inf else None
