"""The `crossin` command: help, mistakes, and the recipes behind it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas
import pytest

from crossin_metrics.cli import COMMANDS, RECIPES, main
from crossin_metrics.runs import load
from tests.helpers.report_files import answers_of, write_run


def test_without_arguments_it_prints_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    printed = capsys.readouterr().out
    for name in (*COMMANDS, *RECIPES, "eval", "tasks-path"):
        assert name in printed.split()


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["scor", "x.csv"], "did you mean 'score'?"),
        (["buildset"], "did you mean 'build-set'?"),
        (["score", "x.csv", "--langages", "en"], "did you mean '--languages'?"),
        (
            ["report", "results", "--ouy", "report"],
            "unknown argument '--ouy'; did you mean '--out'? (see crossin report --help)",
        ),
        (["--versio"], "did you mean '--version'?"),
        (["score", "x.csv", "--bootstrap", "many"], "--bootstrap"),
        (["frobnicate"], "unknown command 'frobnicate' (see crossin --help)"),
    ],
)
def test_a_mistake_is_one_line(arguments: list[str], meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("crossin: ")
    assert printed.err.count("\n") == 1
    assert meant in printed.err


def test_a_home_folder_that_the_shell_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for arguments in (["score", "~/none.csv"], ["report", "--out=~/out", "~/none"]):
        assert main(arguments) == 2
        assert str(tmp_path / "none") in capsys.readouterr().err


def test_every_recipe_has_a_command(repo: Path) -> None:
    assert {f"{module}.py" for module, _ in RECIPES.values()} == {path.name for path in repo.glob("recipes/[!_]*.py")}


def test_a_recipe_runs_from_any_folder_as_its_script_does(repo: Path, tmp_path: Path) -> None:
    config = ["--config", "recipes/configs/mix/mini_x2x.yaml", "--output_dir"]
    contents = []
    for where, command in (
        (tmp_path, ["-m", "crossin_metrics.cli", "mix", *config, str(tmp_path / "a")]),
        (repo, ["recipes/build_mix.py", *config, str(tmp_path / "b")]),
    ):
        done = subprocess.run([sys.executable, *command], cwd=where, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-2000:]
        contents.append((tmp_path / command[-1] / "train.parquet").read_bytes())
    assert contents[0] == contents[1]


def test_scores_of_many_runs_are_sorted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = ["id,language,answer,gold,model"]
    for model, right in (("a_bad", 1), ("b_good", 4), ("c_middling", 3)):
        for question in range(4):
            rows += [f"q{question},{code},{0 if question < right else 1},0,{model}" for code in ("en", "zh", "vi")]
    (tmp_path / "runs.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    assert main(["score", str(tmp_path / "runs.csv"), "--bootstrap", "0"]) == 0
    table = capsys.readouterr().out
    assert table.index("b_good") < table.index("c_middling") < table.index("a_bad")


@pytest.mark.parametrize("name", [name for name in RECIPES if name not in ("align", "tune")])  # they import torch first
def test_the_help_of_a_recipe_fits_a_screen(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([name, "--help"])
    lines = capsys.readouterr().out.splitlines()
    assert stopped.value.code == 0
    assert len(lines) <= 40
    assert any("(required)" in line for line in lines)
    with pytest.raises(SystemExit):
        main([name, "--help-all"])
    everything = capsys.readouterr().out
    for flag in (line.split()[0] for line in lines if line.startswith("  --")):
        assert flag in everything


def test_completion_in_bash(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion"]) == 0
    script = capsys.readouterr().out
    for words, expected in (
        ("crossin sc", "score"),
        ("crossin eval --tasks cross_logiqa_sea_", "cross_logiqa_sea_cf cross_logiqa_sea_gen"),
        ("crossin score results --read", "--read-again"),
        ("crossin mix --conf", "--config"),
    ):
        ask = f'{script}\nCOMP_WORDS=({words}); COMP_CWORD={len(words.split()) - 1}; _crossin; echo "${{COMPREPLY[@]}}"'
        done = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, check=True)
        assert (done.stdout.strip(), done.stderr) == (expected, "")


def test_runs_load_gives_one_flat_dict_a_run(tmp_path: Path) -> None:
    rows = ["id,language,answer,gold,model"]
    rows += [f"q{n},{code},{n % 2},0,{model}" for model in "ab" for n in range(4) for code in ("en", "zh", "vi")]
    (tmp_path / "runs.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    table = pandas.DataFrame(load(tmp_path / "runs.csv", bootstrap=100))
    assert list(table["model"]) == ["a", "b"]
    assert list(table["acc"]) == [0.5, 0.5]
    assert (table["ac3_low"] < table["ac3"]).all()
    assert table["languages"].unique() == ["en,vi,zh"]


def test_scores_in_fewer_languages_are_signed_as_such(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path, *answers_of(0.5, n=20))
    (row,) = load(tmp_path, bootstrap=0, languages=["en", "zh"])
    assert "|langs:en,zh|" in row["signature"]
    assert "|s:2|" in row["signature"]
    assert main(["score", str(tmp_path), "--languages", "en,zh", "--bootstrap", "0"]) == 0
    assert f"signature {row['signature']}\n" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["tune", "align", "merge"])
def test_a_package_that_is_not_installed_is_named_with_its_extra(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith("recipes.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "trl", None)  # as if it were not installed
    assert main([command, "--output_dir", "out"]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert "crossin: " in said
    assert "pip install 'crossin[train]'" in said
