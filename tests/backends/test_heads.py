"""vLLM's output head on a CPU: the same logits as one multiplication in float32."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from crossin_metrics.backends import heads


class UnquantizedEmbeddingMethod:
    """Stands for vLLM's class of this name, which marks a head that is not quantized."""


def head(weight: torch.Tensor) -> SimpleNamespace:
    return SimpleNamespace(weight=weight, quant_method=UnquantizedEmbeddingMethod())


@pytest.mark.parametrize("bias", [False, True])
def test_pieces_give_the_logits_of_the_whole(monkeypatch: pytest.MonkeyPatch, bias: bool) -> None:
    monkeypatch.setattr(heads, "PIECE", 64 * 5)  # the vocabulary is no multiple of a piece
    torch.manual_seed(0)
    weight, hidden = torch.randn(203, 64).bfloat16(), torch.randn(3, 64).bfloat16()
    added = torch.randn(203).bfloat16() if bias else None
    found = heads.apply_head(SimpleNamespace(head_dtype=torch.float32), head(weight), hidden, added)
    expected = hidden.double() @ weight.double().T + (added.double() if added is not None else 0.0)
    assert found.dtype == torch.float32
    assert torch.allclose(found.double(), expected, atol=1e-4)
    rounded = (hidden @ weight.T).double()
    assert not torch.allclose(rounded, expected - (added.double() if added is not None else 0.0), atol=1e-4)


@pytest.mark.parametrize(("head_dtype", "weight_dtype"), [("bfloat16", "bfloat16"), ("float32", "float32")])
def test_other_heads_are_left_to_vllm(monkeypatch: pytest.MonkeyPatch, head_dtype: str, weight_dtype: str) -> None:
    monkeypatch.setattr(heads, "_vllms_own", lambda *args: "vLLM's own")
    weight = torch.randn(8, 4).to(getattr(torch, weight_dtype))
    model = SimpleNamespace(head_dtype=getattr(torch, head_dtype))
    assert heads.apply_head(model, head(weight), torch.randn(1, 4).to(weight.dtype), None) == "vLLM's own"
