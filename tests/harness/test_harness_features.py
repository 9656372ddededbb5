"""Features of the harness with a planted model, end to end: evaluation, log files, `crossin score`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from lm_eval import simple_evaluate
from lm_eval.api.model import LM
from lm_eval.loggers import EvaluationTracker
from lm_eval.tasks import TaskManager

from crossin_metrics.errors import CrossinError
from crossin_metrics.exports.records import make_records
from crossin_metrics.runs.run import read_predictions
from crossin_metrics.runs.signature import signature_of
from tests.helpers.cli import crossin, printed_json
from tests.helpers.parallel_runs import run_tasks

TASKS = ["crossin_mini", "crossin_mini_cf", "crossin_mini_gen"]
ROWS = 16  # four questions in four languages
BROKEN = {
    "all -inf": [-math.inf] * 4,
    "one NaN": [-1.0, math.nan, -2.0, -3.0],
    "one +inf": [-2.0, -1.0, math.inf, -3.0],
}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lm_eval.evaluator.add_env_info", lambda _: None)  # runs pip and lscpu, for seconds


class Planted(LM):
    """Rates the options of each row 1, 2, 3, 4 in turn; those of row 2 as given. Generates "B"."""

    def __init__(self, row: list[float] | None = None) -> None:
        super().__init__()
        self.row = row

    def loglikelihood(self, requests: list[Any], **_: Any) -> list[tuple[float, bool]]:
        values = [-1.0 - (i // 4 + i) % 4 for i in range(len(requests))]
        for i in range(8, 12):
            values[i] = self.row[i - 8] if self.row else values[i]
        return [(value, False) for value in values]

    def loglikelihood_rolling(self, requests: list[Any], **_: Any) -> list[float]:
        raise NotImplementedError

    def generate_until(self, requests: list[Any], **_: Any) -> list[str]:
        return ["B"] * len(requests)


def evaluate(
    repo: Path, out: Path | None = None, row: list[float] | None = None, tasks: list[str] = TASKS, **more: Any
) -> dict[str, dict[str, Any]]:
    """Run the harness; task -> metric -> value. With `out` the sample logs are written as `--log_samples` does."""
    manager = TaskManager(include_path=str(repo / "lm_eval_tasks"), include_defaults=False, metadata={"bootstrap": 20})
    more = {"limit": ROWS, **more}
    found = simple_evaluate(model=Planted(row), tasks=tasks, task_manager=manager, log_samples=out is not None, **more)
    if out is not None:
        tracker = EvaluationTracker(output_path=str(out))
        tracker.general_config_tracker.model_name = tracker.general_config_tracker.model_name_sanitized = "planted"
        samples = found.pop("samples")
        tracker.save_results_aggregated(results=found, samples=samples)
        for task in tasks:
            tracker.save_results_samples(task_name=task, samples=samples[task])
    return {
        task: {key.removesuffix(",none"): value for key, value in scores.items()}
        for task, scores in found["results"].items()
    }


@pytest.mark.parametrize("kind", BROKEN)
def test_one_broken_row_is_one_unanswered_row(
    repo: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    found = evaluate(repo, tmp_path, BROKEN[kind], tasks=TASKS[:1])["crossin_mini"]
    whole = evaluate(repo, tasks=TASKS[:1])["crossin_mini"]
    assert (found["n_unanswered"], whole["n_unanswered"]) == (1, 0)
    assert found["n_questions"] == whole["n_questions"] == 4
    assert "1 of 16 rows have log-probabilities that are NaN, +inf or all -inf: they count as unanswered" in caplog.text
    scores = printed_json("score", *tmp_path.rglob("samples_*.jsonl"))
    assert scores["n_unanswered"] == 1
    for key in ("acc", "consistency", "ac3", "fleiss_kappa"):
        assert scores[key] == pytest.approx(found[key], abs=1e-12), key


def test_predict_only_gives_answers_and_no_scores(repo: Path, tmp_path: Path) -> None:
    found = evaluate(repo, tmp_path, predict_only=True)
    names = {key for scores in found.values() for key in scores}
    assert names <= {"alias", "name", "sample_len", "sample_count", "bypass", "bypass_stderr", " "}
    scores = printed_json("score", *tmp_path.rglob("samples_*.jsonl"))
    whole = evaluate(repo)
    for task in TASKS:
        (run,) = (one for name, one in scores.items() if name.split("|")[0] == task and not name.endswith("norm"))
        assert run["ac3"] == pytest.approx(whole[task]["ac3"], abs=1e-12)


def test_without_sample_logs_and_without_the_harness_bootstrap_scores_are_the_same(repo: Path, tmp_path: Path) -> None:
    logged = evaluate(repo, tmp_path)
    assert evaluate(repo) == logged
    assert evaluate(repo, bootstrap_iters=0) == logged  # our errors have a setting of their own


@pytest.mark.parametrize(
    ("choice", "n"),
    [
        ({"limit": 6}, 1),
        ({"limit": 0.25}, 8),
        ({"limit": None, "samples": {task: [11, 0, 3, 2, 1, 9, 10, 8, 17] for task in TASKS}}, 2),
    ],
)
def test_parts_of_the_rows_count_whole_questions(repo: Path, tmp_path: Path, choice: dict[str, Any], n: int) -> None:
    found = evaluate(repo, tmp_path, **choice)
    for scores in found.values():
        assert scores["n_questions"] == n
        assert all(0.0 <= scores[key] <= 1.0 for key in ("acc", "consistency", "ac3"))
    done = crossin("score", *tmp_path.rglob("samples_*.jsonl"))
    assert done.returncode == 0
    assert "(nan)" not in done.stdout


def test_a_sample_is_a_part_of_its_set(repo: Path, tmp_path: Path) -> None:
    run_tasks(["crossin_mini"], repo / "lm_eval_tasks", tmp_path, metadata={"sample": 10})
    (run,) = read_predictions([tmp_path])
    assert signature_of(run).endswith("|questions:10 of 32")
    with pytest.raises(CrossinError, match=r"only 10 of 32 questions \(--limit, --sample\?\)"):
        make_records([run], model="lab/hash-1b")
