"""Whatever a file holds, its reader answers with the right rows or with one message."""

from __future__ import annotations

import contextlib
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossin_metrics.errors import CrossinError, exit_code, located, one_line
from crossin_metrics.records import read_yaml
from tests.helpers.cli import crossin
from tests.helpers.damaged import READERS, mutated


@pytest.mark.parametrize("name", READERS)
def test_the_valid_file_is_read(tmp_path: Path, name: str) -> None:
    file, content, read = READERS[name]
    (tmp_path / file).write_bytes(content)
    read(tmp_path / file)


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_a_mutated_file_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, name: str, seed: int) -> None:
    file, content, read = READERS[name]
    path = tmp_path_factory.mktemp("damaged") / file
    path.write_bytes(mutated(content, random.Random(seed)))
    with contextlib.suppress(CrossinError):
        read(path)


@pytest.mark.parametrize(
    "text", ["- run: m\n  tag: 2024-13-45\n", "a: !!int x10\n", "a: &x *x\n", "a: 1\na: 2\n", "[" * 3000, "a: \xff\n"]
)
def test_yaml_that_python_cannot_hold(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(CrossinError, match=r"a\.yaml"):
        read_yaml(path)


def test_a_message_is_one_short_line_of_text() -> None:
    shown = one_line("x.jsonl: \x1b[31mred\n\ud800 " + "a" * 10_000 + " fix it")
    assert shown.isprintable()
    assert len(shown) < 500
    assert shown.startswith("x.jsonl: \\x1b[31mred \\ud800")
    assert shown.endswith("fix it")
    assert str(located("f, line 1", KeyError("id"))).startswith("f, line 1: cannot be read")


def test_a_bug_keeps_its_traceback_and_a_mistake_has_none(capsys: pytest.CaptureFixture[str]) -> None:
    def mistake() -> int:
        raise CrossinError("x: wrong; fix it")

    def bug() -> int:
        raise TypeError("a bug")

    assert exit_code("p", mistake) == 2
    assert capsys.readouterr().err == "p: x: wrong; fix it\n"
    with pytest.raises(TypeError, match="a bug"):
        exit_code("p", bug)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_output_that_cannot_be_written(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("id,language,answer,gold\n" + "".join(f"q{i},{c},0,0\n" for i in range(3) for c in ("en", "zh")))
    command = [sys.executable, "-m", "crossin_metrics.cli", "score", str(table), "--bootstrap", "0"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert "cannot write the output: No space left on device" in done.stderr
    assert "Traceback" not in done.stderr + str(done.returncode)


def test_latin_1_output(tmp_path: Path) -> None:
    table = tmp_path / "t.jsonl"
    table.write_text(
        "".join(f'{{"id": 1, "language": "{c}", "answer": 0, "gold": 0, "model": "模型"}}\n' for c in ("en", "zh")),
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "crossin_metrics.cli", "score", str(table), "--bootstrap", "0"]
    environment = {"PYTHONIOENCODING": "latin-1", "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(command, capture_output=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert b"\\u6a21\\u578b" in done.stdout


def test_one_bad_file_does_not_end_a_report(tmp_path: Path) -> None:
    results = tmp_path / "results"
    results.mkdir()
    good = "".join(
        f'{{"id": {i}, "language": "{c}", "answer": {i % 3}, "gold": 1, "model": "m"}}\n'
        for i in range(4)
        for c in ("en", "zh")
    )
    (results / "good.jsonl").write_text(good)
    rng = random.Random(3)
    for number in range(5):
        for name in ("table.jsonl", "table.csv", "table.parquet", "log.own", "log.family"):
            file, content, _ = READERS[name]
            folder = results / f"{name}{number}"
            folder.mkdir()
            (folder / file).write_bytes(mutated(content, rng))
    (results / "results_2026-01-01T10-00-00.1.json").write_text('{"results": {"t": {"acc,none": []}}, "configs": [1]}')
    done = crossin("report", results, "--out", tmp_path / "report", "--no-plots", "--resamples", "100")
    assert done.returncode == 0, done.stderr
    assert all(len(line) < 800 for line in done.stderr.splitlines())
