"""Calls of the model: each has a content address; a reply is stored when it arrives, and no call is made twice."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from crossin_metrics.backends.checks import vllm_without_statistics
from crossin_metrics.backends.engines import end_with_this_process
from crossin_metrics.errors import CrossinError
from recipes.cross_xquad.config import ModelOptions
from recipes.cross_xquad.prompts import PROMPT_VERSION, Prompt
from recipes.llm.endpoint import OpenAIClient
from recipes.llm.replies import GOOD_FINISH, FormatError, Reply, Request, Usage, content_key, is_failed, read_reply
from recipes.llm.store import ReplyStore

VLLM_BATCH = 64  # calls that a killed process loses with the in-process engine


@dataclass(frozen=True)
class Call:
    """One request, with its content address: model, prompt and its version, schema, settings, attempt."""

    key: str
    prompt: Prompt
    settings: Mapping[str, Any]

    @property
    def messages(self) -> list[dict[str, str]]:
        """The prompt for a chat interface."""
        return [{"role": "user", "content": self.prompt.text}]

    def sampling(self) -> dict[str, Any]:
        """The settings of sampling."""
        return {name: self.settings[name] for name in ("max_tokens", "temperature", "seed")}


@dataclass(frozen=True)
class Answer:
    """The reply to a call: field name -> text, or why there is none."""

    fields: dict[str, str] | None
    problem: str | None = None


def make_call(options: ModelOptions, prompt: Prompt, attempt: int) -> Call:
    """Build a call; equal arguments give an equal key on every machine."""
    settings = {
        "max_tokens": options.max_tokens,
        "temperature": options.temperature if attempt == 0 else options.retry_temperature,
        "seed": options.seed + attempt,
        "api": options.api,
        "answer_format": options.answer_format,
        "extra_body": options.extra(),
    }
    address = {
        "model": options.model,
        "prompt_version": PROMPT_VERSION,
        "messages": [{"role": "user", "content": prompt.text}],
        "schema": prompt.schema(options.max_characters),
        "settings": settings,
        "attempt": attempt,
    }
    return Call(content_key(address), prompt, settings)


class Engine(Protocol):
    """Answers calls."""

    def check(self) -> None:
        """Raise CrossinError if calls cannot be answered."""

    def answer(self, calls: Iterable[Call], accept: Callable[[Call, Reply], None]) -> None:
        """Answer calls, in any order, calling `accept` once for each as soon as its reply arrives."""


class EndpointEngine:
    """Any OpenAI-compatible server."""

    def __init__(self, options: ModelOptions, usage: Usage) -> None:
        self._options = options
        self._client = OpenAIClient(options, usage)

    def check(self) -> None:
        """Raise CrossinError unless the server answers and has the model."""
        self._client.check()

    def answer(self, calls: Iterable[Call], accept: Callable[[Call, Reply], None]) -> None:
        """Send the calls, many at a time."""
        self._client.send(((call, self.body(call), len(call.prompt.text) // 4) for call in calls), accept)

    def body(self, call: Call) -> dict[str, Any]:
        """The JSON body of a request."""
        options = self._options
        schema = call.prompt.schema(options.max_characters) if options.answer_format == "json_schema" else None
        text = call.prompt.text + ("" if options.api == "chat" else "\n\n")
        return options.body(text, call.sampling(), call.prompt.task, schema)


class VLLMEngine:
    """The model in this process. `check` loads it, which a build calls only when a call has no stored reply."""

    def __init__(self, options: ModelOptions) -> None:
        from importlib.util import find_spec

        if find_spec("vllm") is None:
            raise CrossinError("engine vllm needs vLLM: pip install 'crossin[vllm]', or use --engine endpoint")
        self._options = options
        self._model: Any = None

    def check(self) -> None:
        """Load the model."""
        if self._model is not None:
            return
        from vllm import LLM

        vllm_without_statistics()
        end_with_this_process()
        options = self._options
        try:
            self._model = LLM(
                options.model,
                max_model_len=options.max_model_len,
                gpu_memory_utilization=options.gpu_memory_utilization,
                enforce_eager=options.enforce_eager,
                seed=options.seed,
            )
        except Exception as error:  # hub, file, memory and configuration errors have no common type
            raise CrossinError(f"cannot load {options.model}: {type(error).__name__}: {error}") from error

    def answer(self, calls: Iterable[Call], accept: Callable[[Call, Reply], None]) -> None:
        """Run the calls in batches; a batch's replies are stored together."""
        remaining = iter(calls)
        while batch := list(itertools.islice(remaining, VLLM_BATCH)):
            for call, reply in zip(batch, self._run(batch), strict=True):
                accept(call, reply)

    def _run(self, batch: Sequence[Call]) -> list[Reply]:
        sampling = [self._sampling(call) for call in batch]
        try:
            if self._options.api == "chat":
                messages = [call.messages for call in batch]
                outputs = self._model.chat(messages, sampling, use_tqdm=False, **self._options.extra())
            else:
                outputs = self._model.generate([f"{c.prompt.text}\n\n" for c in batch], sampling, use_tqdm=False)
        except ValueError as error:
            if len(batch) > 1:  # one prompt that is too long fails all of them
                return [self._run([call])[0] for call in batch]
            return [Reply("", error=f"refused: {error}")]
        except TypeError as error:
            raise CrossinError(f"extra_body: {error}; with engine vllm these are arguments of LLM.chat") from error
        replies = []
        for output in outputs:
            made = output.outputs[0]
            count = len(output.prompt_token_ids or ())
            replies.append(Reply(made.text, str(made.finish_reason or "stop"), count, len(made.token_ids)))
        return replies

    def _sampling(self, call: Call) -> Any:
        from vllm import SamplingParams
        from vllm.sampling_params import StructuredOutputsParams

        settings = call.sampling()
        if self._options.answer_format == "json_schema":
            settings["structured_outputs"] = StructuredOutputsParams(
                json=call.prompt.schema(self._options.max_characters)
            )
        return SamplingParams(**settings)


class Caller:
    """Answers prompts from the store, and asks the engine for the rest.

    Args:
        options: the model.
        store: open for writing.
        proven: whether this model has answered before with these settings (an earlier stage is finished).

    Attributes:
        usage: totals of this run.
    """

    def __init__(self, options: ModelOptions, store: ReplyStore, proven: bool = False) -> None:
        self._proven = proven
        self.options = options
        self.usage = Usage()
        self._store = store
        self._engine: Engine | None = None
        self._answered = 0  # calls answered from the store
        self._failed: dict[str, dict[str, Any]] = {}  # replies of this run that are empty or were cut: not stored

    def ask(self, prompts: Sequence[tuple[Prompt, int]], description: str) -> list[Answer]:
        """Answer (prompt, attempt) pairs, in their order.

        Raises:
            CrossinError: the engine cannot be reached, went away, or left calls unanswered. Replies so far are stored.
        """
        calls = [make_call(self.options, prompt, attempt) for prompt, attempt in prompts]
        missing = {call.key: call for call in calls if self._reply(call.key) is None}
        self._answered += len(calls) - len(missing)
        if missing:
            self._fetch(list(missing.values()), len({call.key for call in calls}), description)
        return [self._read(call) for call in calls]

    def _fetch(self, calls: list[Call], total: int, description: str) -> None:
        from tqdm import tqdm

        if self._engine is None:
            endpoint = self.options.engine == "endpoint"
            self._engine = EndpointEngine(self.options, self.usage) if endpoint else VLLMEngine(self.options)
            self._engine.check()
        refused: dict[str, str] = {}
        given_up: dict[str, str] = {}

        def accept(call: Call, reply: Reply) -> None:
            self.usage.count(reply)
            if reply.error is None:
                value = {"text": reply.text, "finish_reason": reply.finish_reason}
                if is_failed(reply.text, reply.finish_reason):
                    self._failed[call.key] = value
                else:
                    self._store.add(call.key, value)
            else:
                (refused if reply.error.startswith("refused") else given_up)[call.key] = reply.error
            bar.update(1)

        with tqdm(desc=description, total=total, initial=total - len(calls), mininterval=1.0, unit="call") as bar:
            self._engine.answer(calls, accept)
        # If other calls were answered, a refusal is about its own text (too long, or unwanted) and asking again is
        # useless: it is stored as a reply. If most are refused, the set-up is wrong and nothing of it is kept.
        if not self._proven and len(refused) > self._answered + self.usage.replies:
            given_up |= refused
            refused = {}
        for key, error in refused.items():
            self._store.add(key, {"text": error, "finish_reason": "refused"})
        if given_up:
            raise CrossinError(
                f"{description}: {len(given_up)} of {len(calls)} calls were not answered, for instance: "
                f"{next(iter(given_up.values()))}. Replies so far are stored; rerun the same command to resume"
            )

    def _reply(self, key: str) -> dict[str, Any] | None:
        """The reply of this run or the store; one that failed in an earlier run is asked again."""
        stored = self._failed.get(key) or self._store.get(key)
        if stored is None or key in self._failed or stored["finish_reason"] == "refused":
            return stored
        return None if is_failed(stored["text"], stored["finish_reason"]) else stored

    def _read(self, call: Call) -> Answer:
        stored = self._reply(call.key)
        assert stored is not None
        text, finish = stored["text"], stored["finish_reason"]
        if finish == "refused":
            return Answer(None, f"the model's server refused the request ({text[:200]})")
        if finish not in GOOD_FINISH:
            return Answer(None, f"the reply was cut off ({finish})")
        request = Request(call.key, dict.fromkeys(call.prompt.fields, ""), "", "", 0)
        try:
            fields = read_reply(request, text, joint=True)
        except FormatError as error:
            return Answer(None, f"the reply has the wrong format: {error}")
        empty = [name for name, value in fields.items() if not value]
        if empty:
            return Answer(None, f"empty: {', '.join(empty)}")
        values = call.prompt.values
        if values is not None and any(value not in values for value in fields.values()):
            return Answer(None, f"the reply has values other than {', '.join(values)}")
        return Answer(fields)
