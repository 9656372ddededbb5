"""Estimates the cost of an experiment before it runs: FLOPs, device hours, memory and disk of each arm.

FLOPs per token follow from the architecture; tokens are counted if the mix's sources are on this machine, and assumed
otherwise; hours follow from the device's peak rate and the share of it in use (`--mfu`). Memory is the estimate that
training itself makes. Finished runs show the rate they reached.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from crossin_metrics.errors import CrossinError
from crossin_metrics.files import read_json
from crossin_metrics.text_tables import align
from recipes.experiments.config import ExperimentOptions
from recipes.experiments.plan import Plan, mix_options, model_of, parse_merged, run_folder, train_options
from recipes.experiments.tokens import family_of, mix_tokens, pad_batches, rows_of

if TYPE_CHECKING:
    from recipes.tuning.model import AdapterPlan

GIB = 2**30

# Peak dense bfloat16 rate without sparsity in FLOP/s, and memory in GiB, from the vendors' data sheets.
GPUS = {
    "A100-40GB": (312e12, 40),
    "A100-80GB": (312e12, 80),
    "H100-80GB": (989e12, 80),
    "H200-141GB": (989e12, 141),
    "L40S-48GB": (362e12, 48),
    "A10-24GB": (125e12, 24),
    "RTX4090-24GB": (165e12, 24),
}

# The models' config.json on the hub, for machines that cannot read them there.
SIZES = [
    *("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers"),
    *("num_attention_heads", "num_key_value_heads", "head_dim"),
]
ARCHITECTURES: dict[str, tuple[str, tuple[int, ...]]] = {
    "mistralai/Mistral-7B-v0.1": ("mistral", (32000, 4096, 14336, 32, 32, 8, 128)),
    "meta-llama/Meta-Llama-3-8B": ("llama", (128256, 4096, 14336, 32, 32, 8, 128)),
    "google/gemma-2b": ("gemma", (256000, 2048, 16384, 18, 8, 1, 256)),
    "demo:gemma-3-270m": ("gemma3_text", (262144, 640, 2048, 18, 4, 1, 256)),
}

# Assumed: tokens generated per answer of a `_gen` task (it stops at 128), share of the peak rate in generation, seconds
# to load a model, bytes per second in merging; measured: bytes per row of a sample log.
GENERATED, GENERATION_SHARE, START, MERGE_RATE, LOG_BYTES = 64.0, 0.05, 120.0, 0.25e9, 7600.0


class Device(NamedTuple):
    """Peak FLOP/s, memory in GiB, and the share of the peak assumed in use."""

    name: str
    rate: float
    memory: float
    used: float


class Flops(NamedTuple):
    """FLOPs of a row of T tokens, K of them with logits: token x T + square x T^2 + head x K."""

    token: float
    square: float
    head: float

    def of(self, tokens: float, squares: float, heads: float) -> float:
        """FLOPs of many rows, from the sums of T, T^2 and K."""
        return self.token * tokens + self.square * squares + self.head * heads


@dataclass(frozen=True)
class ArmCost:
    """The estimate for one run of an arm: `hours` of train, merge and eval on the device, `memory` in GiB per process,
    bytes on disk after (`kept`) and during (`peak`) training, and `how` the tokens were found.
    """

    arm: str
    runs: int
    model: str
    rows: int
    tokens: float
    padded: float
    steps: int
    flops: float
    hours: dict[str, float]
    memory: float
    kept: float
    peak: float
    how: str


def device_of(name: str, used: float) -> Device:
    """A device of the table, `cpu` with its rate measured here, or `TFLOPS:GIB`.

    Raises:
        CrossinError: unknown device, or a share outside (0, 1].
    """
    if not 0 < used <= 1:
        raise CrossinError(f"mfu: {used} must be above 0 and at most 1")
    if name in GPUS:
        return Device(name, *GPUS[name], used)
    if name == "cpu":
        import psutil

        return Device(name, measured_rate(), psutil.virtual_memory().total / GIB, used)
    rate, _, memory = name.partition(":")
    try:
        return Device(name, float(rate) * 1e12, float(memory), used)
    except ValueError:
        raise CrossinError(f"gpu: {name!r} must be {', '.join(GPUS)}, cpu, or TFLOPS:GIB such as 312:80") from None


@lru_cache(maxsize=1)
def measured_rate() -> float:
    """FLOP/s of bfloat16 matrix products on all threads, best of six; by CPU time, so other processes do not count."""
    import torch

    size, best = 1024, 0.0
    a, b = (torch.randn(size, size, dtype=torch.bfloat16) for _ in range(2))
    for _ in range(6):
        started = time.process_time()
        torch.mm(a, b)
        best = max(best, 2.0 * size**3 * torch.get_num_threads() / max(time.process_time() - started, 1e-6))
    return best


def model_config(name: str) -> Any:
    """A model's configuration: from a local folder, the table above, or the hub."""
    from transformers import AutoConfig

    from recipes.tuning.model import load_config, model_path
    from recipes.tuning.options import ModelOptions

    if name in ARCHITECTURES:
        kind, sizes = ARCHITECTURES[name]
        return AutoConfig.for_model(kind, **dict(zip(SIZES, sizes, strict=True)))
    return load_config(model_path(name), ModelOptions(model_name_or_path=name))


def inference_flops(config: Any) -> Flops:
    """One forward pass: 2 FLOPs per weight and token, attention over full squares, norms not counted."""
    text = config.get_text_config()
    hidden, inner, heads = text.hidden_size, text.intermediate_size, text.num_attention_heads
    width = (getattr(text, "head_dim", None) or hidden // heads) * heads
    key_value = width * (getattr(text, "num_key_value_heads", None) or heads) // heads
    weights = hidden * (2 * width + 2 * key_value + 3 * inner)
    layers = text.num_hidden_layers
    return Flops(2.0 * layers * weights, 4.0 * layers * width, 2.0 * hidden * text.vocab_size)


def training_flops(config: Any, plan: AdapterPlan, *, checkpointing: bool, recompute_head: bool) -> Flops:
    """Forward and backward: gradients pass all weights and are computed for trained ones.

    With `checkpointing` the layers, with `recompute_head` the output head (TRL's fused one, on GPUs) run forward twice.
    """
    once = inference_flops(config)
    return Flops(
        once.token * (2 + checkpointing) + 2.0 * plan.n_lora * (3 + checkpointing),
        once.square * (3 + checkpointing),
        once.head * (2 + bool(plan.n_saved) + recompute_head),
    )


def estimate(options: ExperimentOptions) -> list[ArmCost]:
    """The cost of each arm; writes nothing outside a temporary folder.

    Raises:
        CrossinError: an arm's options are invalid, a local source cannot be read, or a task's size is unknown.
    """
    device = device_of(options.gpu, options.mfu)
    out = []
    for arm in options.arms:
        seeds = [seed for seed in options.seeds_of(arm) if options.wants(arm, seed)]
        try:
            out += [_arm(options, arm, seeds, device)] if seeds else []
        except CrossinError as error:
            raise CrossinError(f"arms: {arm}: {error}") from error
    return out


def totals(options: ExperimentOptions, costs: list[ArmCost]) -> dict[str, float]:
    """Sums over all runs: device hours by kind, bytes on disk at the end and at the peak; `memory` is the largest."""
    out = {kind: sum(cost.runs * cost.hours[kind] for cost in costs) for kind in ("train", "merge", "eval")}
    out["hours"] = sum(out.values())
    out["memory"] = max((cost.memory for cost in costs), default=0.0)
    out["disk"] = sum(cost.runs * cost.kept for cost in costs)
    extra = sorted((cost.peak - cost.kept for cost in costs for _ in range(cost.runs)), reverse=True)
    out["peak"] = out["disk"] + sum(extra[: options.jobs])
    return out


def report(options: ExperimentOptions, plan: Plan) -> str:
    """The plan and its cost as text."""
    device = device_of(options.gpu, options.mfu)
    costs = estimate(options)
    runs = [run for run in plan.runs if options.wants(run.arm, run.seed)]
    stages = len(plan.data) + sum(len(run.stages) for run in runs)
    models = ", ".join(dict.fromkeys(cost.model for cost in costs))
    head = ["one run of", "runs", "rows", "tokens", "padded", "steps", "PFLOP", "train h", "merge h", "eval h"]
    head += ["memory", "disk", "at peak"]
    rows = [
        (
            *(cost.arm, str(cost.runs), f"{cost.rows:,}", _short(cost.tokens), _short(cost.padded), f"{cost.steps:,}"),
            *(f"{cost.flops / 1e15:,.4g}", *(f"{cost.hours[kind]:.2f}" for kind in ("train", "merge", "eval"))),
            f"{cost.memory:.0f} GiB" if cost.memory else "-",
            *(f"{cost.kept / 1e9:.1f} GB", f"{cost.peak / 1e9:.1f} GB"),
        )
        for cost in costs
    ]
    total = totals(options, costs)
    lines = [
        f"{options.name}: {len(costs)} arms, {len(runs)} runs, {stages} stages; {models}; estimated for {device.name} "
        f"({device.rate / 1e12:,.4g} TFLOP/s, {device.used:.0%} in use)",
        "",
        align([head, *rows]),
        "",
        f"total: {total['hours']:.1f} device hours ({total['train']:.1f} training, {total['merge']:.1f} merging, "
        f"{total['eval']:.1f} evaluation), memory up to {total['memory']:.0f} of {device.memory:.0f} GiB per process, "
        f"disk {total['disk'] / 1e9:,.0f} GB, {total['peak'] / 1e9:,.0f} GB at the peak",
        *_measured(options, costs, device),
        "",
        *sorted({cost.how for cost in costs if cost.how}),
        f"assumed: {device.used:.0%} of the peak rate (--mfu), {START:.0f} s to load a model, "
        f"{GENERATED:.0f} tokens per generated answer at {GENERATION_SHARE:.0%} of the peak rate, "
        "no few-shot examples",
    ]
    padding = sum(c.runs * c.padded for c in costs) / max(1.0, sum(c.runs * c.tokens for c in costs))
    if padding > 1:
        lines.append(
            f"padding: {padding:.2f} times the tokens; with FlashAttention, train: {{padding_free: true, "
            "attn_implementation: flash_attention_2} avoids it"
        )
    return "\n".join(lines)


def _arm(options: ExperimentOptions, arm: str, seeds: list[int], device: Device) -> ArmCost:
    from recipes.tuning.checks import estimate_memory, set_accumulation
    from recipes.tuning.model import plan_adapter
    from recipes.tuning.options import ModelOptions, TrainOptions, TuneOptions

    name = model_of(options, arm)
    config = model_config(name)
    hours, logs = _evaluation(options, config, device)
    if not options.arms[arm].get("tune", True):
        only = {"train": 0.0, "merge": 0.0, "eval": hours}
        return ArmCost(arm, len(seeds), name, 0, 0.0, 0.0, 0, 0.0, only, 0.0, logs, logs, "")
    cpu = device.name == "cpu"
    merged = train_options(options, arm, seeds[0])
    tune, train, model = parse_merged((TuneOptions, TrainOptions, ModelOptions), merged)
    train.use_cpu = cpu
    train.padding_free = bool(merged.get("padding_free", cpu))
    set_accumulation(tune, train)
    single, tune.trainable_tokens = tune.trainable_tokens, []  # these need the tokenizer; they are few
    plan = plan_adapter(config, None, tune, model)  # type: ignore[arg-type]
    plan = replace(plan, n_tokens=3 * len(single) * config.get_text_config().hidden_size)  # "[", code, "]"
    mix = mix_options(options, arm, seeds[0])
    lengths, losses, how = mix_tokens(mix, name, config, tune.frame, train.max_length)
    batch = train.per_device_train_batch_size
    grouped = train.padding_free or train.packing or train.train_sampling_strategy == "group_by_length"
    padded = lengths if grouped else pad_batches(lengths, batch)
    count = training_flops(config, plan, checkpointing=bool(train.gradient_checkpointing), recompute_head=not cpu)
    flops = train.num_train_epochs * count.of(padded.sum(), (padded**2).sum(), losses.sum())
    longest, labels = int(lengths.max()), int(np.sort(losses)[-batch:].sum())
    memory = estimate_memory(config, plan, train, model, longest=longest, labels=labels).total
    adapter, weights = 4.0 * plan.stored, 2.0 * plan.n_base * options.merge
    checkpoints = ((train.save_total_limit or 1) + 1) * (adapter + 8.0 * plan.n_trained)  # with Adam's two moments
    kept = adapter + weights + logs
    return ArmCost(
        arm=arm,
        runs=len(seeds),
        model=name,
        rows=len(lengths),
        tokens=float(lengths.sum()),
        padded=float(padded.sum()),
        steps=int(np.ceil(train.num_train_epochs * len(lengths) / tune.global_batch_size)),
        flops=float(flops),
        hours={
            "train": float(flops) / (device.rate * device.used) / 3600,
            "merge": 3 * weights / MERGE_RATE / 3600,  # read, written, and read again to compare
            "eval": hours,
        },
        memory=memory / GIB,
        kept=kept + checkpoints * options.keep_checkpoints,
        peak=kept + checkpoints,
        how=how,
    )


def _evaluation(options: ExperimentOptions, config: Any, device: Device) -> tuple[float, float]:
    """Device hours and bytes of sample logs of all evaluations of one run."""
    count = inference_flops(config)
    seconds = size = 0.0
    for one in options.evaluate.values():
        seconds += START
        for rows, tokens, generates in rows_of(one, family_of(config)):
            seconds += count.of(rows * tokens, rows * tokens**2, rows) / (device.rate * device.used)
            if generates:
                seconds += rows * GENERATED * (count.token + count.head) / (device.rate * GENERATION_SHARE)
            size += rows * LOG_BYTES
    return seconds / 3600, size


def _measured(options: ExperimentOptions, costs: list[ArmCost], device: Device) -> list[str]:
    """The FLOP/s that finished runs reached, by the same count."""
    reached = []
    for cost in costs:
        for seed in options.seeds_of(cost.arm):
            facts = read_json(run_folder(options, cost.arm, seed) / "manifest.json")
            if facts and facts.get("seconds") and cost.tokens:
                share = facts["tokens_seen"] / (cost.tokens * (facts.get("epochs") or 1))
                reached.append((cost.flops * share / facts["seconds"], facts["tokens_seen"] / facts["seconds"]))
    if not reached:
        return []
    rates, speeds = zip(*reached, strict=True)
    return [
        f"measured on {len(reached)} finished runs: {np.mean(speeds):,.0f} tokens/s, {np.mean(rates) / 1e9:,.1f} "
        f"GFLOP/s ({min(rates) / 1e9:,.1f} to {max(rates) / 1e9:,.1f}), {np.mean(rates) / device.rate:.1%} of "
        f"{device.name}"
    ]


def _short(number: float) -> str:
    return f"{number / 1e6:.2f}M" if number >= 1e6 else f"{number / 1e3:.1f}k" if number >= 1e3 else f"{number:.0f}"
