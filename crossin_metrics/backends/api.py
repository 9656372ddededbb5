"""`crossin-api`: models behind an OpenAI-compatible API, for letters (`top_logprobs`) and for generated answers.

    crossin eval --model crossin-api --model_args base_url=http://host:8000/v1,model=NAME,num_concurrent=16 \\
        --tasks cross_mmlu                                    (letters: completions API)
        --tasks cross_mmlu --apply_chat_template              (letters: chat API)
        --tasks cross_mmlu_gen --apply_chat_template          (generated answers)

Letters take one request a question: one token and the log-probabilities of the `top_logprobs` likeliest ones, read as
`crossin-vllm` reads them. A letter that is not among them has at most the probability of the last one, and at most what
all of them leave; it scores that bound, so it is never the answer. If no letter is among them there is no answer.
From a vLLM server on a CPU, in float32, log-probabilities were up to 0.0026 off those of `crossin-vllm` with a chat
template, and below 0.001 without; the answers were the same.

A key is read from the environment (`OPENAI_API_KEY`) and appears in no log, message or results file.
"""

from __future__ import annotations

import json
import logging
import math
import os
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

import requests
from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from lm_eval.models.api_models import JsonChatStr
from tqdm import tqdm

from crossin_metrics.answers.generated import Generated
from crossin_metrics.errors import CrossinError
from crossin_metrics.secrets import is_secret_name, masked, secret_place

logger = logging.getLogger("lm_eval.crossin")

Scored = tuple[float, bool]

_AGAIN = {408, 409, 425, 429, 500, 502, 503, 504, 529}
_LONGEST_WAIT = 60.0  # seconds
_sleep = time.sleep


class CrossinAPI(LM):
    """`crossin eval --model crossin-api`.

    Args:
        base_url: of the API, ending in `/v1` (or in the name of an endpoint, which is dropped).
        model: the model's name there.
        top_logprobs: how many likely tokens to ask for; 20 is the most that OpenAI and, by default, vLLM give.
        num_concurrent: requests at a time.
        max_retries: tries a request, at 429, 5xx and lost connections.
        timeout: seconds a request may take.
        seed: sent with each request; repeats of one request get the seeds after it.
        max_tokens_field: `max_tokens`, or `max_completion_tokens` where an API asks for it.

    Raises:
        CrossinError: an unknown argument, one that would hold a secret, or a base_url that is no URL.
    """

    def __init__(
        self,
        base_url: str = "",
        model: str = "",
        top_logprobs: int = 20,
        num_concurrent: int = 8,
        max_retries: int = 6,
        timeout: float = 600,
        seed: int = 1234,
        max_tokens_field: str = "max_tokens",
        **others: Any,
    ) -> None:
        super().__init__()
        unknown = set(others) - {"batch_size", "max_batch_size", "device", "pretrained", "tokenizer"}  # lm_eval's own
        if any(is_secret_name(name) for name in unknown):
            raise CrossinError("crossin-api takes no secret in --model_args, which are logged: set OPENAI_API_KEY")
        if unknown:
            raise CrossinError(f"crossin-api: unknown model argument {sorted(unknown)[0]!r}")
        self.model = str(model or others.get("pretrained") or "")
        base_url = str(base_url).rstrip("/").removesuffix("/chat/completions").removesuffix("/completions")
        if not base_url.startswith(("http://", "https://")) or not self.model:
            raise CrossinError("crossin-api needs --model_args base_url=http://HOST:PORT/v1,model=NAME")
        if "@" in base_url or "?" in base_url or secret_place(base_url):
            raise CrossinError("crossin-api: base_url holds a secret, and is logged: set OPENAI_API_KEY instead")
        self.base_url, self._top = base_url, int(top_logprobs)
        self._concurrent, self._tries, self._timeout = max(1, int(num_concurrent)), int(max_retries), float(timeout)
        self._seed, self._budget_field = int(seed), str(max_tokens_field)
        self._session = requests.Session()
        self._session.mount(base_url, requests.adapters.HTTPAdapter(pool_maxsize=self._concurrent))
        if os.environ.get("OPENAI_API_KEY"):
            self._session.headers["Authorization"] = f"Bearer {os.environ['OPENAI_API_KEY']}"

    # -- the harness's interface ----------------------------------------------------------------------------------

    @property
    def tokenizer_name(self) -> str:
        """The server applies the model's own template."""
        return self.model

    def chat_template(self, chat_template: bool | str = False) -> str:
        """Unknown here: the server's."""
        return ""

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> Any:
        """Return the messages as one string, which the harness hands back with the request."""
        return JsonChatStr(json.dumps(chat_history, ensure_ascii=False))

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[Scored]:
        """Score letters, one request for all letters of a prompt: (log-probability, it is the likeliest token).

        Raises:
            CrossinError: a continuation is not a letter (a `_cf` task), before any request; or the API fails.
        """
        groups: dict[Any, dict[str, list[int]]] = {}
        for number, request in enumerate(requests):
            prompt, continuation = request.args
            if len(continuation.strip()) != 1:
                raise CrossinError(
                    f"crossin-api scores letters only, not {continuation.strip()[:40]!r}: use the task without _cf, "
                    "or the _gen task"
                )
            groups.setdefault(prompt, {}).setdefault(continuation, []).append(number)
        found: list[Scored] = [(-math.inf, False)] * len(requests)
        bounded = unread = 0
        jobs = [(key, self._letter_request(prompt)) for key, prompt in enumerate(groups)]
        by_key = list(groups.items())
        for key, reply in self._run(jobs, "letters", disable_tqdm):
            prompt, numbers = by_key[key]
            scored, missing = letters(top_logprobs(reply), list(numbers))
            bounded += missing
            unread += missing == len(numbers)
            for continuation, score in scored.items():
                for number in numbers[continuation]:
                    found[number] = score
                self.cache_hook.add_partial("loglikelihood", (prompt, continuation), score)
        if bounded:
            logger.warning(
                "%d of %d letters were not among the %d likeliest tokens: their log-probabilities are upper bounds%s",
                bounded,
                len(requests),
                self._top,
                f"; {unread} of {len(groups)} questions have no letter there and no answer" if unread else "",
            )
        return found

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
        """Raises CrossinError: an API does not score a whole text."""
        raise CrossinError("crossin-api cannot score whole texts (perplexity tasks); use crossin-hf or crossin-vllm")

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """Generate; each text knows why it ended and the thought that the server keeps apart (`Generated`)."""
        found: list[str] = [""] * len(requests)
        times: dict[str, int] = {}
        jobs = []
        for number, request in enumerate(requests):
            key = json.dumps(request.args)
            times[key] = times.get(key, -1) + 1
            prompt, kwargs = request.args
            jobs.append((number, self._generation_request(prompt, kwargs, times[key])))
        for number, reply in self._run(jobs, "generations", disable_tqdm):
            found[number] = generated(reply)
            self.cache_hook.add_partial("generate_until", requests[number].args, found[number])
        return found

    # -- requests -------------------------------------------------------------------------------------------------

    def _prompt(self, prompt: Any) -> tuple[str, dict[str, Any]]:
        if isinstance(prompt, JsonChatStr):
            return "chat/completions", {"model": self.model, "messages": json.loads(prompt.prompt)}
        return "completions", {"model": self.model, "prompt": prompt}

    def _letter_request(self, prompt: Any) -> tuple[str, dict[str, Any]]:
        endpoint, body = self._prompt(prompt)
        chat = endpoint.startswith("chat")
        body |= {"logprobs": True, "top_logprobs": self._top} if chat else {"logprobs": self._top}
        return endpoint, {**body, self._budget_field: 1, "temperature": 0, "seed": self._seed}

    def _generation_request(self, prompt: Any, kwargs: Mapping[str, Any], repeat: int) -> tuple[str, dict[str, Any]]:
        endpoint, body = self._prompt(prompt)
        extra = {name: value for name, value in kwargs.items() if name not in ("do_sample", "until", "max_gen_toks")}
        until = kwargs.get("until") or []
        stop = {"stop": ([until] if isinstance(until, str) else until)[:4]} if until else {}  # OpenAI takes four
        budget = {self._budget_field: kwargs["max_gen_toks"]} if "max_gen_toks" in kwargs else {}
        return endpoint, {**body, **budget, **stop, "seed": self._seed + repeat, **extra}

    def _run(
        self, jobs: list[tuple[int, tuple[str, dict[str, Any]]]], what: str, disable_tqdm: bool
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        """Send requests several at a time; yield each reply as it comes. A failure cancels what was not sent."""
        pool = ThreadPoolExecutor(self._concurrent)
        try:
            waiting = {pool.submit(self._send, *request): key for key, request in jobs}
            for done in tqdm(as_completed(waiting), total=len(waiting), disable=disable_tqdm, desc=f"API: {what}"):
                yield waiting[done], done.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _send(self, endpoint: str, body: dict[str, Any]) -> dict[str, Any]:
        url, said = f"{self.base_url}/{endpoint}", ""
        for attempt in range(self._tries):
            wait = min(_LONGEST_WAIT, 0.5 * 2**attempt)
            try:
                reply = self._session.post(url, json=body, timeout=self._timeout)
            except requests.RequestException as error:  # refused, reset, cut in the body, timed out
                said = f"no reply ({type(error).__name__})"
            else:
                if reply.ok:
                    content = _json(reply)
                    if content.get("choices"):
                        return content
                    said = "a reply without choices"
                elif reply.status_code not in _AGAIN:
                    raise CrossinError(
                        f"{url}: HTTP {reply.status_code}: {_message(reply)}{_hint(url, reply.status_code)}"
                    )
                else:
                    said = f"HTTP {reply.status_code}: {_message(reply)}"
                    wait = _after(reply.headers.get("Retry-After"), wait)
            if attempt + 1 < self._tries:
                _sleep(wait)
        check = " (is the server running, and base_url right?)" if said.startswith("no reply") else ""
        raise CrossinError(f"{url}: {said}, after {self._tries} tries{check}; with --use_cache a rerun resumes")


def _hint(url: str, status: int) -> str:
    """What to do about a refusal."""
    if status in (401, 403):
        return "; set OPENAI_API_KEY to the server's key"
    if status in (400, 404, 405) and not url.endswith("/chat/completions"):
        return "; for an API of chat models add --apply_chat_template"
    return ""


def _json(reply: requests.Response) -> dict[str, Any]:
    try:
        content = reply.json()
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _message(reply: requests.Response) -> str:
    """The server's own words, cut; never what was sent."""
    error = _json(reply).get("error")
    said = error.get("message") if isinstance(error, dict) else error
    said = " ".join(str(said or reply.reason or "").split())
    return masked(said)[:200]


def _after(header: str | None, default: float) -> float:
    try:
        return min(_LONGEST_WAIT, max(0.0, float(header or "")))
    except ValueError:
        return default


def generated(reply: Mapping[str, Any]) -> Generated:
    """Return the text of a reply's first choice, "" for `null`, with its finish reason and its reasoning part."""
    choice = reply["choices"][0]
    message = choice.get("message") or {}
    content = message.get("content") if message else choice.get("text")
    if isinstance(content, list):  # parts: [{"type": "text", "text": ...}]
        content = "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    reasoning = next((message[name] for name in ("reasoning_content", "reasoning") if message.get(name)), "")
    return Generated(str(content or ""), str(choice.get("finish_reason") or ""), str(reasoning))


def top_logprobs(reply: Mapping[str, Any]) -> dict[str, float]:
    """Return the likeliest first tokens of a reply and their log-probabilities, from either endpoint.

    Raises:
        CrossinError: the API gives none.
    """
    logprobs = reply["choices"][0].get("logprobs") or {}
    if logprobs.get("content"):
        pairs = [(entry["token"], entry["logprob"]) for entry in logprobs["content"][0].get("top_logprobs") or ()]
    else:
        pairs = list(((logprobs.get("top_logprobs") or [{}])[0] or {}).items())
    if not pairs:
        raise CrossinError("the API returns no top_logprobs: use the _gen task, which needs none")
    found: dict[str, float] = {}
    for token, logprob in pairs:  # two tokens may read alike: the likelier counts
        found[token] = max(float(logprob), found.get(token, -math.inf))
    return found


def letters(likely: Mapping[str, float], wanted: list[str]) -> tuple[dict[str, Scored], int]:
    """Return (log-probability, it is the likeliest token) for each wanted continuation, and how many are bounds.

    A token counts as a continuation if it is the same text; where no token is, if it differs in white space only (some
    tokenizers' spaces are lost in the API's text). Where no letter is found, all are -inf: no answer.
    """
    exact = any(text in likely for text in wanted)
    known = likely if exact else _stripped(likely)
    names = {text: text if exact else text.strip() for text in wanted}
    highest, lowest = max(likely.values()), min(likely.values())
    left = 1.0 - sum(math.exp(logprob) for logprob in likely.values())
    bound = math.nextafter(min(lowest, math.log(max(left, 1e-6))), -math.inf)  # below all that was seen: no tie
    missing = sum(name not in known for name in names.values())
    if missing == len(wanted):
        return dict.fromkeys(wanted, (-math.inf, False)), missing
    return {
        text: (known[name], known[name] >= highest) if name in known else (bound, False) for text, name in names.items()
    }, missing


def _stripped(likely: Mapping[str, float]) -> dict[str, float]:
    found: dict[str, float] = {}
    for token, logprob in likely.items():
        found[token.strip()] = max(logprob, found.get(token.strip(), -math.inf))
    return found
