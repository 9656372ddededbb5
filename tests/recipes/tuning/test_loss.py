"""The loss: by hand, by TRL's own head, with rows padded, behind each other and packed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from recipes.tuning import trainer as trainers
from recipes.tuning.checks import check_attention, leak
from recipes.tuning.loss_masks import IGNORED, load_rows, mask_rows, pad_to_multiple
from recipes.tuning.model import load_config, load_model, load_tokenizer, plan_adapter
from recipes.tuning.options import parse_options
from recipes.tuning.trainer import CrossinTrainer, SeededLengthGroups
from tests.helpers.tiny_models import arguments, tiny_model, write_mix


def make(folder: Path, kind: str = "gemma3_text", tied: bool = True, **options: Any) -> tuple[CrossinTrainer, Any]:
    """A trainer on the eight rows of the tiny mix, and these rows."""
    model_folder = tiny_model(folder / "model", kind, tied=tied)
    tune, train, model = parse_options(
        arguments(
            folder / "run", model_folder, write_mix(folder / "mix.jsonl"), per_device_train_batch_size=4, **options
        )
    )
    tokenizer = load_tokenizer(str(model_folder), tune.frame)
    plan = plan_adapter(load_config(str(model_folder), model), tokenizer, tune, model)
    rows, _ = mask_rows(load_rows(tune.mix), tokenizer, tune.frame, max_length=train.max_length)
    network = load_model(str(model_folder), plan, model, train)
    if not train.packing:
        train.max_length = None
    return CrossinTrainer(model=network, args=train, train_dataset=rows, processing_class=tokenizer), rows


def by_hand(network: Any, rows: Any) -> float:
    """Mean over completion tokens of -log p(token | what stands before it), one row at a time, in float64."""
    total, n = 0.0, 0
    for row in rows:
        ids = torch.tensor([row["input_ids"]])
        with torch.no_grad():
            logits = network(input_ids=ids, use_cache=False).logits[0].double()
        log_p = logits.log_softmax(-1)
        for position, label in enumerate(row["labels"]):
            if label != IGNORED:
                total -= float(log_p[position - 1, label])
                n += 1
    return total / n


def loss_of(trainer: CrossinTrainer) -> tuple[float, dict[str, torch.Tensor]]:
    """The loss over all rows in batches, as training weighs them, and the gradients."""
    trainer.model.train()
    trainer.model.zero_grad()
    batches = [trainer._prepare_inputs(batch) for batch in trainer.get_train_dataloader()]
    n = trainer._get_num_items_in_batch(batches, trainer.args.device)
    total = 0.0
    for batch in batches:
        loss = trainer.compute_loss(trainer.model, dict(batch), num_items_in_batch=n)
        loss.backward()
        total += float(loss)
    gradients = {name: p.grad.clone() for name, p in trainer.model.named_parameters() if p.grad is not None}
    return total, gradients


@pytest.mark.parametrize(
    ("kind", "tied"), [("gemma3_text", True), ("gemma2", True), ("llama", False), ("mistral", False)]
)
def test_all_ways_give_the_loss_by_hand(tmp_path: Path, kind: str, tied: bool) -> None:
    """Gemma 2 caps its logits, Gemma 3 and Mistral have windows: what differs between architectures is covered."""
    ours, rows = make(tmp_path / "ours", kind, tied)
    expected = by_hand(ours.model, rows)
    flat, gradients = loss_of(ours)
    assert flat == pytest.approx(expected, abs=1e-5)
    padded, of_padded = loss_of(make(tmp_path / "padded", kind, tied, padding_free=False)[0])
    assert padded == pytest.approx(expected, abs=1e-5)
    packed, of_packed = loss_of(make(tmp_path / "packed", kind, tied, packing=True)[0])
    assert packed == pytest.approx(expected, abs=1e-5)
    for other in (of_padded, of_packed):
        assert other.keys() == gradients.keys()
        for name, value in gradients.items():
            assert torch.allclose(other[name], value, atol=2e-5), name


def test_a_batch_too_large_for_full_logits_takes_trls_head(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer, _ = make(tmp_path)
    expected, _ = loss_of(trainer)
    monkeypatch.setattr(trainers, "HEAD_BYTES", 1)
    seen: list[bool] = []
    original = trainers.SFTTrainer.compute_loss

    def spy(self: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append(True)
        return original(self, *args, **kwargs)

    monkeypatch.setattr(trainers.SFTTrainer, "compute_loss", spy)
    assert loss_of(trainer)[0] == pytest.approx(expected, abs=1e-5)
    assert seen


def test_prompts_do_not_reach_the_head(tmp_path: Path) -> None:
    trainer, rows = make(tmp_path)
    projected: list[int] = []
    head = trainer.model.get_output_embeddings()
    head.register_forward_hook(lambda module, inputs, output: projected.append(output.shape[-2]))
    loss_of(trainer)
    assert sum(projected) == sum(label != IGNORED for row in rows for label in row["labels"])


def test_rows_without_loss_change_nothing(tmp_path: Path) -> None:
    trainer, rows = make(tmp_path)
    expected, gradients = loss_of(trainer)
    filled = pad_to_multiple(rows, 16, trainer.processing_class.pad_token_id)
    assert len(filled) == 16
    assert list(filled)[:8] == list(rows)
    trainer.train_dataset = filled
    again, of_filled = loss_of(trainer)
    assert again == pytest.approx(expected, abs=1e-6)
    for name, value in gradients.items():
        assert torch.allclose(of_filled[name], value, atol=1e-6), name
    assert len(pad_to_multiple(filled, 16, 0)) == 16


def test_a_model_that_mixes_rows_is_found_out(tmp_path: Path) -> None:
    """Eager attention with a mask of our own that lets everything be seen: the probe must notice."""
    folder = tiny_model(tmp_path / "model")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    assert leak(model) == leak(model, bf16=True) == 0.0
    original = model.forward

    def forward(*args: Any, position_ids: Any = None, **kwargs: Any) -> Any:
        return original(*args, **kwargs)  # positions forgotten: the second row follows the first

    model.forward = forward
    assert leak(model) > 0.5
    _, train, _ = parse_options(arguments(tmp_path / "run", folder, tmp_path / "m", packing=True))
    with pytest.raises(Exception, match="lets a row see the one before it"):
        check_attention(model, train)


def test_batches_by_length_hang_on_seed_and_epoch_alone() -> None:
    lengths = [int(n) for n in torch.randint(10, 500, (400,), generator=torch.Generator().manual_seed(0))]
    sampler = SeededLengthGroups(16, lengths, seed=1)
    first = list(sampler)
    torch.randperm(1000)
    assert list(sampler) == first
    assert sorted(first) == list(range(400))
    sampler.set_epoch(1)
    assert list(sampler) != first
    spread = [
        max(lengths[i] for i in first[k : k + 16]) - min(lengths[i] for i in first[k : k + 16])
        for k in range(0, 400, 16)
    ]
    assert sum(spread) / len(spread) < 150  # at random about 430
