"""Runs `sft_crossin` and kills it by SIGKILL at a chosen moment.

A moment is `step:N` (after optimizer step N), `write:N` (half of the optimizer's file of checkpoint number N is
written), `seal:N` (all of its files are written, their list is not), `rename:N` (just before it appears) or `rotate:N`
(it appeared, the oldest is half deleted).
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any


def die() -> None:
    """As the kernel or a scheduler does: no handlers, no flushing."""
    os.kill(os.getpid(), signal.SIGKILL)


def run_and_die(moment: str, options: list[str]) -> None:
    """Run with these options up to the moment; the target of a process."""
    import torch

    import recipes.tuning.trainer as trainer
    from recipes.sft_crossin import main as tune

    torch.set_num_threads(1)
    moment, number = moment.split(":")
    count = 0

    def reached() -> bool:
        nonlocal count
        count += 1
        return count == int(number)

    if moment == "step":
        original_step = trainer.LogBeforeSave.on_step_end

        def on_step_end(self: Any, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
            if state.global_step == int(number):
                die()
            return original_step(self, args, state, control, **kwargs)

        trainer.LogBeforeSave.on_step_end = on_step_end  # type: ignore[method-assign]
    elif moment == "write":
        original_save = torch.save

        def save(content: Any, path: Any, *args: Any, **kwargs: Any) -> None:
            original_save(content, path, *args, **kwargs)
            if str(path).endswith("optimizer.pt") and reached():
                data = Path(path).read_bytes()
                Path(path).write_bytes(data[: len(data) // 2])
                die()

        torch.save = save
    elif moment == "seal":
        original_seal = trainer.seal
        trainer.seal = lambda folder: die() if reached() else original_seal(folder)
    elif moment == "rename":
        original_replace = os.replace

        def replace(source: Any, target: Any) -> None:
            if Path(target).name.startswith("checkpoint-") and Path(target).parent.name == "checkpoints" and reached():
                die()
            original_replace(source, target)

        os.replace = replace  # type: ignore[assignment]
    elif moment == "rotate":
        original_rotate = trainer.rotate_checkpoints

        def rotate(folder: str, *args: Any) -> None:
            if reached():
                oldest = min(Path(folder).glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
                (oldest / "optimizer.pt").unlink()
                die()
            original_rotate(folder, *args)

        trainer.rotate_checkpoints = rotate  # type: ignore[assignment]
    tune(options)
