"""`crossin artefacts` as a user runs it."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from crossin_metrics.sets.parallel_set import write_parallel
from tests.helpers import cli
from tests.helpers.planted import plain

crossin = partial(cli.crossin, "artefacts")


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    path = tmp_path / "planted.jsonl"
    write_parallel(plain(longest=0.8), path)
    return path


def test_a_table_for_people_and_one_json_object_for_programs(planted: Path, tmp_path: Path) -> None:
    shown = crossin(planted, cwd=tmp_path)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith("planted: 120 questions, ")
    assert "longest above chance (25.0%): en " in shown.stdout
    done = crossin(planted, "--json", "--languages", "Spanish", "--permutations", "199", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert report["data"]["languages"] == ["es"]
    assert report["settings"]["n_permutations"] == 199
    (longest,) = [test for test in report["tests"] if test["rule"] == "longest"]
    assert (longest["language"], longest["flag"], longest["n"]) == ("es", "above", 120)
    assert 0.7 < longest["low"] < longest["share"] < longest["high"] < 0.9


def test_a_page_with_its_plot(planted: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    out = tmp_path / "out"
    done = crossin(planted, "--output_dir", out, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, f"crossin: written to {out}\n")
    assert sorted(path.name for path in out.iterdir()) == [f"artefacts.{end}" for end in ("json", "md", "png", "svg")]
    assert "(artefacts.png)" in (out / "artefacts.md").read_text(encoding="utf-8")
    svg = (out / "artefacts.svg").read_text(encoding="utf-8")
    assert svg.startswith("<svg")
    assert "longest" in svg
    assert (out / "artefacts.png").read_bytes()[:4] == b"\x89PNG"
    first = {path.name: path.read_bytes() for path in out.iterdir()}
    crossin(planted, "--output_dir", out, cwd=tmp_path)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == first
    bare = crossin(planted, "--output_dir", tmp_path / "bare", "--no-plots", cwd=tmp_path)
    assert bare.returncode == 0
    assert sorted(path.name for path in (tmp_path / "bare").iterdir()) == ["artefacts.json", "artefacts.md"]
    assert ".png" not in (tmp_path / "bare" / "artefacts.md").read_text(encoding="utf-8")


def test_sets_tasks_and_folders(planted: Path, tmp_path: Path) -> None:
    packaged = crossin("crossin_mini", "--json", "--permutations", "99", cwd=tmp_path)
    assert json.loads(packaged.stdout)["data"]["source"] == "packaged:crossin_mini"
    named = crossin("planted", "--data_dir", tmp_path, "--json", "--permutations", "99", cwd=tmp_path)
    assert json.loads(named.stdout)["data"]["name"] == "planted"
    pytest.importorskip("lm_eval")
    task = crossin("crossin_mini_cf", "--languages", "en,es", "--json", "--permutations", "99", cwd=tmp_path)
    assert json.loads(task.stdout)["data"]["languages"] == ["en", "es"], task.stderr


def test_a_model_without_the_passage(planted: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from tests.helpers.tiny_models import tiny_model

    model = tiny_model(tmp_path / "model", "llama")
    done = crossin(planted, "--model", model, "--limit", "4", "--json", "--permutations", "99", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["settings"]["n_asked"] == 4
    assert {test["n"] for test in report["tests"] if test["kind"] == "model" and test["language"] == "en"} == {4}


def test_mistakes(planted: Path, tmp_path: Path) -> None:
    half = tmp_path / "half.jsonl"
    half.write_text(planted.read_text(encoding="utf-8")[:-9], encoding="utf-8")
    (tmp_path / "file").write_text("", encoding="utf-8")
    for arguments, message in (
        (("no.jsonl",), "no.jsonl: no such file"),
        ((half,), "line 120: not JSON"),
        ((tmp_path,), "is a folder; name the set in it"),
        (("no_such_set",), "unknown parallel set 'no_such_set'; known: crossin_mini, cross_xquad"),
        (("../x",), "is not a set name"),
        ((planted, "--data_dir", "."), "is a file: leave --data_dir out"),
        ((planted, "--languages", "zh"), "language zh: missing"),
        ((planted, "--languages", "xx"), "unknown language 'xx'"),
        ((planted, "--limit", "5"), "--limit is for the model: add --model PATH"),
        ((planted, "--model", "./absent"), "no such model folder"),
        ((planted, "--output_dir", "file"), "is a file; give another name"),
    ):
        done = crossin(*arguments, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, ""), (arguments, done.stderr)
        assert message in done.stderr, done.stderr
        assert "Traceback" not in done.stderr
        assert done.stderr.startswith("crossin: ")
        assert done.stderr.count("\n") == 1, done.stderr
    for arguments in (("--permutations", "5"), ("--limit", "0"), ("--seed", "-1")):
        done = crossin(planted, *arguments, cwd=tmp_path)
        assert done.returncode == 2
        assert "must be" in done.stderr
