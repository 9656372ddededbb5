"""Families of parallel tasks, against the task files of the installed harness."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from crossin_metrics.languages import log_language
from crossin_metrics.runs.harness_families import FAMILIES, find_family, letter_index


def test_every_belebele_task_of_the_harness_is_a_language_of_its_own() -> None:
    tasks = _harness_tasks("belebele", "belebele_*_*.yaml")
    codes = {log_language(match[1]["language"]) for match in map(find_family, tasks) if match}
    assert len(tasks) == 122
    assert len(codes) == 122


@pytest.mark.parametrize(
    ("folder", "glob", "family", "n_languages"),
    [
        ("global_mmlu/full", "**/global_mmlu_full_*.yaml", "global_mmlu_full", 42),
        ("global_mmlu/default", "**/global_mmlu_*.yaml", "global_mmlu", 15),
        ("mmlu_prox", "**/mmlu_prox_lite_*.yaml", "mmlu_prox_lite", 29),
        ("mmlu_prox", "**/mmlu_prox_??_*.yaml", "mmlu_prox", 29),
        ("openai-mmmlu/default", "mmmlu_*.yaml", "mmmlu", 14),
        ("okapi/mmlu_multilingual", "m_mmlu_*.yaml", "m_mmlu", None),
        ("okapi/arc_multilingual", "arc_*.yaml", "m_arc", None),
        ("xcopa", "default_*.yaml", "xcopa", 11),
        ("xstorycloze", "default_*.yaml", "xstorycloze", 11),
        ("paws-x", "paws_*.yaml", "paws-x", 7),
    ],
)
def test_families_know_the_harness_tasks(folder: str, glob: str, family: str, n_languages: int | None) -> None:
    tasks = _harness_tasks(folder, glob)
    assert tasks
    found = {task: find_family(task) for task in tasks}
    assert {task: match[0].name if match else None for task, match in found.items()} == dict.fromkeys(tasks, family)
    languages = {log_language(match[1]["language"]) for match in found.values() if match}
    assert len(languages) == (n_languages or len(tasks))


@pytest.mark.parametrize("task", ["hellaswag", "arc_easy", "arc_challenge", "xnli_en", "global_mmlu", "belebele_eng"])
def test_other_tasks_belong_to_no_family(task: str) -> None:
    assert find_family(task) is None


def test_letters() -> None:
    assert [letter_index(text) for text in ("A", " (b) ", "D.", "J", "", "AB", "1", "Б", "[invalid]")] == [
        0,
        1,
        3,
        9,
        *[None] * 5,
    ]
    assert {family.gold_base for family in FAMILIES} == {"letter", 0, 1}


def _harness_tasks(folder: str, glob: str) -> list[str]:
    """Names of the tasks in files of the installed harness (group files aside)."""
    lm_eval = pytest.importorskip("lm_eval")
    root = Path(lm_eval.__file__).parent / "tasks" / folder
    files = [path for path in sorted(root.glob(glob)) if not path.name.startswith("_")]
    names = [re.search(r"^\"?task\"?: \"?(\w+)\"?$", path.read_text(encoding="utf-8"), re.M) for path in files]
    return [name[1] for name in names if name]
