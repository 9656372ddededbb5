"""What an experiment's stages read: local paths are absolute and count by content, hub names are pinned to a commit."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

from crossin_metrics.files import read_json, write_json
from recipes.common.paths import absolute, absolute_metadata

PATHS = (
    "base_set",
    "seed_set",
    "tokenizer",
    "model_name_or_path",
    "pretrained",
    "peft",
    "lora_local_path",
    "deepspeed",
    "eval_texts",
)
"""Options that may name a file or folder whose content decides the result."""

PINNED = "pinned.json"
"""In the experiment's folder: the commits of its hub models and sets. Delete it to take the newest ones."""

_OUTPUTS = ("output_dir", "overwrite", "mix", "start_adapter", "reference_cache")
_COMMIT = re.compile(r"[0-9a-f]{40}")


def absolute_paths(options: dict[str, Any]) -> dict[str, Any]:
    """Options with absolute local paths, since stages run in the checkout's folder; also in nested mappings."""
    out = {}
    for name, value in options.items():
        if name == "metadata":
            value = absolute_metadata(value)
        elif isinstance(value, dict):
            value = absolute_paths(value)
        elif isinstance(value, str) and (
            name in (*PATHS, "data_dir", "start_adapter") or value.startswith(("./", "../", "~/"))
        ):
            value = absolute(value)
        out[name] = value
    return out


def decisive(options: dict[str, Any]) -> dict[str, Any]:
    """Options without outputs; local paths by their names, as the content of `files_of` counts."""
    return {
        name: Path(value).name if _is_input(name, value) else value
        for name, value in options.items()
        if name not in _OUTPUTS
    }


def files_of(options: dict[str, Any]) -> tuple[Path, ...]:
    """The local files, folders and `{lang}` patterns that options name, including those that a stage is to write."""
    from importlib import resources

    data = Path(str(resources.files("crossin_metrics"))) / "data"
    packaged = [str(v).removeprefix("packaged:") for v in options.values() if str(v).startswith("packaged:")]
    inputs = [Path(value) for name, value in options.items() if _is_input(name, value)]
    return (*inputs, *(data / f"{name}.jsonl" for name in packaged))


def pin(folder: Path, kind: str, name: str, revision: str | None) -> str | None:
    """The commit of a hub model or data set, the same for the whole experiment; None where the hub cannot be asked.

    Args:
        folder: the experiment's; the commit is kept there once it exists.
        kind: model or dataset.
        name: hub id.
        revision: branch, tag or commit; None for main.
    """
    key = f"{kind} {name} {revision or 'main'}"
    known = read_json(folder / PINNED) or {}
    commit = known.get(key) or _resolve(kind, name, revision)
    if commit and key not in known and folder.is_dir():
        write_json(folder / PINNED, {**known, key: commit})
    return commit


@functools.cache
def _resolve(kind: str, name: str, revision: str | None) -> str | None:
    from crossin_metrics.hub import hub_commit
    from recipes.tuning.model import commit_of

    found = hub_commit(name, revision) if kind == "dataset" else commit_of(name, revision)
    return found if found and _COMMIT.fullmatch(found) else None


def _is_input(name: str, value: Any) -> bool:
    return name in PATHS and isinstance(value, str) and Path(value).is_absolute()
