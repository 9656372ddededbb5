"""transformers' Trainer with the losses of an alignment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from recipes.alignment import losses
from recipes.alignment.options import AlignOptions
from recipes.alignment.scoring import make_batch, sequence_logps
from recipes.alignment.sequences import Sequence
from recipes.tuning.trainer import WholeCheckpoints

COLUMNS = ("ids", "starts", "reference", "followed", "weights")
"""Of a row: token ids of its sequences, their first scored places, and [2] floats each: see `losses.dco`."""


@dataclass
class Collator:
    """Turns rows into one batch of sequences: row by row, its options of the first language, then of the second."""

    padding_free: bool
    pad: int
    share: bool = False

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """Tensors of `make_batch`, and `reference`, `followed`, `weights`, each [B, 2]."""
        sequences = [
            Sequence(tuple(ids), start) for row in rows for ids, start in zip(row["ids"], row["starts"], strict=True)
        ]
        batch = make_batch(sequences, padding_free=self.padding_free, pad=self.pad, share=self.share)
        return batch | {name: torch.tensor([row[name] for row in rows]) for name in COLUMNS[2:]}


class AlignTrainer(WholeCheckpoints):
    """Trains on the loss of the options, averaged over the pairs of a global batch."""

    def __init__(self, *args: Any, options: AlignOptions, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.options = options

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The mean over pairs of `losses.dco`, `losses.dpo` (dpo and calm) or `losses.sft`."""
        pairs = len(inputs["weights"])
        per_pair = 2 if self.options.loss == "sft_gold" else 4
        config: Any = self.model.config  # type: ignore[union-attr]
        # a layer recomputed in the backward pass would not find its rows
        rows = not self.args.gradient_checkpointing
        logps = sequence_logps(model, inputs, pairs * per_pair, config, rows=rows).view(pairs, per_pair)
        if self.options.loss == "dco":
            loss = losses.dco(logps, inputs["reference"], inputs["followed"], inputs["weights"], self.options.target)
        elif self.options.loss == "sft_gold":
            loss = losses.sft(logps, torch.bincount(inputs["owners"], minlength=pairs * 2).view(pairs, 2))
        else:
            loss = losses.dpo(logps, inputs["reference"], self.options.strength)
        return (loss.mean(), {"logps": logps}) if return_outputs else loss.mean()

    def _set_signature_columns_if_needed(self) -> None:
        self._signature_columns: Any = list(COLUMNS)  # the collator's, not the model's
