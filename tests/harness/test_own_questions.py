"""A user's own questions: a file alone, a named task of five lines, and what is said of a misspelt or missing name."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from lm_eval import simple_evaluate
from lm_eval.tasks import TaskManager

from crossin_metrics.errors import CrossinError
from crossin_metrics.harness.command import main as evaluate
from crossin_metrics.runs import load
from tests.helpers.cli import crossin
from tests.helpers.tiny_models import tiny_model


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """The command sets up logging for its process; here it would write to a stream of an earlier test."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def questions(repo: Path, tmp_path: Path) -> Path:
    """The example of the tasks' README, as a file."""
    text = (repo / "lm_eval_tasks" / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```json\n(\{.*?)```", text, flags=re.DOTALL)
    path = tmp_path / "my_questions.jsonl"
    path.write_text(block, encoding="utf-8")
    return path


@pytest.mark.parametrize("module", ["crossin_metrics.harness.command", "json"])
def test_finalizers_run_before_multiprocessing_waits_for_its_processes(module: str) -> None:
    """Else a vLLM engine, ended by a finalizer, would be waited for without end; any other module shows that order."""
    program = f"""
import {module}, tempfile, weakref
tempfile.TemporaryDirectory().cleanup()
from multiprocessing import util
util.Finalize(None, print, args=("processes",), exitpriority=0)
weakref.finalize(util, print, "finalizers")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    order = ["finalizers", "processes"]
    assert done.stdout.split() == (order if module != "json" else order[::-1])


def test_a_file_is_evaluated_without_any_yaml(questions: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out = questions.parent / "results"
    base = ["--set", str(questions), "--model", "dummy", "--output_path", str(out), "--log_samples"]
    assert evaluate([*base, "--tasks", "my_questions,my_questions_cf"]) == 0
    printed = capfd.readouterr()
    assert "crossin: loading lm-evaluation-harness" in printed.err
    assert {row["task"] for row in load(out, bootstrap=0)} == {"my_questions", "my_questions_cf"}
    (results,) = out.rglob("results_*.json")
    text = results.read_text(encoding="utf-8")
    scores = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} in the results"))["results"]
    assert scores["my_questions"]["n_questions,none"] == 2
    assert "_stderr_stderr" not in text


@pytest.mark.slow
def test_several_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """Each in its own process and folder; the printed command compares them."""
    monkeypatch.chdir(tmp_path)
    asked = ["--model", "dummy", "--tasks", "crossin_mini", "--metadata", '{"bootstrap": 0}']
    assert evaluate([*asked, "--models", "A", "lab/B"]) == 0
    (said,) = (line for line in capfd.readouterr().err.splitlines() if line.startswith("crossin: next: "))
    done = crossin(*said.removeprefix("crossin: next: crossin ").split())
    assert done.returncode == 0, done.stderr
    assert "crossin_mini|p1: A and B" in done.stdout


def test_a_task_of_the_readmes_yaml(repo: Path, questions: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (repo / "lm_eval_tasks" / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(task: .*?)```", text, flags=re.DOTALL)
    assert len(block.splitlines()) == 5
    (questions.parent / "my_tasks").mkdir()
    (questions.parent / "my_tasks" / "my_questions.yaml").write_text(block, encoding="utf-8")
    monkeypatch.chdir(questions.parent)
    manager = TaskManager(include_path="my_tasks", include_defaults=False)
    results = simple_evaluate(model="dummy", tasks=["my_questions"], task_manager=manager)
    assert results["results"]["my_questions"]["n_questions,none"] == 2
    assert "acc_stderr,none" in results["results"]["my_questions"]
    assert "_stderr_stderr" not in str(results["results"])
    assert results["configs"]["my_questions"]["metadata"]["signature"].startswith("crossin|task:my_questions|")


@pytest.mark.parametrize("formulation", ["letter", "cf", "gen"])
def test_a_task_needs_no_more_than_class_name_and_set(questions: Path, formulation: str) -> None:
    from crossin_metrics.harness import ParallelMCQTask

    metadata = {"set": "my_questions", "data_dir": str(questions), "formulation": formulation}
    task = ParallelMCQTask({"task": "mine", "class": ParallelMCQTask, "metadata": metadata})
    template = "_gen_template" if formulation == "gen" else "_likelihood_template"
    given = yaml.safe_load(
        (Path(__file__).parents[2] / "lm_eval_tasks" / template).read_text(encoding="utf-8").replace("!function", "")
    )
    assert {key: getattr(task.config, key) for key in given if key != "class"} == {
        key: value for key, value in given.items() if key != "class"
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--tasks", "cross_mmul", "--model", "dummy"], "unknown task cross_mmul; did you mean 'cross_mmlu'?"),
        (["--set", "absent.jsonl", "--model", "dummy"], "absent.jsonl"),
        (["--set"], "--set: expected one argument"),
        (
            ["--tasks", "crossin_mini", "--model", "crossin-vlm"],
            "unknown model 'crossin-vlm'; did you mean 'crossin-vllm'?",
        ),
        (["--sett", "my_questions.jsonl"], "did you mean '--set'?"),
        (["--models", "--tasks", "crossin_mini"], "--models: expected at least one argument"),
        (["--tasks", "crossin_mini", "--model_args", "pretrained=no_such/model"], "cannot load the model: "),
        (
            ["--tasks", "bmlama17", "--metadata", "data_dir=/no", "--model_args", "pretrained=no_such/model"],
            "/no: no such folder",  # said before the model is loaded
        ),
    ],
)
def test_a_mistake_is_one_line(arguments: list[str], said: str) -> None:
    done = crossin("eval", *arguments)
    assert done.returncode == 2
    assert said in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_any_error_of_loading_a_model_is_one_line(tmp_path: Path) -> None:
    # torch raises AttributeError here; vLLM without memory for its cache, RuntimeError
    model = tiny_model(tmp_path / "model")
    with pytest.raises(CrossinError, match=r"cannot load the model: .*float7"):
        evaluate(["--tasks", "crossin_mini", "--model", "hf", "--model_args", f"pretrained={model},dtype=float7"])


def test_the_harness_itself_says_which_task_was_meant(capsys: pytest.CaptureFixture[str]) -> None:
    import sys

    from crossin_metrics import startup

    before = sys.excepthook
    try:
        startup.register_tasks()
        TaskManager()
        assert startup.unknown_task(ValueError("Tasks not found: arc_esy"), ours=True) is None  # not ours to report
        sys.excepthook(ValueError, ValueError("Tasks not found: cross_mmul"), None)
    finally:
        sys.excepthook = before
    assert capsys.readouterr().err == "crossin: unknown task cross_mmul; did you mean 'cross_mmlu'?\n"


@pytest.mark.parametrize("known", [True, False])
def test_a_missing_file_is_named(tmp_path: Path, known: bool) -> None:
    from crossin_metrics.errors import CrossinError
    from crossin_metrics.sets.loading import load_parallel

    name = "cross_mmlu" if known else "my_questions"
    with pytest.raises(CrossinError, match=re.escape(str(tmp_path / f"{name}.jsonl"))):
        load_parallel(name, data_dir=tmp_path)


def test_a_sample_is_a_short_option(tmp_path: Path) -> None:
    ids = []
    for folder, languages in (("one", '["en", "zh"]'), ("two", '["en", "es", "vi"]')):
        base = ["--model", "dummy", "--tasks", "crossin_mini", "--output_path", str(tmp_path / folder), "--log_samples"]
        assert evaluate([*base, "--sample", "12", "--metadata", f'{{"languages": {languages}, "bootstrap": 0}}']) == 0
        (log,) = (tmp_path / folder).rglob("samples_*.jsonl")
        ids.append({json.loads(line)["doc"]["id"] for line in log.read_text(encoding="utf-8").splitlines()})
    assert ids[0] == ids[1]
    assert len(ids[0]) == 12
    with pytest.raises(CrossinError, match="crossin_mini: cannot sample 99 of 32 questions"):
        evaluate(["--model", "dummy", "--tasks", "crossin_mini", "--sample", "99"])
    with pytest.raises(CrossinError, match="eval: --sample: invalid int value: 'many'"):
        evaluate(["--model", "dummy", "--tasks", "crossin_mini", "--sample", "many"])
