"""The task files: every one is indexed by the installed harness, and the wheel's copies are those of the checkout."""

from __future__ import annotations

from pathlib import Path

import lm_eval
import pytest
import yaml
from lm_eval.tasks import TaskManager
from lm_eval.tasks._yaml_loader import load_yaml

TASKS = Path(__file__).resolve().parents[2] / "lm_eval_tasks"
FILES = sorted(TASKS.rglob("*.yaml"))


def _name(path: Path) -> str:
    text = "\n".join(line for line in path.read_text(encoding="utf-8").splitlines() if "!function" not in line)
    config = yaml.safe_load(text)
    return config.get("group") or config["task"]


def test_the_harness_indexes_every_file_on_disk() -> None:
    manager = TaskManager(include_path=str(TASKS), include_defaults=False)
    assert manager.all_tasks == sorted(_name(path) for path in FILES)
    assert len(FILES) == 24


def test_the_installed_harness_holds_the_same_files() -> None:
    installed = Path(lm_eval.__file__).parent / "tasks" / "crossin"
    if not installed.is_dir():
        pytest.skip("crossin is not installed here")
    there = {p.relative_to(installed): p.read_bytes() for p in installed.rglob("*") if p.is_file()}
    here = {p.relative_to(TASKS): p.read_bytes() for p in TASKS.rglob("*") if p.is_file()}
    stale = [str(path) for path in here if there.get(path) != here[path]]
    assert not stale, f"installed copies are old: {stale}; run `make venv`"
    names = TaskManager().all_tasks
    assert {"cross_xquad", "cross_mmlu_sea_gen", "crossin"} <= set(names)


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_task_files_hold_no_logic_and_name_themselves(path: Path) -> None:
    config = load_yaml(path)
    assert path.stem == _name(path)
    if "group" not in config:
        assert config["class"].__module__.startswith("crossin_metrics.")
        assert config["metadata"]["version"] == 1.0
        expected = {"cf": "cf", "gen": "gen"}.get(path.stem.rsplit("_", 1)[-1], "letter")
        assert config["metadata"]["formulation"] == expected
        assert config["output_type"] == ("generate_until" if expected == "gen" else "multiple_choice")
    assert not list(TASKS.rglob("*.py"))


@pytest.mark.parametrize("folder", sorted({p.parent for p in FILES}), ids=lambda p: p.name)
def test_every_task_folder_has_a_readme_that_names_its_tasks(folder: Path) -> None:
    text = (folder / "README.md").read_text(encoding="utf-8")
    for path in folder.glob("*.yaml"):
        assert f"`{path.stem}`" in text
    for part in ("### Paper", "### Groups, Tags, and Tasks", "### Checklist", "### Changelog"):
        assert part in text
