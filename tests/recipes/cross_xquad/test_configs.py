"""Every YAML of the tree is read into the real option classes, every mistake in one is fatal, and help is quick."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path

import pytest

from crossin_metrics.errors import CrossinError
from recipes.common.options import parse
from recipes.cross_xquad.config import STAGES, CheckOptions, ModelOptions, SetOptions

CLASSES = [SetOptions, ModelOptions, CheckOptions]
REPO = Path(__file__).parents[3]
CONFIGS = sorted((REPO / "recipes" / "configs" / "cross_xquad").glob("**/*.yaml"))


def read(*argv: str) -> tuple[SetOptions, ModelOptions, CheckOptions]:
    options: tuple[SetOptions, ModelOptions, CheckOptions] = parse(CLASSES, argv, prog="t", description="t")
    return options


def test_there_are_configs() -> None:
    assert {path.stem for path in CONFIGS} >= {"endpoint", "vllm", "mini"}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_is_valid(path: Path) -> None:
    chosen, model, checks = read("--config", str(path), "--output_dir", "out")
    assert chosen.languages[0] == "en"
    assert model.licence
    assert checks.regenerate >= 1
    header = path.read_text("utf-8").split("\n\n")[0]
    for word in ("Prerequisites:", "Launch:", "Override:"):
        assert word in header
    assert f"recipes/configs/cross_xquad/{path.name}" in header


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("regenrate: 3", "did you mean 'regenerate'"),
        ("regenerate: -1", "must not be negative"),
        ("off_passage: never", "off_passage"),
        ("back_translate_min: 2.0", "from 0 to 1"),
        ("max_tokens: 0", "must be at least 1"),
        ("temperature: -0.5", "must not be negative"),
        ("languages: [zh, vi]", "English"),
        ("stages: [distractor]", "unknown 'distractor'"),
        ("licence: ''", "must name the model's licence"),
        ("base_url: http://me:word@host/v1", "holds a secret"),
        ("engine: magic", "engine"),
    ],
)
def test_a_mistake_is_fatal(tmp_path: Path, line: str, words: str) -> None:
    path = tmp_path / "c.yaml"
    key = line.split(":")[0]
    base = {"output_dir": "out", "model": "m", "licence": "MIT"}
    path.write_text("".join(f"{k}: {v}\n" for k, v in base.items() if k != key) + line + "\n", encoding="utf-8")
    with pytest.raises(CrossinError, match=words):
        read("--config", str(path))


def test_the_readmes_options_and_links_exist() -> None:
    folder = REPO / "recipes" / "cross_xquad"
    text = (folder / "README.md").read_text("utf-8")
    known = {field.name for kind in CLASSES for field in fields(kind)} | {"config", "help"}
    build = re.sub(r"^lm_eval .*$", "", text, flags=re.MULTILINE)
    assert set(re.findall(r"--(\w+)", build)) <= known
    assert all((folder / link).exists() for link in re.findall(r"\]\((?!https?:)([^)]+)\)", text))
    (command,) = re.findall(r"^python (recipes/build_cross_xquad.py) (.*)$", text, re.MULTILINE)
    assert (REPO / command[0]).is_file()
    assert read(*command[1].split())[0].stages == list(STAGES)


def test_help_is_quick_and_mistakes_are_one_line() -> None:
    script = str(REPO / "recipes" / "build_cross_xquad.py")
    start = time.monotonic()
    shown = subprocess.run([sys.executable, script, "--help-all"], capture_output=True, text=True, check=True)
    assert time.monotonic() - start < 20  # seconds on a busy machine; nothing heavy is imported
    assert "--no_dry_run" in shown.stdout
    failed = subprocess.run([sys.executable, script, "--modle", "x"], capture_output=True, text=True, check=False)
    assert failed.returncode == 2
    assert failed.stderr.strip().count("\n") == 0
    assert "Traceback" not in failed.stderr
