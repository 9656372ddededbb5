"""Harness model plug-ins: `crossin-hf` and `crossin-vllm` score options with one prefill, `crossin-api` asks a server.

Newer harnesses find them through the `lm_eval.models` entry points; for 0.4.13, which reads none,
:func:`register` puts their names into the harness's own table. Nothing heavy is imported until a name is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from crossin_metrics.errors import waiting

# name in `--model` -> "module:class", the form the harness resolves on first use
MODELS: dict[str, str] = {
    "crossin-hf": "crossin_metrics.backends.hf:CrossinHF",
    "crossin-vllm": "crossin_metrics.backends.vllm:CrossinVLLM",
    "crossin-api": "crossin_metrics.backends.api:CrossinAPI",
}


def register() -> None:
    """Make the plug-ins known to the installed harness under their `--model` names; calling it twice is harmless."""
    import lm_eval.models  # noqa: F401  the harness fills its own table when this is imported
    from lm_eval.api.registry import model_registry

    for name, target in MODELS.items():
        if name not in model_registry:
            model_registry.register(name, target=f"{__name__}:{target.partition(':')[2]}")


def __getattr__(name: str) -> Any:
    """A model's class; what it imports takes seconds, which are counted on a terminal."""
    for target in MODELS.values():
        module, _, found = target.partition(":")
        if found == name:
            with waiting(f"crossin: loading the libraries of {name}"):
                return getattr(import_module(module), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
