"""Runs that ask the same rows again: which belong together, and what they tell together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossin_metrics.errors import CrossinError
from crossin_metrics.runs.repeats import asked_as, disagreement_scores, floor_of, reasons_of, repeats, suspects_of
from crossin_metrics.runs.run import Run, read_predictions
from crossin_metrics.runs.signature import is_row_of


def runs_of(tmp_path: Path, *columns: dict[str, Any], n: int = 8, skip: int = 0) -> list[Run]:
    """Runs whose `answer(q, language)` is given, in en and zh; the last leaves out the first `skip` questions."""
    rows = []
    for number, column in enumerate(columns):
        answer = column.pop("answer")
        gold = column.pop("gold", 0)
        rows += [
            {"id": f"q{q}", "language": code, "answer": answer(q, i), "gold": gold, "task": "t", "model": "m", **column}
            for q in range(skip if number == len(columns) - 1 else 0, n)
            for i, code in enumerate(("en", "zh"))
        ]
    path = tmp_path / "t.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return read_predictions([path])


def test_prompts_and_orders_belong_together_and_other_differences_do_not(tmp_path: Path) -> None:
    def one(q: int, i: int) -> int:
        return q % 4

    runs = runs_of(
        tmp_path,
        {"prompt": "p1", "answer": one},
        {"prompt": "p2", "answer": one},
        {"prompt": "p1", "variant": "order:question-3", "answer": one},
        {"prompt": "p1", "mode": "5-shot", "answer": one},
        {"prompt": "p1", "model": "other", "answer": one},
        {"prompt": "p1", "variant": "norm", "answer": one},
    )
    ((name, members),) = repeats(runs).items()
    assert name == "t|m"
    assert [asked_as(run) for run in members] == ["p1", "p2", "p1+order:question-3"]


def test_the_floor_is_over_the_questions_that_all_have(tmp_path: Path) -> None:
    runs = runs_of(
        tmp_path,
        {"prompt": "p1", "answer": lambda q, i: 1 if q < 4 else 3},
        {"prompt": "p2", "answer": lambda q, i: 2 if q < 4 else 3},
        skip=4,
    )
    assert floor_of(runs, n_resamples=2, seed=0).estimate["asked_again"] == 1.0


def test_options_that_only_one_run_picks_are_counted(tmp_path: Path) -> None:
    """A table without n_choices: each run knows the options up to the highest that it picked."""
    runs = runs_of(tmp_path, {"prompt": "p1", "answer": lambda q, i: q % 2}, {"prompt": "p2", "answer": lambda q, i: 4})
    floor = floor_of([runs[0], runs[1], runs[1]], n_resamples=2, seed=0).estimate
    assert floor["asked_again"] == pytest.approx(1 / 3)  # the two that always give option 4


def test_runs_of_other_data_are_refused(tmp_path: Path) -> None:
    one = {"answer": lambda q, i: 1}
    runs = runs_of(tmp_path, {"prompt": "p1", **one}, {"prompt": "p2", "gold": 1, **one})
    with pytest.raises(CrossinError, match="gold options differ"):
        floor_of(runs, n_resamples=2, seed=0)
    runs = runs_of(tmp_path, {"prompt": "p1", **one})
    with pytest.raises(CrossinError, match="give the logs of more models"):
        suspects_of(runs)


def test_repeats_change_the_reason(tmp_path: Path) -> None:
    runs = runs_of(
        tmp_path,
        {"prompt": "p1", "answer": lambda q, i: i},
        {"prompt": "p2", "answer": lambda q, i: 0},
    )
    alone, with_repeats = disagreement_scores(runs[0]), disagreement_scores(runs[0], runs)
    assert alone["disagree"] == with_repeats["disagree"] == 1.0
    assert alone["disagree_ignorance"] == 1.0  # en is right and zh is wrong: all that one run shows
    assert with_repeats["disagree_prompt_en_zh"] == 1.0
    assert np.isclose(sum(v for k, v in alone.items() if k.endswith("_en_zh")), 1.0)


def test_only_other_runs_of_the_same_questions_are_repeats_of_a_run(tmp_path: Path) -> None:
    def runs(skip: int) -> list[Run]:
        one = {"prompt": "p1", "answer": lambda q, i: (q + i) % 3}
        return runs_of(tmp_path, one, {"prompt": "p2", "answer": lambda q, i: (q + 2 * i) % 3}, skip=skip)

    run, shorter = runs(skip=2)
    alone = reasons_of(run).tolist()
    assert reasons_of(run, [run]).tolist() == alone
    assert reasons_of(run, [shorter]).tolist() == alone
    assert reasons_of(run, runs(skip=0)).tolist() != alone


def test_a_row_belongs_to_the_run_that_asked_it_so(tmp_path: Path) -> None:
    (run,) = runs_of(tmp_path, {"prompt": "p1", "answer": lambda q, i: 1})
    assert is_row_of(run, {})  # a log that asks once
    assert is_row_of(run, {"again": "", "prompt": "p1"})
    assert not is_row_of(run, {"again": "p2", "prompt": "p2"})
    assert not is_row_of(run, {"again": "order-1", "prompt": "p1"})
