"""Log-probabilities of sequences: in a forward pass of training, and of the reference, computed once and cached.

A batch is one row without padding (`padding_free`) or padded rows. Either way the output head is applied to the
positions that predict a scored token only, and a sequence's last token, which predicts nothing, is left out. With
`share`, neighbours with the same tokens before the first scored one have them in common (see
`recipes.tuning.row_attention`), and the position that predicts their first one. R rows, T columns, S sequences, K
scored tokens.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence as List
from pathlib import Path
from typing import Any

import numpy as np
import torch

from crossin_metrics.errors import CrossinError
from crossin_metrics.files import atomic_path
from recipes.alignment.sequences import Sequence, digest
from recipes.tuning.row_attention import by_rows

BATCH_TOKENS = 1024
"""Tokens of a batch when the reference is scored; part of the cached values' last digits, so a constant."""


def make_batch(
    sequences: List[Sequence], *, padding_free: bool, pad: int, share: bool = False
) -> dict[str, torch.Tensor]:
    """Tensors of one forward pass.

    Returns:
        `input_ids`, the other inputs and `columns` of the layout, below; and for each of the K scored tokens `places`,
        the one of the P columns that predicts it, `targets`, its id, and `owners`, its sequence.
    """
    return {
        **(_in_one_row(sequences, share) if padding_free else _padded(sequences, pad)),
        "targets": torch.tensor([token for one in sequences for token in one.ids[one.start :]]),
        "owners": _owners(sequences),
    }


def _owners(sequences: List[Sequence]) -> torch.Tensor:
    return torch.tensor([k for k, one in enumerate(sequences) for _ in range(one.n_scored)])


def _in_one_row(sequences: List[Sequence], share: bool) -> dict[str, torch.Tensor]:
    """Sequences one after the other: `input_ids` and `position_ids` [1, T], `columns` [P], `places` [K].

    `share`: sequences that begin alike, one after the other, branch from one context.
    """
    tokens: list[int] = []
    positions: list[int] = []
    columns: list[int] = []
    places: list[int] = []
    before: tuple[int, ...] = ()
    for one in sequences:
        if not share or one.ids[: one.start] != before:
            before = one.ids[: one.start]
            tokens += before
            positions += range(one.start)
            context = len(columns)
            columns.append(len(tokens) - 1)  # predicts the first scored token
        places += [context, *range(len(columns), len(columns) + one.n_scored - 1)]
        columns += range(len(tokens), len(tokens) + one.n_scored - 1)
        tokens += one.ids[one.start : -1]
        positions += range(one.start, len(one.ids) - 1)
    return {
        "input_ids": torch.tensor([tokens]),
        "position_ids": torch.tensor([positions]),
        "columns": torch.tensor(columns),
        "places": torch.tensor(places),
    }


def _padded(sequences: List[Sequence], pad: int) -> dict[str, torch.Tensor]:
    """A row per sequence: `input_ids` and `attention_mask` [R, T]; of each scored token `rows` and `columns` [K]."""
    lengths = [len(one.ids) - 1 for one in sequences]
    ids = torch.full((len(sequences), max(lengths)), pad)
    mask = torch.zeros_like(ids)
    for row, one in enumerate(sequences):
        ids[row, : lengths[row]] = torch.tensor(one.ids[:-1])
        mask[row, : lengths[row]] = 1
    rows = _owners(sequences)
    return {
        "input_ids": ids,
        "attention_mask": mask,
        "rows": rows,
        "columns": torch.tensor([place for one in sequences for place in range(one.start - 1, len(one.ids) - 1)]),
        "places": torch.arange(len(rows)),
    }


def sequence_logps(
    model: Any, batch: dict[str, torch.Tensor], n: int, config: Any, *, rows: bool = True
) -> torch.Tensor:
    """Summed log-probabilities of the scored tokens of each sequence, float32 [S].

    Args:
        model: called with the batch; any wrapper of it.
        batch: as `make_batch` returns it.
        n: S, the number of sequences.
        config: the model's.
        rows: attend row by row where the batch is concatenated; not with gradient checkpointing.
    """
    inputs = {name: batch[name] for name in ("input_ids", "position_ids", "attention_mask") if name in batch}
    columns = batch["columns"]
    if "position_ids" in batch:
        with by_rows(config, batch["position_ids"] if rows else None):
            logits = model(**inputs, use_cache=False, logits_to_keep=columns).logits[0]
    else:
        first = int(columns.min())
        kept = model(**inputs, use_cache=False, logits_to_keep=inputs["input_ids"].shape[1] - first).logits
        logits = kept[batch["rows"], columns - first]
    chosen = torch.log_softmax(logits.float(), dim=-1)[batch["places"], batch["targets"]]
    return torch.zeros(n, device=chosen.device).index_add(0, batch["owners"], chosen)


class Reference:
    """The model before training: log-probabilities of sequences, each computed once and kept in a folder.

    Args:
        model: the model with its adapter, as training will start.
        key: everything that decides its values besides the sequences.
        folder: the cache.
        bf16: whether training computes in bfloat16.
        padding_free, pad, share: as `make_batch`.
        progress: show a progress bar.
    """

    def __init__(
        self,
        model: Any,
        key: str,
        folder: Path,
        *,
        bf16: bool,
        padding_free: bool,
        pad: int,
        progress: bool,
        share: bool = False,
    ) -> None:
        self.model, self.key, self.folder = model, key, folder
        self.bf16, self.padding_free, self.pad, self.progress, self.share = bf16, padding_free, pad, progress, share
        self.known: dict[Sequence, float] = {}

    def logps(self, sequences: List[Sequence]) -> np.ndarray:
        """Summed log-probabilities, float32 [S]. All processes call it with the same sequences.

        Raises:
            CrossinError: the cache cannot be written.
        """
        # padded, the same lengths come together; shared, the same beginnings
        wanted = sorted(
            {one for one in sequences if one not in self.known},
            key=lambda one: (0 if self.share else len(one.ids), one.ids),
        )
        if wanted:
            path = self.folder / f"{hashlib.sha256((self.key + digest(wanted)).encode()).hexdigest()[:32]}.npy"
            values = _read(path, len(wanted))
            if values is None:
                values = self._compute(wanted)
                if int(os.environ.get("RANK", "0")) == 0:
                    with atomic_path(path) as temporary, temporary.open("wb") as file:
                        np.save(file, values)
            self.known.update(zip(wanted, values.tolist(), strict=True))
        return np.array([self.known[one] for one in sequences], dtype=np.float32)

    @torch.no_grad()
    def _compute(self, sequences: list[Sequence]) -> np.ndarray:
        """Batches of similar length, dealt out to the processes; the batches do not depend on how many there are."""
        from accelerate import PartialState
        from accelerate.utils import gather_object
        from tqdm import tqdm

        state, batches = PartialState(), _batches(sequences)
        mine = range(state.process_index, len(batches), state.num_processes)
        device = next(self.model.parameters()).device
        was_training = self.model.training
        self.model.eval()
        parts = []
        shown = tqdm(mine, desc="reference", unit=" batches", disable=not self.progress or not state.is_main_process)
        for number in shown:
            batch = make_batch(batches[number], padding_free=self.padding_free, pad=self.pad, share=self.share)
            batch = {name: tensor.to(device) for name, tensor in batch.items()}
            with torch.autocast(device.type, torch.bfloat16, enabled=self.bf16):
                logps = sequence_logps(self.model, batch, len(batches[number]), self.model.config)
            parts.append((number, logps.cpu().numpy()))
        self.model.train(was_training)
        return np.concatenate([values for _, values in sorted(gather_object(parts), key=lambda part: part[0])])


def cache_folder(chosen: str | None) -> Path:
    """Where the reference's log-probabilities are kept."""
    if chosen:
        return Path(chosen).expanduser()
    root = os.environ.get("CROSSIN_CACHE_DIR") or Path.home() / ".cache" / "crossin"
    return Path(root).expanduser() / "reference"


def _batches(sequences: list[Sequence]) -> list[list[Sequence]]:
    out: list[list[Sequence]] = [[]]
    size = 0
    for one in sequences:
        if out[-1] and size + len(one.ids) > BATCH_TOKENS:
            out.append([])
            size = 0
        out[-1].append(one)
        size += len(one.ids)
    return out


def _read(path: Path, n: int) -> np.ndarray | None:
    """Cached values; None where there are none, or the file is damaged."""
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return values if values.shape == (n,) and values.dtype == np.float32 and np.isfinite(values).all() else None


def check_sharding(sharded: bool) -> None:
    """Raises CrossinError where the model is in pieces before training starts."""
    if sharded:
        raise CrossinError(
            "alignment scores its reference before training, which needs the whole model in each process: use several "
            "GPUs without FSDP or ZeRO-3"
        )
