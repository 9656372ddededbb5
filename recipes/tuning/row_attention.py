"""Attention over concatenated rows without padding, one call per row.

SDPA has no CPU kernel for rows of different lengths: with a block-diagonal mask it also computes the masked blocks,
three quarters of the work for four rows. One call per row gives the same result.

A row may branch: texts with the same beginning are one row, in which the beginning stands once and the rest of each
text after it, at the positions that it has in its own text. A branch attends to the beginning and to itself.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

NAME = "crossin_rows"


@dataclass
class Row:
    """One row of N' tokens: `positions` [N'], from 0; they fall where a branch begins. Masks are made once a pass."""

    positions: torch.Tensor
    masks: dict[int | None, torch.Tensor | None] = field(default_factory=dict)

    def mask(self, window: int | None) -> torch.Tensor | None:
        """[1, 1, N', N'], true where a token attends; None where plain causal attention is meant."""
        if window not in self.masks:
            place, n = self.positions, len(self.positions)
            starts = torch.zeros(n, dtype=torch.long, device=place.device)
            starts[1:] = place[1:] <= place[:-1]
            branch = starts.cumsum(0)
            if not branch[-1] and (window is None or n <= window):
                self.masks[window] = None
            else:
                shared = (branch == 0) & (place < place[starts.bool()].min()) if branch[-1] else branch < 0
                seen = torch.ones(n, n, dtype=torch.bool, device=place.device).tril()
                seen &= shared | (branch[:, None] == branch)
                if window is not None:
                    seen &= place[:, None] - place < window
                self.masks[window] = seen[None, None]
        return self.masks[window]


_rows: ContextVar[list[Row] | None] = ContextVar("crossin_rows", default=None)


def row_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Attention function for transformers: query [1, H, N, d], key and value [1, H', N, d] -> [1, N, H, d].

    Raises:
        RuntimeError: called outside :func:`by_rows`.
    """
    rows = _rows.get()
    if rows is None:
        raise RuntimeError("row_attention needs by_rows around the forward pass")
    window = kwargs.get("sliding_window")
    kwargs["is_causal"] = None  # decided by the module
    # split's gradient is one concatenation; a slice's is a tensor of all rows, filled with zeros, for each row
    cut = [tensor.split([len(row.positions) for row in rows], dim=2) for tensor in (query, key, value)]
    parts = [
        sdpa_attention_forward(module, q, k, v, row.mask(window), **kwargs)[0]
        for q, k, v, row in zip(*cut, rows, strict=True)
    ]
    return torch.cat(parts, dim=1), None


AttentionInterface.register(NAME, row_attention)


@contextlib.contextmanager
def by_rows(config: Any, position_ids: torch.Tensor | None) -> Iterator[None]:
    """Make the model of this config attend row by row.

    A row begins where `position_ids` [1, N] is 0, a branch where they do not rise. No effect if the model's attention
    is not SDPA or there is only one row without branches.
    """
    decoder = config.get_text_config()
    places = None if position_ids is None or decoder._attn_implementation != "sdpa" else position_ids[0]
    if places is None or places[0] != 0 or (places[1:] > places[:-1]).all():
        yield
        return
    starts = (places == 0).nonzero().squeeze(1).tolist()
    sizes = [end - start for start, end in zip(starts, [*starts[1:], len(places)], strict=True)]
    token = _rows.set([Row(row) for row in places.split(sizes)])
    decoder._attn_implementation = NAME
    try:
        yield
    finally:
        decoder._attn_implementation = "sdpa"
        _rows.reset(token)
