"""A vLLM logits processor that forces a request to generate given tokens, to get their log-probabilities by decoding.

vLLM reports raw log-probabilities, taken before any processor, so forcing does not change them. The prompt is computed
once for all tokens of an option; one request per token would recompute the part of the prompt that fills no whole unit
of the prefix cache each time.
"""

from __future__ import annotations

from typing import Any

import torch
from vllm import SamplingParams
from vllm.v1.sample.logits_processor import AdapterLogitsProcessor

from crossin_metrics.backends.heads import cast_heads_in_pieces

NAME = "crossin_metrics.backends.forced:ForcedTokens"  # as vLLM's `logits_processors` takes it
KEY = "crossin_forced"  # in `SamplingParams.extra_args`: the tokens to generate, list[int]


class ForcedTokens(AdapterLogitsProcessor):
    """Allows one token at each step of requests that have tokens under :data:`KEY`; other requests are not touched."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        cast_heads_in_pieces()  # vLLM builds this in each process that computes

    def is_argmax_invariant(self) -> bool:
        """False: vLLM must not skip this for greedy requests."""
        return False

    def new_req_logits_processor(self, params: SamplingParams) -> Any:
        """A processor for a request with forced tokens, None for others."""
        tokens = (params.extra_args or {}).get(KEY)
        return None if tokens is None else _Force(tokens)


class _Force:
    def __init__(self, tokens: list[int]) -> None:
        self.tokens = tokens

    def __call__(self, generated: list[int], logits: torch.Tensor) -> torch.Tensor:
        token = self.tokens[min(len(generated), len(self.tokens) - 1)]
        logits[token] = float("inf")  # decoding is greedy
        return logits
