"""The seed from XQuAD: real data, articles apart from the test half, wording equal to the task's."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from crossin_metrics.errors import CrossinError
from recipes.build_mix import main as build_mix
from recipes.seeds.xquad import main

LANGUAGES = ("en", "zh", "vi", "es")


def write(folder: Path, shared: Path, *flags: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    assert main(["--output_dir", str(folder), "--data_dir", str(shared / "data"), *flags]) == 0
    return tuple(  # type: ignore[return-value]
        [json.loads(line) for line in (folder / name).read_text(encoding="utf-8").splitlines()]
        for name in ("base.jsonl", "seed.jsonl")
    )


def test_rows_and_disjoint_articles(tmp_path: Path, shared: Path) -> None:
    base, seed = write(tmp_path / "train", shared)
    _, test = write(tmp_path / "test", shared, "--articles", "test", "--base_articles", "0")
    articles = [{row["article"] for row in rows} for rows in (base, seed, test)]
    assert [len(found) for found in articles] == [8, 16, 24]
    assert not articles[0] & articles[1]
    assert not (articles[0] | articles[1]) & articles[2]
    assert len({row["id"] for rows in (base, seed, test) for row in rows}) == 1190
    contexts = [
        {row["en"]["instruction"].split("\n\n")[0] for row in seed},
        {row["en"]["instruction"].split("\n\n")[0] for row in test},
    ]
    assert not contexts[0] & contexts[1]
    for row in seed:
        assert row["licence"] == "CC BY-SA 4.0"
        for code in LANGUAGES:
            assert row[code]["output"] in row[code]["instruction"]  # extractive: the answer stands in the passage
            assert row[code]["translatable"] in row[code]["instruction"]


def test_no_seed_question_is_asked_by_the_task(tmp_path: Path, shared: Path) -> None:
    """And the wording is that of the task: prompt and space before the answer."""
    from crossin_metrics.harness.prompts import ENGLISH_PROMPTS
    from crossin_metrics.sets.spans import cross_xquad_spans
    from recipes.common.wording import frame

    _, seed = write(tmp_path / "xquad", shared)
    task, _ = cross_xquad_spans(languages=LANGUAGES, data_dir=shared / "data", articles="test")
    assert not {row["id"] for row in seed} & set(task.ids)
    trained, _ = cross_xquad_spans(languages=LANGUAGES, data_dir=shared / "data", articles="train")
    rows = {row["id"]: row for row in seed}
    checked = 0
    for code in LANGUAGES:
        for identifier, item, gold in zip(trained.ids, trained.items[code], trained.gold, strict=True):
            if identifier in rows:
                shown = ENGLISH_PROMPTS["p1"].render(item.context, item.question, (), "cf")
                row = rows[identifier][code]
                assert frame(row["instruction"], row["output"], "space") == (shown, f" {item.choices[gold]}")
                checked += 1
    assert checked > 1000


def test_fields_layout_and_mix(tmp_path: Path, shared: Path) -> None:
    base, seed = write(tmp_path / "xquad", shared, "--prompt", "fields", "--languages", "en", "de", "ar")
    assert set(seed[0]) == {"id", "article", "licence", "source", "en", "de", "ar"}
    assert seed[0]["de"]["instruction"] == seed[0]["de"]["translatable"]
    assert seed[0]["de"]["input"]
    assert base[0]["instruction"].endswith("?")
    arguments = ["--base_set", str(tmp_path / "xquad/base.jsonl"), "--seed_set", str(tmp_path / "xquad/seed.jsonl")]
    arguments += ["--languages", "en", "de", "ar", "--n_samples", "50", "--trans", "true"]
    assert build_mix(["--output_dir", str(tmp_path / "mix"), *arguments]) == 0
    manifest = json.loads((tmp_path / "mix/manifest.json").read_text(encoding="utf-8"))
    assert {info["licence"] for info in manifest["sources"].values()} == {"CC BY-SA 4.0"}


def test_same_bytes_again_and_other_seed(tmp_path: Path, shared: Path) -> None:
    first, _ = write(tmp_path / "a", shared)
    again, _ = write(tmp_path / "b", shared)
    other, _ = write(tmp_path / "c", shared, "--seed", "1")
    assert first == again
    assert {row["article"] for row in other} != {row["article"] for row in first}


def test_mistakes(tmp_path: Path, shared: Path) -> None:
    with pytest.raises(CrossinError, match="base_articles: 24 of 24 train articles leave none"):
        write(tmp_path / "a", shared, "--base_articles", "24")
    with pytest.raises(CrossinError, match="XQuAD has no language fr"):
        write(tmp_path / "a", shared, "--languages", "en", "fr")
    with pytest.raises(CrossinError, match="no such folder"):
        main(["--output_dir", str(tmp_path / "a"), "--data_dir", str(tmp_path / "absent")])


def test_as_a_script(repo: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(repo / "recipes/seeds/xquad.py"), "--output_dir", "x", "--data_dir", "absent"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("xquad: ")
    assert len(done.stderr.strip().splitlines()) == 1
