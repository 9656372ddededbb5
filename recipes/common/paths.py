"""Paths that users give: `~` is expanded, and other processes, which run in other folders, get absolute ones."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import Any

from recipes.common.provenance import REPO


def expand_user(value: Any) -> Any:
    """A value of an option, also nested, with `~` at the start of its texts expanded."""
    if isinstance(value, dict):
        return {name: expand_user(item) for name, item in value.items()}
    if isinstance(value, list):
        return [expand_user(item) for item in value]
    return str(Path(value).expanduser()) if isinstance(value, str) and value.startswith("~/") else value


def absolute(name: str) -> str:
    """A local path as an absolute one; hub ids, `packaged:` names and other words stay as they are.

    It is looked for in the current folder, then in the checkout. `{lang}` stands for any language.
    """
    name = expand_user(name)
    for folder in (Path.cwd(), REPO):
        if name and glob.glob(glob.escape(str(folder / name)).replace("{lang}", "*")):
            return str(folder / name)
    return str(Path.cwd() / name) if name.startswith(("./", "../")) else name
