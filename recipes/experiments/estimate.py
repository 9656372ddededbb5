"""What an experiment will cost: operations, hours, memory and disk of each arm, before anything is run.

Operations are counted (`operations.py`), rows and tokens counted or taken from stated means (`lengths.py`), memory is
the estimate that training itself makes. Hours follow from the accelerator's peak rate and the share of it that is
assumed to be used. All of it is an estimate; finished runs are held against it where there are any.
"""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import tempfile
import time
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from crossin_metrics.errors import CrossinError
from crossin_metrics.files import read_json
from crossin_metrics.sets.catalogue import expand_tasks
from recipes.experiments import lengths
from recipes.experiments.config import REPO, ExperimentOptions
from recipes.experiments.operations import inference_operations, model_config, training_operations
from recipes.experiments.plan import Plan, mix_options, model_of, train_options

GIB = 2**30

# Peak dense bfloat16 rate without sparsity in operations a second, and memory in GiB, from the makers' data sheets.
GPUS = {
    "A100-40GB": (312e12, 40),
    "A100-80GB": (312e12, 80),
    "H100-80GB": (989e12, 80),
    "H200-141GB": (989e12, 141),
    "L40S-48GB": (362e12, 48),
    "A10-24GB": (125e12, 24),
    "RTX4090-24GB": (165e12, 24),
}

# Tokens of a row with its options listed (prompt p1): means measured on the sets with each tokenizer; for Cross-XQuAD
# on XQuAD's own passages, questions and answers.
_LIKE = {"cross_xquad_spans": "cross_xquad", "crossin_mini": "cross_mmlu"}  # sets whose rows are as long as another's
QUESTION_TOKENS: dict[str, dict[str, dict[str, float]]] = {
    "mistral": {
        "cross_xquad": {"en": 246, "zh": 368, "vi": 626, "es": 348},
        "cross_mmlu": {"en": 73, "zh": 98, "vi": 163, "es": 99, "id": 116, "ms": 116, "fil": 122},
        "cross_logiqa": {"en": 178, "zh": 251, "vi": 511, "es": 272, "id": 339, "ms": 352, "fil": 364},
    },
    "gemma": {
        "cross_xquad": {"en": 219, "zh": 237, "vi": 286, "es": 265},
        "cross_mmlu": {"en": 66, "zh": 66, "vi": 80, "es": 76, "id": 73, "ms": 75, "fil": 100},
        "cross_logiqa": {"en": 162, "zh": 149, "vi": 210, "es": 193, "id": 181, "ms": 198, "fil": 280},
    },
    "llama3": {
        "cross_xquad": {"en": 214, "zh": 265, "vi": 281, "es": 303},
        "cross_mmlu": {"en": 63, "zh": 73, "vi": 78, "es": 84, "id": 88, "ms": 90, "fil": 106},
        "cross_logiqa": {"en": 159, "zh": 182, "vi": 210, "es": 229, "id": 249, "ms": 263, "fil": 312},
    },
}
# Of these, tokens of the passage, which crossin-hf and crossin-vllm read once for all of its questions.
PASSAGE_TOKENS = {
    "mistral": {"en": 185, "zh": 279, "vi": 500, "es": 266},
    "gemma": {"en": 164, "zh": 176, "vi": 219, "es": 201},
    "llama3": {"en": 163, "zh": 200, "vi": 218, "es": 235},
}
QUESTIONS_OF_A_PASSAGE = 1190 / 240
GENERATED = 64.0
"""Tokens written an answer of a `_gen` task: assumed; it stops at 128 or at the next question."""
DECODING = 0.05
"""Share of the peak rate that writing token by token reaches: assumed, for batches of some hundred rows."""
START = 120.0
"""Seconds until a server has loaded a model and answers: assumed."""
MERGE_RATE = 0.25e9
"""Bytes a second that merging reads and writes: assumed."""
LOG_BYTES = 7600.0
"""Bytes of a row in a sample log: measured on a log of cross_xquad_spans_cf, which shows the passage."""


@dataclass(frozen=True)
class Accelerator:
    """A device: peak operations a second, memory in GiB, and the share of the peak that is assumed to be used."""

    name: str
    rate: float
    memory: float
    used: float


@dataclass(frozen=True)
class ArmCost:
    """One arm's estimate, for one of its runs.

    Attributes:
        runs: number of its seeds.
        tokens, padded: of the mix once, without and with what pads batches.
        steps: optimizer steps.
        operations: of training.
        hours: of training, merging and evaluating, in device hours.
        memory: GiB a training process needs.
        kept, peak: disk in bytes, when finished and while training.
        how: where rows and tokens come from.
    """

    arm: str
    runs: int
    model: str
    trained: int
    rows: int
    tokens: float
    padded: float
    steps: int
    operations: float
    hours: dict[str, float]
    memory: float
    kept: float
    peak: float
    how: str


def accelerator(name: str, used: float) -> Accelerator:
    """A device of the table; `cpu`, whose rate is measured here; or `TFLOPS:GIB`.

    Raises:
        CrossinError: none of these, or a share outside (0, 1].
    """
    if not 0 < used <= 1:
        raise CrossinError(f"mfu: {used} is not a share above 0 and at most 1")
    if name in GPUS:
        return Accelerator(name, *GPUS[name], used)
    if name == "cpu":
        import psutil

        return Accelerator("this machine's CPU, measured", _matrix_rate(), psutil.virtual_memory().total / GIB, used)
    rate, _, memory = name.partition(":")
    try:
        return Accelerator(name, float(rate) * 1e12, float(memory), used)
    except ValueError:
        raise CrossinError(f"gpu: {name!r} is none of {', '.join(GPUS)}, cpu, or TFLOPS:GIB such as 312:80") from None


def estimate(options: ExperimentOptions, plan: Plan) -> list[ArmCost]:
    """The cost of each arm. Nothing is written outside a temporary folder.

    Raises:
        CrossinError: an arm's merged options are refused by its recipe, or local data cannot be read.
    """
    device = accelerator(options.gpu, options.mfu)
    out = []
    with _data(plan) as data:
        for arm in options.arms:
            seeds = [seed for seed in options.seeds_of(arm) if options.wants(arm, seed)]
            if not seeds:
                continue
            try:
                out.append(_arm(options, arm, seeds, device, data))
            except CrossinError as error:
                raise CrossinError(f"arms: {arm}: {error}") from error
    return out


def report(options: ExperimentOptions, plan: Plan) -> str:
    """The plan and its cost as text."""
    device = accelerator(options.gpu, options.mfu)
    runs = [run for run in plan.runs if options.wants(run.arm, run.seed)]
    costs = estimate(options, plan)
    stages = len(plan.data) + sum(len(run.stages) for run in runs)
    models = dict.fromkeys(cost.model for cost in costs)
    lines = [
        f"{options.name}: {len(costs)} arms, {len(runs)} runs, {stages} stages; {', '.join(models)}; an estimate for "
        f"{device.name} ({device.rate / 1e12:,.4g} TFLOP/s, {device.used:.0%} of it used)",
        "",
        f"{'a run of':<20} {'runs':>4} {'rows':>8} {'tokens':>8} {'padded':>8} {'steps':>7} {'PFLOP':>9} "
        f"{'train h':>8} {'merge h':>8} {'eval h':>7} {'memory':>8} {'disk':>8} {'at peak':>8}",
    ]
    for cost in costs:
        memory = f"{cost.memory:.0f} GiB" if cost.memory else "-"
        lines.append(
            f"{cost.arm:<20} {cost.runs:>4} {cost.rows:>8,} {_short(cost.tokens):>8} {_short(cost.padded):>8} "
            f"{cost.steps:>7,} {cost.operations / 1e15:>9,.4g} {cost.hours['train']:>8.2f} {cost.hours['merge']:>8.2f} "
            f"{cost.hours['eval']:>7.2f} {memory:>8} {cost.kept / 1e9:>5.1f} GB {cost.peak / 1e9:>5.1f} GB"
        )
    total = totals(options, costs)
    lines += [
        "",
        f"together: {total['hours']:.1f} device hours ({total['train']:.1f} training, {total['merge']:.1f} merging, "
        f"{total['eval']:.1f} evaluating), memory up to {total['memory']:.0f} of {device.memory:.0f} GiB a process, "
        f"disk {total['disk'] / 1e9:,.0f} GB, at the peak {total['peak'] / 1e9:,.0f} GB",
        *_held_against(options, costs, device),
        "",
        *_assumptions(options, costs, device),
    ]
    return "\n".join(lines)


def totals(options: ExperimentOptions, costs: list[ArmCost]) -> dict[str, float]:
    """Sums over all runs: device hours by kind, disk in bytes when all is done and at its peak; memory: the largest."""
    out = {kind: sum(cost.runs * cost.hours[kind] for cost in costs) for kind in ("train", "merge", "eval")}
    out["hours"] = sum(out.values())
    out["memory"] = max((cost.memory for cost in costs), default=0.0)
    out["disk"] = sum(cost.runs * cost.kept for cost in costs)
    beside = sorted((cost.peak - cost.kept for cost in costs for _ in range(cost.runs)), reverse=True)
    at_once = len(beside) if options.keep_checkpoints else options.jobs
    out["peak"] = out["disk"] + sum(beside[:at_once])
    return out


def _arm(options: ExperimentOptions, arm: str, seeds: list[int], device: Accelerator, data: Path | None) -> ArmCost:
    name = model_of(options, arm)
    config = model_config(name)
    family = lengths.family_of(config)
    cpu = device.name.startswith("this machine")
    hours, log = _evaluation(options, config, family, device)
    if not options.arms[arm].get("tune", True):
        nothing = {"train": 0.0, "merge": 0.0, "eval": hours}
        return ArmCost(arm, len(seeds), name, 0, 0, 0, 0, 0, 0, nothing, 0, log, log, "")
    from recipes.tuning.checks import estimate_memory, set_accumulation
    from recipes.tuning.model import plan_adapter

    merged = train_options(options, arm, seeds[0])
    tune, train, model = _parsed(merged)
    train.use_cpu = cpu
    train.padding_free = bool(merged.get("padding_free", cpu))
    set_accumulation(tune, train)
    singles, tune.trainable_tokens = tune.trainable_tokens, []  # needs the tokenizer; a few rows of the embedding
    plan = plan_adapter(config, None, tune, model)  # type: ignore[arg-type]
    plan = replace(plan, n_tokens=len(singles) * 3 * config.get_text_config().hidden_size)  # "[", code, "]"
    mix = lengths.mix_of(
        mix_options(options, arm, seeds[0]),
        model=name,
        family=family,
        frame=tune.frame,
        max_length=train.max_length,
        data=data,
    )
    at_once = train.per_device_train_batch_size
    grouped = train.padding_free or train.packing or train.train_sampling_strategy == "group_by_length"
    padded = mix.lengths if grouped else mix.padded(at_once)
    count = training_operations(config, plan, checkpointing=bool(train.gradient_checkpointing), recompute_head=not cpu)
    squares = float((padded**2).sum()) * (at_once if train.padding_free and cpu else 1)
    operations = train.num_train_epochs * count.of(float(padded.sum()), squares, float(mix.losses.sum()))
    memory = estimate_memory(
        config,
        plan,
        train,
        model,
        longest=int(mix.lengths.max()),
        labels=int(np.sort(mix.losses)[-at_once:].sum()),
    ).total
    adapter = 4.0 * plan.stored
    weights = 2.0 * (plan.n_base + (plan.n_saved / 2 if tune.untied and plan.tied else 0)) if options.merge else 0.0
    checkpoints = (train.save_total_limit or 1) + 1  # one more while it is written
    kept = adapter + weights + 0.4 * mix.characters + log  # the mix is compressed
    spare = checkpoints * (adapter + 8.0 * plan.n_trained)  # with Adam's two moments
    merge = 3 * 2.0 * plan.n_base / MERGE_RATE / 3600 if options.merge else 0.0  # read, written, read again to compare
    train_hours = operations / (device.rate * device.used) / 3600
    return ArmCost(
        arm=arm,
        runs=len(seeds),
        model=name,
        trained=plan.n_trained,
        rows=len(mix.lengths),
        tokens=float(mix.lengths.sum()),
        padded=float(padded.sum()),
        steps=int(np.ceil(train.num_train_epochs * len(mix.lengths) / tune.global_batch_size)),
        operations=operations,
        hours={"train": train_hours, "merge": merge, "eval": hours},
        memory=memory / GIB,
        kept=kept + (spare if options.keep_checkpoints else 0.0),
        peak=kept + spare,
        how=mix.how,
    )


def _evaluation(options: ExperimentOptions, config: Any, family: str, device: Accelerator) -> tuple[float, float]:
    """Hours and bytes of logs of all evaluations of one run."""
    count = inference_operations(config)
    seconds = size = 0.0
    for one in options.evaluate.values():
        seconds += 0.0 if device.name.startswith("this machine") else START
        for rows, tokens, writes in _asked(one, family):
            prompts = count.of(rows * tokens, rows * tokens**2, rows)
            seconds += prompts / (device.rate * device.used)
            if writes:
                seconds += rows * GENERATED * (count.token + count.head) / (device.rate * DECODING)
            size += rows * LOG_BYTES
    return seconds / 3600, size


def _asked(one: dict[str, Any], family: str) -> list[tuple[float, float, bool]]:
    """Rows, tokens a row, and whether answers are written, for each task of an evaluation."""
    out = []
    for task in expand_tasks(str(one["tasks"])):
        by_language = QUESTION_TOKENS[family].get(_LIKE.get(task.set.name, task.set.name))
        if by_language is None:
            raise CrossinError(f"{task.name}: tokens per question unknown; add the set to QUESTION_TOKENS")
        metadata = one.get("metadata") or {}
        codes = metadata.get("languages") or task.languages
        questions = task.set.n_questions / (2 if metadata.get("articles") else 1)
        sizes = [float(by_language.get(code, by_language["en"])) for code in codes]
        if str(one.get("model", "hf")).startswith("crossin") and task.set.name.startswith("cross_xquad"):
            passages = [PASSAGE_TOKENS[family].get(code, PASSAGE_TOKENS[family]["en"]) for code in codes]
            sizes = [a - b * (1 - 1 / QUESTIONS_OF_A_PASSAGE) for a, b in zip(sizes, passages, strict=True)]
        rows = questions * len(sizes)
        limit = one.get("limit")
        if limit is not None:
            rows = min(rows, limit if limit >= 1 else rows * limit)
        out.append((rows, sum(sizes) / len(sizes), task.formulation == "gen"))
    return out


def _held_against(options: ExperimentOptions, costs: list[ArmCost], device: Accelerator) -> list[str]:
    """Finished runs: operations a second that they reached, by the same count."""
    reached = []
    for cost in costs:
        for seed in options.seeds_of(cost.arm):
            facts = read_json(options.folder / "arms" / cost.arm / f"seed{seed}" / "manifest.json")
            if facts and facts.get("seconds") and cost.tokens:
                done = cost.operations * facts["tokens_seen"] / (cost.tokens * (facts.get("epochs") or 1))
                reached.append((done / facts["seconds"], facts["tokens_seen"] / facts["seconds"]))
    if not reached:
        return []
    rates, speeds = zip(*reached, strict=True)
    share = np.mean(rates) / device.rate
    return [
        f"measured on {len(reached)} finished runs: {np.mean(speeds):,.0f} tokens/s, "
        f"{np.mean(rates) / 1e9:,.1f} GFLOP/s ({min(rates) / 1e9:,.1f} to {max(rates) / 1e9:,.1f}), "
        f"{share:.1%} of {device.name}"
    ]


def _assumptions(options: ExperimentOptions, costs: list[ArmCost], device: Accelerator) -> list[str]:
    out = [
        "counted: operations of forward and backward on the model's own architecture, recomputed activations included;"
        " attention over full squares",
        f"assumed: {device.used:.0%} of the peak rate (--mfu); hours are inverse to it",
    ]
    how = sorted({part for cost in costs for part in cost.how.split("; ") if part})
    notes = {
        "base assumed": f"base: {lengths.BASE_SET.rows:,} rows of {lengths.BASE_SET.prompt:.0f} + "
        f"{lengths.BASE_SET.completion:.0f} characters (Open-Platypus)",
        "seed assumed": f"seed: {lengths.SEED_SET.rows:,} items of {lengths.SEED_SET.prompt:.0f} + "
        f"{lengths.SEED_SET.completion:.0f} characters in English (Alpaca), other languages by measured ratios",
    }
    out += [f"assumed: {notes[part]}; lengths spread exponentially" if part in notes else part for part in how]
    if any(cost.padded > cost.tokens for cost in costs):
        share = sum(c.runs * c.padded for c in costs) / max(1.0, sum(c.runs * c.tokens for c in costs))
        out.append(
            f"padding: batches are padded to their longest row, {share:.2f} times the tokens; with FlashAttention, "
            "train: {padding_free: true, attn_implementation: flash_attention_2} saves it"
        )
    known = {name for one in options.evaluate.values() for name in str(one["tasks"]).split(",")}
    unknown = [name for name in sorted(known) if not _asked({"tasks": name}, "mistral")]
    if unknown:
        out.append(f"not in the estimate: evaluation of {', '.join(unknown)}")
    if any(one.get("num_fewshot") for one in options.evaluate.values()):
        out.append("not in the estimate: few-shot examples")
    out.append(
        f"assumed: {START:.0f} s to start each evaluation, {GENERATED:.0f} tokens written an answer of _gen tasks at "
        f"{DECODING:.0%} of the peak rate, merging at {MERGE_RATE / 1e9:g} GB/s"
    )
    return out


def _parsed(merged: dict[str, Any]) -> tuple[Any, Any, Any]:
    import yaml

    from recipes.tuning.options import parse_options

    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        path = Path(folder) / "train.yaml"
        path.write_text(yaml.safe_dump(merged, allow_unicode=True), encoding="utf-8")
        return parse_options(["--config", str(path)])


@contextlib.contextmanager
def _data(made: Plan) -> Any:
    """The data stage's folder: the experiment's own where it is filled, else one that goes away."""
    if not made.data:
        yield None
        return
    stage = made.data[0]
    if all(path.is_file() for path in stage.outputs):
        yield stage.outputs[0].parent
        return
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "data"
        command = [str(place) if part == str(stage.outputs[0].parent) else part for part in stage.command]
        done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, env=dict(os.environ), check=False)
        if done.returncode:
            said = (done.stderr.strip().splitlines() or ["no output"])[-1]
            raise CrossinError(f"data: cannot be made, so its rows cannot be counted: {said}")
        yield place


@lru_cache(maxsize=1)
def _matrix_rate() -> float:
    """Operations a second of bfloat16 matrix products on all threads here, the best of a few tries.

    By the processor's time, not the clock's, so that other processes on the machine do not count.
    """
    import torch

    size = 1024
    a, b = (torch.randn(size, size, dtype=torch.bfloat16) for _ in range(2))
    best = 0.0
    for _ in range(6):
        started = time.process_time()
        torch.mm(a, b)
        seconds = (time.process_time() - started) / torch.get_num_threads()
        best = max(best, 2.0 * size**3 / max(seconds, 1e-6))
    return best


def _short(number: float) -> str:
    return f"{number / 1e6:.2f}M" if number >= 1e6 else f"{number / 1e3:.1f}k" if number >= 1e3 else f"{number:.0f}"
