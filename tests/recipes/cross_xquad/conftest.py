"""Builds that several tests read."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.scripted_server import ScriptedServer
from tests.recipes.cross_xquad.world import STAGES, build, flawed, write_world


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """XQuAD-shaped files."""
    return write_world(tmp_path_factory.mktemp("world") / "data")


@pytest.fixture(scope="session")
def perfect(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ScriptedServer]:
    """A build by a model that answers well, to read only, and the server's log."""
    out = tmp_path_factory.mktemp("perfect") / "out"
    return out, build(data, out, lambda seen: "perfect", stages=STAGES)


@pytest.fixture(scope="session")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ScriptedServer]:
    """A build by a model whose first answers are bad for some questions, to read only, and the server's log."""
    out = tmp_path_factory.mktemp("whole") / "out"
    return out, build(data, out, flawed, stages=STAGES)
