"""Model cards of adapters and merged models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from crossin_metrics.files import read_json
from crossin_metrics.text_tables import markdown_table, md
from recipes.tuning.run_folder import MANIFEST


def adapter_card(facts: dict[str, Any]) -> str:
    """Markdown with the hub's YAML header, from a run's manifest."""
    base = facts["model"]["id"]
    trained = facts["parameters"]
    lines = [
        *_header("peft", base, "adapter"),
        f"# LoRA adapter of {md(base)}, {md(facts['recipe']['title'])}",
        "",
        facts["recipe"]["method"],
        "",
        f"{trained['trained']:,} parameters trained ({trained['lora']:,} LoRA, {trained['whole_modules']:,} whole "
        f"modules, {trained['single_embeddings']:,} single embeddings), {facts['steps']:,} steps, "
        f"{facts['tokens_seen']:,} tokens, seed {facts['seeds']['seed']}.",
        "",
        "Learning rate {learning_rate}, {lr_scheduler_type}, global batch {global_batch_size}, rank {lora_r}, alpha "
        "{lora_alpha}, dropout {lora_dropout}.".format(**facts["options"]),
        *_mix_table(facts["mix"].get("parts", {})),
    ]
    return "\n".join(lines) + "\n"


def model_card(adapter: Path, facts: dict[str, Any]) -> str:
    """Markdown with the hub's YAML header; with the run's figures if its manifest is beside the adapter."""
    run = read_json(adapter.parent / MANIFEST) or {}
    mix = run.get("mix", {}).get("parts", {})
    recipe = run.get("recipe", {})
    lines = [
        *_header("transformers", facts["base"], "finetune"),
        f"# {md(facts['base'])} {md(recipe.get('title', 'with an adapter'))}",
        "",
        f"The adapter merged into {md(facts['base'])}, as {facts['dtype']}, {facts['parameters']:,} parameters, "
        f"embedding and output head {'tied' if facts['tied'] else 'not tied'}.",
        *([recipe["method"], ""] if recipe else []),
        f"Checked on {facts['prompts']} prompts: logits before and after merging differ by at most "
        f"{facts['after_merging']['logit_difference']:.1e} of their size; loaded back, KL "
        f"{facts['after_loading_back']['kl']:.1e} nats, same most likely token at "
        f"{facts['after_loading_back']['top1']:.0%} of positions.",
    ]
    lines += _mix_table(mix)
    if run:
        lines += [
            "",
            f"Trained for {run['steps']:,} steps; last loss {run['last_loss']:.4f}; commit {run.get('git_commit')}.",
        ]
    return "\n".join(lines) + "\n"


def _header(library: str, base: str, relation: str) -> list[str]:
    import yaml

    content = {
        "library_name": library,
        "pipeline_tag": "text-generation",
        "base_model": base,
        "base_model_relation": relation,
        "tags": ["crossin", "cross-lingual", "lora", "sft"],
        "license": "other",
        "license_name": "that-of-the-base-model-and-data",
    }
    return ["---", yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=1000) + "---", ""]


def _mix_table(parts: dict[str, Any]) -> list[str]:
    if not parts:
        return []
    rows = [(name, f"{part['kept']:,}", f"{part['label_tokens']:,}") for name, part in parts.items()]
    return ["", *markdown_table(("part of the mix", "rows", "tokens with loss"), rows)]
