"""Every alignment configuration is parsed, and its header is true."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recipes.alignment.options import parse_options
from recipes.common.provenance import REPO
from recipes.tuning.checks import set_accumulation

FILES = sorted((REPO / "recipes" / "configs" / "align").glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_is_valid_and_asks_what_it_does_not_train_on(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for word in ("Prerequisites:", "Launch:", "Override:", "Memory:", f"--config recipes/configs/align/{path.name}"):
        assert word in text
    align, train, model = parse_options(["--config", str(path)])
    set_accumulation(align, train)
    assert align.n_pairs % align.global_batch_size == 0
    assert model.lora_modules_to_save == []
    assert json.loads(align.eval_metadata or "{}").get("data_dir") != align.data_dir
    override = ["--target", "mean", "--follow", "zh-en=1", "en-zh=0"]  # the header's
    assert parse_options(["--config", str(path), *override])[0].weight("en", "zh") == 0
