"""Complete runs on tiny random models: what changes, what is written, resuming and overwriting."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from crossin_metrics.errors import CrossinError
from recipes.sft_crossin import main
from tests.helpers.tiny_models import arguments, read_log, tiny_model, write_mix


def test_the_loss_falls_and_the_folder_is_complete(tied_run: Path) -> None:
    curve = [entry["loss"] for entry in read_log(tied_run)]
    assert len(curve) == 6
    assert curve[-1] < curve[0] - 0.3
    names = {path.name for path in tied_run.iterdir()}
    assert names == {"run.json", "config.yaml", "checkpoints", "adapter", "train_log.jsonl", "manifest.json"}
    assert not (tied_run / "adapter" / "training_args.bin").exists()
    card = (tied_run / "adapter" / "README.md").read_text(encoding="utf-8")
    assert "base_model: gemma\n" in card
    assert "Learning rate 0.01, cosine, global batch 4, rank 4" in card


def test_the_manifest_says_what_was_done(tied_run: Path) -> None:
    facts = json.loads((tied_run / "manifest.json").read_text(encoding="utf-8"))
    assert facts["steps"] == 6
    assert facts["versions"]["trl"]
    assert facts["options"]["learning_rate"] == 1e-2
    parts = facts["mix"]["parts"]
    assert {name: part["kept"] for name, part in parts.items()} == {"base": 6, "crossin": 12, "trans": 6}
    assert facts["tokens_seen"] == sum(part["tokens"] for part in parts.values())
    assert facts["peak_memory_bytes"]["resident"][0] > 10**8
    assert facts["parameters"]["trained"] == facts["parameters"]["lora"] + 260 * 32
    assert facts["tokens_per_second"] > 0


def test_base_weights_do_not_move_and_everything_trained_does(tied_run: Path, model: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base = load_file(model / "model.safetensors")
    tuned = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32), tied_run / "adapter"
    )
    frozen = {name: value for name, value in tuned.get_base_model().state_dict().items() if ".base_layer." in name}
    assert len(frozen) == 2 * 7
    for name, value in frozen.items():
        assert torch.equal(value, base[name.replace(".base_layer", "")]), name
    adapter = load_file(tied_run / "adapter" / "adapter_model.safetensors")
    moved = [name for name, value in adapter.items() if "lora_B" in name and value.abs().max() > 0]
    assert len(moved) == 2 * 7
    embedding = next(value for name, value in adapter.items() if "embed_tokens" in name)
    assert not torch.equal(embedding, base["model.embed_tokens.weight"])


def test_tied_matrices_stay_one(tied_run: Path) -> None:
    adapter = load_file(tied_run / "adapter" / "adapter_model.safetensors")
    whole = [value for name, value in adapter.items() if "embed_tokens" in name or "lm_head" in name]
    assert len(whole) == 2
    assert torch.equal(whole[0], whole[1])
    settings = json.loads((tied_run / "adapter" / "adapter_config.json").read_text(encoding="utf-8"))
    assert settings["ensure_weight_tying"] is True


def test_untied_lets_them_part(tmp_path: Path, model: Path, long_mix: Path) -> None:
    assert main(arguments(tmp_path / "run", model, long_mix, untied=True, max_steps=2)) == 0
    adapter = load_file(tmp_path / "run" / "adapter" / "adapter_model.safetensors")
    whole = [value for name, value in adapter.items() if "embed_tokens" in name or "lm_head" in name]
    assert len(whole) == 2
    assert not torch.equal(whole[0], whole[1])
    facts = json.loads((tmp_path / "run" / "manifest.json").read_text(encoding="utf-8"))
    assert facts["parameters"]["whole_modules"] == 2 * 260 * 32


def test_whole_modules_of_a_bfloat16_model_are_trained_in_float32(tmp_path: Path, model: Path, long_mix: Path) -> None:
    assert main(arguments(tmp_path / "run", model, long_mix, dtype="bfloat16", bf16=True, max_steps=1)) == 0
    adapter = load_file(tmp_path / "run" / "adapter" / "adapter_model.safetensors")
    assert {value.dtype for value in adapter.values()} == {torch.float32}


def test_a_second_start_does_nothing(
    tied_run: Path, model: Path, long_mix: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (tied_run / "adapter" / "adapter_model.safetensors").stat().st_mtime_ns
    assert main(arguments(tied_run, model, long_mix, save_steps=2)) == 0
    assert (tied_run / "adapter" / "adapter_model.safetensors").stat().st_mtime_ns == before
    assert "already exists" in capsys.readouterr().err


def test_another_run_in_the_same_folder_is_refused(tied_run: Path, model: Path, long_mix: Path) -> None:
    with pytest.raises(CrossinError, match=r"another run: learning_rate was 0\.01, now 0\.02"):
        main(arguments(tied_run, model, long_mix, save_steps=2, learning_rate=2e-2))


def test_overwriting_replaces_another_run_but_not_the_same(
    tmp_path: Path, tied_run: Path, model: Path, long_mix: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(tied_run, run)
    for _ in range(2):
        assert main(arguments(run, model, long_mix, max_steps=2, overwrite=True)) == 0
        facts = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
        assert [(s["from_step"], s["to_step"]) for s in facts["sessions"]] == [(0, 2)]


def test_the_written_config_starts_the_same_run(tied_run: Path) -> None:
    assert main(["--config", str(tied_run / "config.yaml")]) == 0  # same settings: done already, not "another run"


def test_resuming_equals_running_through(tmp_path: Path, tied_run: Path, model: Path, long_mix: Path) -> None:
    """From the state of a run killed while it wrote checkpoint 6."""
    run = tmp_path / "run"
    shutil.copytree(tied_run, run)
    shutil.rmtree(run / "adapter")
    (run / "manifest.json").unlink()
    (run / "train_log.jsonl").unlink()
    (run / "checkpoints" / "checkpoint-6" / "optimizer.pt").write_bytes(b"half")
    assert main(arguments(run, model, long_mix, save_steps=2)) == 0
    again, through = read_log(run), read_log(tied_run)
    assert len(again) == len(through)
    for a, b in zip(again, through, strict=True):
        assert a == pytest.approx(b, abs=1e-6)
    ours = load_file(run / "adapter" / "adapter_model.safetensors")
    theirs = load_file(tied_run / "adapter" / "adapter_model.safetensors")
    for name, value in theirs.items():
        assert torch.allclose(ours[name], value, atol=1e-6), name
    facts = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    assert [(s["from_step"], s["to_step"]) for s in facts["sessions"]] == [(0, 6), (4, 6)]


def test_what_ends_an_answer_is_saved_with_adapter_and_merged_model(tmp_path: Path) -> None:
    """Frame chat on a base model: its own EOS ends documents, the template's end of turn is what was taught."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

    turns = "{{ bos_token }}{% for m in messages %}{{ m['content'] }}<turn>{% endfor %}"
    model = tiny_model(tmp_path / "model", added=["<turn>"], chat_template=turns, vocabulary=261)
    mix = write_mix(tmp_path / "mix.jsonl", [("base", "en", "en", "Hi?", "Ho.")], copies=1)
    run = tmp_path / "run"
    options = arguments(run, model, mix, frame="chat", num_train_epochs=40, merge=True, logging_steps=40)
    assert main(options) == 0
    base = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    assert base.generation_config.eos_token_id == 1
    for folder in (run / "adapter", run / "merged"):
        tokenizer = AutoTokenizer.from_pretrained(folder)
        assert tokenizer.eos_token == "<turn>"
        stop = GenerationConfig.from_pretrained(folder)
        assert stop.eos_token_id == [260, 1]
        network = AutoModelForCausalLM.from_pretrained(folder) if folder.name == "merged" else base
        if folder.name == "adapter":
            network = PeftModel.from_pretrained(base, folder)
        ids = tokenizer.apply_chat_template(
            [{"role": "user", "content": "Hi?"}], add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        written = network.generate(**ids, generation_config=stop, max_new_tokens=20, do_sample=False)
        assert tokenizer.decode(written[0, ids["input_ids"].shape[1] :]) == "Ho.<turn>"
