"""Paths that users give: `~` is expanded, and other processes, which run in other folders, get absolute ones."""

from __future__ import annotations

import glob
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crossin_metrics.harness.prompts import PROMPT_FILES
from recipes.common.provenance import REPO


def expand_user(value: Any) -> Any:
    """A value of an option, also nested, with `~` at the start of its texts expanded."""
    if isinstance(value, dict):
        return {name: expand_user(item) for name, item in value.items()}
    if isinstance(value, list):
        return [expand_user(item) for item in value]
    return str(Path(value).expanduser()) if isinstance(value, str) and value.startswith("~/") else value


def absolute_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """A task's options with absolute paths: the folder of its data and files of prompts."""
    out = dict(metadata)
    if isinstance(out.get("data_dir"), str):
        out["data_dir"] = absolute(out["data_dir"])
    if isinstance(out.get("prompt"), str):
        out["prompt"] = _absolute_prompt(out["prompt"])
    if isinstance(out.get("again"), list):
        out["again"] = [_absolute_prompt(name) if isinstance(name, str) else name for name in out["again"]]
    return out


def prompt_files(metadata: Mapping[str, Any]) -> list[Path]:
    """The files of prompts that a task's options name."""
    names = [metadata.get("prompt"), *(metadata.get("again") or ())]
    paths = [Path(name.partition("#")[0]) for name in names if isinstance(name, str)]
    return [path for path in paths if path.suffix in PROMPT_FILES]


def _absolute_prompt(name: str) -> str:
    path, mark, wanted = name.partition("#")
    return absolute(path) + mark + wanted if Path(path).suffix in PROMPT_FILES else name


def absolute(name: str) -> str:
    """A local path as an absolute one; hub ids, `packaged:` names and other words stay as they are.

    It is looked for in the current folder, then in the checkout. `{lang}` stands for any language.
    """
    name = expand_user(name)
    for folder in (Path.cwd(), REPO):
        if name and glob.glob(glob.escape(str(folder / name)).replace("{lang}", "*")):
            return str(folder / name)
    return str(Path.cwd() / name) if name.startswith(("./", "../")) else name
