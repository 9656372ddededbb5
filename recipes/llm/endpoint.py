"""A client of any server that speaks the OpenAI interface: vLLM, SGLang, llama.cpp, TGI, hosted ones.

Many requests in flight, with limits, retries that honour `Retry-After`, and patience while a server restarts. aiohttp
and tenacity are what the harness itself uses for such servers (`lm_eval[api]`), so nothing new is learnt or installed;
aiolimiter adds the requests-a-minute and tokens-a-minute limits.
"""

from __future__ import annotations

import asyncio
import email.utils
import importlib.util
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

from crossin_metrics.errors import CrossinError
from recipes.common.options import check_types, option
from recipes.llm.replies import Reply, Usage

PREFLIGHT_SECONDS = 5.0
LONG_PAUSE_SECONDS = 30.0  # worth a line to the user
FAILURES_IN_A_ROW = 20  # with no success between: the set-up is wrong, not these requests

T = TypeVar("T")


@dataclass(kw_only=True)
class EndpointOptions:
    """How a server is reached."""

    model: str = option("Model id: as the server names it, a hub id, or a folder; {lang} stands for the target.")
    base_url: str = option("endpoint: address of the server.", "http://127.0.0.1:8000/v1")
    api: Literal["chat", "completions"] = option("endpoint: which interface; completions for base models.", "chat")
    api_key_env: str = option("endpoint: environment variable that holds the access token.", "OPENAI_API_KEY")
    concurrency: int = option("endpoint: requests in flight.", 64)
    requests_per_minute: int = option("endpoint: at most so many; 0 for no limit.", 0)
    tokens_per_minute: int = option("endpoint: at most so many, estimated from the text; 0 for no limit.", 0)
    request_timeout: float = option("endpoint: seconds for one reply.", 300.0)
    max_tries: int = option("endpoint: tries of one request that meets errors, with growing pauses.", 8)
    backoff_seconds: float = option("endpoint: first pause; it doubles, with jitter. Retry-After wins.", 1.0)
    backoff_max_seconds: float = option("endpoint: longest pause.", 60.0)
    patience_seconds: float = option("endpoint: how long a server may be away during a run, as for a restart.", 300.0)
    extra_body: str = option(
        "endpoint: JSON object added to every request, as chat_template_kwargs; null takes a field out.", "{}"
    )

    def __post_init__(self) -> None:
        check_types(self)
        self.extra()
        for name in ("concurrency", "max_tries"):
            if getattr(self, name) < 1:
                raise CrossinError(f"{name}: {getattr(self, name)} must be 1 or more")
        for name in ("requests_per_minute", "tokens_per_minute", "backoff_seconds", "patience_seconds"):
            if getattr(self, name) < 0:
                raise CrossinError(f"{name}: {getattr(self, name)} must not be negative")
        address = urlsplit(self.base_url)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise CrossinError(f"base_url: {self.base_url!r} is no address; expected such as http://127.0.0.1:8000/v1")
        if address.username or address.password or address.query:
            raise CrossinError("base_url: holds a secret; put it into the environment variable that api_key_env names")

    def extra(self) -> dict[str, Any]:
        """`extra_body` as an object."""
        try:
            value = json.loads(self.extra_body)
        except json.JSONDecodeError as error:
            raise CrossinError(f"extra_body: not JSON ({error.msg}, column {error.colno})") from None
        if not isinstance(value, dict):
            raise CrossinError("extra_body: must be a JSON object")
        return value


class _TryAgain(Exception):
    """A failure that may pass; `after` is what the server asked for, in seconds."""

    def __init__(self, reason: str, after: float | None = None, gone: bool = False) -> None:
        super().__init__(reason)
        self.after = after
        self.gone = gone  # nobody answered at all, as while a server restarts


class _Refused(Exception):
    """The server will not answer this request, however often it is asked."""


class OpenAIClient:
    """Sends bodies to `/chat/completions` or `/completions` of a server.

    Args:
        options: how the server is reached; the access token is read from the environment for each run and held nowhere.
        usage: where repeated tries are counted; replies are the caller's to count.

    Raises:
        CrossinError: a package is missing.
    """

    def __init__(self, options: EndpointOptions, usage: Usage) -> None:
        missing = [name for name in ("aiohttp", "aiolimiter", "tenacity") if importlib.util.find_spec(name) is None]
        if missing:
            raise CrossinError(f"engine endpoint needs {', '.join(missing)}: pip install 'crossin[translate]'")
        self.options = options
        self.usage = usage

    def check(self) -> None:
        """Ask the server which models it has, within seconds.

        Raises:
            CrossinError: nobody answers, the token is refused, or the model is not served.
        """
        served = asyncio.run(self._served_models())
        if served is not None and self.options.model not in served:
            raise CrossinError(
                f"{self._url()} does not serve model {self.options.model!r}; it serves: {', '.join(served) or 'none'}"
            )

    def send(self, requests: Iterable[tuple[T, Mapping[str, Any], int]], accept: Callable[[T, Reply], None]) -> None:
        """Answer every request, in any order, calling `accept` once for each as soon as its reply is there.

        Args:
            requests: what `accept` gets back, the JSON body, and about how many tokens prompt and reply have together.
            accept: an exception from it ends the call at once. A request that was given up has `Reply.error` set.

        Raises:
            CrossinError: the server is gone, refuses the token, or fails many requests in a row.
        """
        asyncio.run(self._send(iter(requests), accept))

    def _headers(self) -> dict[str, str]:
        token = os.environ.get(self.options.api_key_env, "")  # read here, held nowhere
        return {"Authorization": f"Bearer {token}"} if token else {}

    def _url(self, path: str = "") -> str:
        return self.options.base_url.rstrip("/") + path

    async def _served_models(self) -> list[str] | None:
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=PREFLIGHT_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, headers=self._headers()) as session,
                session.get(self._url("/models")) as response,
            ):
                if response.status in (401, 403):
                    raise CrossinError(self._unauthorised(response.status))
                if response.status != 200:  # not every server lists its models; the first request will tell
                    return None
                listed = (await response.json(content_type=None)).get("data", [])
                return [str(entry.get("id")) for entry in listed]
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError, ValueError, AttributeError) as error:
            if isinstance(error, CrossinError):
                raise
            reason = "no answer" if isinstance(error, asyncio.TimeoutError) else str(error) or type(error).__name__
            raise CrossinError(
                f"cannot reach {self._url()} ({reason}). Start the server, for instance "
                f"`vllm serve {self.options.model}`, or give its address with --base_url"
            ) from error

    def _unauthorised(self, status: int) -> str:
        return (
            f"{self._url()} answered {status}: set the access token in the environment variable "
            f"{self.options.api_key_env} (or name another with --api_key_env)"
        )

    async def _send(
        self, requests: Iterator[tuple[T, Mapping[str, Any], int]], accept: Callable[[T, Reply], None]
    ) -> None:
        import aiohttp

        run = _Run(self.options, self.usage)
        timeout = aiohttp.ClientTimeout(total=self.options.request_timeout, sock_connect=10)
        connector = aiohttp.TCPConnector(limit=self.options.concurrency)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector, headers=self._headers()) as session:

            async def worker() -> None:
                for request, body, tokens in requests:  # one iterator for all workers: each takes the next that is free
                    accept(request, await self._ask(session, body, tokens, run))

            workers = [asyncio.create_task(worker()) for _ in range(self.options.concurrency)]
            try:
                await asyncio.gather(*workers)
            finally:
                for task in workers:
                    task.cancel()
                await asyncio.gather(*workers, return_exceptions=True)

    async def _ask(self, session: Any, body: Mapping[str, Any], tokens: int, run: _Run) -> Reply:
        from tenacity import AsyncRetrying, RetryError, retry_if_exception_type

        try:
            async for attempt in AsyncRetrying(
                retry=retry_if_exception_type(_TryAgain), stop=run.stop(), wait=run.wait, before_sleep=run.before_sleep
            ):
                with attempt:
                    await run.turn(tokens)
                    reply = await self._post(session, body, run)
        except RetryError as error:
            failure = error.last_attempt.exception()
            if isinstance(failure, _TryAgain) and failure.gone and run.silent() >= self.options.patience_seconds:
                raise CrossinError(
                    f"{self._url()} has not answered for {run.silent():.0f} s ({failure}). What was answered is "
                    "stored; start the server and run the same command again"
                ) from None
            reply = run.failed(f"gave up after {error.last_attempt.attempt_number} tries: {failure}")
        except _Refused as error:
            reply = run.failed(f"refused: {error}")
        if reply.error is None:
            return run.answered(reply)
        if run.failures >= FAILURES_IN_A_ROW:
            raise CrossinError(
                f"{self._url()} failed {run.failures} requests in a row, the last: {reply.error}. What was "
                "answered is stored; mend this and run the same command again"
            )
        return reply

    async def _post(self, session: Any, body: Mapping[str, Any], run: _Run) -> Reply:
        import aiohttp

        path = "/chat/completions" if self.options.api == "chat" else "/completions"
        try:
            async with session.post(self._url(path), json=body) as response:
                text = await response.text(encoding="utf-8", errors="replace")
                status, headers = response.status, response.headers
        except asyncio.TimeoutError:
            raise _TryAgain(f"no answer within {self.options.request_timeout:g} s", gone=True) from None
        except (aiohttp.ClientConnectionError, OSError) as error:
            raise _TryAgain(str(error) or type(error).__name__, gone=True) from None
        except aiohttp.ClientError as error:
            raise _TryAgain(str(error) or type(error).__name__) from None
        run.heard()
        if status in (401, 403):
            raise CrossinError(self._unauthorised(status))
        if status == 404:
            raise CrossinError(f"{self._url()} answered 404 for {path}: {_excerpt(text)}")
        if status in (408, 409, 425, 429) or status >= 500:
            raise _TryAgain(f"status {status}: {_excerpt(text)}", after=retry_after(headers.get("Retry-After")))
        if status != 200:
            raise _Refused(f"status {status}: {_excerpt(text)}")
        return self._read(text)

    def _read(self, text: str) -> Reply:
        try:
            value = json.loads(text)
            choice = value["choices"][0]
            content = choice["message"]["content"] if self.options.api == "chat" else choice["text"]
            finish_reason = str(choice.get("finish_reason") or "stop")
            usage = value.get("usage") or {}
            if not isinstance(content, str):  # a refusal or an empty message: the gates will say so
                content = ""
            return Reply(content, finish_reason, usage.get("prompt_tokens"), usage.get("completion_tokens"))
        except (ValueError, KeyError, IndexError, TypeError, AttributeError):
            raise _TryAgain(f"not a reply of this interface: {_excerpt(text)}") from None


class _Run:
    """What the requests in flight share: limits, the pause a server asked for, and when it last answered."""

    def __init__(self, options: EndpointOptions, usage: Usage) -> None:
        from aiolimiter import AsyncLimiter
        from tenacity import wait_exponential_jitter

        self.options = options
        self.usage = usage
        self.failures = 0
        self._heard = time.monotonic()
        self._hold_until = 0.0
        self._backoff = wait_exponential_jitter(
            initial=options.backoff_seconds, max=options.backoff_max_seconds, jitter=options.backoff_seconds
        )
        self._requests = AsyncLimiter(options.requests_per_minute, 60) if options.requests_per_minute > 0 else None
        self._tokens = AsyncLimiter(options.tokens_per_minute, 60) if options.tokens_per_minute > 0 else None

    async def turn(self, tokens: int) -> None:
        """Wait until a request of this size may be sent."""
        if self._requests is not None:
            await self._requests.acquire()
        if self._tokens is not None:
            await self._tokens.acquire(min(tokens, self._tokens.max_rate))
        while (pause := self._hold_until - time.monotonic()) > 0:
            await asyncio.sleep(pause)

    def stop(self) -> Callable[[Any], bool]:
        """A fresh rule for one request: when to give it up.

        A try counts when the server refused it, or dropped it while answering others. While the server answers nobody,
        as during a restart, tries do not count, and patience is what ends.
        """
        counted = 0
        failed_before = math.inf

        def rule(state: Any) -> bool:
            nonlocal counted, failed_before
            gone = state.outcome.exception().gone
            counted += not gone or self._heard > failed_before
            failed_before = time.monotonic()
            return counted >= self.options.max_tries or (gone and self.silent() >= self.options.patience_seconds)

        return rule

    def wait(self, state: Any) -> float:
        """Seconds to wait: what the server asked for, or exponential backoff with jitter."""
        after = state.outcome.exception().after
        return float(after if after is not None else self._backoff(state))

    def before_sleep(self, state: Any) -> None:
        """Count the wait, and hold everybody back where the server asked for it."""
        failure = state.outcome.exception()
        name = "no answer" if failure.gone else str(failure).split(":")[0]
        self.usage.waits[name] += 1
        if failure.after is not None:  # the server speaks for all its clients: everyone waits
            self._hold_until = max(self._hold_until, time.monotonic() + failure.after)
            if failure.after >= LONG_PAUSE_SECONDS:
                print(f"\nthe server asks for a pause of {failure.after:.0f} s ({failure})", file=sys.stderr)

    def silent(self) -> float:
        """Seconds since the server last answered anything."""
        return time.monotonic() - self._heard

    def heard(self) -> None:
        """The server answered something, if only that it cannot."""
        self._heard = time.monotonic()

    def answered(self, reply: Reply) -> Reply:
        """A request was answered: failures in a row begin anew."""
        self.failures = 0
        return reply

    def failed(self, reason: str) -> Reply:
        """A request was given up: one more failure in a row."""
        self.failures += 1
        return Reply("", error=reason)


def retry_after(value: str | None) -> float | None:
    """Seconds from a Retry-After header, a number or an HTTP date (RFC 9110, 10.2.3); None if absent or unreadable."""
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError):
        return None


def _excerpt(text: str) -> str:
    return " ".join(text.split())[:200]
