"""Every YAML of the tree is read into the real option classes, and every mistake in one is fatal."""

from __future__ import annotations

from pathlib import Path

import pytest

from crossin_metrics.errors import CrossinError
from recipes.common.options import parse
from recipes.translation.config import EngineOptions, GateOptions, SourceOptions

CLASSES = [SourceOptions, EngineOptions, GateOptions]
CONFIGS = sorted((Path(__file__).parents[3] / "recipes" / "configs" / "translate").glob("**/*.yaml"))


def read(*argv: str) -> tuple[SourceOptions, EngineOptions, GateOptions]:
    options: tuple[SourceOptions, EngineOptions, GateOptions] = parse(CLASSES, argv, prog="t", description="t")
    return options


def test_there_are_configs() -> None:
    assert len(CONFIGS) >= 4


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_is_valid(path: Path) -> None:
    source, engine, gates = read("--config", str(path), "--output_dir", "out")
    assert source.languages
    assert engine.licence
    assert gates.gates


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("concurency: 3", "did you mean 'concurrency'"),
        ("concurrency: 0", "must be at least 1"),
        ("languages: [en]", "the source's language"),
        ("languages: [es, Spanish]", "different languages"),
        ("languages: [klingon]", "unknown language 'klingon'"),
        ("languages: es", "languages"),
        ("gates: [lenght]", "unknown 'lenght'"),
        ("kinds: [poems]", "unknown 'poems'"),
        ("extra_body: '[1]'", "must be a JSON object"),
        ("extra_body: '{'", "not JSON"),
        ("engine: magic", "engine"),
        ("base_url: localhost:8000/v1", "must be an address"),
        ("base_url: http://user:word@host/v1", "holds a secret"),
        ("licence: ' '", "name the model's licence"),
    ],
)
def test_a_mistake_is_fatal(tmp_path: Path, line: str, words: str) -> None:
    path = tmp_path / "c.yaml"
    key = line.split(":")[0]
    base = {"source": "x.jsonl", "output_dir": "out", "model": "m", "licence": "MIT"}
    path.write_text("".join(f"{k}: {v}\n" for k, v in base.items() if k != key) + line + "\n", encoding="utf-8")
    with pytest.raises(CrossinError, match=words):
        read("--config", str(path))


def test_language_names_are_accepted() -> None:
    base = ["--source", "x", "--output_dir", "o", "--model", "m", "--licence", "MIT"]
    assert read(*base, "--languages", "Spanish", "zh-CN", "fil")[0].languages == ["es", "zh", "fil"]
