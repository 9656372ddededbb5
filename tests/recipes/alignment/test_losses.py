"""The losses equal independent computations: of the paper's formula in numpy, and of log-probabilities row by row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from recipes.alignment import losses
from recipes.alignment.options import AlignOptions
from recipes.alignment.recipe import draw, make_rows
from recipes.alignment.scoring import Reference, make_batch, sequence_logps
from recipes.alignment.sequences import Questions, Sequence, load_questions


def released(policy: np.ndarray, reference: np.ndarray, beta: float) -> np.ndarray:
    """The formula of arXiv 2603.04678 with the four log-probabilities of each pair, [B, 4] -> [B]."""
    c1, r1, c2, r2 = policy.T
    ref_c1, ref_r1, ref_c2, ref_r2 = reference.T
    reward_1 = c1 - ref_c1 - r1 + ref_r1
    reward_2 = c2 - ref_c2 - r2 + ref_r2
    return np.abs(reward_1 - (ref_c2 - ref_r2) / beta) + np.abs(reward_2 - beta * (ref_c1 - ref_r1))


def odds(logps: torch.Tensor) -> torch.Tensor:
    return torch.stack([logps[:, 0] - logps[:, 1], logps[:, 2] - logps[:, 3]], dim=1)


@pytest.mark.parametrize("beta", [1.0, 0.5, 4.0])
def test_dco_is_the_papers_formula(beta: float) -> None:
    policy, reference = torch.randn(2, 50, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    ref = odds(reference)
    weights = torch.tensor([[1 / beta, beta]] * 50, dtype=torch.float64)
    ours = losses.dco(policy, ref, ref.flip(1), weights).numpy()
    np.testing.assert_allclose(ours, released(policy.numpy(), reference.numpy(), beta), atol=1e-12)


def test_identical_languages() -> None:
    """At the reference the paper's loss is twice the log-odds (it makes languages that agree more certain); mean: 0."""
    one = torch.randn(20, 2, generator=torch.Generator().manual_seed(1))
    logps = torch.cat([one, one], dim=1)
    ref, weights = odds(logps), torch.ones(20, 2)
    assert torch.allclose(losses.dco(logps, ref, ref.flip(1), weights), 2 * ref[:, 0].abs())
    assert losses.dco(logps, ref, ref.flip(1), weights, "mean").abs().max() < 1e-6
    undecided = logps[:, [0, 0, 2, 2]]
    assert losses.dco(undecided, odds(undecided), odds(undecided), weights).abs().max() == 0


def test_a_language_that_follows_nothing_stays() -> None:
    reference = torch.randn(9, 4, generator=torch.Generator().manual_seed(2))
    ref = odds(reference)
    weights = torch.tensor([[0.0, 1.0]] * 9)  # the first stays, the second follows it
    followed = losses.dco(reference, ref, ref.flip(1), weights)
    assert torch.allclose(followed, ref[:, 0].abs())


def test_dpo_at_the_reference_and_its_optimum() -> None:
    logps = torch.randn(5, 4, generator=torch.Generator().manual_seed(3))
    ref = odds(logps)
    assert torch.allclose(losses.dpo(logps, ref, 0.1), torch.full((5,), 2 * np.log(2.0)), atol=1e-6)
    better = logps + torch.tensor([1000.0, 0, 1000.0, 0])
    assert losses.dpo(better, ref, 0.1).max() < 1e-6


@pytest.fixture(scope="module")
def questions(model: Path, houses: Path) -> Questions:
    options = AlignOptions(set="bmlama17", data_dir=str(houses), n_pairs=8, global_batch_size=4)
    return load_questions(options, AutoTokenizer.from_pretrained(model), 200)


def slow_logp(model: torch.nn.Module, one: Sequence) -> torch.Tensor:
    """One sequence alone: log-softmax of all positions, in a loop over tokens."""
    logits = model(input_ids=torch.tensor([one.ids])).logits[0]
    total = torch.zeros(())
    for place in range(one.start, len(one.ids)):
        total = total + torch.log_softmax(logits[place - 1].double(), dim=-1)[one.ids[place]]
    return total


@pytest.mark.parametrize(("padding_free", "share"), [(True, False), (True, True), (False, False)])
@pytest.mark.parametrize("loss", ["dco", "dpo", "sft_gold"])
def test_value_and_gradient_through_a_model(
    model: Path, questions: Questions, tmp_path: Path, padding_free: bool, share: bool, loss: str
) -> None:
    options = AlignOptions(set="bmlama17", n_pairs=8, global_batch_size=4, loss=loss)  # type: ignore[arg-type]
    network = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    reference = Reference(
        network, "k", tmp_path, bf16=False, padding_free=padding_free, pad=0, progress=False, share=share
    )
    drawn = draw(options, questions, 0)
    rows = make_rows(options, questions, drawn, reference if loss != "sft_gold" else None)
    with torch.no_grad():  # away from the reference, where the gradient of |x| has a sign
        for parameter in network.parameters():
            parameter.mul_(1.05)
    sequences = [
        Sequence(tuple(i), s)
        for ids, starts in zip(rows["ids"], rows["starts"], strict=True)
        for i, s in zip(ids, starts, strict=True)
    ]
    batch = make_batch(sequences, padding_free=padding_free, pad=0, share=share)
    per_pair = 2 if loss == "sft_gold" else 4
    logps = sequence_logps(network, batch, len(sequences), network.config).view(8, per_pair)
    followed, ref, weights = (torch.tensor(rows[name]) for name in ("followed", "reference", "weights"))
    if loss == "dco":
        ours = losses.dco(logps, ref, followed, weights).mean()
    elif loss == "dpo":
        ours = losses.dpo(logps, ref, 0.1).mean()
    else:
        ours = losses.sft(logps, torch.bincount(batch["owners"]).view(8, 2)).mean()
    ours.backward()
    gradients = [p.grad.clone() for p in network.parameters() if p.grad is not None]
    network.zero_grad()

    slow = torch.stack([slow_logp(network, one) for one in sequences]).view(8, per_pair)
    if loss == "dco":
        base = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
        with torch.no_grad():
            first = torch.stack([slow_logp(base, one) for one in sequences]).view(8, 4)
        r1, r2 = (
            (slow[:, 0] - slow[:, 1]) - (first[:, 0] - first[:, 1]),
            (slow[:, 2] - slow[:, 3]) - (first[:, 2] - first[:, 3]),
        )
        theirs = ((r1 - (first[:, 2] - first[:, 3])).abs() + (r2 - (first[:, 0] - first[:, 1])).abs()).mean()
    elif loss == "dpo":
        gap = (odds(slow) - ref.double()) * 0.1
        theirs = torch.log1p(torch.exp(-gap)).sum(dim=1).mean()
    else:
        tokens = torch.tensor([one.n_scored for one in sequences]).view(8, 2).sum(dim=1)
        theirs = (-slow.sum(dim=1) / tokens).mean()
    theirs.backward()
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-6, abs=1e-6)
    expected = [p.grad for p in network.parameters() if p.grad is not None]
    scale = max(g.abs().max().item() for g in expected)
    for a, b in zip(gradients, expected, strict=True):
        assert torch.allclose(a / scale, b / scale, atol=1e-6, rtol=0)


def test_only_scored_positions_reach_the_head(model: Path, questions: Questions) -> None:
    network = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    seen = []
    network.get_output_embeddings().register_forward_hook(lambda module, args, out: seen.append(args[0].shape[1]))
    sequences = [questions.sequence(0, language, option) for language in range(4) for option in range(2)]
    sequence_logps(network, make_batch(sequences, padding_free=True, pad=0), 8, network.config)
    assert seen == [sum(one.n_scored for one in sequences)]
    assert seen[0] < sum(len(one.ids) for one in sequences)


def test_options_share_what_comes_before_them(questions: Questions) -> None:
    """All options of a sentence: its beginning once, then each option without its last token, at its own positions."""
    options = [questions.sequence(0, 0, option) for option in range(4)]
    batch = make_batch([*options, questions.sequence(1, 0, 0)], padding_free=True, pad=0, share=True)
    before, other = options[0].ids[: options[0].start], questions.sequence(1, 0, 0)
    parts = [one.ids[one.start : -1] for one in options]
    assert batch["input_ids"][0].tolist() == [*before, *(token for part in parts for token in part), *other.ids[:-1]]
    assert (batch["position_ids"] == 0).sum() == 2
    read = batch["columns"][batch["places"]]
    assert [int(read[(batch["owners"] == k).nonzero()[0, 0]]) for k in range(4)] == [len(before) - 1] * 4
    assert len(batch["columns"]) == len(set(batch["columns"].tolist())) == len(batch["owners"]) - 3
