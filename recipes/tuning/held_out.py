"""The loss on held-out passages before and after training: does a model tuned on answers still model text?"""

from __future__ import annotations

from typing import Any

from crossin_metrics.errors import CrossinError

MAX_TEXTS, MAX_TOKENS = 16, 128
"""Passages of a language, and tokens of a passage, that are scored: on a CPU the output head makes more slow."""


def load_texts(spec: str, tokenizer: Any) -> dict[str, list[list[int]]]:
    """Language -> token ids of its first passages.

    Args:
        spec: a source as a mix names it; a row has a text per language, or an object with `output`.
        tokenizer: the model's.

    Raises:
        CrossinError: the source cannot be read, or has no text in any language.
    """
    from crossin_metrics.languages import LANGUAGES
    from recipes.mixes.readers import source_records

    texts: dict[str, list[list[int]]] = {}
    for record in source_records(spec):
        for code, value in record.value.items():
            text = value.get("output") if isinstance(value, dict) else value if code != "id" else None  # a row's name
            if code not in LANGUAGES or not isinstance(text, str) or len(texts.get(code, ())) >= MAX_TEXTS:
                continue
            ids = tokenizer(text)["input_ids"][:MAX_TOKENS]
            if len(ids) > 1:
                texts.setdefault(code, []).append(ids)
    if not texts:
        raise CrossinError(f'eval_texts: {spec}: no row has a text by language, as {{"en": "...", "zh": "..."}}')
    return texts


def text_loss(model: Any, texts: dict[str, list[list[int]]], *, bf16: bool) -> dict[str, float]:
    """Language -> mean negative log-likelihood per token, in nats, 0 or more; lower is better.

    Args:
        model: on its device; its mode is kept.
        texts: from `load_texts`.
        bf16: whether training computes in bfloat16.
    """
    import torch

    device, was_training = next(model.parameters()).device, model.training
    model.eval()
    out = {}
    with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
        for code, passages in texts.items():
            total = 0.0
            for ids in passages:
                inputs = torch.tensor([ids], device=device)
                logits = model(input_ids=inputs, use_cache=False).logits[0, :-1].float()
                total += float(torch.nn.functional.cross_entropy(logits, inputs[0, 1:], reduction="sum"))
            out[code] = total / sum(len(ids) - 1 for ids in passages)
    model.train(was_training)
    return out
