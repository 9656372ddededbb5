"""The start-up file of an installation: it loads no module, and steps aside when the harness is imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def _python(code: str, repo: Path) -> list[str]:
    environment = {**os.environ, "PYTHONPATH": str(repo)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


def _start(repo: Path) -> str:
    line = (repo / "crossin_metrics" / "startup.pth").read_text(encoding="utf-8")
    assert line.startswith("import ")
    assert line.count("\n") == 1  # Python runs the lines of a .pth file that start with import
    return f"import sys; before = set(sys.modules)\n{line}"


def test_it_loads_no_module(repo: Path) -> None:
    loaded = _python(f"{_start(repo)}print(*sorted(set(sys.modules) - before))", repo)
    assert loaded == []


def test_it_says_nothing_where_the_package_is_gone(repo: Path, tmp_path: Path) -> None:
    assert _python(f"{_start(repo)}print(1)", tmp_path) == ["1"]
    broken = tmp_path / "crossin_metrics"
    broken.mkdir()
    (broken / "__init__.py").write_text("raise RuntimeError('broken')", encoding="utf-8")
    assert _python(f"{_start(repo)}print(1)", tmp_path) == ["1"]


INDEX = """
from pathlib import Path
import lm_eval.tasks._index as index
folders = []
index.TaskIndex._iter_yaml_files = staticmethod(lambda root: folders.append(Path(root).name) or [])
own, other = Path(index.__file__).parent, Path("mine")
"""


def test_our_folder_comes_after_the_harness_and_before_the_users(repo: Path) -> None:
    ours = repo / "lm_eval_tasks"
    finders = "print(*(type(finder).__name__ for finder in sys.meta_path), '|')\n"
    builds = (
        "index.TaskIndex.build([own, other]); print(*folders, '|'); folders.clear();"
        "index.TaskIndex.build([other]); print(*folders, '|'); folders.clear();"  # include_defaults=False
        f"index.TaskIndex.build([own, Path({str(ours)!r})]); print(*folders, '|')\n"  # the entry point is read
    )
    before, *built, after = " ".join(_python(f"{_start(repo)}{finders}{INDEX}{builds}{finders}", repo)).split("|")[:-1]
    assert "CrossinFinder" in before
    assert "CrossinFinder" not in after  # gone once the harness is imported
    assert [names.split() for names in built] == [
        ["tasks", "lm_eval_tasks", "mine"],
        ["mine"],
        ["tasks", "lm_eval_tasks"],
    ]


def test_a_harness_of_another_shape_is_left_alone(repo: Path, tmp_path: Path) -> None:
    tasks = tmp_path / "lm_eval" / "tasks"
    tasks.mkdir(parents=True)
    for path in (tasks.parent / "__init__.py", tasks / "__init__.py"):
        path.touch()
    (tasks / "_index.py").write_text("TaskIndex = None", encoding="utf-8")
    path = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
    code = "import lm_eval.tasks._index as index; print(index.TaskIndex)"
    assert _python(f"{path}{_start(repo)}{code}", repo) == ["None"]


def test_the_harness_own_files_are_read_only_where_a_task_needs_them(repo: Path) -> None:
    code = """
import crossin_metrics.startup as startup, lm_eval.tasks._index as index
from pathlib import Path
own, read = Path(index.__file__).parent, []
of = index.TaskIndex._iter_yaml_files
index.TaskIndex._iter_yaml_files = staticmethod(lambda root: read.append(root == own) or of(root / ("arc" * read[-1])))
for names in (["crossin_mini", "crossin"], ["crossin_mini", "arc_easy"], ["ai2_arc"], ["crossin_min"], []):
    startup.wanted[:] = names
    found = index.TaskIndex.build([own])
    print(any(read), *sorted({"arc_easy", "crossin_mini"} & set(found)), "|")
    read.clear()
"""
    built = " ".join(_python(f"{_start(repo)}{code}", repo)).split(" |")[:-1]
    both = "True arc_easy crossin_mini"
    assert [names.strip() for names in built] == ["False crossin_mini", both, both, both, both]
