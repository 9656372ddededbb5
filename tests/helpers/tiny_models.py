"""Tiny random models and a byte-level tokenizer, built from configurations: no downloads, a second each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

MIX_ROWS = [
    ("base", "en", "en", "How many legs does a spider have?", "Eight."),
    (
        "base",
        "en",
        "en",
        "Name a prime between 20 and 30, and say why it is one.",
        "23: nothing but 1 and 23 divides it.",
    ),
    ("crossin", "en", "es", "What falls from clouds? [es]", "La lluvia."),
    ("crossin", "zh", "vi", "太阳从哪边升起？ [vi]", "Mặt trời mọc ở hướng đông."),
    ("crossin", "vi", "zh", "Con mèo kêu thế nào? [zh]", "猫会喵喵叫。"),
    ("crossin", "es", "en", "¿De qué color es la nieve? [en]", "White, as a rule."),
    ("trans", "en", "es", "Translate the following text from English into Spanish.\n\nGood night", "Buenas noches"),
    ("trans", "en", "zh", "Translate the following text from English into Chinese.\n\nA cup of tea", "一杯茶"),
]


def byte_tokenizer(
    folder: Path,
    *,
    bos: bool = True,
    eos: bool = False,
    pad: str | None = "<pad>",
    added: Sequence[str] = (),
    chat_template: str | None = None,
) -> Any:
    """Every byte is a token, four special ones first, `added` last. `bos`, `eos`: what it puts around a text itself."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = ["<pad>", "<eos>", "<bos>", "<unk>"]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: index for index, token in enumerate([*special, *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    single = ("<bos> " if bos else "") + "$A" + (" <eos>" if eos else "")
    tokenizer.post_processor = processors.TemplateProcessing(single=single, special_tokens=[("<bos>", 2), ("<eos>", 1)])
    out = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<bos>", eos_token="<eos>", unk_token="<unk>", pad_token=pad
    )
    out.add_tokens(list(added), special_tokens=True)
    out.chat_template = chat_template
    out.save_pretrained(folder)
    return out


def tiny_model(
    folder: Path,
    kind: str = "gemma3_text",
    *,
    tied: bool = True,
    seed: int = 0,
    width: int = 32,
    vocabulary: int = 260,
    **tokenizer: Any,
) -> Path:
    """Write a random two-layer model with its tokenizer; kind: gemma2, gemma3_text, llama or mistral."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(seed)
    folder.mkdir(parents=True, exist_ok=True)
    extra: dict[str, Any] = {"head_dim": 8} if kind.startswith("gemma") else {}
    config = AutoConfig.for_model(
        kind,
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        tie_word_embeddings=tied,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=2,
        initializer_range=0.2,
        **extra,
    )
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.save_pretrained(folder)
    byte_tokenizer(folder, **tokenizer)
    return folder


def write_mix(path: Path, rows: list[tuple[str, str, str, str, str]] | None = None, copies: int = 1) -> Path:
    """Mix rows as JSON Lines."""
    rows = MIX_ROWS if rows is None else rows
    lines = []
    for copy in range(copies):
        for number, (part, in_lang, out_lang, prompt, completion) in enumerate(rows):
            row = {"prompt": prompt, "completion": completion if copy == 0 else f"{completion} {copy}", "part": part}
            row |= {"in_lang": in_lang, "out_lang": out_lang, "source": "tiny", "source_id": f"{copy}-{number}"}
            lines.append(json.dumps(row, ensure_ascii=False))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def arguments(output: Path, model: Path, mix: Path | None, **options: Any) -> list[str]:
    """Command line of a short, exact run: float32, no dropout, batches of 2 in a global batch of 4."""
    chosen: dict[str, Any] = {
        "output_dir": output,
        "model_name_or_path": model,
        "mix": mix,
        "dtype": "float32",
        "bf16": False,
        "use_cpu": True,
        "report_to": "none",
        "per_device_train_batch_size": 2,
        "global_batch_size": 4,
        "max_length": 200,
        "learning_rate": 1e-2,
        "lora_r": 4,
        "lora_dropout": 0.0,
        "gradient_checkpointing": False,
        "disable_tqdm": True,
        **options,
    }
    out = []
    for name, value in chosen.items():
        if isinstance(value, (list, tuple)):
            out += [f"--{name}", *map(str, value)]
        elif value is not None:
            out += [f"--{name}", str(value)]
    return out


def read_log(run: Path) -> list[dict[str, float]]:
    """The loss curve without what depends on the clock."""
    lines = (run / "train_log.jsonl").read_text(encoding="utf-8").splitlines()
    entries = [json.loads(line) for line in lines]
    keep = ("loss", "grad_norm", "learning_rate", "step", "num_input_tokens_seen", "entropy")
    return [{key: entry[key] for key in keep if key in entry} for entry in entries if "loss" in entry]
