"""Attention row by row is attention under a mask that keeps rows apart, in its values and its gradients."""

from __future__ import annotations

import pytest
import torch
from transformers import Gemma3ForCausalLM, Gemma3TextConfig, LlamaConfig, LlamaForCausalLM

from recipes.tuning.row_attention import NAME, by_rows, row_attention

SIZES = {"vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
HEADS = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "attn_implementation": "sdpa"}


def gemma() -> torch.nn.Module:
    """Both kinds of layers: whole, and with a window shorter than the longest row."""
    layers = ["sliding_attention", "full_attention"]
    return Gemma3ForCausalLM(Gemma3TextConfig(**SIZES, **HEADS, sliding_window=6, layer_types=layers))


def llama() -> torch.nn.Module:
    return LlamaForCausalLM(LlamaConfig(**SIZES, **HEADS))


@pytest.mark.parametrize("make", [gemma, llama])
def test_values_and_gradients_are_those_under_a_mask(make) -> None:
    torch.manual_seed(0)
    model = make().eval()
    lengths = [5, 1, 11, 3]
    positions = torch.cat([torch.arange(n) for n in lengths])[None]
    ids = torch.randint(0, 64, positions.shape)
    found = []
    for rows in (None, positions):
        model.zero_grad()
        with by_rows(model.config, rows):
            assert model.config._attn_implementation == ("sdpa" if rows is None else NAME)
            logits = model(input_ids=ids, position_ids=positions, use_cache=False).logits
        logits.square().sum().backward()
        found.append([logits.detach(), *(p.grad.clone() for p in model.parameters())])
    for masked, by_row in zip(*found, strict=True):
        torch.testing.assert_close(by_row, masked, rtol=1e-4, atol=1e-5)
    alone = model(input_ids=ids[:, 6:17], use_cache=False).logits
    torch.testing.assert_close(found[1][0][:, 6:17], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("make", [gemma, llama])
def test_branches_are_texts_of_their_own(make) -> None:
    """A beginning of four tokens with three endings, one of them longer than the window, and another row."""
    torch.manual_seed(1)
    model = make().eval()
    beginning, endings, row = [3, 4, 5, 6], [[7, 8], [9] * 8, [10]], [11, 12, 13]
    texts = [torch.tensor([[*beginning, *ending]]) for ending in endings]
    ids = torch.tensor([[*beginning, *(token for ending in endings for token in ending), *row]])
    places = [*range(4), *(4 + k for ending in endings for k in range(len(ending))), *range(3)]
    with by_rows(model.config, torch.tensor([places])):
        found = model(input_ids=ids, position_ids=torch.tensor([places]), use_cache=False).logits[0]
    found.square().sum().backward()
    gradients = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    expected = [model(input_ids=text, use_cache=False).logits[0] for text in texts]
    last = model(input_ids=torch.tensor([row]), use_cache=False).logits[0]
    alone = torch.cat([expected[0][:4], *(one[4:] for one in expected), last])
    torch.testing.assert_close(found, alone, rtol=1e-4, atol=1e-5)
    alone.square().sum().backward()
    for one, other in zip(gradients, model.parameters(), strict=True):
        torch.testing.assert_close(one, other.grad, rtol=1e-3, atol=1e-4)


def test_the_model_is_left_as_it_was_even_after_an_error() -> None:
    model = llama()
    with pytest.raises(ValueError, match="on the way"), by_rows(model.config, torch.tensor([[0, 1, 0, 1]])):
        raise ValueError("on the way")
    assert model.config._attn_implementation == "sdpa"
    with pytest.raises(RuntimeError, match="by_rows"):
        row_attention(model, *(torch.zeros(1, 2, 3, 4),) * 3, None)


@pytest.mark.parametrize("positions", [None, torch.arange(4)[None], torch.tensor([[3, 0, 1, 2]])])
def test_one_row_or_an_unknown_layout_changes_nothing(positions: torch.Tensor | None) -> None:
    model = llama()
    with by_rows(model.config, positions):
        assert model.config._attn_implementation == "sdpa"
