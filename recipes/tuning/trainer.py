"""TRL's SFTTrainer with whole checkpoints and, on CPUs, a head that is applied to completion positions only."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import torch
import trl.trainer.utils
from transformers import TrainerCallback
from transformers.trainer_utils import rotate_checkpoints
from trl import SFTTrainer

from recipes.tuning.checkpoints import seal

STAGING = ".unfinished"


def score_completions_only() -> bool:
    """Let TRL's fused head skip positions without loss on CPUs too, as it does on GPUs.

    The head of a 262k-word vocabulary costs more than the rest of a small model, and two thirds of an instruction mix's
    positions are prompt. TRL scores them all on devices without Triton, to keep shapes constant for compilers that need
    it; a CPU does not. The choice hangs on one private function (trl 1.16 trainer/utils.py,
    `compact = _use_triton(...)`), which the loss kernels call from their own module, so only the choice changes. It can
    go when TRL has an option for it.

    Returns:
        False where this TRL has no such function; training is then correct but slower.
    """
    if not hasattr(trl.trainer.utils, "_use_triton"):
        return False
    original = trl.trainer.utils._use_triton
    if not hasattr(original, "also_cpu"):

        def compact(device: torch.device) -> bool:
            return device.type == "cpu" or original(device)

        compact.also_cpu = True  # type: ignore[attr-defined]
        trl.trainer.utils._use_triton = compact
    return True


class LogBeforeSave(TrainerCallback):
    """Log whenever a checkpoint is due, so that no running mean of the loss spans an interruption."""

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        """Ask for a log entry where a checkpoint will follow."""
        if control.should_save:
            control.should_log = True
        return control


class CrossinTrainer(SFTTrainer):
    """SFTTrainer whose checkpoints appear in one rename, when all of their files are on disk."""

    _staging: str | None = None

    def _get_output_dir(self, trial: Any) -> str:
        return self._staging if self._staging is not None else super()._get_output_dir(trial)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Write into a hidden folder, then rename: a killed run leaves a whole checkpoint or none."""
        output = Path(str(self.args.output_dir))
        staging = output / STAGING
        if self.args.should_save:
            shutil.rmtree(staging, ignore_errors=True)
            staging.mkdir(parents=True)
        self.accelerator.wait_for_everyone()
        self._staging = str(staging)
        try:
            super()._save_checkpoint(model, trial)
        finally:
            self._staging = None
        self.accelerator.wait_for_everyone()
        if self.args.should_save:
            name = f"checkpoint-{self.state.global_step}"
            seal(staging / name)
            shutil.rmtree(output / name, ignore_errors=True)  # a half one of an older run
            os.replace(staging / name, output / name)
            shutil.rmtree(staging, ignore_errors=True)
            rotate_checkpoints(str(output), self.args.save_total_limit)
        self.accelerator.wait_for_everyone()

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """No card per checkpoint: the adapter and the merged model get one."""


def save_adapter(trainer: SFTTrainer, folder: Path) -> None:
    """Write adapter and tokenizer, and let the folder appear in one rename. All processes call it."""
    staging = folder.with_name(f".{folder.name}.unfinished")
    trainer.accelerator.wait_for_everyone()
    if trainer.args.should_save:
        shutil.rmtree(staging, ignore_errors=True)
    trainer.accelerator.wait_for_everyone()
    trainer.save_model(str(staging))
    trainer.accelerator.wait_for_everyone()
    if trainer.args.should_save:
        (staging / "training_args.bin").unlink(missing_ok=True)  # a pickle, with this machine's paths
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(staging, folder)
    trainer.accelerator.wait_for_everyone()
