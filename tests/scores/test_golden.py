"""Scores against figures that others published: SeaEval's logs and the CrossIn paper's table."""

from __future__ import annotations

import csv
import gzip
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossin_metrics.languages import language_code
from crossin_metrics.scores import score
from crossin_metrics.scores.definitions import harmonic_mean
from tests.helpers.simulated import subset_consistency

SETS = {"cross_mmlu": 150, "cross_logiqa": 176}


def load_runs(folder: Path, name: str) -> dict[str, tuple[list[str], np.ndarray, np.ndarray]]:
    """Read SeaEval's predictions: `model|mode|prompt` -> languages, answers, gold."""
    rows: dict[str, dict[str, dict[str, tuple[int | None, int]]]] = defaultdict(lambda: defaultdict(dict))
    with gzip.open(folder / f"predictions_{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            key = f"{row['model']}|{row['mode']}|p{row['prompt']}"
            rows[key][row["id"]][language_code(row["language"])] = (row["answer"], row["gold"])
    runs = {}
    for key, questions in rows.items():
        languages = sorted(next(iter(questions.values())))
        table = [[questions[i][language] for language in languages] for i in questions]
        answers = np.array([[-1 if answer is None else answer for answer, _ in row] for row in table])
        runs[key] = (languages, answers, np.array([[gold for _, gold in row] for row in table]))
    return runs


@pytest.mark.parametrize("name", SETS)
def test_every_official_figure_is_reproduced(shared: Path, name: str) -> None:
    folder = shared / "data" / "golden"
    official: dict[str, dict[str, Any]] = json.loads((folder / f"official_{name}.json").read_text(encoding="utf-8"))
    runs = load_runs(folder, name)
    assert official.keys() == runs.keys()
    compared = 0
    for key, wanted in official.items():
        languages, answers, gold = runs[key]
        found = score(answers, gold, languages)
        assert found["n_questions"] == SETS[name]
        figures = [("acc", wanted["overall_acc"])]
        figures += [(f"acc_{language_code(language)}", acc) for language, acc in wanted["language_acc"].items()]
        for s in range(2, 8):
            figures.append((f"consistency_{s}", wanted[f"consistency_score_{s}"]))
            figures.append((f"ac3_{s}", wanted[f"AC3_{s}"]))
        figures.append(("consistency", wanted["consistency_score_3"]))
        figures.append(("ac3", wanted["AC3_3"]))
        for figure, value in figures:
            assert found[figure] == pytest.approx(value, abs=1e-9), (key, figure)
        for subsets in wanted["detailed_consistency_score"].values():
            for subset, value in subsets.items():
                codes = [language_code(language) for language in subset.split(",")]
                assert subset_consistency(answers, languages, codes) == pytest.approx(value, abs=1e-9), (key, subset)
                if len(codes) == 2:
                    assert found["consistency_{}_{}".format(*sorted(codes))] == pytest.approx(value, abs=1e-9)
        compared += len(figures) + sum(map(len, wanted["detailed_consistency_score"].values()))
    assert compared == len(official) * (1 + 7 + 12 + 2 + 120)


def test_ac3_of_the_papers_table(shared: Path) -> None:
    with (shared / "reference" / "paper_table3.csv").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) == 45
    for row in rows:
        acc, consistency, ac3 = (float(row[column]) for column in ("acc", "consistency", "ac3"))
        # Printed to 0.1, so the true figures lie within 0.05 of each input, and AC3 between these two.
        low = harmonic_mean(np.array(acc - 0.05), np.array(consistency - 0.05))
        high = harmonic_mean(np.array(acc + 0.05), np.array(consistency + 0.05))
        assert low - 0.05 <= ac3 <= high + 0.05, row


def test_ac3_of_official_cross_xquad_runs(shared: Path) -> None:
    official = json.loads((shared / "reference" / "cross_xquad_official.json").read_text(encoding="utf-8"))
    assert len(official) == 151
    for key, run in official.items():
        assert np.mean(list(run["language_acc"].values())) == pytest.approx(run["overall_acc"], abs=1e-9)
        for s in (2, 3, 4):
            ac3 = harmonic_mean(np.array(run["overall_acc"]), np.array(run[f"consistency_{s}"]))
            assert ac3 == pytest.approx(run[f"AC3_{s}"], abs=1e-9), (key, s)
