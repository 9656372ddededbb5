"""What lm-eval calls, and the only package besides the backends that knows its internals."""

from importlib.util import find_spec
from typing import Any

from crossin_metrics.errors import CrossinError
from crossin_metrics.startup import tasks_path

__all__ = ["ParallelMCQTask", "require_harness", "tasks_path"]


def require_harness() -> None:
    """Raise CrossinError unless lm-evaluation-harness is installed."""
    if find_spec("lm_eval") is None:
        raise CrossinError("lm-evaluation-harness is not installed: pip install 'lm-eval[hf]'")


def __getattr__(name: str) -> Any:
    if name != "ParallelMCQTask":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from crossin_metrics.harness.task import ParallelMCQTask  # on first use: lm_eval takes seconds to import

    return ParallelMCQTask
