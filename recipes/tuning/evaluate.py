"""Evaluates a tuned model with the harness, in its own process.

    python -m recipes.tuning.evaluate --model hf --model_args pretrained=DIR --tasks crossin --output_path OUT ...

takes the arguments of `crossin eval`, resolves `demo:` models, and writes `OUT/done.json` when all results are there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from crossin_metrics.errors import CrossinError, closest
from crossin_metrics.files import read_json, write_json
from crossin_metrics.harness import require_harness
from crossin_metrics.harness.command import has_task
from crossin_metrics.harness.options import TaskOptions
from crossin_metrics.sets.catalogue import DATA_DIR_VARIABLE, FORMULATIONS, GROUPS, all_tasks, expand_tasks
from recipes.common.paths import absolute, absolute_metadata
from recipes.common.provenance import REPO
from recipes.tuning.frames import freeze_date
from recipes.tuning.merge import read_adapter, why_merge
from recipes.tuning.options import RunOptions
from recipes.tuning.run_folder import check_base

ASKED = "asked.json"
"""The options of a finished evaluation in a run's eval/, so that the same command does not repeat it."""
LAUNCHER_VARIABLES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def check_tasks(names: str, metadata: Mapping[str, Any]) -> list[str]:
    """The harness tasks of a comma-separated list, after a check of their options.

    Raises:
        CrossinError: the harness is not installed, a task is unknown, or `metadata` holds what its task refuses.
    """
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    if not wanted:
        raise CrossinError("eval_tasks is empty: name at least one task")
    require_harness()
    ours = [*all_tasks(), *(group + end for group in GROUPS for end in FORMULATIONS.values())]
    for name in wanted:
        if name in ours:
            for task in expand_tasks(name):
                own = {"set": task.set.name, "formulation": task.formulation}
                TaskOptions.from_metadata(task.name, {**own, **metadata})
            continue
        close = closest(name, ours, cutoff=0.85)
        if close or not has_task(name):
            raise CrossinError(f"eval_tasks: unknown task {name!r}" + (f"; did you mean {close!r}?" if close else ""))
    return wanted


def model_arguments(
    backend: str, base: str, *, adapter: Path | None = None, merged: Path | None = None, rank: int = 0
) -> dict[str, Any]:
    """The harness's `--model_args` for a merged model, a base model with an adapter, or a base model.

    Args:
        backend: model class, as in `--model`.
        base: folder or hub id of the base model.
        adapter: folder of the adapter; None for the base model alone.
        merged: folder of the merged model, which takes precedence.
        rank: LoRA rank, which vLLM needs in advance.
    """
    if merged is not None:
        return {"pretrained": merged}
    if adapter is None:
        return {"pretrained": base}
    if "vllm" in backend:
        lora = {"lora_local_path": adapter, "enable_lora": True, "max_lora_rank": rank}
        return {"pretrained": base, "tokenizer": adapter, **lora}
    return {"pretrained": base, "peft": adapter, "tokenizer": adapter}


def harness_arguments(
    backend: str,
    model_args: dict[str, Any],
    tasks: str,
    output: Path,
    *,
    metadata: dict[str, Any] | None = None,
    apply_chat_template: bool = False,
    **values: Any,
) -> list[str]:
    """The harness's command line; `values` are further options such as batch_size, without those that are None."""
    out = ["--model", backend, "--model_args", json.dumps(model_args, default=str)]  # a path may hold a comma
    out += ["--tasks", tasks, "--output_path", str(output), "--log_samples"]
    if metadata:
        out += ["--metadata", json.dumps(metadata, ensure_ascii=False)]
    for name, value in values.items():
        out += [f"--{name}", str(value)] if value is not None else []
    if apply_chat_template:
        out.append("--apply_chat_template")
    return out


def evaluate(run: Path, base: str, tune: RunOptions, *, trust_remote_code: bool = False) -> Path:
    """Run `eval_tasks` on the run's merged model, or on base and adapter; results go to `<run>/eval`.

    Args:
        run: absolute, since the harness runs in another folder.
        base: hub id, or absolute folder, of the base model.
        tune: the run's options.
        trust_remote_code: execute the base model's own code.

    Raises:
        CrossinError: the harness failed, or cannot load the adapter unmerged; or `base` is not the adapter's.
    """
    if (run / "merged" / "config.json").is_file():
        model_args = model_arguments(tune.eval_backend, base, merged=run / "merged")
    else:
        model_args = _with_adapter(base, run / "adapter", tune)
    return _evaluate(model_args, run / "eval", tune, trust_remote_code)


def evaluate_base(
    run: Path,
    base: str,
    tune: RunOptions,
    adapter: Path | None,
    *,
    revision: str | None = None,
    trust_remote_code: bool = False,
) -> Path:
    """Run `eval_tasks` on the model before training: the base at `revision`, or base and first adapter.

    Results go to `<run>/eval_before`.
    """
    model_args = model_arguments(tune.eval_backend, base) if adapter is None else _with_adapter(base, adapter, tune)
    if revision and not Path(base).is_dir():
        model_args["revision"] = revision
    return _evaluate(model_args, run / "eval_before", tune, trust_remote_code)


def task_options(tune: RunOptions) -> dict[str, Any]:
    """`eval_metadata` with absolute paths, since the harness runs in another folder."""
    return absolute_metadata(json.loads(tune.eval_metadata or "{}"))


def score_lines(before: Path | None, after: Path) -> list[str]:
    """One line a task with its headline scores, before and after; before is None if it was not evaluated."""
    old, new = ({} if folder is None else _scores(folder) for folder in (before, after))
    lines = []
    for task, scores in new.items():
        parts = [
            f"{name} {old[task][name]:.3f} -> {value:.3f}" if task in old else f"{name} {value:.3f}"
            for name, value in scores.items()
        ]
        lines.append(f"{task}: {', '.join(parts)}")
    return lines


def _scores(folder: Path) -> dict[str, dict[str, float]]:
    """Task -> accuracy, consistency and AC3 of the latest results in a folder."""
    files = sorted(folder.rglob("results_*.json"), key=lambda path: path.name)
    results = (read_json(files[-1]) or {}).get("results", {}) if files else {}
    wanted = ("acc", "consistency", "consistent_correct", "ac3")
    return {
        task: {name: values[f"{name},none"] for name in wanted if isinstance(values.get(f"{name},none"), float)}
        for task, values in results.items()
    }


def _with_adapter(base: str, adapter: Path, tune: RunOptions) -> dict[str, Any]:
    settings = read_adapter(adapter)
    reason = why_merge(settings)
    if reason:
        raise CrossinError(reason)
    check_base(adapter, base)
    model_args = model_arguments(tune.eval_backend, base, adapter=adapter, rank=settings["r"])
    if settings.get("revision"):
        model_args["revision"] = settings["revision"]
    return {**model_args, "gpu_memory_utilization": 0.8} if "vllm" in tune.eval_backend else model_args


def _evaluate(model_args: dict[str, Any], output: Path, tune: RunOptions, trust_remote_code: bool) -> Path:
    """Run the harness unless the folder has its results; the model is deleted with the process."""
    asked = {name: getattr(tune, name) for name in ("eval_tasks", "eval_backend", "eval_chat", "eval_limit", "merge")}
    asked |= {"eval_metadata": tune.eval_metadata} if tune.eval_metadata else {}
    if read_json(output / ASKED) == asked:
        return output
    if trust_remote_code:
        model_args["trust_remote_code"] = True
    arguments = harness_arguments(
        tune.eval_backend,
        {**model_args, "dtype": "auto"},
        str(tune.eval_tasks),
        output,
        metadata=task_options(tune),
        apply_chat_template=tune.eval_chat,
        batch_size=tune.eval_batch_size,
        limit=tune.eval_limit,
    )
    # With the launcher's variables the harness would wait for processes that have ended.
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in LAUNCHER_VARIABLES and not name.startswith(("ACCELERATE_", "TORCHELASTIC_", "FSDP_"))
    }
    if DATA_DIR_VARIABLE in environment:
        environment[DATA_DIR_VARIABLE] = absolute(environment[DATA_DIR_VARIABLE])
    output.mkdir(parents=True, exist_ok=True)
    (output / ASKED).unlink(missing_ok=True)
    command = [sys.executable, "-m", "crossin_metrics.cli", "eval", *arguments]
    finished = subprocess.run(command, env=environment, cwd=REPO, check=False)
    if finished.returncode:
        raise CrossinError(f"evaluation failed (exit code {finished.returncode}, see above); the adapter is complete")
    write_json(output / ASKED, asked)
    return output


def undated_tokenizer(model_args: dict[str, Any], output: Path) -> dict[str, Any]:
    """`{"tokenizer": folder}` where the model's chat template shows today's date: a copy that always shows the same."""
    from transformers import AutoTokenizer

    names = ("revision", "trust_remote_code")
    tokenizer = AutoTokenizer.from_pretrained(
        model_args["pretrained"], **{name: model_args[name] for name in names if name in model_args}
    )
    template = tokenizer.chat_template
    if not isinstance(template, str) or freeze_date(template) == template:
        return {}
    tokenizer.chat_template = freeze_date(template)
    tokenizer.save_pretrained(output / "tokenizer")
    return {"tokenizer": str(output / "tokenizer")}


def main(argv: Sequence[str] | None = None) -> int:
    """Evaluate with the arguments of `crossin eval`; returns the exit code."""
    from lm_eval.utils import simple_parse_args_string

    from crossin_metrics.harness.command import main as crossin_eval
    from recipes.tuning.model import model_path

    arguments = list(sys.argv[1:] if argv is None else argv)
    at = arguments.index("--model_args") + 1
    parts = json.loads(arguments[at]) if arguments[at].startswith("{") else simple_parse_args_string(arguments[at])
    parts["pretrained"] = model_path(parts["pretrained"])
    output = Path(arguments[arguments.index("--output_path") + 1])
    if "--apply_chat_template" in arguments and "tokenizer" not in parts:
        parts |= undated_tokenizer(parts, output)
    arguments[at] = json.dumps(parts)
    started = time.monotonic()
    code = crossin_eval(arguments)
    if code:
        return code
    results, samples = (
        sorted(path.relative_to(output).as_posix() for path in output.rglob(pattern))
        for pattern in ("results_*.json", "samples_*.jsonl")
    )
    if not results or not samples:
        raise CrossinError(f"the harness wrote no results to {output}")
    seconds = round(time.monotonic() - started, 1)
    write_json(output / "done.json", {"results": results, "samples": samples, "seconds": seconds})
    return 0


if __name__ == "__main__":
    from recipes.common.options import run as run_command

    run_command(main, "evaluate")
