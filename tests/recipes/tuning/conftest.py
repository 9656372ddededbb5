"""Models, mixes and a finished run that the tests of this room share; tests copy the run before they change it."""

from __future__ import annotations

from pathlib import Path

import pytest

from recipes.sft_crossin import main
from tests.helpers.tiny_models import arguments, tiny_model, write_mix


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tied Gemma 3 of two layers."""
    return tiny_model(tmp_path_factory.mktemp("models") / "gemma")


@pytest.fixture(scope="session")
def mix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight rows."""
    return write_mix(tmp_path_factory.mktemp("mix") / "mix.jsonl")


@pytest.fixture(scope="session")
def long_mix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 rows: six steps per epoch."""
    return write_mix(tmp_path_factory.mktemp("mix") / "mix.jsonl", copies=3)


@pytest.fixture(scope="session")
def tied_run(tmp_path_factory: pytest.TempPathFactory, model: Path, long_mix: Path) -> Path:
    """Six steps with the paper's modules; checkpoints of steps 4 and 6."""
    run = tmp_path_factory.mktemp("runs") / "tied"
    assert main(arguments(run, model, long_mix, save_steps=2)) == 0
    return run
