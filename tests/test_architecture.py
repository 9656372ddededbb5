"""The rules that explain the tree (CONTRIBUTING.md): imports run downward, without circles; files stay short."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

from tests.conftest import REPO

# Rooms by floor: a room imports only from rooms on floors below it.
FLOORS = [
    {"secrets"},
    {"errors", "html", "signature", "text_tables"},
    {"answers", "files", "languages", "records", "scores", "startup"},
    {"backends", "demo_model", "hub", "runs"},
    {"sets"},
    {"exports", "harness", "report"},
    {"cli", "shortcuts"},
    {"commands"},
]
RECIPE_FLOORS = [
    {"common"},
    {"llm", "mixes"},
    {"seeds", "translation", "tuning"},
    {"alignment", "cross_xquad"},
    {"experiments"},
    {
        "align_crossin",
        "build_cross_xquad",
        "build_mix",
        "merge_adapter",
        "run_experiment",
        "sft_crossin",
        "translate_seed",
    },
]


@cache
def imports() -> dict[str, set[str]]:
    """Module -> modules of ours that it imports, anywhere in it."""
    paths = [path for tree in ("crossin_metrics", "recipes") for path in (REPO / tree).rglob("*.py")]
    modules = {".".join(path.relative_to(REPO).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}
    found: dict[str, set[str]] = {}
    for module, path in modules.items():
        names: list[str] = []
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        found[module] = {name for name in names if name in modules and name != module}
    return found


def test_no_modules_import_each_other_in_a_circle() -> None:
    done: set[str] = set()

    def follow(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join([*path, module])
        if module not in done:
            for other in imports()[module]:
                follow(other, (*path, module))
            done.add(module)

    for module in imports():
        follow(module, ())


def test_imports_run_downward() -> None:
    floor = {("crossin_metrics", room): n for n, rooms in enumerate(FLOORS) for room in rooms}
    floor |= {("recipes", room): n + len(FLOORS) for n, rooms in enumerate(RECIPE_FLOORS) for room in rooms}
    for module, others in imports().items():
        here = tuple(module.split(".")[:2])
        for other in others:
            there = tuple(other.split(".")[:2])
            if len(here) > 1 and len(there) > 1 and here != there:
                assert floor[there] < floor[here], f"{module} imports {other}"


def test_every_room_has_a_floor() -> None:
    for package, floors in (("crossin_metrics", FLOORS), ("recipes", RECIPE_FLOORS)):
        rooms = {module.split(".")[1] for module in imports() if module.startswith(f"{package}.")}
        assert rooms == set().union(*floors)


def test_scores_import_numpy_and_scipy_only() -> None:
    code = "import sys; import crossin_metrics.scores; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    command = [sys.executable, "-c", code]
    loaded = set(subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=True).stdout.split())
    assert not loaded & {"torch", "transformers", "datasets", "lm_eval", "pandas", "pyarrow", "matplotlib", "yaml"}


def test_importing_a_module_changes_nothing_in_the_process() -> None:
    code = (
        "import signal, sys, warnings; before = sys.excepthook, signal.getsignal(signal.SIGINT);"
        "import crossin_metrics.cli, crossin_metrics.harness.task;"
        "assert before == (sys.excepthook, signal.getsignal(signal.SIGINT))"
    )
    subprocess.run([sys.executable, "-c", code], cwd=REPO, check=True, capture_output=True)


def test_files_stay_short() -> None:
    assert len((REPO / "README.md").read_text(encoding="utf-8").splitlines()) <= 120
    for tree in ("crossin_metrics", "recipes"):
        for path in Path(REPO / tree).rglob("*.py"):
            assert len(path.read_text(encoding="utf-8").splitlines()) <= 450, path
