"""The committed answers on BMLAMA give the figures that their README quotes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crossin_metrics import runs

FOLDER = Path("recipes/results/bmlama")
SHOWN = ("acc", "consistency", "ac3", "fleiss_kappa")


@pytest.fixture(scope="module")
def scored(repo: Path) -> list[dict[str, Any]]:
    return runs.load(repo / FOLDER / "predictions.csv.gz")


def test_the_quoted_figures_are_those_of_the_committed_answers(repo: Path, scored: list[dict[str, Any]]) -> None:
    readme = (repo / FOLDER / "README.md").read_text("utf-8")
    quoted = [line.split(" | ") for line in readme.splitlines() if " ± " in line]
    assert len(quoted) == len(scored) > 4
    for run, cells in zip(scored, quoted, strict=True):
        assert (cells[0].removeprefix("| "), cells[1]) == (run["model"], f"{run['n_questions']:,}")
        for key, cell in zip(SHOWN, cells[2:], strict=False):
            value, error = (float(part) for part in cell.split(" ± "))
            assert value == pytest.approx(run[key], abs=5.1e-4), (run["model"], key)
            assert error == pytest.approx(run[f"{key}_stderr"], abs=6e-4), (run["model"], key)
