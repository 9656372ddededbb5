"""The options of one tuning run: ours, and TRL's with the paper's values as defaults.

The paper is Lin et al., "CrossIn", arXiv 2404.11932; its hyperparameters are those of its appendix. Where the appendix
gives none, the released script's value is used and said so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from trl import ModelConfig, SFTConfig

from crossin_metrics.errors import CrossinError
from recipes.common.options import check_types, parse

# All projections of a decoder layer. Appendix and released script write `p_proj` for the first, which matches no
# module: see configs/mistral_7b_x2x_as_released.yaml for what that did.
PAPER_TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "down_proj", "up_proj")


def _help(text: str) -> dict[str, str]:
    return {"help": text.replace("%", "%%")}  # argparse formats help with %


@dataclass
class TuneOptions:
    """What to tune on, how rows are shown to the model, and what follows training.

    Raises:
        CrossinError: an option has the wrong type, is out of its range, or contradicts another.
    """

    mix: str = field(
        metadata=_help(
            "A folder made by build_mix.py, a .parquet or .jsonl file of mix rows, or a mix configuration (.yaml), "
            "which is built into <output_dir>/mix."
        )
    )
    mix_options: list[str] = field(
        default_factory=list,
        metadata=_help("Options that win over a mix configuration's, as name=value: variant=en2x n_samples=200."),
    )
    frame: Literal["plain", "headers", "space", "chat"] = field(
        default="headers",
        metadata=_help(
            "What stands around prompt and completion (recipes/common/wording.py); it is saved as the tokenizer's chat "
            "template, so that evaluation can show the same. chat: the model's own chat template."
        ),
    )
    long_rows: Literal["truncate", "drop"] = field(
        default="truncate",
        metadata=_help(
            "A row of more than max_length tokens: cut its end (it then teaches no end of sequence), or drop it. "
            "Both are counted per part of the mix."
        ),
    )
    global_batch_size: int = field(
        default=16,
        metadata=_help("Rows per optimizer step over all processes; gradient accumulation follows from it. Paper: 16."),
    )
    untied: bool = field(
        default=False,
        metadata=_help(
            "Tied models with lora_modules_to_save: let embedding and output head become two matrices, as plain PEFT "
            "does. The adapter doubles, the merged model is no longer tied, and vLLM cannot load it for Gemma 2."
        ),
    )
    trainable_tokens: list[str] = field(
        default_factory=list,
        metadata=_help(
            "Texts whose tokens' embeddings are trained, instead of the whole matrix: a lighter choice than "
            "lora_modules_to_save."
        ),
    )
    merge: bool = field(default=False, metadata=_help("After training, merge the adapter into <output_dir>/merged."))
    eval_tasks: str | None = field(
        default=None, metadata=_help("After training, the harness tasks to run, separated by commas: crossin_mini,...")
    )
    eval_backend: Literal["hf", "crossin-hf", "vllm", "crossin-vllm"] = field(
        default="hf",
        metadata=_help("Model class of eval_tasks (crossin eval --model). Without merge, adapters of LoRA alone only."),
    )
    eval_chat: bool = field(
        default=False, metadata=_help("Show evaluation questions in the frame of training (--apply_chat_template).")
    )
    eval_limit: int | None = field(default=None, metadata=_help("First rows of each task only: for trying things out."))
    eval_batch_size: int = field(default=16, metadata=_help("Batch size of eval_tasks."))
    memory_limit_gb: float | None = field(
        default=None,
        metadata=_help(
            "Memory a process may use, in GiB; training that is estimated to need more does not start. "
            "Default: what is free. 0: no check."
        ),
    )
    overwrite: bool = field(default=False, metadata=_help("Replace another run's files in output_dir."))

    def __post_init__(self) -> None:
        check_types(self)
        if self.global_batch_size < 1:
            raise CrossinError(f"global_batch_size: {self.global_batch_size} must be at least 1")
        if self.eval_limit is not None and self.eval_limit < 1:
            raise CrossinError(f"eval_limit: {self.eval_limit} must be at least 1")
        for item in self.mix_options:
            if "=" not in item:
                raise CrossinError(f"mix_options: {item!r} is not name=value")


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
    per_device_train_batch_size: int = field(default=4, metadata=_help("Rows a process puts through at once."))
    padding_free: bool | None = field(  # type: ignore[assignment]
        default=None,
        metadata=_help(
            "Put a batch's rows behind each other instead of padding them. Default: on CPUs, where the output head is "
            "then computed for completions only; on GPUs it needs FlashAttention."
        ),
    )
    logging_steps: float = field(default=1, metadata=_help("Steps between two lines of the loss curve."))
    save_steps: float = field(default=100, metadata=_help("Steps between two checkpoints; below 1, a share of all."))
    save_total_limit: int | None = field(default=2, metadata=_help("Checkpoints kept."))
    include_num_input_tokens_seen: str = field(
        default="non_padding",
        metadata=_help("Count the tokens seen; kept in checkpoints, so a resumed run's is whole."),
    )
    use_cpu: bool = field(default=False, metadata=_help("Train on the CPU; set by itself where there is nothing else."))

    def __post_init__(self) -> None:
        import torch

        if not torch.accelerator.is_available():
            self.use_cpu = True
        if self.padding_free is None:
            self.padding_free = bool(self.use_cpu)
        if self.load_best_model_at_end:
            raise CrossinError("load_best_model_at_end is not supported: the adapter of the last step is the result")
        for name in ("push_to_hub", "auto_find_batch_size"):
            if getattr(self, name, False):
                raise CrossinError(f"{name} is not supported here: it would bypass the run folder's guarantees")
        if self.resume_from_checkpoint:
            raise CrossinError(
                "resume_from_checkpoint is not needed: give the same options and output_dir again, and the run goes on "
                "from its last whole checkpoint"
            )
        if self.packing and self.packing_strategy != "bfd":
            raise CrossinError(
                f"packing_strategy {self.packing_strategy!r} cuts samples or lets one read another: use bfd"
            )
        if self.completion_only_loss is False:
            raise CrossinError("completion_only_loss: false is not supported: the mix's loss is on completions")
        try:
            super().__post_init__()
        except ValueError as error:
            if "bf16" in str(error):
                raise CrossinError(
                    f"bf16 is on (the paper's precision), but this device cannot compute in it ({error}). "
                    "Add --bf16 false, or --bf16 false --fp16 true on a GPU older than Ampere"
                ) from error
            raise


@dataclass
class ModelOptions(ModelConfig):
    """TRL's `ModelConfig` with the paper's LoRA."""

    use_peft: bool = field(default=True, metadata=_help("Train a LoRA adapter; nothing else is supported."))
    dtype: str | None = field(
        default="bfloat16", metadata=_help("Dtype of the frozen weights; what is trained is float32. Paper: bf16.")
    )
    lora_r: int = field(default=64, metadata=_help("LoRA rank. Paper: 64."))
    lora_alpha: int = field(default=128, metadata=_help("LoRA alpha. Paper: 128."))
    lora_dropout: float = field(default=0.05, metadata=_help("LoRA dropout. Paper: 0.05."))
    lora_target_modules: list[str] | None = field(
        default_factory=lambda: list(PAPER_TARGETS),
        metadata=_help("Modules with a LoRA matrix. Paper: all projections (its p_proj is read as q_proj)."),
    )
    lora_modules_to_save: list[str] | None = field(
        default_factory=lambda: ["embed_tokens", "lm_head"],
        metadata=_help(
            "Modules trained whole. Paper: embed_tokens lm_head. `[]` in YAML for LoRA alone, which vLLM can serve "
            "with max_lora_rank=64."
        ),
    )

    def __post_init__(self) -> None:
        if not self.use_peft:
            raise CrossinError("use_peft: false is not supported: this recipe trains adapters")
        if not self.model_name_or_path:
            raise CrossinError("model_name_or_path is missing: a folder, a hub id, or demo:gemma-3-270m")
        if not self.lora_target_modules:
            raise CrossinError("lora_target_modules is empty: name at least one module, for example q_proj")
        if self.lora_target_parameters:
            raise CrossinError("lora_target_parameters is not supported: use lora_target_modules")
        super().__post_init__()
        if isinstance(self.lora_target_modules, str):  # ModelConfig unwraps a list of one
            self.lora_target_modules = [self.lora_target_modules]


def parse_options(argv: Sequence[str] | None = None) -> tuple[TuneOptions, TrainOptions, ModelOptions]:
    """Command line and YAML into the three option sets; see `recipes.common.options.parse` for what is refused."""
    tune, train, model = parse(
        (TuneOptions, TrainOptions, ModelOptions),
        argv,
        prog="sft_crossin",
        description="Tune a LoRA adapter on an instruction mix, with TRL.",
    )
    return tune, train, model
