"""TRL's SFTTrainer with atomic checkpoints and, on CPUs, an output head on completion positions only."""

from __future__ import annotations

import contextlib
import copy
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import Trainer, TrainerCallback
from transformers.trainer_pt_utils import LengthGroupedSampler
from transformers.trainer_utils import rotate_checkpoints
from trl import SFTTrainer

from crossin_metrics.errors import CrossinError
from crossin_metrics.files import swap_in, write_json
from recipes.tuning.checkpoints import seal
from recipes.tuning.frames import set_stop
from recipes.tuning.row_attention import by_rows
from recipes.tuning.run_folder import BASE, identify_weights

HEAD_BYTES = 4 * 2**30
"""Memory limit for logits and their gradients in one pass on a CPU; larger batches use TRL's tiled head."""

BYTES_PER_LOGIT = 16
"""bfloat16 logits, a float32 copy, log-softmax, and their gradients."""


class SeededLengthGroups(LengthGroupedSampler):
    """Batches of rows of similar length, in an order that depends on seed and epoch only.

    transformers' sampler draws from the global random state, so a resumed run would see other batches.
    """

    def __init__(self, batch_size: int, lengths: list[int], seed: int) -> None:
        super().__init__(batch_size, lengths=lengths)
        self.seed, self.epoch = seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Called by accelerate before each pass."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        self.generator = torch.Generator().manual_seed(self.seed + self.epoch)
        return super().__iter__()


class LogBeforeSave(TrainerCallback):
    """Logs before each checkpoint, so that no running mean of the loss spans an interruption."""

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        """Request a log entry if a checkpoint follows."""
        if control.should_save:
            control.should_log = True
        return control


class WholeCheckpoints(Trainer):
    """A trainer whose checkpoints appear in one rename, after all their files are on disk."""

    _staging: str | None = None

    def _get_output_dir(self, trial: Any) -> str:
        return self._staging if self._staging is not None else super()._get_output_dir(trial)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Write into a hidden folder, then rename it: a killed run leaves a complete checkpoint or none."""
        output = Path(str(self.args.output_dir))
        target = output / f"checkpoint-{self.state.global_step}"
        try:
            with staged(self, target) as staging:
                self._staging = str(staging.parent)
                super()._save_checkpoint(model, trial)
                self.accelerator.wait_for_everyone()
                if self.args.should_save:
                    seal(staging)
        except (OSError, RuntimeError, SafetensorError) as error:  # torch reports a full disk as a RuntimeError
            raise CrossinError(
                f"cannot write {target} ({str(error).strip().splitlines()[0]}); earlier checkpoints are complete: "
                "free some space and rerun the same command to resume"
            ) from error
        finally:
            self._staging = None
        if self.args.should_save:
            rotate_checkpoints(str(output), self.args.save_total_limit)
        self.accelerator.wait_for_everyone()

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """No card per checkpoint: only the adapter and the merged model have one."""


class CrossinTrainer(WholeCheckpoints, SFTTrainer):
    """TRL's trainer, with the output head on completion positions only where that is cheaper."""

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Cross entropy over completions, equal to TRL's, but without projecting prompts on CPUs.

        The head of a 262k-token vocabulary costs more than the rest of a small model. On GPUs TRL's fused head skips
        positions without loss; elsewhere it scores them all in float32 tiles (trl 1.16 trainer/utils.py, `compact`).
        Here a batch is one concatenated row, and `logits_to_keep` selects the positions with loss. Remove this override
        when TRL skips them on CPUs too.
        """
        labels = inputs.get("labels")
        ours = (
            self.args.use_cpu
            and not return_outputs
            and labels is not None
            and labels.shape[0] == 1
            and getattr(self.args, "loss_type", "nll") == "nll"
            and not self.args.label_smoothing_factor
            and not self.aux_loss_enabled
        )
        if labels is None or not ours:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        targets = labels[0, 1:]
        keep = (targets != -100).nonzero().squeeze(1)
        if len(keep) * self._vocabulary() * BYTES_PER_LOGIT > HEAD_BYTES:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        rest = {name: value for name, value in inputs.items() if name != "labels"}
        # a layer recomputed in the backward pass would not find its rows
        config: Any = self.model.config  # type: ignore[union-attr]
        rows = None if self.args.gradient_checkpointing else rest.get("position_ids")
        with by_rows(config, rows):
            logits = model(**rest, use_cache=False, logits_to_keep=keep).logits[0].float()
        loss = torch.nn.functional.cross_entropy(logits, targets[keep], reduction="sum")
        loss = loss / (len(keep) if num_items_in_batch is None else num_items_in_batch)
        if self.args.average_tokens_across_devices and num_items_in_batch is not None:
            loss = (
                loss * self.accelerator.num_processes
            )  # it counts the tokens of all processes, and DDP averages gradients
        return loss

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        rows: Any = self.train_dataset if train_dataset is None else train_dataset
        if self.args.train_sampling_strategy != "group_by_length":
            return super()._get_train_sampler(train_dataset)
        lengths = [len(ids) for ids in rows["input_ids"]]
        at_once = self.args.train_batch_size * self.args.gradient_accumulation_steps * self.args.world_size
        seed = self.args.seed if self.args.data_seed is None else self.args.data_seed
        return SeededLengthGroups(at_once, lengths, seed)

    def _vocabulary(self) -> int:
        config: Any = self.model.config  # type: ignore[union-attr]
        return int(config.get_text_config().vocab_size)


@contextlib.contextmanager
def staged(trainer: Trainer, target: Path) -> Iterator[Path]:
    """Yield a folder that all processes write into; the first process then puts it in the place of `target`."""
    scratch = target.with_name(".unfinished")
    staging = scratch / target.name
    wait = trainer.accelerator.wait_for_everyone
    wait()
    try:
        if trainer.args.should_save:
            shutil.rmtree(scratch, ignore_errors=True)
            staging.mkdir(parents=True)
        wait()
        yield staging
        wait()
        if trainer.args.should_save:
            swap_in(staging, target)
    finally:
        if trainer.args.should_save:
            shutil.rmtree(scratch, ignore_errors=True)
    wait()


def save_adapter(trainer: Trainer, folder: Path) -> None:
    """Write adapter and tokenizer, whole or not at all. All processes call it."""
    with staged(trainer, folder) as staging:
        trainer.save_model(str(staging))
        trainer.accelerator.wait_for_everyone()
        if trainer.args.should_save:
            (staging / "training_args.bin").unlink(missing_ok=True)  # a pickle, with this machine's paths
            base = trainer.accelerator.unwrap_model(trainer.model).peft_config["default"]
            write_json(staging / BASE, {"commit": base.revision, **identify_weights(str(base.base_model_name_or_path))})
            stop = copy.deepcopy(trainer.accelerator.unwrap_model(trainer.model).generation_config)
            set_stop(stop, trainer.processing_class)
            stop.save_pretrained(staging)  # for `vllm serve --generation-config`; merging makes one of its own
