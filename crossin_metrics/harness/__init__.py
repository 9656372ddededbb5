"""What lm-eval calls, and the only package besides the backends that knows its internals."""

from typing import Any

from crossin_metrics.backends.checks import require_harness
from crossin_metrics.errors import CrossinError
from crossin_metrics.startup import show_errors_in_one_line, tasks_path

__all__ = ["ParallelMCQTask", "require_harness", "tasks_path"]


def __getattr__(name: str) -> Any:
    if name != "ParallelMCQTask":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        require_harness()
    except CrossinError:  # the harness lets it end the process
        show_errors_in_one_line()
        raise
    from crossin_metrics.harness.task import ParallelMCQTask  # on first use: lm_eval takes seconds to import

    return ParallelMCQTask
