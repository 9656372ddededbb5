"""The manifest of a tuning run: versions, commit, options, data, tokens, speed, memory, parameters."""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback

from crossin_metrics.files import read_json, write_json
from recipes.common.provenance import git_commit, hardware, versions
from recipes.tuning.run_folder import merged_options

if TYPE_CHECKING:
    from recipes.tuning.loss_masks import MixReport
    from recipes.tuning.model import AdapterPlan
    from recipes.tuning.options import ModelOptions, RunOptions, TrainOptions


class Meter(TrainerCallback):
    """Records time and tokens of each session of a run beside the checkpoints, so that they survive interruptions."""

    def __init__(self, path: Path) -> None:
        self.path = path
        sessions = (read_json(path) or {}).get("sessions", [])
        self.sessions: list[dict[str, Any]] = list(sessions)

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Open a session; drop earlier ones that started after the checkpoint it resumes from."""
        self.sessions = [s for s in self.sessions if s["from_step"] < state.global_step]
        self._start, self._from, self._tokens = time.monotonic(), state.global_step, state.num_input_tokens_seen
        self.sessions.append(
            {"from_step": state.global_step, "to_step": state.global_step, "seconds": 0.0, "tokens": 0}
        )

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Record the progress of the session."""
        self._update(state)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Close the session."""
        self._update(state)

    def _update(self, state: Any) -> None:
        self.sessions[-1] |= {
            "to_step": state.global_step,
            "seconds": round(time.monotonic() - self._start, 3),
            "tokens": state.num_input_tokens_seen - self._tokens,
        }
        if state.is_world_process_zero:
            write_json(self.path, {"sessions": self.sessions})


def peak_memory() -> dict[str, int]:
    """Peak resident memory of the process in bytes, and the peak allocated on its GPU if there is one."""
    import torch

    unit = 1 if sys.platform == "darwin" else 1024
    out = {"resident": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit}
    if torch.cuda.is_available():
        out["gpu"] = torch.cuda.max_memory_allocated()
    return out


def collect(
    trainer: Any,
    meter: Meter,
    tune: RunOptions,
    train: TrainOptions,
    model: ModelOptions,
    report: MixReport,
    plan: AdapterPlan,
    settings: dict[str, Any],
) -> dict[str, Any]:
    """The manifest of a finished run. Call it in all processes: it gathers their memory."""
    import torch

    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    memory = peak_memory()
    gathered = {}
    for name, value in memory.items():
        tensor = torch.tensor([value], dtype=torch.int64, device=trainer.accelerator.device)
        gathered[name] = trainer.accelerator.gather(tensor).tolist()
    seconds = sum(session["seconds"] for session in meter.sessions)
    processed = sum(session["tokens"] for session in meter.sessions)  # steps repeated after an interruption count twice
    tokens = int(trainer.state.num_input_tokens_seen)
    return {
        "format": 1,
        "versions": versions(),
        "git_commit": git_commit(),
        "hardware": hardware(),
        "processes": trainer.accelerator.num_processes,
        "options": merged_options(tune, train, model),
        "seeds": {"seed": train.seed, "data_seed": train.data_seed},
        "model": settings["model"],
        "data": {"tokens_sha256": settings["tokens_sha256"]},
        "mix": report.as_dict(),
        "attention": getattr(trainer.model.config, "_attn_implementation", None),
        "parameters": {
            "base": plan.n_base,
            "trained": plan.n_trained,
            "lora": plan.n_lora,
            "whole_modules": plan.n_saved,
            "single_embeddings": plan.n_tokens,
        },
        "steps": trainer.state.global_step,
        "epochs": trainer.state.epoch,
        "first_loss": losses[0] if losses else None,
        "last_loss": losses[-1] if losses else None,
        "tokens_seen": tokens,
        "seconds": round(seconds, 2),
        "tokens_per_second": round(processed / seconds, 2) if seconds else None,
        "peak_memory_bytes": gathered,
        "sessions": meter.sessions,
    }
