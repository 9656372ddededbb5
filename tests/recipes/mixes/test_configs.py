"""Every YAML file of mixes is parsed into the real dataclass, and says how to launch it."""

from __future__ import annotations

from pathlib import Path

import pytest

from recipes.common.options import parse
from recipes.mixes.config import MixConfig
from recipes.mixes.plan import make_plan, pair_weights

FOLDER = Path(__file__).resolve().parents[3] / "recipes" / "configs" / "mix"
FILES = sorted(FOLDER.rglob("*.y*ml"))


def read(path: Path, *flags: str) -> MixConfig:
    (config,) = parse(MixConfig, ["--config", str(path), "--output_dir", "unused", *flags], prog="t", description="")
    assert isinstance(config, MixConfig)
    return config


def test_the_promised_files_are_there() -> None:
    names = {path.stem for path in FILES}
    promised = {"mini_x2x", "base_only", "seed_only", "en2x_5000", "x2en_5000", "x2x_5000", "x2x_trans_5000"}
    promised |= {f"x2x_{n}" for n in (0, 1000, 3000, 5000, 10000, 20000)}
    promised |= {f"rival_{name}" for name in ("cross_alpaca", "plug", "xl_instruct", "english_replay")}
    assert promised <= names


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_config(path: Path) -> None:
    config = read(path)
    text = path.read_text(encoding="utf-8")
    header = " ".join(line[1:].strip() for line in text.splitlines() if line.startswith("#"))
    assert "Prerequisites:" in header
    assert f"--config recipes/configs/mix/{path.name}" in header
    assert f"/{path.stem}" in header.split("Launch:")[1].split("--output_dir")[1].split()[0]
    example = header.split("Override:")[1].split("Memory:")[0].split("...")[1].split()
    assert read(path, *example) != config  # the override example parses and changes something
    plan = make_plan(config, 25_000, 52_000)
    assert len(plan) > 0
    if config.n_samples and path.stem.split("_")[-1].isdigit():
        assert config.n_samples == int(path.stem.split("_")[-1])


def test_names_say_what_is_inside() -> None:
    for path in FILES:
        config = read(path)
        for variant in ("en2x", "x2en", "x2x"):
            if f"_{variant}_" in f"_{path.stem}_":
                assert config.variant == variant
        assert config.trans == ("trans" in path.stem or path.stem == "rival_cross_alpaca")


def test_only_mini_needs_nothing_from_outside() -> None:
    config = read(FOLDER / "mini_x2x.yaml")
    assert (config.base_set, config.seed_set) == ("packaged:base_mini", "packaged:seed_mini")


def test_unseen_language_and_pair_are_absent() -> None:
    assert not any("vi" in pair for pair in pair_weights(read(FOLDER / "unseen_vi_x2x_5000.yaml")))
    weights = pair_weights(read(FOLDER / "held_out_zh_vi_x2x_5000.yaml"))
    assert ("zh", "vi") not in weights
    assert ("vi", "zh") not in weights
    assert ("zh", "es") in weights
