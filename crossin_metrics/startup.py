"""Makes `lm_eval --tasks cross_xquad` find our tasks; `crossin_startup.pth` calls it when the harness is imported.

lm-evaluation-harness 0.4.13 has no plug-ins for tasks (its open pull request 4015 would read the entry-point group
`lm_eval.tasks`). Nothing is written into the harness: when its task index is imported, the index gets one more folder.
The .pth file, which every start of Python runs, holds only the finder that waits for this import (0.1 ms); an error in
here leaves the harness as it is. Not needed once the group is read.
"""

from __future__ import annotations

import os
import sys
from typing import Any

INDEX = "lm_eval.tasks._index"
extra_folders: list[str] = []  # more folders of task files, for this process
# tasks asked for in this process: where all are ours or the user's, the harness's 13,000 files (7 s) stay unread
wanted: list[str] = []
_known: list[str] = []  # names in the harness's index, once it is read
_ours: set[str] = set()  # those from our folder


def index_spec(name: str) -> Any:
    """The spec of the harness's task index, whose loader calls :func:`add_tasks` once the module is loaded."""
    from importlib.util import find_spec

    spec: Any = find_spec(name)
    load = spec.loader.exec_module

    def exec_module(module: Any) -> None:
        load(module)
        add_tasks(module)

    spec.loader.exec_module = exec_module
    return spec


def register_tasks() -> None:
    """Make the harness find our tasks in this process, where the .pth file has not run (not installed)."""
    from importlib import import_module

    add_tasks(import_module(INDEX))


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
        from contextlib import suppress
        from pathlib import Path

        folders, own = [Path(path) for path in paths], Path(index.__file__).parent
        there = {os.path.realpath(path) for path in folders}
        if own in folders:
            ours = [Path(path) for path in (tasks_path(), *extra_folders) if path not in there]
            position = folders.index(own) + 1
            folders[position:position] = ours
        found = {}
        if wanted and own in folders:
            found = build([folder for folder in folders if folder != own], *args, **kwargs)
        if not (found and all(_complete(name, found) for name in wanted)):
            found = build(folders, *args, **kwargs)
        with suppress(Exception):  # only for messages: an index of another shape is as good
            _known[:] = found
            _ours.update(name for name, entry in found.items() if str(entry.yaml_path).startswith(tasks_path()))
            show_errors_in_one_line()
        return found

    with_ours.crossin = True  # type: ignore[attr-defined]
    index.TaskIndex.build = staticmethod(with_ours)


def _complete(name: str, found: Any) -> bool:
    """Whether an index has a task, or a group and all its members; a tag may have more members elsewhere."""
    entry = found.get(name)
    if entry is None or entry.kind.name not in ("TASK", "PY_TASK", "GROUP"):
        return False
    members = entry.cfg["task"] if entry.kind.name == "GROUP" else []
    return isinstance(members, list) and all(isinstance(one, str) and _complete(one, found) for one in members)


def unknown_task(error: BaseException, *, ours: bool = False) -> str | None:
    """One line for the harness's "Tasks not found: a, b", with the closest known task; None for any other error.

    With `ours`, also None unless the closest task is one of ours: other people's mistakes are theirs to report.
    """
    from crossin_metrics.errors import closest

    start, _, missing = str(error).partition("Tasks not found: ")
    if start or not missing or not isinstance(error, ValueError):
        return None
    close = closest(missing.split(",")[0].strip(), _known)
    if ours and close not in _ours:
        return None
    return f"unknown task {missing}" + (f"; did you mean {close!r}?" if close else " (see lm_eval ls tasks)")


def show_errors_in_one_line() -> None:
    """Let an uncaught CrossinError, and a misspelt task of ours, end `lm_eval` with one line instead of a traceback."""
    if getattr(sys.excepthook, "of_crossin", False):
        return
    previous = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: Any) -> None:
        from crossin_metrics.errors import CrossinError, say

        said = str(error) if isinstance(error, CrossinError) else unknown_task(error, ours=True)
        if said is None:
            previous(kind, error, trace)
        else:
            say(f"crossin: {said}")

    hook.of_crossin = True  # type: ignore[attr-defined]
    sys.excepthook = hook
