"""The task files: the installed harness indexes every one."""

from __future__ import annotations

from pathlib import Path

import pytest
from lm_eval.tasks import TaskManager
from lm_eval.tasks._yaml_loader import load_yaml

from crossin_metrics.languages import LANGUAGES
from crossin_metrics.sets.catalogue import FORMULATIONS, GROUPS, SETS, SetEntry, SetTask, all_tasks

TASKS = Path(__file__).resolve().parents[2] / "lm_eval_tasks"
GROUP_NAMES = [f"{group}{end}" for group in GROUPS for end in FORMULATIONS.values()]


def test_files_on_disk_are_the_tasks_of_the_catalogue_and_the_harness_indexes_them() -> None:
    manager = TaskManager(include_path=str(TASKS), include_defaults=False)
    expected = sorted([*all_tasks(), *GROUP_NAMES])
    assert manager.all_tasks == expected  # the harness drops a broken file silently
    assert sorted(path.stem for path in TASKS.rglob("*.yaml")) == expected
    assert not list(TASKS.rglob("*.py"))


@pytest.mark.parametrize("task", all_tasks().values(), ids=list(all_tasks()))
def test_a_task_file_says_what_the_catalogue_says(task: SetTask) -> None:
    config = load_yaml(TASKS / task.set.name / f"{task.name}.yaml")
    assert config["task"] == task.name
    assert config["class"].__module__.startswith("crossin_metrics.")
    assert config["output_type"] == ("generate_until" if task.formulation == "gen" else "multiple_choice")
    metadata = {"version": task.set.version, "set": task.set.name, "formulation": task.formulation}
    assert config["metadata"] == metadata | {"languages": [*task.languages]}


@pytest.mark.parametrize("name", GROUP_NAMES)
def test_a_group_file_lists_the_members_of_the_catalogue(name: str) -> None:
    group = name.partition("_")[0]
    assert load_yaml(TASKS / group / f"{name}.yaml")["task"] == [name.replace(group, set_) for set_ in GROUPS[group]]


@pytest.mark.parametrize("entry", SETS.values(), ids=list(SETS))
def test_a_set_readme_says_what_the_catalogue_says(entry: SetEntry) -> None:
    text = (TASKS / entry.name / "README.md").read_text(encoding="utf-8")
    assert text.startswith(f"# {entry.title}\n")
    tasks = [f"`{task.name}`" for task in all_tasks().values() if task.set == entry]
    facts = [f"{entry.n_questions:,} ", f"({entry.licence})", *tasks]
    facts += [LANGUAGES[code].english for code in entry.languages] if len(entry.languages) < 10 else entry.languages
    assert [fact for fact in facts if fact not in " ".join(text.split())] == []
    for part in ("### Paper", "### Groups, Tags, and Tasks", "### Checklist", "### Changelog"):
        assert part in text
