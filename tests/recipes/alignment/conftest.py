"""A tiny model and a small parallel set in four languages."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.aligned import write_set
from tests.helpers.tiny_models import tiny_model


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tied Gemma 3 of two layers."""
    return tiny_model(tmp_path_factory.mktemp("models") / "gemma")


@pytest.fixture(scope="session")
def houses(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight questions with four options."""
    return write_set(tmp_path_factory.mktemp("set"))
