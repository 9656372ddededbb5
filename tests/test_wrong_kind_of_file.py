"""A file given to the wrong command: one line says what the file is and which command takes it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crossin_metrics.cli import main
from tests.helpers.report_files import answers_of, write_run

ITEM = {"question": "Which is red?", "choices": ["blood", "grass"], "answer": "blood"}
TABLE = {"id": "1", "language": "en", "answer": 0, "gold": 0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("kinds")
    write_run(place / "runs", *answers_of(0.5), model="m", task="cross_mmlu")
    for pattern, name in (("samples_*", "log.jsonl"), ("results_*", "results_1.json")):
        (path,) = (place / "runs").rglob(pattern)
        (place / name).write_bytes(path.read_bytes())
    for name, row in (
        ("set", {"id": "1", "en": ITEM, "zh": ITEM}),
        ("table", TABLE),
        ("mix", {"prompt": "a", "completion": "b", "part": "base"}),
    ):
        (place / f"{name}.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    (place / "notes.md").write_text("# Notes\n\nFirst, second, third.\n", encoding="utf-8")
    (place / "empty").mkdir()
    return place


REPORT = "--out report --no-plots"
IS_SET = "this is a question set: crossin eval --set FILE asks"
IS_LOG = "this is a sample log of the harness: crossin score"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("score set.jsonl", IS_SET),
        ("compare set.jsonl set.jsonl", IS_SET),
        (f"report set.jsonl {REPORT}", IS_SET),
        ("export hf-eval-results set.jsonl --model-id a/b --out out", IS_SET),
        ("score mix.jsonl", "this is a mix: crossin tune trains on it"),
        ("score notes.md", "notes.md, line 1: columns id, language, gold, answer missing (it has # notes)"),
        ("score results_1.json", "give the samples_*.jsonl beside results_*.json"),
        (f"report empty {REPORT}", "no samples_*.jsonl, results_*.json or prediction table there"),
        ("eval --set log.jsonl --model dummy", IS_LOG),
        ("artefacts log.jsonl --output_dir out", IS_LOG),
        ("eval --set table.jsonl --model dummy", "this is a prediction table: crossin score"),
        ("eval --set results_1.json --model dummy", "this is the harness's scores: give the samples_*.jsonl"),
        ("eval --set cross_mmlu --model dummy", "this is a task; say --tasks cross_mmlu"),
        ("eval --models a b", "no tasks: say --tasks cross_mmlu, or --set FILE"),
        ("eval --tasks set.jsonl --model dummy", "for a set of your own say --set set.jsonl"),
    ],
)
def test_one_line_says_what_it_is(
    folder: Path, command: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    assert main(command.split()) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.startswith("crossin: ")
    assert error.count("\n") == 1
    assert len(error) < 500
    assert not (folder / "out").exists()
    assert not (folder / "report").exists()


def test_a_results_file_beside_its_samples_names_the_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    (path,) = (folder / "runs").rglob("results_*")
    assert main(["report", str(path), *REPORT.split()]) == 2
    assert "name its folder, or the samples_*.jsonl beside it" in capsys.readouterr().err
