"""A source of 24 rows, and a run without faults."""

from __future__ import annotations

from pathlib import Path

import pytest

from recipes import translate_seed
from tests.helpers.scripted_server import ScriptedServer, serve
from tests.helpers.translation import arguments, source_rows, write_rows


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rows(tmp_path_factory.mktemp("source") / "source.jsonl", source_rows())


@pytest.fixture(scope="module")
def undisturbed(source: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ScriptedServer]:
    """The output of a run with a perfect server, and that server, which is gone."""
    output = tmp_path_factory.mktemp("undisturbed") / "out"
    with serve(ScriptedServer()) as server:
        assert translate_seed.main(arguments(source, output, server)) == 0
    return output, server


@pytest.fixture
def perfect(undisturbed: tuple[Path, ScriptedServer]) -> bytes:
    """The seed of a run without faults."""
    return (undisturbed[0] / "seed.jsonl").read_bytes()


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out"
