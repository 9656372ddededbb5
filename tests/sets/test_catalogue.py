"""The catalogue of sets: task names, groups, and what must be known about every set."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from crossin_metrics.errors import CrossinError
from crossin_metrics.languages import LANGUAGES
from crossin_metrics.sets.catalogue import SETS, SetEntry, all_tasks, expand_tasks, set_of_task
from crossin_metrics.sets.loading import data_files, load_parallel


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cross_mmlu", ("cross_mmlu", 4, "letter")),
        ("cross_mmlu_cf", ("cross_mmlu", 4, "cf")),
        ("cross_logiqa_sea", ("cross_logiqa", 7, "letter")),
        ("cross_logiqa_sea_gen", ("cross_logiqa", 7, "gen")),
        ("cross_xquad_spans_cf", ("cross_xquad_spans", 4, "cf")),
    ],
)
def test_a_task_name_is_a_set_languages_and_a_formulation(name: str, expected: tuple[str, int, str]) -> None:
    task = set_of_task(name)
    assert (task.set.name, len(task.languages), task.formulation) == expected


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("cross_mlu", "did you mean 'cross_mmlu'"),
        ("belebele", "did you mean .cross_belebele"),
        ("piqa", "known sets: crossin_mini"),
        ("crossin", ""),
    ],
)
def test_an_unknown_task_is_an_error(name: str, hint: str) -> None:
    with pytest.raises(CrossinError, match=f"unknown task '{name}'; {hint}"):
        set_of_task(name)


def test_lists_and_groups_expand() -> None:
    names = [task.name for task in expand_tasks("crossin_cf, cross_mmlu_sea")]
    assert names == ["cross_xquad_cf", "cross_mmlu_cf", "cross_logiqa_cf", "cross_mmlu_sea"]


@pytest.mark.parametrize("entry", SETS.values(), ids=SETS)
def test_every_entry_is_complete(entry: SetEntry) -> None:
    assert sum((bool(entry.hub), entry.packaged, entry.builder is not None)) == 1
    assert set(entry.languages) <= set(LANGUAGES)
    assert all(set(codes) <= set(entry.languages) for codes in entry.tasks.values())
    if entry.builder is not None:
        module = import_module(entry.builder)
        assert callable(module.build)
        assert callable(module.data_files)
    assert entry.name in all_tasks()


@pytest.mark.parametrize("name", ["crossin_mini", "cross_mmlu", "cross_logiqa", "cross_xquad_spans"])
def test_languages_and_number_of_questions_are_those_of_the_data(shared: Path, name: str) -> None:
    data = load_parallel(name, data_dir=shared / "data")
    assert (set(data.languages), len(data)) == (set(SETS[name].languages), SETS[name].n_questions)


def test_data_files_are_those_that_loading_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CROSSIN_DATA_DIR", raising=False)
    assert data_files("cross_mmlu") == ()
    assert data_files("crossin_mini", tmp_path) == ()
    for name in ("cross_mmlu.jsonl", "xquad.en.json", "xquad.zh.json"):
        (tmp_path / name).touch()
    assert [path.name for path in data_files("cross_mmlu", tmp_path)] == ["cross_mmlu.jsonl"]
    monkeypatch.setenv("CROSSIN_DATA_DIR", str(tmp_path))
    assert [path.name for path in data_files("cross_xquad_spans")] == ["xquad.en.json", "xquad.zh.json"]


def test_options_belong_to_the_sets_that_have_them() -> None:
    with pytest.raises(CrossinError, match="crossin_mini has no option 'articles'; only cross_xquad_spans has"):
        load_parallel("crossin_mini", articles="test")
