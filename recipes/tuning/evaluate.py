"""The harness on the tuned model, as a process of its own: `crossin eval` as a person would call it."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

from crossin_metrics.errors import CrossinError
from crossin_metrics.files import read_json, write_json
from recipes.tuning.merge import read_adapter, why_merge
from recipes.tuning.options import TuneOptions

REPO = Path(__file__).resolve().parents[2]
TASKS = REPO / "lm_eval_tasks"
DONE = "asked.json"
"""What was evaluated; written when all of it was, so that the same command does not repeat it."""


def check_tasks(names: str) -> list[str]:
    """The harness tasks of a comma-separated list.

    Raises:
        CrossinError: the harness is not installed, or knows no such task.
    """
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    if not wanted:
        raise CrossinError("eval_tasks names no task")
    manager = _task_manager()
    for name in wanted:
        if not manager.match_tasks([name]):
            import difflib

            ours = [task for task in manager.all_tasks if "cross" in task]
            close = difflib.get_close_matches(name, ours, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise CrossinError(f"eval_tasks: the harness knows no task {name!r}{hint}")
    return wanted


@lru_cache(maxsize=1)
def _task_manager() -> Any:
    """The harness's index of its tasks, which takes seconds to read."""
    from lm_eval.tasks import TaskManager

    return TaskManager(include_path=include_path())


def include_path() -> str | None:
    """The checkout's task folder, or None where the installed harness has the tasks already (it warns of doubles)."""
    spec = importlib.util.find_spec("lm_eval")
    if spec is None or spec.origin is None:
        raise CrossinError("eval_tasks needs the harness: pip install 'lm-eval[hf]'")
    return None if (Path(spec.origin).parent / "tasks" / "crossin").is_dir() else str(TASKS)


def model_arguments(
    backend: str, base: str, *, adapter: Path | None = None, merged: Path | None = None, rank: int = 0
) -> dict[str, Any]:
    """The harness's `--model_args` of a model: merged, with an adapter as the backend takes it, or as it is.

    Args:
        backend: name of the model class, as `--model` has it.
        base: folder or hub id of the base model.
        adapter: its folder; None for the base model as it is.
        merged: folder of the merged model, which wins.
        rank: of the adapter; vLLM has to know it beforehand.
    """
    if merged is not None:
        return {"pretrained": merged}
    if adapter is None:
        return {"pretrained": base}
    if "vllm" in backend:
        lora = {"lora_local_path": adapter, "enable_lora": True, "max_lora_rank": rank}
        return {"pretrained": base, "tokenizer": adapter, **lora}
    return {"pretrained": base, "peft": adapter, "tokenizer": adapter}


def evaluate(run: Path, base: str, tune: TuneOptions) -> Path:
    """Run `eval_tasks` on the merged model where there is one, else on base and adapter; results go to `<run>/eval`.

    Raises:
        CrossinError: the harness failed, or cannot load the adapter unmerged.
    """
    merged, adapter, output = run / "merged", run / "adapter", run / "eval"
    asked = {name: getattr(tune, name) for name in ("eval_tasks", "eval_backend", "eval_chat", "eval_limit", "merge")}
    if read_json(output / DONE) == asked:
        return output
    if (merged / "config.json").is_file():
        arguments = model_arguments(tune.eval_backend, base, merged=merged)
    else:
        settings = read_adapter(adapter)
        reason = why_merge(settings)
        if reason:
            raise CrossinError(reason)
        arguments = model_arguments(tune.eval_backend, base, adapter=adapter, rank=settings["r"])
        if "vllm" in tune.eval_backend:
            arguments["gpu_memory_utilization"] = 0.8
    arguments["dtype"] = "auto"
    command = [sys.executable, "-m", "crossin_metrics.cli", "eval", "--model", tune.eval_backend]
    command += ["--model_args", ",".join(f"{name}={value}" for name, value in arguments.items())]
    command += ["--tasks", str(tune.eval_tasks), "--batch_size", str(tune.eval_batch_size)]
    if include_path() is not None:
        command += ["--include_path", str(TASKS)]
    command += ["--output_path", str(output), "--log_samples"]
    if tune.eval_chat:
        command.append("--apply_chat_template")
    if tune.eval_limit is not None:
        command += ["--limit", str(tune.eval_limit)]
    # The launcher's variables would make the harness wait for processes that are gone.
    launcher = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in launcher and not name.startswith(("ACCELERATE_", "TORCHELASTIC_", "FSDP_"))
    }
    output.mkdir(parents=True, exist_ok=True)
    (output / DONE).unlink(missing_ok=True)
    finished = subprocess.run(command, env=environment, cwd=REPO, check=False)
    if finished.returncode:
        raise CrossinError(
            f"evaluation failed (exit code {finished.returncode}, see above); the adapter in {adapter} is whole"
        )
    write_json(output / DONE, asked)
    return output
