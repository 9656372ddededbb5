"""Merging: the same logits before and after, loaded back; what is refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from crossin_metrics.errors import CrossinError
from recipes.merge_adapter import main
from recipes.sft_crossin import main as tune
from recipes.tuning.merge import agreement, merge, sample_logits, why_merge
from tests.helpers.tiny_models import arguments, tiny_model, write_mix

VARIANTS: dict[str, tuple[str, bool, dict[str, Any]]] = {
    "tied": ("gemma3_text", True, {}),
    "untied by the switch": ("gemma3_text", True, {"untied": True}),
    "untied model": ("llama", False, {}),
    "untied gemma2": ("gemma2", True, {"untied": True}),
    "LoRA alone": ("gemma2", True, {"lora_modules_to_save": []}),
    "single embeddings": ("gemma3_text", True, {"lora_modules_to_save": [], "trainable_tokens": ["[es]"]}),
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Runs of three steps by name, trained on first use, with `model/` beside them."""

    @cache
    def train(name: str) -> Path:
        kind, tied, options = VARIANTS[name]
        folder = tmp_path_factory.mktemp("trained")
        model = tiny_model(folder / "model", kind, tied=tied)
        mix = write_mix(folder / "mix.jsonl", copies=2)
        config = folder / "config.yaml"  # `[]` needs a file
        config.write_text(json.dumps(options), encoding="utf-8")
        assert tune(["--config", str(config), *arguments(folder / "run", model, mix, max_steps=3)]) == 0
        return folder / "run"

    return train


@pytest.fixture(scope="module")
def run(trained: Callable[[str], Path]) -> Path:
    return trained("LoRA alone")


@pytest.mark.parametrize("name", [name for name in VARIANTS if name != "untied gemma2"])
def test_merged_and_loaded_back_is_the_same_model(trained: Callable[[str], Path], name: str) -> None:
    from peft import PeftModel

    _, tied, options = VARIANTS[name]
    run = trained(name)
    assert main(["--adapter", str(run / "adapter"), "--output_dir", str(run / "merged")]) == 0
    tokenizer = AutoTokenizer.from_pretrained(run / "merged")
    base = AutoModelForCausalLM.from_pretrained(run.parent / "model", dtype=torch.float32).eval()
    untuned = sample_logits(base, tokenizer)
    tuned = sample_logits(PeftModel.from_pretrained(base, str(run / "adapter")).eval(), tokenizer)
    merged = AutoModelForCausalLM.from_pretrained(run / "merged", dtype=torch.float32).eval()
    assert agreement(tuned, sample_logits(merged, tokenizer)).logit_difference < 1e-5
    assert agreement(untuned, tuned).logit_difference > 1e-2  # otherwise this shows nothing
    assert merged.config.tie_word_embeddings is (tied and "untied" not in options)
    facts = json.loads((run / "merged" / "merge.json").read_text(encoding="utf-8"))
    assert facts["after_loading_back"]["top1"] == 1.0
    card = (run / "merged" / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\nlibrary_name: transformers\n")
    assert "| crossin | 8 |" in card
    assert str(run.parent) not in card
    assert not list((run / "merged").glob("*.bin"))
    assert [path.name for path in run.glob(".*")] == []


def test_an_untied_gemma2_is_refused_for_vllm(trained: Callable[[str], Path], tmp_path: Path) -> None:
    untied_gemma2 = trained("untied gemma2")
    with pytest.raises(CrossinError, match="vLLM cannot load an untied Gemma2ForCausalLM: retrain without untied"):
        merge(untied_gemma2 / "adapter", tmp_path / "merged")
    assert not (tmp_path / "merged").exists()
    assert merge(untied_gemma2 / "adapter", tmp_path / "merged", vllm=False)["tied"] is False


def test_nothing_is_overwritten(run: Path, tmp_path: Path) -> None:
    (tmp_path / "keep.txt").write_text("precious", encoding="utf-8")
    with pytest.raises(CrossinError, match="already exists"):
        merge(run / "adapter", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["keep.txt"]


def test_what_is_no_adapter(run: Path, tmp_path: Path) -> None:
    with pytest.raises(CrossinError, match="no adapter in"):
        merge(tmp_path, tmp_path / "merged")
    with pytest.raises(CrossinError, match="base model nowhere cannot be loaded"):
        merge(run / "adapter", tmp_path / "merged", base="nowhere")


def test_an_adapter_of_another_base(run: Path, tmp_path: Path) -> None:
    other = tiny_model(tmp_path / "other", "gemma2", width=48)
    with pytest.raises(CrossinError, match="is not the model that"):
        merge(run / "adapter", tmp_path / "merged", base=str(other))
    foreign = tmp_path / "adapter"  # of a tool that does not say which base it trained
    shutil.copytree(run / "adapter", foreign)
    (foreign / "base_model.json").unlink()
    with pytest.raises(CrossinError, match="does not fit"):
        merge(foreign, tmp_path / "merged", base=str(other))
    assert not (tmp_path / "merged").exists()


def test_base_weights_that_were_replaced(trained: Callable[[str], Path], tmp_path: Path) -> None:
    """Same folder, same sizes, other weights."""
    shutil.copytree(trained("LoRA alone").parent, tmp_path / "copy")
    base, adapter = tmp_path / "copy" / "model", tmp_path / "copy" / "run" / "adapter"
    merge(adapter, tmp_path / "merged", base=str(base))  # moved, but the same
    tiny_model(base, "gemma2", seed=1)
    with pytest.raises(CrossinError, match=r"is not the model that .*adapter was trained on: its files were model"):
        merge(adapter, tmp_path / "again", base=str(base))
    assert not (tmp_path / "again").exists()


def test_a_changed_model_is_not_written(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if merging had lost the adapter: the comparison notices."""
    from peft import PeftModel

    def lose(self: PeftModel, **kwargs: Any) -> Any:
        return self.unload()

    monkeypatch.setattr("peft.LoraModel.merge_and_unload", lose)
    with pytest.raises(CrossinError, match=r"merging .* changed the model: relative logit difference"):
        merge(run / "adapter", tmp_path / "merged")
    assert list(tmp_path.iterdir()) == []


def test_what_can_be_served_unmerged() -> None:
    assert why_merge({"r": 64, "modules_to_save": None}) is None
    reason = why_merge({"r": 64, "modules_to_save": ["lm_head"]})
    assert reason is not None
    assert "--merge true" in reason


def test_as_a_command(run: Path, tmp_path: Path, repo: Path) -> None:
    command = [sys.executable, "recipes/merge_adapter.py", "--adapter", str(run / "adapter")]
    done = subprocess.run([*command, "--output_dir", str(run)], cwd=repo, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("merge_adapter: ")
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_vllm_loads_the_result(tmp_path: Path) -> None:
    """A real vLLM and the merged small real model: the same next tokens as in transformers."""
    pytest.importorskip("vllm")
    from crossin_metrics.demo_model import demo_model

    base = demo_model()
    mix = write_mix(tmp_path / "mix.jsonl")
    options = arguments(tmp_path / "run", base, mix, dtype="bfloat16", bf16=True, learning_rate=1e-4, max_steps=1)
    assert tune(options) == 0
    target = tmp_path / "run" / "merged"
    assert (
        main(["--adapter", str(tmp_path / "run" / "adapter"), "--output_dir", str(target), "--try_vllm", "true"]) == 0
    )
