"""What lm-eval calls, and the only package besides the backends that knows its internals."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from crossin_metrics.errors import CrossinError

__all__ = ["ParallelMCQTask", "include_path", "tasks_path"]


def tasks_path() -> str:
    """Return the folder of the task files: `lm_eval_tasks/` in a checkout, else inside the installed harness."""
    checkout = Path(__file__).resolve().parents[2] / "lm_eval_tasks"
    return str(checkout if checkout.is_dir() else _installed_tasks())


def include_path() -> str | None:
    """Return the `--include_path` our tasks need; None if the installed harness has them (it warns of duplicates)."""
    return None if _installed_tasks().is_dir() else tasks_path()


def _installed_tasks() -> Path:
    spec = find_spec("lm_eval")
    if spec is None or spec.origin is None:
        raise CrossinError("lm-evaluation-harness is not installed: pip install 'lm-eval[hf]'")
    return Path(spec.origin).parent / "tasks" / "crossin"


def __getattr__(name: str) -> Any:
    if name != "ParallelMCQTask":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from crossin_metrics.harness.task import ParallelMCQTask  # on first use: lm_eval takes seconds to import

    return ParallelMCQTask
