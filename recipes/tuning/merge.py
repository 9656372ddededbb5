"""Merges an adapter into its base model and verifies that the logits stay the same."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crossin_metrics.errors import CrossinError, waiting
from crossin_metrics.files import atomic_folder, read_json, write_json
from recipes.common.provenance import REPO
from recipes.tuning.cards import model_card
from recipes.tuning.frames import prompt_ids, set_stop
from recipes.tuning.run_folder import BASE, check_base

if TYPE_CHECKING:
    import torch

# Compared before and after merging; one per language of the paper.
SAMPLE_PROMPTS = (
    "Name three things that float on water.",
    "水为什么会结冰？请用一句话回答。",
    "Hãy kể tên hai con sông lớn ở châu Á.",
    "¿Cuántos minutos hay en tres horas?",
)

# Architectures without a separate output head in vLLM, so that it cannot load untied checkpoints
# ("no module or parameter named 'lm_head' in Gemma2ForCausalLM", vllm 0.32; Gemma 1 and 3: vllm pull requests 53170 and
# 30827).
VLLM_TIED_ONLY = ("Gemma2ForCausalLM",)


@dataclass(frozen=True)
class Agreement:
    """Difference between two models' next-token distributions on the sample prompts.

    Attributes:
        logit_difference: largest absolute difference of a logit, over the largest absolute logit.
        kl: mean over positions of KL(before || after), in nats.
        top1: share (0-1) of positions with the same most likely token.
    """

    logit_difference: float
    kl: float
    top1: float


def merge(
    adapter: str | Path,
    output: str | Path,
    *,
    base: str | None = None,
    dtype: str | None = None,
    compute_dtype: str = "float32",
    vllm: bool = True,
    trust_remote_code: bool = False,
) -> dict[str, Any]:
    """Merge an adapter and write the model as safetensors, with tokenizer, model card and `merge.json`.

    The folder appears in one rename, after it was reloaded and its logits were compared.

    Args:
        adapter: folder with adapter_config.json.
        output: folder to create.
        base: the base model, if it is not where the adapter says.
        dtype: dtype of the written weights; None: the base's own.
        compute_dtype: dtype in which weights are added; bfloat16 halves the memory and rounds twice.
        vllm: fail if vLLM could not load the result.
        trust_remote_code: execute the base model's own code.

    Returns:
        The content of merge.json.

    Raises:
        CrossinError: output exists; adapter or base cannot be read; the base is not the one that the adapter was
            trained on; the merged model's logits differ; or vLLM could not load the result.
    """
    import torch
    from peft import PeftModel
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    folder, target = Path(adapter).absolute(), Path(output).absolute()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise CrossinError(f"{target} already exists: choose another output_dir")
    settings = read_adapter(folder)
    name = base or settings["base_model_name_or_path"]
    pinned = {"revision": settings.get("revision") or "main", "trust_remote_code": trust_remote_code}
    check_base(folder, name)
    try:
        config = AutoConfig.from_pretrained(name, **pinned)
        own = getattr(torch, dtype) if dtype else config.dtype or torch.bfloat16
        model = AutoModelForCausalLM.from_pretrained(name, dtype=getattr(torch, compute_dtype), **pinned)
        tokenizer = AutoTokenizer.from_pretrained(
            folder if (folder / "tokenizer_config.json").is_file() else name, **pinned
        )
    except (OSError, ValueError) as error:
        raise CrossinError(f"base model {name} cannot be loaded: {str(error).splitlines()[0]}; give --base") from error
    was_tied = bool(config.get_text_config().tie_word_embeddings)
    if vllm and was_tied and unties(settings) and config.architectures and config.architectures[0] in VLLM_TIED_ONLY:
        raise CrossinError(
            f"adapter {folder} unties embedding and output head, and vLLM cannot load an untied "
            f"{config.architectures[0]}: retrain without untied, or add --vllm false for a model that only "
            "transformers can load"
        )
    try:
        with waiting("merging: loading the adapter"):
            tuned = PeftModel.from_pretrained(model, str(folder))
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise CrossinError(f"adapter {folder} does not fit {name}: {str(error).splitlines()[0]}") from error
    tuned.eval()
    with waiting("merging: logits before, weights, logits after"):
        before = sample_logits(tuned, tokenizer)
        merged = tuned.merge_and_unload(safe_merge=True)
        exact = agreement(before, sample_logits(merged, tokenizer))
    limit = 1e-3 if compute_dtype == "float32" else 0.1
    if not exact.logit_difference < limit:
        raise CrossinError(
            f"merging {folder} changed the model: relative logit difference {exact.logit_difference:.2g}; "
            "nothing written"
        )
    merged = merged.to(own)
    merged.config.use_cache = True
    set_stop(merged.generation_config, tokenizer)
    with atomic_folder(target) as staging:
        merged.save_pretrained(staging, safe_serialization=True)
        tokenizer.save_pretrained(staging)
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            staging, dtype=own, output_loading_info=True, trust_remote_code=trust_remote_code
        )
        reloaded, info = loaded
        if info["missing_keys"] or info["unexpected_keys"]:
            raise CrossinError(
                f"the merged model reloads incompletely: {sorted(info['missing_keys'])[:3]}; nothing written"
            )
        with waiting("merging: logits of what was written"):
            stored = agreement(before, sample_logits(reloaded.eval(), tokenizer))
        if stored.kl > 0.05:
            raise CrossinError(
                f"rounding to {own} changes the merged model (KL {stored.kl:.3f} nats): add --dtype float32"
            )
        facts = {
            "adapter": folder.name,
            "base": name if not Path(name).is_dir() else Path(name).name,
            "base_model": read_json(folder / BASE),
            "dtype": str(own).removeprefix("torch."),
            "tied": bool(reloaded.config.get_text_config().tie_word_embeddings),
            "parameters": sum(parameter.numel() for parameter in reloaded.parameters()),
            "after_merging": asdict(exact),
            "after_loading_back": asdict(stored),
            "prompts": len(SAMPLE_PROMPTS),
        }
        write_json(staging / "merge.json", facts)
        (staging / "README.md").write_text(model_card(folder, facts), encoding="utf-8")
    return facts


def read_adapter(folder: Path) -> dict[str, Any]:
    """The adapter's settings.

    Raises:
        CrossinError: the folder is not an adapter.
    """
    try:
        settings = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CrossinError(f"no adapter in {folder}: adapter_config.json is missing or damaged") from error
    if not (folder / "adapter_model.safetensors").is_file():
        raise CrossinError(f"no adapter in {folder}: adapter_model.safetensors not found")
    return settings


def unties(settings: dict[str, Any]) -> bool:
    """Whether merging this adapter into a tied model unties embedding and output head."""
    saved = {str(name).rsplit(".", 1)[-1] for name in settings.get("modules_to_save") or []}
    return bool(saved & {"embed_tokens", "lm_head"}) and not settings.get("ensure_weight_tying", False)


def why_merge(settings: dict[str, Any]) -> str | None:
    """Why vLLM and the harness cannot load the adapter unmerged; None if they can.

    vLLM serves LoRA matrices only; the harness (0.4.13) ties weights again after loading an adapter, which fails
    where PEFT has wrapped the embedding.
    """
    for key in ("modules_to_save", "trainable_token_indices", "use_dora"):
        if settings.get(key):
            return f"vLLM and the harness load LoRA matrices only, but this adapter has {key}: add --merge true"
    return None


def sample_logits(model: Any, tokenizer: Any) -> list[torch.Tensor]:
    """Logits [n_tokens, vocabulary] in float32 for each sample prompt in the tokenizer's frame."""
    import torch

    with torch.no_grad():
        return [
            model(input_ids=torch.tensor([ids], device=model.device), use_cache=False).logits[0].float().cpu()
            for ids in sample_ids(tokenizer)
        ]


def sample_ids(tokenizer: Any) -> list[list[int]]:
    """Token ids of the sample prompts in the tokenizer's frame."""
    return [prompt_ids(tokenizer, prompt) for prompt in SAMPLE_PROMPTS]


def agreement(before: list[torch.Tensor], after: list[torch.Tensor]) -> Agreement:
    """Compare two lists of logits of equal shapes."""
    import torch

    difference = max((a - b).abs().max().item() / a.abs().max().item() for a, b in zip(before, after, strict=True))
    p = torch.cat(before).log_softmax(-1)
    q = torch.cat(after).log_softmax(-1)
    kl = (p.exp() * (p - q)).sum(-1).mean().item()
    return Agreement(difference, kl, (p.argmax(-1) == q.argmax(-1)).float().mean().item())


def compare_vllm(folder: Path) -> tuple[int, int]:
    """Load a model in vLLM, in a separate process, and compare its most likely next tokens with transformers'.

    Returns:
        Number of sample prompts with the same token (or one within 0.05 nats, the rounding of bfloat16 kernels), and
        number of prompts.

    Raises:
        CrossinError: vLLM is not installed or cannot load the model.
    """
    import importlib.util
    import subprocess
    import sys

    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if importlib.util.find_spec("vllm") is None:
        raise CrossinError("try_vllm needs vLLM: pip install 'crossin[vllm]'")
    finished = subprocess.run(
        [sys.executable, "-m", "recipes.tuning.vllm_next_tokens", str(folder.absolute())],
        capture_output=True,
        text=True,
        cwd=REPO,
        check=False,
    )
    lines = [line for line in finished.stdout.splitlines() if line.startswith("[")]
    if finished.returncode or not lines:
        said = (finished.stdout + finished.stderr).splitlines()
        causes = [line for line in said if "Error: " in line and "Engine core" not in line]
        raise CrossinError(f"vLLM cannot load {folder}: {causes[-1].strip() if causes else 'no error in its log'}")
    theirs = json.loads(lines[-1])
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    ours = [logits[-1].log_softmax(-1) for logits in sample_logits(model, AutoTokenizer.from_pretrained(folder))]
    same = sum(float(row.max() - row[token]) < 0.05 for row, token in zip(ours, theirs, strict=True))
    return same, len(ours)
