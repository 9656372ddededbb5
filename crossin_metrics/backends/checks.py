"""Mistakes in `--model_args` that can be named before gigabytes are loaded."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from crossin_metrics.errors import CrossinError


def _looks_like_a_path(name: str) -> bool:
    """A hub name is `name` or `owner/name`; anything else can only be meant as a folder."""
    return name.startswith((".", "~", os.sep)) or name.count("/") > 1 or (os.sep != "/" and os.sep in name)


def read_json(path: Path) -> dict[str, Any]:
    """Read one of a checkpoint's JSON files.

    Raises:
        CrossinError: it is not there, not readable, or not a JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise CrossinError(f"{path}: cannot be read as JSON ({error}); is the checkpoint complete?") from error
    if not isinstance(content, dict):
        raise CrossinError(f"{path}: expected a JSON object, found {type(content).__name__}")
    return content


def check_model_folder(pretrained: str, gguf: bool = False) -> dict[str, Any] | None:
    """Check that `pretrained` can be a model, and return its config if it is a folder here (None: a name on a hub).

    Args:
        pretrained: folder or hub name.
        gguf: the weights are in a GGUF file, which carries the configuration itself.

    Raises:
        CrossinError: a path that does not exist, a folder without `config.json`, an adapter in place of a model.
    """
    folder = Path(pretrained).expanduser()
    if not folder.exists():
        if _looks_like_a_path(pretrained):
            raise CrossinError(f"pretrained={pretrained}: no such model folder")
        return None
    if gguf:
        return None
    if not folder.is_dir():
        raise CrossinError(
            f"pretrained={pretrained}: is a file; give the folder that holds config.json and the weights"
        )
    if not (folder / "config.json").is_file():
        if (folder / "adapter_config.json").is_file():
            base = read_json(folder / "adapter_config.json").get("base_model_name_or_path")
            raise CrossinError(
                f"pretrained={pretrained}: is an adapter, not a model; use pretrained={base or 'BASE'} with "
                f"peft={pretrained} (crossin-hf) or lora_local_path={pretrained} (crossin-vllm)"
            )
        raise CrossinError(f"pretrained={pretrained}: has no config.json, so it is not a model folder")
    return read_json(folder / "config.json")


def check_adapter_folder(adapter: str) -> dict[str, Any] | None:
    """Check that `adapter` can be an adapter, and return its config if it is a folder here (None: a name on a hub).

    Raises:
        CrossinError: a path that does not exist, or a folder without `adapter_config.json`.
    """
    folder = Path(adapter).expanduser()
    if not folder.exists():
        if _looks_like_a_path(adapter):
            raise CrossinError(f"adapter {adapter}: no such folder")
        return None
    if not (folder / "adapter_config.json").is_file():
        raise CrossinError(f"adapter {adapter}: has no adapter_config.json, so it is not an adapter folder")
    return read_json(folder / "adapter_config.json")


@contextlib.contextmanager
def one_line_errors(what: str) -> Iterator[None]:
    """Turn what a library raises for a missing or broken checkpoint into one line that begins with `what`."""
    try:
        yield
    except CrossinError:
        raise
    except OSError as error:  # transformers raises it for unknown names, missing files and unreachable hubs
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise CrossinError(f"{what}: {lines[0] if lines else type(error).__name__}") from error


def check_vllm_model(pretrained: str, config: dict[str, Any]) -> None:
    """Refuse a checkpoint that vLLM is known not to load.

    Raises:
        CrossinError: Gemma 2 with a head of its own: vLLM (0.32) knows no `lm_head` in it.
    """
    if config.get("model_type") == "gemma2" and config.get("tie_word_embeddings", True) is False:
        raise CrossinError(
            f"pretrained={pretrained}: vLLM cannot load a Gemma 2 whose lm_head is untied from its embeddings "
            "(tie_word_embeddings is false); use --model crossin-hf, or tune with ensure_weight_tying"
        )


def check_vllm_adapter(adapter: str, max_lora_rank: int) -> None:
    """Refuse an adapter that vLLM cannot serve.

    Raises:
        CrossinError: no such folder; whole modules saved beside the LoRA weights; a rank above `max_lora_rank`.
    """
    config = check_adapter_folder(adapter)
    if config is None:
        return
    saved = config.get("modules_to_save")
    if saved:
        raise CrossinError(
            f"adapter {adapter}: holds whole modules ({', '.join(saved)}; modules_to_save), which vLLM cannot serve; "
            "merge it into its base with recipes/merge_adapter.py and give the merged folder as pretrained"
        )
    rank = max([int(config.get("r") or 0), *(int(r) for r in (config.get("rank_pattern") or {}).values())])
    if rank > max_lora_rank:
        raise CrossinError(
            f"adapter {adapter}: has rank {rank}, above max_lora_rank={max_lora_rank}; "
            f"give max_lora_rank={_allowed(rank)}"
        )


def _allowed(rank: int) -> int:
    """The smallest maximal rank that vLLM accepts and that is not below `rank`."""
    return next((allowed for allowed in (8, 16, 32, 64, 128, 256, 320, 512) if allowed >= rank), rank)
