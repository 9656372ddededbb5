"""What `crossin_startup.pth` runs at every start of Python: makes `lm_eval --tasks cross_xquad` find our tasks.

lm-evaluation-harness 0.4.13 has no plug-ins for tasks (its open pull request 4015 would read the entry-point group
`lm_eval.tasks`). Nothing is written into the harness: when it imports its task index, the index gets one more folder.
No other import is touched, and an error in here leaves the harness as it is. Not needed once the group is read.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # as typing's, whose import takes longer than all of this
if TYPE_CHECKING:
    from typing import Any

INDEX = "lm_eval.tasks._index"


class _Finder:
    """Sees every import, acts on that of :data:`INDEX`, and is gone then."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Let others find every module; wrap the loader of the harness's task index."""
        if name != INDEX:
            return None
        try:
            from importlib.util import find_spec

            sys.meta_path.remove(self)  # type: ignore[arg-type]
            spec: Any = find_spec(name)
            load = spec.loader.exec_module

            def exec_module(module: Any) -> None:
                load(module)
                add_tasks(module)

            spec.loader.exec_module = exec_module
            return spec
        except Exception:
            return None  # the other finders answer


def install() -> None:
    """Make the harness find our tasks in this process, whether or not it is imported already."""
    if INDEX in sys.modules:
        add_tasks(sys.modules[INDEX])
    elif not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())  # type: ignore[arg-type]


def tasks_path() -> str:
    """The folder of the task files: `crossin_metrics/tasks`, in a checkout a link to `lm_eval_tasks/`."""
    package = os.path.dirname(os.path.abspath(__file__))
    checkout = os.path.join(os.path.dirname(package), "lm_eval_tasks")  # also where links cannot be checked out
    return os.path.realpath(checkout if os.path.isdir(checkout) else os.path.join(package, "tasks"))


def add_tasks(index: Any) -> None:
    """Let the harness's index read our folder right after its own, so that a user's `--include_path` still wins."""
    build = getattr(getattr(index, "TaskIndex", None), "build", None)
    if build is None or getattr(build, "crossin", False):
        return

    def with_ours(paths: Any, *args: Any, **kwargs: Any) -> Any:
        from pathlib import Path

        folders, own, ours = [Path(path) for path in paths], Path(index.__file__).parent, tasks_path()
        if own in folders and all(os.path.realpath(path) != ours for path in folders):
            folders.insert(folders.index(own) + 1, Path(ours))
        return build(folders, *args, **kwargs)

    with_ours.crossin = True  # type: ignore[attr-defined]
    index.TaskIndex.build = staticmethod(with_ours)
