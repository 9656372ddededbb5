"""A vLLM logits processor that makes a request say given tokens, so that their log-probabilities come from decoding.

vLLM reports raw log-probabilities, taken before any processor, so what the model thinks of the tokens is not changed.
The prompt is computed once for all tokens of an option; asking for each token in a request of its own computes the
part of the prompt that fills no whole unit of the prefix cache again and again.
"""

from __future__ import annotations

from typing import Any

import torch
from vllm import SamplingParams
from vllm.v1.sample.logits_processor import AdapterLogitsProcessor

NAME = "crossin_metrics.backends.forced:ForcedTokens"  # as vLLM's `logits_processors` takes it
KEY = "crossin_forced"  # in `SamplingParams.extra_args`: the tokens to say, list[int]


class ForcedTokens(AdapterLogitsProcessor):
    """Leaves one token possible at each step of a request that names tokens under :data:`KEY`, and others alone."""

    def is_argmax_invariant(self) -> bool:
        """False: vLLM must not skip this for greedy requests."""
        return False

    def new_req_logits_processor(self, params: SamplingParams) -> Any:
        """A processor for a request that names tokens, None for others."""
        tokens = (params.extra_args or {}).get(KEY)
        return None if tokens is None else _Force(tokens)


class _Force:
    def __init__(self, tokens: list[int]) -> None:
        self.tokens = tokens

    def __call__(self, said: list[int], logits: torch.Tensor) -> torch.Tensor:
        token = self.tokens[min(len(said), len(self.tokens) - 1)]
        logits.fill_(float("-inf"))
        logits[token] = 0.0
        return logits
