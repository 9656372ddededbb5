"""The options of one tuning run: ours, and TRL's with the paper's values as defaults.

The paper is Lin et al., "CrossIn", arXiv 2404.11932; its hyperparameters are those of its appendix. Where the appendix
gives none, the released script's value is used and said so.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from trl import ModelConfig, SFTConfig

from crossin_metrics.errors import CrossinError
from recipes.common.options import check_types, parse

# All projections of a decoder layer. Appendix and released script write `p_proj` for the first, which matches no
# module: see recipes/configs/README.md, row "as released", for the effect.
PAPER_TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "down_proj", "up_proj")
DTYPES = ("auto", "bfloat16", "float16", "float32")


def _help(text: str) -> dict[str, str]:
    return {"help": text.replace("%", "%%")}  # argparse formats help with %


@dataclass
class RunOptions:
    """What every tuning recipe can set beside its data: batch, adapter, and what follows training.

    Raises:
        CrossinError: an option has the wrong type or is out of range.
    """

    global_batch_size: int = field(
        default=16,
        metadata=_help("Rows per optimizer step over all processes; gradient accumulation follows from it. Paper: 16."),
    )
    untied: bool = field(
        default=False,
        metadata=_help(
            "Tied models with lora_modules_to_save: train embedding and output head as two matrices, as plain PEFT "
            "does. The adapter doubles, the merged model is untied, and vLLM cannot load it for Gemma 2."
        ),
    )
    trainable_tokens: list[str] = field(
        default_factory=list,
        metadata=_help("Train the embeddings of these texts' tokens only: lighter than lora_modules_to_save."),
    )
    merge: bool = field(default=False, metadata=_help("After training, merge the adapter into <output_dir>/merged."))
    eval_tasks: str | None = field(
        default=None, metadata=_help("After training, the harness tasks to run, separated by commas: crossin_mini,...")
    )
    eval_backend: Literal["hf", "crossin-hf", "vllm", "crossin-vllm"] = field(
        default="hf",
        metadata=_help("Model class of eval_tasks (crossin eval --model). Unmerged adapters must be LoRA only."),
    )
    eval_chat: bool = field(
        default=False, metadata=_help("Format evaluation questions as in training (--apply_chat_template).")
    )
    eval_metadata: str | None = field(
        default=None, metadata=_help("Options of eval_tasks as JSON, the harness's --metadata.")
    )
    eval_before: bool = field(
        default=False, metadata=_help("Also evaluate the model before training, and print both scores.")
    )
    eval_limit: int | None = field(default=None, metadata=_help("Only the first rows of each task, for a quick try."))
    eval_batch_size: int = field(default=16, metadata=_help("Batch size of eval_tasks."))
    eval_texts: str | None = field(
        default=None,
        metadata=_help(
            "Held-out passages whose loss is measured before and after training: packaged:seed_mini, a hub id, or a "
            "file of rows with a text per language. Does the model still model text?"
        ),
    )
    memory_limit_gb: float | None = field(
        default=None,
        metadata=_help(
            "Memory a process may use, in GiB; training does not start if its estimate is higher. "
            "Default: what is free. 0: no check."
        ),
    )
    overwrite: bool = field(default=False, metadata=_help("Replace another run's files in output_dir."))

    DECISIVE: ClassVar[tuple[str, ...]] = ("global_batch_size", "untied", "trainable_tokens")
    """Options that affect the trained weights."""

    def __post_init__(self) -> None:
        check_types(self)
        if self.global_batch_size < 1:
            raise CrossinError(f"global_batch_size: {self.global_batch_size} must be at least 1")
        if self.eval_limit is not None and self.eval_limit < 1:
            raise CrossinError(f"eval_limit: {self.eval_limit} must be at least 1")
        metadata: object = {}
        with contextlib.suppress(ValueError):
            metadata = json.loads(self.eval_metadata or "{}")
        if not isinstance(metadata, dict) or (self.eval_metadata and not metadata):
            raise CrossinError(f"eval_metadata: {self.eval_metadata!r} must be a JSON object of task options")
        if self.eval_before and not self.eval_tasks:
            raise CrossinError("eval_before needs eval_tasks")


@dataclass(kw_only=True)
class TuneOptions(RunOptions):
    """The mix, and how its rows are formatted; errors as `RunOptions`."""

    mix: str = field(
        metadata=_help(
            "A folder made by build_mix.py, a .parquet or .jsonl file of mix rows, or a mix configuration (.yaml) "
            "to build into <output_dir>/mix."
        )
    )
    mix_options: list[str] = field(
        default_factory=list,
        metadata=_help("Overrides of the mix configuration, as name=value: variant=en2x n_samples=200."),
    )
    frame: Literal["plain", "headers", "space", "chat"] = field(
        default="headers",
        metadata=_help(
            "Text around prompt and completion (recipes/common/wording.py). It is saved as the tokenizer's chat "
            "template, so that evaluation can use the same. chat: the model's own chat template."
        ),
    )
    long_rows: Literal["truncate", "drop"] = field(
        default="truncate",
        metadata=_help(
            "A row longer than max_length tokens: truncate it (it then teaches no end of sequence), or drop it. "
            "Both are counted per part of the mix."
        ),
    )

    DECISIVE: ClassVar[tuple[str, ...]] = (*RunOptions.DECISIVE, "frame", "long_rows")

    def __post_init__(self) -> None:
        super().__post_init__()
        for item in self.mix_options:
            if "=" not in item:
                raise CrossinError(f"mix_options: {item!r} must be name=value")


@dataclass
class TrainOptions(SFTConfig):
    """TRL's `SFTConfig` with the paper's values. Checkpoints go to `<output_dir>/checkpoints`."""

    learning_rate: float = field(default=1e-4, metadata=_help("Peak learning rate. Paper: 1e-4."))
    lr_scheduler_type: str = field(
        default="cosine", metadata=_help("Paper gives none; the released script uses cosine decay.")
    )
    warmup_steps: float = field(
        default=0.03, metadata=_help("Warm-up steps; below 1, a share of all steps. Paper: ratio 0.03.")
    )
    num_train_epochs: float = field(default=1.0, metadata=_help("Passes over the mix. Paper: 1."))
    weight_decay: float = field(default=0.0, metadata=_help("Paper: 0 (the released script: 0.01)."))
    optim: str = field(default="adamw_torch", metadata=_help("Paper: Adam; the released script: adamw_torch."))
    per_device_train_batch_size: int = field(default=4, metadata=_help("Rows per forward pass of a process."))
    padding_free: bool | None = field(  # type: ignore[assignment]
        default=None,
        metadata=_help(
            "Concatenate the rows of a batch instead of padding them. Default: on CPUs, where the output head is "
            "then computed for completions only; on GPUs it needs FlashAttention."
        ),
    )
    logging_steps: float = field(default=1, metadata=_help("Steps between log entries."))
    save_steps: float = field(default=100, metadata=_help("Steps between checkpoints; below 1, a share of all."))
    save_total_limit: int | None = field(default=2, metadata=_help("Checkpoints kept."))
    include_num_input_tokens_seen: str = field(
        default="non_padding",
        metadata=_help("Count the tokens seen; checkpoints keep the count, so a resumed run's is complete."),
    )
    use_cpu: bool = field(default=False, metadata=_help("Train on the CPU; the default without a GPU."))

    def __post_init__(self) -> None:
        import torch

        if not torch.accelerator.is_available():
            self.use_cpu = True
        if self.padding_free is None:
            self.padding_free = bool(self.use_cpu)
        if self.load_best_model_at_end:
            raise CrossinError("load_best_model_at_end is not supported: the result is the adapter of the last step")
        for name in ("push_to_hub", "auto_find_batch_size"):
            if getattr(self, name, False):
                raise CrossinError(f"{name} is not supported: it would bypass the checks of the run folder")
        if self.save_only_model:
            raise CrossinError("save_only_model is not supported: a stopped run could not resume where it was")
        if self.resume_from_checkpoint:
            raise CrossinError(
                "resume_from_checkpoint is not needed: rerun with the same options and output_dir to resume"
            )
        if self.packing and self.packing_strategy != "bfd":
            raise CrossinError(f"packing_strategy {self.packing_strategy!r} cuts samples or mixes them: use bfd")
        if self.completion_only_loss is False:
            raise CrossinError("completion_only_loss: false is not supported: the loss covers completions only")
        try:
            super().__post_init__()
        except ValueError as error:
            if "bf16" in str(error):
                raise CrossinError(
                    f"bf16 (the paper's precision) is not supported by this device ({error}): "
                    "add --bf16 false, or --bf16 false --fp16 true on a GPU older than Ampere"
                ) from error
            raise


@dataclass
class ModelOptions(ModelConfig):
    """TRL's `ModelConfig` with the paper's LoRA."""

    use_peft: bool = field(default=True, metadata=_help("Train a LoRA adapter; must be true."))
    dtype: str | None = field(
        default="bfloat16", metadata=_help("Dtype of the frozen weights; trained ones are float32. Paper: bf16.")
    )
    lora_r: int = field(default=64, metadata=_help("LoRA rank. Paper: 64."))
    lora_alpha: int = field(default=128, metadata=_help("LoRA alpha. Paper: 128."))
    lora_dropout: float = field(default=0.05, metadata=_help("LoRA dropout. Paper: 0.05."))
    lora_target_modules: list[str] | None = field(
        default_factory=lambda: list(PAPER_TARGETS),
        metadata=_help("Modules with LoRA matrices. Paper: all projections (reading its p_proj as q_proj)."),
    )
    lora_modules_to_save: list[str] | None = field(
        default_factory=lambda: ["embed_tokens", "lm_head"],
        metadata=_help(
            "Modules trained in full. Paper: embed_tokens lm_head. `[]` in YAML, or none as a flag: LoRA only, which "
            "vLLM can serve with max_lora_rank=64."
        ),
    )

    def __post_init__(self) -> None:
        if not self.use_peft:
            raise CrossinError("use_peft: false is not supported: this recipe trains adapters")
        if not self.model_name_or_path:
            raise CrossinError("model_name_or_path is missing: give a folder, a hub id, or demo:gemma-3-270m")
        if self.lora_modules_to_save == ["none"]:  # a flag cannot give an empty list
            self.lora_modules_to_save = []
        if self.dtype not in (None, *DTYPES):
            raise CrossinError(f"dtype: {self.dtype!r} must be {', '.join(DTYPES)}")
        if not self.lora_target_modules:
            raise CrossinError("lora_target_modules is empty: name at least one, for example q_proj")
        if self.lora_target_parameters:
            raise CrossinError("lora_target_parameters is not supported: use lora_target_modules")
        super().__post_init__()
        if isinstance(self.lora_target_modules, str):  # ModelConfig unwraps a list of one
            self.lora_target_modules = [self.lora_target_modules]


def parse_options(argv: Sequence[str] | None = None) -> tuple[TuneOptions, TrainOptions, ModelOptions]:
    """Parse command line and YAML into the three option sets; errors as in `recipes.common.options.parse`."""
    usual = """model_name_or_path mix output_dir learning_rate num_train_epochs max_length global_batch_size
        per_device_train_batch_size lora_r seed bf16 merge eval_tasks eval_backend memory_limit_gb"""
    tune, train, model = parse(
        (TuneOptions, TrainOptions, ModelOptions),
        argv,
        prog="sft_crossin",
        description="Tune a LoRA adapter on an instruction mix, with TRL.",
        usual=usual.split(),
    )
    return tune, train, model
