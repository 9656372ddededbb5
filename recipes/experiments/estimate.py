"""Estimates the cost of an experiment before it runs: tokens, device hours, memory and disk of each arm.

Hours are tokens x FLOPs per token / (peak rate x share of it in use, `--mfu`). FLOPs follow from the architecture:
two per weight and token and pass; attention scores and the adapter add 2-5% at 500 tokens and are left out. On a GPU
a small batch takes as long as launching its kernels. Tokens are counted if the mix's sources and the tokenizer are on
this machine, and assumed otherwise. Finished runs of the experiment show the share that they reached.
"""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
import time
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from crossin_metrics.errors import CrossinError
from crossin_metrics.files import read_json
from crossin_metrics.sets.catalogue import expand_tasks
from crossin_metrics.text_tables import align
from recipes.experiments.config import ExperimentOptions
from recipes.experiments.plan import Plan, align_options, mix_options, model_of, parse_merged, run_folder, train_options

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

# Tokens per character of the English original, measured on the packaged parallel seed (other languages: the mean),
# and per character of the packaged English base set, denser in numbers.
TOKENS_PER_CHARACTER = {
    "mistral": {"base": 0.31, "en": 0.25, "zh": 0.39, "vi": 0.65, "es": 0.38, "id": 0.43, "ms": 0.44, "fil": 0.46},
    "gemma": {"base": 0.30, "en": 0.23, "zh": 0.24, "vi": 0.29, "es": 0.27, "id": 0.24, "ms": 0.25, "fil": 0.36},
    "llama3": {"base": 0.29, "en": 0.23, "zh": 0.29, "vi": 0.30, "es": 0.32, "id": 0.31, "ms": 0.33, "fil": 0.40},
}
# Rows, and mean English characters of prompt and completion; how Open-Platypus (31 MB of text) and Alpaca (360
# characters per item) divide into the two is assumed.
BASE_SET, SEED_SET = (24_926, 500.0, 700.0), (52_002, 85.0, 275.0)
# Mean characters of an English question with its choices (measured: Cross-XQuAD 950, Cross-LogiQA 700, Cross-MMLU 280).
QUESTION, QUESTION_WITH_PASSAGE = 280.0, 850.0
# Tokens of a pair of an alignment, those of them that are scored, and a question's options: BMLAMA-17 with Gemma 3.
PAIR_TOKENS, N_OPTIONS = (45.0, 15.0), 10
# Assumed: tokens generated per answer of a `_gen` task, share of the peak rate in generation, seconds to load a model,
# bytes per second in merging; measured: bytes per row of a sample log.
GENERATED, GENERATION_SHARE, START, MERGE_RATE, LOG_BYTES = 64.0, 0.05, 120.0, 0.25e9, 7600.0
# Measured on an H100 (8B, LoRA on all projections, 4 rows or 8 pairs at a time): seconds of a layer's forward and
# backward pass on a GPU, however few the tokens.
LAYER_SECONDS = 0.01


class Device(NamedTuple):
    """Peak FLOP/s, memory in GiB, and the share of the peak assumed in use."""

    name: str
    rate: float
    memory: float
    used: float


@dataclass(frozen=True)
class ArmCost:
    """One run of an arm: `tokens` as padded, `hours` of train, merge and eval, `memory` in GiB per process, bytes on
    disk that stay (`kept`) and that training holds beside them (`checkpoints`), and `how` the tokens were found.
    """

    arm: str
    runs: int
    model: str
    hours: dict[str, float]
    kept: float
    rows: int = 0
    tokens: float = 0.0
    steps: int = 0
    flops: float = 0.0
    memory: float = 0.0
    checkpoints: float = 0.0
    how: str = ""


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


def forward_flops(config: Any) -> tuple[float, float]:
    """FLOPs of one forward pass per token in the layers, and per row of logits in the output head."""
    text = config.get_text_config()
    hidden, inner, heads = text.hidden_size, text.intermediate_size, text.num_attention_heads
    width = (getattr(text, "head_dim", None) or hidden // heads) * heads
    key_value = width * (getattr(text, "num_key_value_heads", None) or heads) // heads
    weights = hidden * (2 * width + 2 * key_value + 3 * inner)
    return 2.0 * text.num_hidden_layers * weights, 2.0 * hidden * text.vocab_size


def estimate(options: ExperimentOptions) -> list[ArmCost]:
    """The cost of each arm; writes nothing outside a temporary folder.

    Raises:
        CrossinError: an arm's options are invalid, a local source cannot be read, or a task is unknown.
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


def report(options: ExperimentOptions, plan: Plan) -> str:
    """The plan and its cost as text."""
    device = device_of(options.gpu, options.mfu)
    costs = estimate(options)
    runs = [run for run in plan.runs if options.wants(run.arm, run.seed)]
    stages = len(plan.data) + sum(len(run.stages) for run in runs)
    kinds = ("train", "merge", "eval")
    table = [["one run of", "runs", "rows", "tokens", "steps", *(f"{kind} h" for kind in kinds), "memory", "disk"]]
    table += [
        [
            *(cost.arm, str(cost.runs), f"{cost.rows:,}", f"{cost.tokens:,.0f}", f"{cost.steps:,}"),
            *(f"{cost.hours[kind]:.2f}" for kind in kinds),
            f"{cost.memory:.0f} GiB" if cost.memory else "-",
            f"{cost.kept / 1e9:.1f} GB",
        ]
        for cost in costs
    ]
    hours = {kind: sum(cost.runs * cost.hours[kind] for cost in costs) for kind in kinds}
    memory = max((cost.memory for cost in costs), default=0.0)
    disk = sum(cost.runs * cost.kept for cost in costs)
    largest = options.jobs * max((cost.checkpoints for cost in costs), default=0.0)
    lines = [
        f"{options.name}: {len(costs)} arms, {len(runs)} runs, {stages} stages; "
        f"{', '.join(dict.fromkeys(cost.model for cost in costs))}; estimated for {device.name} "
        f"({device.rate / 1e12:,.4g} TFLOP/s, {device.used:.0%} in use)",
        "",
        align(table),
        "",
        f"total: {sum(hours.values()):.1f} device hours ({hours['train']:.1f} training, {hours['merge']:.1f} merging, "
        f"{hours['eval']:.1f} evaluation), memory up to {memory:.0f} of {device.memory:.0f} GiB per process, "
        f"disk {disk / 1e9:,.0f} GB, while training {(disk + largest) / 1e9:,.0f} GB",
        *_measured(options, costs, device),
        "",
        *sorted({cost.how for cost in costs if cost.how}),
        f"assumed: {device.used:.0%} of the peak rate (--mfu), {START:.0f} s to load a model, {GENERATED:.0f} tokens "
        f"per generated answer at {GENERATION_SHARE:.0%} of the peak rate, no few-shot examples, no shared passages; "
        f"on a GPU {1000 * LAYER_SECONDS:.0f} ms or more per layer and training batch; arms that share a training "
        "count it each",
    ]
    return "\n".join(lines)


def _arm(options: ExperimentOptions, arm: str, seeds: list[int], device: Device) -> ArmCost:
    name = model_of(options, arm)
    config = model_config(name)
    hours, logs = _evaluation(options, config, device)
    if not options.arms[arm].get("tune", True):
        return ArmCost(arm, len(seeds), name, {"train": 0.0, "merge": 0.0, "eval": hours}, logs)
    parts = [_training(options, arm, kind, seeds[0], name, config, device) for kind in _kinds(options, arm)]
    last = parts[-1]
    weights = 2.0 * last["n_base"] * options.merge
    return ArmCost(
        arm,
        len(seeds),
        name,
        hours={
            "train": sum(max(part["flops"] / (device.rate * device.used), part["launches"]) for part in parts) / 3600,
            "merge": 3 * weights / MERGE_RATE / 3600,  # read, written, and read again to compare
            "eval": hours,
        },
        kept=sum(part["adapter"] + part["checkpoints"] * options.keep_checkpoints for part in parts) + weights + logs,
        rows=sum(part["rows"] for part in parts),
        tokens=sum(part["tokens"] for part in parts),
        steps=sum(part["steps"] for part in parts),
        flops=sum(part["flops"] for part in parts),
        memory=max(part["memory"] for part in parts) / GIB,
        checkpoints=max(part["checkpoints"] for part in parts) * (not options.keep_checkpoints),
        how="\n".join(part["how"] for part in parts),
    )


def _kinds(options: ExperimentOptions, arm: str) -> list[str]:
    return ["train"] * options.mixes(arm) + ["align"] * options.aligns(arm)


def _training(
    options: ExperimentOptions, arm: str, kind: str, seed: int, name: str, config: Any, device: Device
) -> dict[str, Any]:
    """The cost of tuning on a mix (kind train) or of an alignment: FLOPs, tokens, memory, bytes."""
    from recipes.alignment.options import AlignModelOptions, AlignOptions
    from recipes.tuning.checks import estimate_memory, set_accumulation
    from recipes.tuning.model import plan_adapter
    from recipes.tuning.options import ModelOptions, TrainOptions, TuneOptions

    cpu = device.name == "cpu"
    token, head = forward_flops(config)
    mixed = kind == "train"
    merged = (train_options if mixed else align_options)(options, arm, seed)
    types = (TuneOptions, TrainOptions, ModelOptions) if mixed else (AlignOptions, TrainOptions, AlignModelOptions)
    tune, train, model = parse_merged(types, merged)
    train.use_cpu = cpu
    train.padding_free = bool(merged.get("padding_free", cpu))
    set_accumulation(tune, train)
    single, tune.trainable_tokens = tune.trainable_tokens, []  # these need the tokenizer; they are few
    plan = plan_adapter(config, None, tune, model)  # type: ignore[arg-type]
    plan = replace(plan, n_tokens=3 * len(single) * config.get_text_config().hidden_size)  # "[", code, "]"
    if mixed:
        mix = mix_options(options, arm, seed)
        lengths, losses, how = mix_tokens(mix, name, config, tune.frame, train.max_length)
    else:
        lengths, losses = (np.full(tune.n_pairs, tokens) for tokens in PAIR_TOKENS)
        how = "assumed: a pair of an alignment has {:.0f} tokens, {:.0f} of them scored".format(*PAIR_TOKENS)
    batch = train.per_device_train_batch_size
    grouped = train.padding_free or train.packing or train.train_sampling_strategy == "group_by_length"
    padded = float((lengths if grouped else pad_batches(lengths, batch)).sum())
    # Forward, and gradients through every layer; checkpointing and TRL's fused head (on GPUs) run forward twice.
    passes = 2 + bool(train.gradient_checkpointing), 2 + bool(plan.n_saved) + (mixed and not cpu)
    flops = train.num_train_epochs * (passes[0] * token * padded + passes[1] * head * float(losses.sum()))
    if not mixed:
        # the reference, once: of each pair, or of all options in all languages, or not at all
        n_scored = {"calm": len(tune.languages) * N_OPTIONS / 4, "sft_gold": 0.0}.get(tune.loss, 1.0)
        flops += n_scored * (token * padded + head * float(losses.sum()))
    batches = np.ceil(train.num_train_epochs * len(lengths) / batch)
    longest, labels = int(lengths.max()), int(np.sort(losses)[-batch:].sum())
    return {
        "flops": flops,
        "launches": 0.0 if cpu else batches * config.get_text_config().num_hidden_layers * LAYER_SECONDS,
        "tokens": padded,
        "rows": len(lengths),
        "steps": int(np.ceil(train.num_train_epochs * len(lengths) / tune.global_batch_size)),
        "memory": estimate_memory(config, plan, train, model, longest=longest, labels=labels).total,
        "n_base": plan.n_base,
        "adapter": 4.0 * plan.stored,
        "checkpoints": ((train.save_total_limit or 1) + 1) * (4.0 * plan.stored + 8.0 * plan.n_trained),  # with Adam's
        "how": how,
    }


def mix_tokens(
    options: dict[str, Any], model: str, config: Any, frame: str, max_length: int | None
) -> tuple[np.ndarray, np.ndarray, str]:
    """Tokens of each row of a mix and those with loss, each [n_rows], and how they were found.

    Raises:
        CrossinError: the options are invalid, a local source cannot be read, or no row is left.
    """
    from recipes.mixes.build import build
    from recipes.mixes.config import MixConfig
    from recipes.mixes.plan import part_sizes
    from recipes.tuning.loss_masks import IGNORED, load_rows, mask_rows

    mix = MixConfig(**{**options, "overwrite": False})
    cache = Path(os.environ.get("CROSSIN_CACHE_DIR") or "~/.cache/crossin")
    folder = (cache / model.removeprefix("demo:") if model.startswith("demo:") else Path(model)).expanduser()
    sources = [source.replace("{lang}", "en") for source in (mix.base_set, mix.seed_set)]
    local = all(name.startswith("packaged:") or Path(name).expanduser().exists() for name in sources)
    if local and (folder / "config.json").is_file():
        with tempfile.TemporaryDirectory() as temporary, contextlib.redirect_stderr(io.StringIO()):
            build(replace(mix, output_dir=f"{temporary}/mix"))
            tokenizer = _tokenizer(str(folder), frame)
            rows, _ = mask_rows(load_rows(f"{temporary}/mix"), tokenizer, frame, max_length=max_length)
            losses = np.array([sum(label != IGNORED for label in row) for row in rows["labels"]], dtype=np.float64)
            return np.array(rows["length"], dtype=np.float64), losses, "counted: rows and tokens of the mix"
    base = tokens_of("base", config)
    mean = float(np.mean([tokens_of(code, config) for code in mix.languages]))
    n_samples, n_trans, n_base = part_sizes(mix, BASE_SET[0], SEED_SET[0])
    shape = np.concatenate([_exponential(n) for n in (n_base, n_samples, n_trans)])
    counts = [n_base, n_samples, n_trans]
    prompts = shape * np.repeat([base * BASE_SET[1], mean * SEED_SET[1], mean * 2 * SEED_SET[1]], counts)
    answers = shape * np.repeat([base * BASE_SET[2], mean * SEED_SET[2], mean * SEED_SET[1]], counts)
    if max_length:
        answers = np.minimum(answers, np.maximum(max_length - prompts, 0))
    if not answers.any():
        raise CrossinError(f"no row of the mix would be left at max_length {max_length}")
    how = (
        "assumed: base {:,} rows of {:.0f} + {:.0f} characters (Open-Platypus), seed {:,} items of {:.0f} + {:.0f} in "
        "English (Alpaca), exponentially distributed"
    ).format(*BASE_SET, *SEED_SET)
    return (prompts + answers)[answers > 0], answers[answers > 0], how


def _exponential(n: int) -> np.ndarray:
    """The n quantiles of an exponential distribution of mean 1, in order."""
    return -np.log1p(-(np.arange(n) + 0.5) / max(n, 1))


@lru_cache(maxsize=1)
def _tokenizer(model: str, frame: str) -> Any:
    """All arms have the same; a large vocabulary takes seconds to read."""
    from recipes.tuning.model import load_tokenizer

    return load_tokenizer(model, frame)


def tokens_of(code: str, config: Any) -> float:
    """Tokens per character of the English original, in a language (or `base`), by the model's tokenizer family."""
    text = config.get_text_config()
    family = "gemma" if str(text.model_type).startswith("gemma") else "mistral"
    row = TOKENS_PER_CHARACTER["llama3" if family == "mistral" and text.vocab_size > 100_000 else family]
    return row.get(code, sum(row.values()) / len(row))


def pad_batches(lengths: np.ndarray, batch: int, seed: int = 0) -> np.ndarray:
    """Padded length of each row in batches of random order, shape [n_rows]."""
    shuffled = np.random.default_rng(seed).permutation(lengths)
    groups = np.concatenate([shuffled, np.zeros(-len(shuffled) % batch)]).reshape(-1, batch)
    return np.repeat(groups.max(axis=1), batch)[: len(shuffled)]


def rows_of(one: dict[str, Any], config: Any) -> list[tuple[float, float, bool]]:
    """Rows, tokens per row, and whether answers are generated, for each task of an evaluation.

    Raises:
        CrossinError: a task is unknown.
    """
    out = []
    metadata, limit = one.get("metadata") or {}, one.get("limit")
    for task in expand_tasks(str(one["tasks"])):
        codes = metadata.get("languages") or task.languages
        characters = QUESTION_WITH_PASSAGE if task.set.passages else QUESTION
        rows = task.set.n_questions * len(codes) / (2 if metadata.get("articles") else 1)
        if limit is not None:
            rows = min(rows, limit if limit >= 1 else rows * limit)
        tokens = characters * float(np.mean([tokens_of(code, config) for code in codes]))
        out.append((rows, tokens, task.formulation == "gen"))
    return out


def _evaluation(options: ExperimentOptions, config: Any, device: Device) -> tuple[float, float]:
    """Device hours and bytes of sample logs of all evaluations of one run."""
    token, head = forward_flops(config)
    seconds = size = 0.0
    for one in options.evaluate.values():
        seconds += START
        for rows, tokens, generates in rows_of(one, config):
            seconds += rows * (token * tokens + head) / (device.rate * device.used)
            if generates:
                seconds += rows * GENERATED * (token + head) / (device.rate * GENERATION_SHARE)
            size += rows * LOG_BYTES
    return seconds / 3600, size


def _measured(options: ExperimentOptions, costs: list[ArmCost], device: Device) -> list[str]:
    """The speed that finished runs reached, and their share of the peak rate by the count above."""
    speeds, rates = [], []
    for cost in costs:
        for seed in options.seeds_of(cost.arm):
            facts = read_json(run_folder(options, cost.arm, seed) / "manifest.json")
            if facts and facts.get("seconds") and cost.steps:
                speeds.append(facts["tokens_seen"] / facts["seconds"])
                rates.append(cost.flops / facts["seconds"])
    if not speeds:
        return []
    return [
        f"measured on {len(speeds)} finished runs: {np.mean(speeds):,.0f} tokens/s, "
        f"{np.mean(rates) / device.rate:.1%} of {device.name}'s peak rate"
    ]
