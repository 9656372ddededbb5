"""A new mix method is one function and one YAML: nothing else knows its name."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from recipes.build_mix import main
from recipes.mixes.methods import METHODS, mix_method

YAML = "variant: neighbours\nn_samples: 40\nn_base: 0\nlanguages: [zh, vi, es]\n"


@pytest.fixture
def method() -> Iterator[None]:
    @mix_method(same_language=None)
    def neighbours(weights: Mapping[str, float]) -> dict[tuple[str, str], float]:
        """Each language answers in the next one of the list."""
        codes = list(weights)
        return {pair: weights[pair[0]] for pair in zip(codes, codes[1:] + codes[:1], strict=True)}

    yield
    del METHODS["neighbours"]


def test_one_function_and_one_yaml_make_a_mix(method: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "neighbours.yaml").write_text(YAML, encoding="utf-8")
    assert main(["--config", str(tmp_path / "neighbours.yaml"), "--output_dir", str(tmp_path / "mix")]) == 0
    manifest = json.loads((tmp_path / "mix" / "manifest.json").read_text(encoding="utf-8"))
    assert {(pair["in_lang"], pair["out_lang"]) for pair in manifest["pairs"]} == {
        ("zh", "vi"),
        ("vi", "es"),
        ("es", "zh"),
    }
    assert manifest["sources"]["seed"]["languages"] == ["zh", "vi", "es"]  # no English: the method needs none
    assert "neighbours" in (tmp_path / "mix" / "README.md").read_text(encoding="utf-8")


def test_every_method_says_what_it_does() -> None:
    assert {"base_only", "seed_only", "en2x", "x2en", "x2x", "same_language", "more_english"} <= set(METHODS)
    assert all(method.pairs.__doc__ for method in METHODS.values())
