"""`--metadata '{"again": [...]}'`: each row asked with other prompts and orders, in one run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossin_metrics.errors import CrossinError
from crossin_metrics.report import browser
from crossin_metrics.report.build import Options, build_report
from crossin_metrics.report.collect import collect
from crossin_metrics.runs.repeats import asked_as, floor_of, repeats
from crossin_metrics.runs.run import read_predictions
from crossin_metrics.runs.signature import asking_of, signature_of
from crossin_metrics.scores import score
from tests.helpers.parallel_runs import run_tasks

AGAIN = ["p2", "p4", "order-7"]
LANGUAGES = ["en", "zh", "es"]


@pytest.fixture(scope="module")
def repo_tasks() -> Path:
    return Path(__file__).parents[2] / "lm_eval_tasks"


def test_a_run_that_asks_again_scores_the_first_asking(repo_tasks: Path, small_set: Path, tmp_path: Path) -> None:
    metadata = {"data_dir": str(small_set), "languages": LANGUAGES}
    once = run_tasks(["cross_xquad"], repo_tasks, tmp_path / "once", metadata=metadata)
    several = run_tasks(["cross_xquad"], repo_tasks, tmp_path / "again", metadata={**metadata, "again": AGAIN})
    scores, more = once["results"]["cross_xquad"], several["results"]["cross_xquad"]
    added = {"asked_again,none", "asked_across,none", "language_ratio,none", "language_ratio_kappa,none"}
    assert {key for key in more if "stderr" not in key} - scores.keys() == added
    same = [key for key in scores if key not in ("sample_len",)]
    assert {key: more[key] for key in same} == {key: scores[key] for key in same}
    assert len(several["samples"]["cross_xquad"]) == 4 * len(once["samples"]["cross_xquad"])

    # The log holds four runs; their noise floor is the one in the harness's table.
    runs = read_predictions(
        [tmp_path / "again" / "out" if (tmp_path / "again" / "out").is_dir() else tmp_path / "again"]
    )
    assert sorted(map(asked_as, runs)) == ["p1", "p1+order:question-7", "p2", "p4"]
    ((_, members),) = repeats(runs).items()
    floor = floor_of(members, n_resamples=2, seed=0).estimate
    assert floor["asked_again"] == pytest.approx(more["asked_again,none"])
    assert floor["asked_across"] == pytest.approx(more["asked_across,none"])
    signatures = {asked_as(run): signature_of(run) for run in runs}
    assert "|prompt:p2|" in signatures["p2"]
    assert "|prompt:p1|" in signatures["p1"]
    assert "|order:question-7" in signatures["p1+order:question-7"]
    first = next(run for run in runs if asked_as(run) == "p1")
    expected = score(first.answers, first.gold, first.languages, n_choices=4)
    assert more["consistency,none"] == pytest.approx(expected["consistency"])


def test_a_report_shows_each_asking_its_own_rows(repo_tasks: Path, small_set: Path, tmp_path: Path) -> None:
    metadata = {"data_dir": str(small_set), "languages": LANGUAGES, "again": ["p2", "order-7"]}
    run_tasks(["cross_xquad_gen"], repo_tasks, tmp_path, metadata=metadata)
    (log,) = tmp_path.rglob("samples_*.jsonl")
    samples = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    said = {(row["doc"]["id"], row["doc"]["language"], row["doc"]["again"]): row["resps"][0][0] for row in samples}
    found = collect([tmp_path])
    assert not [text for _, text in found.problems if "its samples give" in text]
    runs = {asking_of(run): run for run in found.runs}
    assert runs.keys() == {"", "p2", "order-7"}
    for asking, run in runs.items():
        for identifier, language, _, response in browser._logged(run, set(run.ids)):
            assert response == said[identifier, language, asking]
    (results,) = tmp_path.rglob("results_*.json")
    results.unlink()  # the log alone tells the askings apart, too
    assert len({(one.prompt, one.variant) for one in collect([tmp_path]).runs}) == 3
    report = build_report([tmp_path], Options(plots=False, n_resamples=50))
    assert not [text for _, text in report.problems if "left out" in text]


def test_rows_of_one_question_stand_together_and_differ_in_what_was_asked_for(load_task: Any, small_set: Path) -> None:
    task = load_task("cross_xquad", data_dir=str(small_set), languages=LANGUAGES, again=AGAIN)
    rows = list(task.eval_docs)
    assert [row["id"] for row in rows] == [f"q{n}" for n in range(6) for _ in range(12)]
    first = rows[:12]
    assert [row["again"] for row in first] == [name for name in ("", *AGAIN) for _ in LANGUAGES]
    assert [row["prompt"] for row in first[::3]] == ["p1", "p2", "p4", "p1"]
    assert len({row["query"] for row in first}) == 12
    orders = np.array([row["order"] for row in rows]).reshape(6, 4, 3, 4)
    assert (orders[:, :3] == np.arange(4)).all()
    assert (orders[:, 3] != np.arange(4)).any()
    assert (orders[:, 3] == orders[:, 3, :1]).all()  # the same order in all languages
    with pytest.raises(CrossinError, match=r"languages .* and askings; .* --limit 12 or a multiple"):
        task.build_all_requests(limit=9)


def test_few_shot_examples_are_in_the_row_s_own_prompt(load_task: Any, small_set: Path) -> None:
    task = load_task("cross_xquad", data_dir=str(small_set), languages=LANGUAGES, again=["p2"])
    row = next(row for row in task.eval_docs if row["again"] == "p2" and row["language"] == "es")
    for example in task.sampler.sample(2, row):
        assert (example["prompt"], example["language"]) == ("p2", "es")


@pytest.mark.parametrize(
    ("task", "again", "message"),
    [
        ("cross_xquad", ["p9"], "unknown prompt 'p9'"),
        ("cross_xquad", "p2", "must be a list of names"),
        ("cross_xquad", ["p2", "p2"], "name each other prompt or order once"),
        ("cross_xquad", ["p1"], "not p1 itself"),
        ("cross_xquad_cf", ["order-1"], "show no options to reorder"),
        ("bmlama17_mini_cf", ["p2"], "no prompt to vary"),
    ],
)
def test_mistakes(load_task: Any, small_set: Path, task: str, again: Any, message: str) -> None:
    with pytest.raises(CrossinError, match=message):
        load_task(task, data_dir=str(small_set), again=again)
