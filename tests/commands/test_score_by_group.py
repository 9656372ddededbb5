"""`crossin score --by group`, and the sample that keeps every group's share."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from crossin_metrics.cli import main
from crossin_metrics.errors import CrossinError
from crossin_metrics.harness.documents import build_documents
from crossin_metrics.harness.options import TaskOptions
from crossin_metrics.sets.parallel_set import Item, ParallelMCQ


def table(path: Path, *, group: bool = True) -> Path:
    """In `law` both languages are right; in `art` they never agree."""
    rows = []
    for n in range(40):
        subject = "law" if n % 2 else "art"
        for code in ("en", "zh"):
            answer = 0 if subject == "law" or code == "en" else 1
            extra = {"group": subject} if group else {}
            rows.append({"id": f"q{n}", "language": code, "answer": answer, "gold": 0, "n_choices": 4, **extra})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_groups_where_languages_part_come_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = table(tmp_path / "t.jsonl")
    assert main(["score", str(path), "--by", "group"]) == 0
    name, head, *rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert name == ["t"]
    assert head == ["group", "consistency", "95%", "acc", "95%", "ac3", "95%", "n"]
    assert [(row[0], float(row[1]), row[-1]) for row in rows] == [("art", 0.0, "20"), ("law", 1.0, "20")]
    assert main(["score", str(path), "--by", "group", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {name.rpartition("|")[2]: scores["acc"] for name, scores in found.items()} == {"law": 1.0, "art": 0.5}


def test_each_run_has_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [str(table(tmp_path / name)) for name in ("a.jsonl", "b.jsonl")]
    assert main(["score", *paths, "--by", "group"]) == 0
    tables = [[line.split()[0] for line in text.splitlines()] for text in capsys.readouterr().out.split("\n\n")]
    assert tables == [["a", "group", "art", "law"], ["b", "group", "art", "law"]]
    assert main(["score", *paths, "--by", "group", "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)) == ["a|art", "a|law", "b|art", "b|law"]


def test_without_groups_there_is_one_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", str(table(tmp_path / "t.jsonl", group=False)), "--by", "group"]) == 2
    assert "its questions have no group; a table needs a column `group`" in capsys.readouterr().err


def parallel(n: int = 1000) -> ParallelMCQ:
    groups = tuple("small" if i < n // 10 else "large" for i in range(n))
    items = {code: tuple(Item(None, f"{code}{i}?", ("a", "b")) for i in range(n)) for code in ("en", "zh")}
    return ParallelMCQ("x", ("en", "zh"), tuple(f"q{i}" for i in range(n)), items, (0,) * n, groups, "test")


def test_a_sample_keeps_the_share_of_each_group_and_is_the_same_in_any_languages() -> None:
    data = parallel()
    sample = data.sample(200)
    assert Counter(sample.groups) == {"small": 20, "large": 180}
    assert sample.ids == data.select(["zh"]).sample(200).ids
    assert sample.ids != data.sample(200, 1).ids
    assert [data.ids.index(key) for key in sample.ids] == sorted(data.ids.index(key) for key in sample.ids)
    assert data.sample(1000).hash == data.hash
    with pytest.raises(CrossinError, match="cannot sample 1001 of 1000"):
        data.sample(1001)


def test_a_task_asks_the_sample() -> None:
    options = TaskOptions.from_metadata("crossin_mini", {"set": "crossin_mini", "sample": "8"})
    rows, data = build_documents(options)
    assert (len(data), len(rows)) == (8, 32)
    with pytest.raises(CrossinError, match="metadata sample must be a whole number"):
        TaskOptions.from_metadata("crossin_mini", {"set": "crossin_mini", "sample": "half"})
