"""Models unlike the paper's: LayerNorm, Conv1D, no positions to restart, tokenizers with too many or too few tokens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from crossin_metrics.errors import CrossinError
from recipes.sft_crossin import main
from recipes.tuning.checks import MOST_LEAK, leak
from recipes.tuning.model import load_config, load_tokenizer, plan_adapter
from recipes.tuning.options import parse_options
from tests.helpers.tiny_models import arguments, byte_tokenizer, tiny_model

QWEN = {"num_key_value_heads": 2, "head_dim": 8, "intermediate_size": 64}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
KINDS: dict[str, dict[str, Any]] = {
    "opt": {"ffn_dim": 64, "word_embed_proj_dim": 32},
    "bloom": {"n_head": 4, "n_layer": 2},
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 512},
    "lfm2": {"num_key_value_heads": 2, "intermediate_size": 64, "layer_types": ["conv", "full_attention"]},
    "qwen3_next": {
        **QWEN,
        **EXPERTS,
        "shared_expert_intermediate_size": 16,
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 4,
        "linear_key_head_dim": 8,
        "linear_value_head_dim": 8,
        "layer_types": ["linear_attention", "full_attention"],
    },
    "qwen3_moe": {**QWEN, **EXPERTS},
    "llama": {"num_key_value_heads": 2, "intermediate_size": 64},
    "mistral": {"num_key_value_heads": 2, "intermediate_size": 64, "sliding_window": 4},
}


def random_model(kind: str, **changes: Any) -> Any:
    """At the initialization's own range, where attention hardly shows."""
    torch.manual_seed(0)
    common = {"vocab_size": 260, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
              "max_position_embeddings": 512, "pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2}  # fmt: skip
    config = AutoConfig.for_model(kind, **{**common, **KINDS[kind], **changes})
    return AutoModelForCausalLM.from_config(config, dtype=torch.float32)


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_models_that_mix_rows_are_told_from_those_that_do_not(kind: str, bf16: bool) -> None:
    mixes = kind in ("opt", "bloom", "lfm2", "qwen3_next")
    assert (leak(random_model(kind), bf16) > MOST_LEAK) is mixes


@pytest.mark.parametrize(
    ("kind", "tied", "targets", "whole"),
    [
        ("opt", True, ["q_proj", "v_proj"], ["embed_tokens", "lm_head"]),
        ("bloom", False, ["query_key_value"], ["word_embeddings", "lm_head"]),
        ("gpt2", True, ["c_attn", "c_proj"], ["wte", "lm_head"]),
    ],
)
def test_layer_norm_and_conv1d_in_16_bits(
    tmp_path: Path, mix: Path, kind: str, tied: bool, targets: list[str], whole: list[str]
) -> None:
    model = random_model(kind, tie_word_embeddings=tied)
    model.save_pretrained(tmp_path / "model")
    byte_tokenizer(tmp_path / "model")
    config = tmp_path / "config.yaml"
    options = {
        "padding_free": kind == "gpt2",
        "untied": kind == "gpt2",
        "lora_target_modules": targets,
        "lora_modules_to_save": whole,
    }
    if options["untied"]:  # PEFT ties what is called embed_tokens alone
        config.write_text(json.dumps({**options, "untied": False}), encoding="utf-8")
        with pytest.raises(CrossinError, match="the embedding 'wte' of this gpt2 model is tied"):
            main(["--config", str(config), *arguments(tmp_path / "run", tmp_path / "model", mix)])
    config.write_text(json.dumps({**options, "dtype": "bfloat16", "bf16": True, "merge": True}), encoding="utf-8")
    given = arguments(tmp_path / "run", tmp_path / "model", mix, dtype=None, bf16=None, max_steps=2)
    assert main(["--config", str(config), *given]) == 0
    facts = json.loads((tmp_path / "run" / "manifest.json").read_text(encoding="utf-8"))
    adapter = [m for m in model.named_modules() if any(m[0].endswith(f".{target}") for target in targets)]
    assert facts["parameters"]["lora"] == 4 * sum(sum(module.weight.shape) for _, module in adapter)
    assert (tmp_path / "run" / "merged" / "merge.json").is_file()


def test_a_pad_token_beyond_the_embedding_is_replaced(tmp_path: Path, mix: Path) -> None:
    tiny_model(tmp_path, pad="<new pad>")  # id 260, of 260 rows
    tokenizer = load_tokenizer(str(tmp_path), "headers")
    assert tokenizer.pad_token_id == 260
    tune, _, options = parse_options(arguments(tmp_path / "run", tmp_path, mix))
    plan_adapter(load_config(str(tmp_path), options), tokenizer, tune, options)
    assert tokenizer.pad_token == "<pad>"


def test_a_template_with_tokens_beyond_the_embedding_is_refused(tmp_path: Path, mix: Path) -> None:
    tiny_model(tmp_path, added=["<turn>"], chat_template="{% for m in messages %}{{ m['content'] }}<turn>{% endfor %}")
    options = arguments(tmp_path / "run", tmp_path, mix, frame="chat")
    with pytest.raises(CrossinError, match=r"the model has no embedding for '<turn>' \(260 rows\)"):
        main(options)


def test_a_tokenizer_with_nothing_to_pad_with(tmp_path: Path, mix: Path) -> None:
    """As GPT-2's: one special token for all. EOS is still taught."""
    tiny_model(tmp_path / "model", "llama", tied=False)
    path = tmp_path / "model" / "tokenizer.json"
    path.write_text(path.read_text(encoding="utf-8").replace("<pad>", "<0>").replace("<unk>", "<1>"), encoding="utf-8")
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<eos>", "bos_token": "<eos>"}
    (tmp_path / "model" / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    assert load_tokenizer(str(tmp_path / "model"), "headers").pad_token == "<eos>"
    assert main(arguments(tmp_path / "run", tmp_path / "model", mix, max_steps=1, padding_free=False)) == 0
