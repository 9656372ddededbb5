"""Tiny random models and a tokenizer, built from configurations: real architectures, nothing downloaded."""

from __future__ import annotations

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    BloomConfig,
    Gemma2Config,
    Gemma3TextConfig,
    GPT2Config,
    LlamaConfig,
    MistralConfig,
    PreTrainedTokenizerFast,
    T5Config,
)

CHAT = (
    "{{ bos_token }}{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }}{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)
WORDS = [f" {a}{b}" for a in "ABCDEFGHklmnop" for b in ("", "a", "e", "i", "o", "u")]


def tokenizer() -> PreTrainedTokenizerFast:
    """Letters and a few two-letter words, BOS added in front: single-token and several-token options both occur."""
    letters = [chr(c) for c in range(32, 127)] + ["\n"]
    vocabulary = {
        token: i for i, token in enumerate(dict.fromkeys(["<pad>", "<s>", "</s>", "<unk>", *letters, *WORDS]))
    }
    merges = [(" ", word[1]) for word in WORDS if len(word) == 2]
    merges += [(word[:2], word[2]) for word in WORDS if len(word) == 3]
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_next")
    backend.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", vocabulary["<s>"])])
    made = PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>"
    )
    made.chat_template = CHAT
    return made


_SIZE = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 160,
}
_HEADS = {"head_dim": 8, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}

CONFIGS = {
    # sliding windows far shorter than the prompts, mixed with full layers; tied head; softcaps
    "gemma3": lambda v: Gemma3TextConfig(
        vocab_size=v, **_SIZE, **_HEADS, sliding_window=12,
        layer_types=["sliding_attention", "sliding_attention", "full_attention", "sliding_attention"],
    ),
    "gemma2": lambda v: Gemma2Config(
        vocab_size=v, **_SIZE, **_HEADS, sliding_window=12, query_pre_attn_scalar=8, final_logit_softcapping=0.2
    ),
    "llama": lambda v: LlamaConfig(vocab_size=v, **_SIZE, pad_token_id=0, bos_token_id=1, eos_token_id=2),
    "mistral": lambda v: MistralConfig(
        vocab_size=v, **_SIZE, sliding_window=12, pad_token_id=0, bos_token_id=1, eos_token_id=2
    ),
    "gpt2": lambda v: GPT2Config(
        vocab_size=v, n_embd=32, n_layer=3, n_head=4, n_positions=160, bos_token_id=1, eos_token_id=2
    ),
    "bloom": lambda v: BloomConfig(vocab_size=v, hidden_size=32, n_layer=2, n_head=4),
    "t5": lambda v: T5Config(
        vocab_size=v, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4, decoder_start_token_id=0
    ),
}  # fmt: skip


def model(kind: str) -> torch.nn.Module:
    """A float32 model of the family with weights spread enough that its predictions depend on every token."""
    config = CONFIGS[kind](len(tokenizer()))
    torch.manual_seed(0)
    auto = AutoModelForSeq2SeqLM if kind == "t5" else AutoModelForCausalLM
    made = auto.from_config(config).float().eval()
    with torch.no_grad():
        for name, weight in made.named_parameters():
            if weight.ndim > 1:
                weight.normal_(0, 0.5 if "embed" in name or "wte" in name else 0.25)
    return made
