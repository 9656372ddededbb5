"""vLLM's output head in float32 on a CPU, at half to a third of the time.

Where `head_dtype` differs from the model's, vLLM (0.32) casts the weights of the whole head at every step. For the few
rows of a step that takes longer than multiplying by them, and needs memory for a float32 copy. Here pieces that stay in
the cores' caches are cast one after another. Products of bfloat16 numbers are exact in float32, so the units that
multiply bfloat16 and add in float32 give the same sums but for their order.
"""

from __future__ import annotations

import contextlib
from typing import Any

import torch

PIECE = 1_300_000  # weights cast at a time for each thread; 5 MB in float32

_vllms_own: Any = None


def cast_heads_in_pieces() -> None:
    """Let vLLM's models in this process multiply by their output heads with :func:`apply_head`."""
    global _vllms_own
    with contextlib.suppress(ImportError, AttributeError):  # another release keeps its own
        from vllm.model_executor.layers.logits_processor import LogitsProcessor

        if LogitsProcessor._apply_head is not apply_head:
            _vllms_own, LogitsProcessor._apply_head = LogitsProcessor._apply_head, apply_head  # type: ignore[method-assign]


def apply_head(self: Any, lm_head: Any, hidden_states: torch.Tensor, embedding_bias: torch.Tensor | None) -> Any:
    """Logits [N, vocabulary] of hidden states [N, width]; other dtypes, devices and quantized heads as in vLLM."""
    weight: Any = getattr(lm_head, "weight", None)
    if (
        self.head_dtype != torch.float32
        or hidden_states.device.type != "cpu"
        or not (hidden_states.dtype == torch.bfloat16 == getattr(weight, "dtype", None))
        or type(lm_head.quant_method).__name__ not in ("UnquantizedEmbeddingMethod", "UnquantizedLinearMethod")
    ):
        return _vllms_own(self, lm_head, hidden_states, embedding_bias)
    hidden = hidden_states.float()
    logits = torch.empty(len(hidden), len(weight))
    size = max(1, PIECE * torch.get_num_threads() // weight.shape[1])
    matmul: Any = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    before, matmul.fp32_precision = matmul.fp32_precision, "bf16"
    try:
        for start in range(0, len(weight), size):
            piece = weight[start : start + size].float()
            torch.mm(hidden, piece.t(), out=logits[:, start : start + size])
    finally:
        matmul.fp32_precision = before
    return logits if embedding_bias is None else logits + embedding_bias.float()
