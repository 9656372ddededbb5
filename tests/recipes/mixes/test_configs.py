"""Every mix YAML, and every override of the README, parses into the real dataclass and makes a plan."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from recipes.common.options import parse
from recipes.mixes.config import MixConfig
from recipes.mixes.plan import make_plan

FOLDER = Path(__file__).resolve().parents[3] / "recipes" / "configs" / "mix"
FILES = sorted(FOLDER.rglob("*.y*ml"))
README = (FOLDER / "README.md").read_text(encoding="utf-8")
OVERRIDES = re.findall(r"^\| `(--.*?)`", README, re.MULTILINE)


def read(path: Path, *flags: str) -> MixConfig:
    (config,) = parse(MixConfig, ["--config", str(path), "--output_dir", "unused", *flags], prog="t", description="")
    assert isinstance(config, MixConfig)
    return config


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
    assert len(make_plan(config, 25_000, 52_000)) > 0
    for variant in ("en2x", "x2en", "x2x"):
        if f"_{variant}_" in f"_{path.stem}_":
            assert config.variant == variant
    if config.n_samples and path.stem.split("_")[-1].isdigit():
        assert config.n_samples == int(path.stem.split("_")[-1])
    assert re.search(rf"`{path.stem}`|`{path.stem.split('_')[0]}_\*`", README)


@pytest.mark.parametrize("override", OVERRIDES)
def test_overrides_of_the_readme(override: str) -> None:
    config = read(FOLDER / "x2x_5000.yaml", *override.split())
    assert config != read(FOLDER / "x2x_5000.yaml")
    assert len(make_plan(config, 25_000, 52_000)) > 0


def test_there_are_files_and_overrides_and_only_mini_needs_nothing_from_outside() -> None:
    assert len(FILES) >= 11
    assert len(OVERRIDES) >= 9
    packaged = [path.stem for path in FILES if read(path).base_set.startswith("packaged:")]
    assert "mini_x2x" in packaged
    assert all(read(FOLDER / f"{name}.yaml").n_base == 0 for name in packaged if name.startswith("rival"))
