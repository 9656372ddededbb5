"""Checks before training: batch sizes, precision, memory, packing."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crossin_metrics.errors import CrossinError
from recipes.tuning.options import ModelOptions, RunOptions, TrainOptions

if TYPE_CHECKING:
    from transformers import PretrainedConfig

    from recipes.tuning.model import AdapterPlan

GIB = 2**30
HEAD_TILE = 4096 * 32768  # TRL's fused head: tokens x vocabulary of one tile (trl/kernels/chunked_logprob.py)


def set_accumulation(tune: RunOptions, train: TrainOptions) -> None:
    """Derive gradient accumulation from the global batch, so that a step sees the same rows on any number of processes.

    Raises:
        CrossinError: the global batch is not a multiple of the rows that all processes take at once.
    """
    at_once = train.per_device_train_batch_size * train.world_size
    if tune.global_batch_size % at_once:
        raise CrossinError(
            f"global_batch_size {tune.global_batch_size} must be a multiple of per_device_train_batch_size "
            f"{train.per_device_train_batch_size} x {train.world_size} processes"
        )
    steps = tune.global_batch_size // at_once
    if train.gradient_accumulation_steps not in (1, steps):
        raise CrossinError(
            f"gradient_accumulation_steps {train.gradient_accumulation_steps} contradicts global_batch_size "
            f"{tune.global_batch_size} ({steps}): omit it"
        )
    train.gradient_accumulation_steps = steps


def check_devices(train: TrainOptions) -> None:
    """One process trains on one device: with several, transformers would multiply the batch, and TRL refuses.

    Raises:
        CrossinError: the process sees several GPUs.
    """
    if train.n_gpu > 1:
        raise CrossinError(
            f"one process sees {train.n_gpu} GPUs: launch one for each (accelerate launch --num_processes "
            f"{train.n_gpu} ...; in an experiment, its launcher), or show it one: CUDA_VISIBLE_DEVICES=0"
        )


def check_precision(train: TrainOptions, options: ModelOptions) -> None:
    """Frozen weights in 16 bits need mixed precision, because trained weights are float32.

    Raises:
        CrossinError: dtype is a 16-bit one, but bf16 and fp16 are off, or FSDP is on.
    """
    if options.dtype in ("bfloat16", "float16") and not (train.bf16 or train.fp16):
        raise CrossinError(f"dtype {options.dtype} without mixed precision: add --dtype float32 or --bf16 true")
    if is_sharded(train) and options.dtype != "float32":
        raise CrossinError(
            f"dtype {options.dtype} with FSDP: it shards weights of one dtype, and trained ones are float32; add "
            "--dtype float32 (computation stays in bf16)"
        )


def check_evaluation(tune: RunOptions, plan: AdapterPlan, config: PretrainedConfig) -> None:
    """Check before training what would fail in the evaluation after it.

    Raises:
        CrossinError: eval_tasks without merge, for an adapter that must be merged first; or an untied merged model that
            vLLM cannot load.
    """
    from recipes.tuning.merge import VLLM_TIED_ONLY, unties, why_merge

    settings = plan.config.to_dict()
    reason = why_merge(settings)
    if tune.eval_tasks and not tune.merge and reason:
        raise CrossinError(f"eval_tasks: {reason}")
    architecture = (config.architectures or [""])[0]
    if tune.merge and "vllm" in tune.eval_backend and plan.tied and unties(settings) and architecture in VLLM_TIED_ONLY:
        raise CrossinError(f"untied: vLLM cannot load an untied {architecture}; omit it, or use eval_backend: hf")


@dataclass(frozen=True)
class MemoryEstimate:
    """Estimated bytes per process, by purpose; measured peaks differ by up to about a third."""

    weights: float
    trained: float
    activations: float
    head: float
    process: float

    @property
    def total(self) -> float:
        """Their sum."""
        return self.weights + self.trained + self.activations + self.head + self.process

    def line(self) -> str:
        """One line for the terminal, in GiB."""
        return (
            f"memory estimate {self.total / GIB:.1f} GiB per process: frozen weights {self.weights / GIB:.1f}, "
            f"trained weights with gradients and Adam {self.trained / GIB:.1f}, "
            f"activations {self.activations / GIB:.1f}, output head {self.head / GIB:.1f}, "
            f"libraries {self.process / GIB:.1f}"
        )


def estimate_memory(
    config: PretrainedConfig,
    plan: AdapterPlan,
    train: TrainOptions,
    options: ModelOptions,
    *,
    longest: int,
    labels: int,
) -> MemoryEstimate:
    """Estimate a process's peak memory without sharding.

    Args:
        longest: tokens of the longest row.
        labels: largest number of positions with loss in one forward pass (batch x completion length).
    """
    text = config.get_text_config()
    width = {"float32": 4.0, "float16": 2.0, "bfloat16": 2.0}.get(options.dtype or "float32", 2.0)
    if options.load_in_8bit:
        width = 1.1
    if options.load_in_4bit:
        width = 0.6  # 4 bits, scales, and 16-bit embeddings
    compute = 2 if train.bf16 or train.fp16 else 4
    tokens = train.per_device_train_batch_size * longest
    hidden, layers = text.hidden_size, text.num_hidden_layers
    inner = getattr(text, "intermediate_size", None) or 4 * hidden
    heads = getattr(text, "num_attention_heads", 1) or 1
    # One decoder layer: about 12 tensors of hidden size (norms in float32, projections, residuals), 5 of intermediate
    # size, and attention weights unless a fused kernel avoids them.
    layer = tokens * (12 * hidden + 5 * inner) * compute + tokens * hidden * 8
    attention = 2 * tokens * longest * heads * 4
    if train.gradient_checkpointing:
        activations = layers * tokens * hidden * compute + 2 * layer + attention
    else:
        activations = layers * (layer + (attention if train.use_cpu else 0))
    from recipes.tuning.trainer import BYTES_PER_LOGIT, HEAD_BYTES

    vocabulary = text.vocab_size
    if train.use_cpu and train.padding_free and labels * vocabulary * BYTES_PER_LOGIT <= HEAD_BYTES:
        head = float(labels * vocabulary * BYTES_PER_LOGIT)
    else:
        tile = min(labels * 32768, HEAD_TILE)
        head = tile * (compute + 4 * 4) + 2 * labels * hidden * 4 + 32768 * hidden * 8
    if plan.n_saved:  # a trained head's gradient is computed in float32 beside the accumulated one
        head += vocabulary * hidden * 4
    trained = plan.n_trained * (4 + 4 + 8 + compute)  # weight, gradient, Adam's two moments, copy in compute dtype
    return MemoryEstimate(plan.n_base * width, trained, activations, head, (0.9 if train.use_cpu else 1.2) * GIB)


def check_memory(estimate: MemoryEstimate, tune: RunOptions, train: TrainOptions) -> None:
    """Check that training fits in memory.

    Raises:
        CrossinError: the estimate exceeds the free memory (or `memory_limit_gb`).
    """
    if tune.memory_limit_gb == 0 or train.deepspeed or is_sharded(train):
        return
    local = 1
    if tune.memory_limit_gb is not None:
        free, where = tune.memory_limit_gb * GIB, "memory_limit_gb"
    else:
        free, where = _free(train)
        local = _local_processes() if train.use_cpu else 1
    if estimate.total * local > free:
        several = f" x {local} processes" if local > 1 else ""
        raise CrossinError(
            f"not enough memory: about {estimate.total / GIB:.1f} GiB{several} needed, {free / GIB:.1f} GiB {where}; "
            "reduce per_device_train_batch_size or max_length, enable gradient_checkpointing, or train LoRA only "
            "(lora_modules_to_save: []); --memory_limit_gb 0 skips this check"
        )


def check_attention(model: Any, train: TrainOptions) -> None:
    """Check, by running the model, that its attention keeps concatenated rows apart, as packing and padding_free need.

    Raises:
        CrossinError: it does not.
    """
    if not (train.packing or train.padding_free):
        return
    share = leak(model, bf16=bool(train.bf16))
    if share > MOST_LEAK:
        kernel = getattr(model.config, "_attn_implementation", "unknown")
        raise CrossinError(
            f"{'packing' if train.packing else 'padding_free'}: this {model.config.model_type} model (attention "
            f"{kernel!r}) lets a row see the one before it ({share:.1%} of the effect of text that belongs to it): set "
            "packing: false and padding_free: false, or attn_implementation: flash_attention_2"
        )


MOST_LEAK = 5e-4
"""Models that keep rows apart show exactly 0, since both passes have the same shapes; the weakest leak seen, LFM2's
convolutions at random weights, is 0.001."""


def leak(model: Any, bf16: bool = False) -> float:
    """How much a row's logits depend on the row before it, as a share of what they do if both are one row.

    Largest difference of a logit between two first rows, with and without positions that begin anew; 1 for a model
    that takes no positions.
    """
    import torch

    device = next(model.parameters()).device
    vocabulary = model.get_input_embeddings().weight.shape[0]
    one, other, row = (7 * torch.arange(start, start + 8, device=device)[None] % vocabulary for start in (3, 101, 31))
    restarting = torch.arange(8, device=device).repeat(2)[None]

    def change(positions: torch.Tensor) -> float:
        logits = [
            model(input_ids=torch.cat([first, row], dim=1), position_ids=positions, use_cache=False).logits[:, 8:]
            for first in (one, other)
        ]
        return float((logits[0] - logits[1]).float().abs().max())

    was_training = model.training
    model.eval()
    try:
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            apart, together = change(restarting), change(torch.arange(16, device=device)[None])
    except TypeError:
        return 1.0
    finally:
        model.train(was_training)
    return apart / together if together else float(apart > 0)


def is_sharded(train: TrainOptions) -> bool:
    """Whether FSDP shards the model over processes."""
    return os.environ.get("ACCELERATE_USE_FSDP", "false").lower() == "true" or bool(train.fsdp)


def check_texts(tune: RunOptions, train: TrainOptions) -> None:
    """Raises CrossinError where held-out texts cannot be scored: each process needs the whole model."""
    zero3 = train.deepspeed_plugin is not None and train.deepspeed_plugin.zero_stage == 3
    if tune.eval_texts and (is_sharded(train) or zero3):
        raise CrossinError("eval_texts: not with FSDP or ZeRO-3, which keep pieces of the model only; leave it out")


def _free(train: TrainOptions) -> tuple[float, str]:
    import torch

    if not train.use_cpu and torch.cuda.is_available():
        free, _ = torch.cuda.mem_get_info()
        return float(free), "free on the GPU"
    import psutil

    return float(psutil.virtual_memory().available), "free"


def _local_processes() -> int:
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
