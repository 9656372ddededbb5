"""What an experiment writes when its runs are done."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crossin_metrics.runs.run import read_predictions
from recipes.experiments.finish import answered, write_predictions
from recipes.experiments.plan import Run
from recipes.experiments.records import Records, Stage
from tests.helpers.report_files import answers_of, write_run


def test_what_was_made_with_other_options_is_missing(tmp_path: Path) -> None:
    records = Records(tmp_path)

    def run(rate: float) -> Run:
        read = tmp_path / "rows"
        train = Stage("x/0/train", (), {"rate": rate}, (read,), (tmp_path / "weights",))
        return Run("x", 0, tmp_path, (train, Stage("x/0/eval-e", (), {}, (), (tmp_path / "done",))))

    for name in ("rows", "weights", "done"):
        (tmp_path / name).write_text("made")
    assert answered(run(1.0), records) == []
    for stage in run(1.0).stages:
        records.write(stage, records.inputs(stage), {})
    assert [stage.name for stage in answered(run(1.0), records)] == ["x/0/eval-e"]
    assert answered(run(2.0), records) == []
    for name in ("rows", "weights"):  # removed to have room
        (tmp_path / name).unlink()
    assert [stage.name for stage in answered(run(1.0), records)] == ["x/0/eval-e"]


@pytest.mark.parametrize(
    ("evaluations", "modes"),
    [({"trained": "enzh", "unseen": "enar"}, ["trained", "unseen"]), ({"facts": "enzh"}, [""])],
)
def test_evaluations_of_one_task_keep_apart_in_the_predictions(
    tmp_path: Path, evaluations: dict[str, str], modes: list[str]
) -> None:
    for seed, (name, codes) in enumerate(evaluations.items()):
        answers, gold = answers_of(0.5, n=5, seed=seed, n_languages=2)
        folder = write_run(tmp_path / "eval" / name, answers, gold, languages=(codes[:2], codes[2:]))
        (log,) = folder.glob("samples_*.jsonl")
        rows = [json.loads(line) | {"answer_norm": 0} for line in log.read_text("utf-8").splitlines()]
        log.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    stages = tuple(Stage(f"dco/0/eval-{name}", (), {}, (), ()) for name in evaluations)
    write_predictions(tmp_path / "p.csv.gz", [Run("dco", 0, tmp_path, stages)])
    found = read_predictions([tmp_path / "p.csv.gz"])
    # two ways to rank the options of one evaluation are no two evaluations
    assert [(one.mode, one.variant) for one in found] == [(mode, variant) for mode in modes for variant in ("", "norm")]
    assert {len(one.languages) for one in found} == {2}
