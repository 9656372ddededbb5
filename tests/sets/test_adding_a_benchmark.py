"""Adding a benchmark takes one catalogue entry, three YAML files and a README; done here in a copy of the project."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ENTRY = """
        SetEntry(
            name="my_bench",
            title="My benchmark",
            languages=("en", "zh", "sw"),
            n_questions=2,
            passages=False,
            licence="CC0",
            tasks={"": ("en", "zh", "sw")},
            hub=(("me/my_bench", None),),
        ),
"""
YAML = """\
include: ../_{template}_template
task: my_bench{end}
metadata:
  version: 1.0
  set: my_bench
  formulation: {formulation}
  languages: [en, zh, sw]
"""
README = """\
# My benchmark

2 questions in English, Chinese and Swahili (CC0).

### Paper
### Groups, Tags, and Tasks

`my_bench`, `my_bench_cf`, `my_bench_gen`

### Checklist
### Changelog
"""
# Run in the copy: the set loads, and the harness evaluates all three tasks.
CHECK = """
from lm_eval import simple_evaluate
from lm_eval.tasks import TaskManager
from crossin_metrics.sets.catalogue import expand_tasks
from crossin_metrics.sets.loading import data_files, load_parallel

data = load_parallel("my_bench")
assert (len(data), data.languages) == (2, ("en", "zh", "sw"))
names = [task.name for task in expand_tasks("my_bench,my_bench_cf,my_bench_gen")]
assert [path.name for path in data_files("my_bench")] == ["my_bench.jsonl"]
manager = TaskManager(include_path="lm_eval_tasks", include_defaults=False)
results = simple_evaluate(model="dummy", tasks=names, task_manager=manager, log_samples=False)["results"]
assert [results[name]["n_questions,none"] for name in names] == [2, 2, 2]
"""


@pytest.fixture
def copy(repo: Path, tmp_path: Path) -> Path:
    target = tmp_path / "project"
    for part in ("crossin_metrics", "lm_eval_tasks"):
        shutil.copytree(repo / part, target / part, ignore=shutil.ignore_patterns("__pycache__"))
    for part in ("tests/__init__.py", "tests/conftest.py", "tests/harness/test_task_files.py", "pyproject.toml"):
        (target / part).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(repo / part, target / part)
    return target


def _files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_benchmark_is_one_entry_three_yaml_files_and_a_readme(copy: Path, tmp_path: Path) -> None:
    before = _files(copy)
    catalogue, folder = copy / "crossin_metrics/sets/catalogue.py", copy / "lm_eval_tasks/my_bench"
    start = "for entry in (\n"
    text = catalogue.read_text(encoding="utf-8")
    assert text.count(start) == 1
    catalogue.write_text(text.replace(start, start + ENTRY), encoding="utf-8")
    folder.mkdir()
    for formulation, end in (("letter", ""), ("cf", "_cf"), ("gen", "_gen")):
        template = "gen" if formulation == "gen" else "likelihood"
        content = YAML.format(template=template, end=end, formulation=formulation)
        (folder / f"my_bench{end}.yaml").write_text(content, encoding="utf-8")
    (folder / "README.md").write_text(README, encoding="utf-8")
    touched = sorted(name for name, content in _files(copy).items() if before.get(name) != content)
    yaml = [f"lm_eval_tasks/my_bench/my_bench{end}.yaml" for end in ("", "_cf", "_gen")]
    assert touched == ["crossin_metrics/sets/catalogue.py", "lm_eval_tasks/my_bench/README.md", *yaml]

    (data := tmp_path / "data").mkdir()
    item = {"question": "?", "choices": ["a", "b"], "answer": "b"}
    rows = [{"id": name, "en": item, "zh": item, "sw": item} for name in ("q1", "q2")]
    (data / "my_bench.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(copy), "CROSSIN_DATA_DIR": str(data), "HF_HUB_OFFLINE": "1"}
    tests = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/harness/test_task_files.py", "-k", "not installed"]
    for command in (["-c", CHECK], tests):
        done = subprocess.run(
            [sys.executable, *command], cwd=copy, env=environment, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
