"""Attention over a pack by blocks of queries, each against only the keys that some query of the block can see.

Most of a pack's mask is empty, because a pack holds prompts that share nothing. Plain SDPA multiplies the empty part
too: at 512 tokens a third of a small model's time on a CPU. This runs SDPA on the non-empty pieces, through the
library's interface for attention functions, and only while a pack runs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import numpy as np
import torch
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

NAME = "crossin_blocks"

Block = tuple[slice, Any]  # queries; keys, as a slice where they are consecutive, else as an index tensor

_blocks: ContextVar[list[Block] | None] = ContextVar("crossin_blocks", default=None)


def make_blocks(visible: np.ndarray, size: int, device: torch.device) -> list[Block]:
    """Cut the queries of a mask (bool [N, P + N]) into blocks of `size` and find the keys each block needs."""
    blocks: list[Block] = []
    for start in range(0, len(visible), size):
        keys = np.flatnonzero(visible[start : start + size].any(axis=0))
        consecutive = keys[-1] - keys[0] + 1 == len(keys)
        columns = slice(int(keys[0]), int(keys[-1]) + 1) if consecutive else torch.from_numpy(keys).to(device)
        blocks.append((slice(start, min(start + size, len(visible))), columns))
    return blocks


def block_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Attention function for transformers: query [1, H, N, d], key and value [1, H', P + N, d] -> [1, N, H, d]."""
    blocks = _blocks.get()
    if blocks is None or attention_mask is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)
    parts = []
    for queries, keys in blocks:
        mask = attention_mask[:, :, queries][:, :, :, keys]
        part, _ = sdpa_attention_forward(
            module, query[:, :, queries], key[:, :, keys], value[:, :, keys], mask, **kwargs
        )
        parts.append(part)
    return torch.cat(parts, dim=1), None


AttentionInterface.register(NAME, block_attention)


@contextlib.contextmanager
def by_blocks(config: Any, blocks: list[Block] | None) -> Iterator[None]:
    """While this lasts, the model of this decoder config uses :func:`block_attention` on `blocks`; None: no change."""
    if blocks is None:
        yield
        return
    before = config._attn_implementation
    token = _blocks.set(blocks)
    config._attn_implementation = NAME
    try:
        yield
    finally:
        config._attn_implementation = before
        _blocks.reset(token)
