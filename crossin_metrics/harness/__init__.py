"""What lm-eval calls. Names are loaded on first use, since importing the harness takes seconds."""

from typing import Any

__all__ = ["ParallelMCQTask", "tasks_path"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from crossin_metrics.harness import task

    return getattr(task, name)
