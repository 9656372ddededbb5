"""Installing, upgrading and uninstalling in real environments: the tasks are found, and the harness stays as it was.

The harness comes from the copy installed here, with a few of its task folders, so that nothing is downloaded.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

PYPROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "lm_eval"
version = "{version}"
scripts = {{ lm_eval = "lm_eval.__main__:cli_evaluate" }}
[tool.setuptools.packages.find]
include = ["lm_eval*"]
[tool.setuptools.package-data]
lm_eval = ["**/*.yaml"]
"""
HARNESS = {
    "normal": lambda source: [str(source)],
    "editable": lambda source: ["-e", str(source)],
    "editable compat": lambda source: ["-e", str(source), "--config-settings=editable_mode=compat"],
    "editable strict": lambda source: ["-e", str(source), "--config-settings=editable_mode=strict"],
}
LIST = "from lm_eval.tasks import TaskManager; print(*TaskManager().all_tasks)"


class Environment:
    """A virtual environment with every package of this one but crossin and the harness."""

    def __init__(self, folder: Path, deps: Path) -> None:
        self.folder, self.bin = folder, folder / "bin"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
        (site,) = folder.glob("lib/python*/site-packages")
        (site / "zz_dependencies.pth").write_text(f"{deps}\n", encoding="utf-8")

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        environment |= {"HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
        done = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=600, check=False
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
        return done

    def install(self, *what: str) -> None:
        options = ["--no-deps", "--no-build-isolation", "--no-index", "-q"]
        self.run(sys.executable, "-m", "pip", "--python", str(self.bin / "python"), "install", *options, *what)

    def uninstall(self, name: str) -> None:
        self.run(sys.executable, "-m", "pip", "--python", str(self.bin / "python"), "uninstall", "-q", "-y", name)

    def tasks(self) -> list[str]:
        return self.run(str(self.bin / "python"), "-c", LIST).stdout.split()

    def evaluates(self) -> None:
        command = [str(self.bin / "lm_eval"), "--tasks", "crossin_mini", "--model", "dummy", "--limit", "8"]
        done = self.run(*command)
        assert "fleiss_kappa" in done.stdout
        assert "overrides" not in done.stderr


@pytest.fixture(scope="module")
def deps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Links to what is installed here, without crossin, the harness, and start-up files."""
    folder = tmp_path_factory.mktemp("deps") / "site-packages"  # dill goes by this name
    folder.mkdir()
    for path in Path(str(find_spec("datasets").origin)).parents[1].iterdir():  # type: ignore[union-attr]
        if not path.name.lower().startswith(("crossin", "_editable_impl", "lm_eval")) and path.suffix != ".pth":
            (folder / path.name).symlink_to(path)
    return folder


@pytest.fixture(scope="module")
def wheel(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(folder)]
    subprocess.run([*command, str(repo)], check=True, timeout=600)
    return next(folder.glob("crossin-*.whl"))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The harness as its developers have it: a source folder."""
    installed = Path(str(find_spec("lm_eval").origin)).parent  # type: ignore[union-attr]
    target = tmp_path / "lm-evaluation-harness"
    tasks = installed / "tasks"

    def ignore(folder: str, names: list[str]) -> list[str]:
        if Path(folder) != tasks:
            return [name for name in names if name == "__pycache__"]
        return [name for name in names if (tasks / name).is_dir() and name not in ("arc", "mmlu")]

    shutil.copytree(installed, target / "lm_eval", ignore=ignore)
    (target / "pyproject.toml").write_text(PYPROJECT.format(version="0.4.13"), encoding="utf-8")
    return target


@pytest.fixture
def environment(tmp_path: Path, deps: Path) -> Environment:
    return Environment(tmp_path / "venv", deps)


def _files(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


CASES = [(mode, first, False) for mode in HARNESS for first in ("harness", "crossin")]
CASES += [("normal", "harness", True), ("editable", "crossin", True)]


@pytest.mark.parametrize(("mode", "first", "editable"), CASES)
def test_the_tasks_are_there_and_the_harness_stays_whole(
    mode: str, first: str, editable: bool, wheel: Path, source: Path, environment: Environment, repo: Path
) -> None:
    harness, crossin = HARNESS[mode](source), ["-e", str(repo)] if editable else [str(wheel)]
    environment.install(*(harness if first == "harness" else crossin))
    environment.install(*(crossin if first == "harness" else harness))
    environment.evaluates()

    where = environment.run(str(environment.bin / "python"), "-c", "import lm_eval; print(lm_eval.__file__)").stdout
    installed = Path(where.strip()).parent
    expected = _files(source / "lm_eval")
    found = _files(installed)
    assert all(expected[name] == content for name, content in found.items()), "the harness's folder was changed"
    environment.uninstall("crossin")
    listed = environment.tasks()
    assert "arc_easy" in listed
    assert not [name for name in listed if name.startswith("cross")]
    assert _files(installed) == found
    assert not list(environment.folder.glob("lib/python*/site-packages/*crossin*"))


def test_the_harness_may_be_upgraded_and_uninstalled(wheel: Path, source: Path, environment: Environment) -> None:
    environment.install(str(source))
    environment.install(str(wheel))
    (source / "pyproject.toml").write_text(PYPROJECT.format(version="0.4.14"), encoding="utf-8")
    (source / "lm_eval" / "new_module.py").touch()
    environment.install("--upgrade", str(source))
    environment.evaluates()
    assert (
        "0.4.14"
        in environment.run(
            str(environment.bin / "python"),
            "-c",
            "import importlib.metadata as m, lm_eval.new_module; print(m.version('lm_eval'))",
        ).stdout
    )
    environment.uninstall("lm_eval")
    assert not list(environment.folder.glob("lib/python*/site-packages/lm_eval*"))
    done = environment.run(str(environment.bin / "python"), "-c", "import json, sys; print(sys.flags.isolated)")
    assert done.stderr == ""


def test_an_editable_install_uses_the_task_files_of_the_checkout(
    source: Path, environment: Environment, repo: Path, tmp_path: Path
) -> None:
    checkout = tmp_path / "checkout"
    skip = shutil.ignore_patterns(".venv", ".git", "tests", "__pycache__", "out", "runs")
    shutil.copytree(repo, checkout, symlinks=True, ignore=skip)
    environment.install(str(source))
    environment.install("-e", str(checkout))
    text = (checkout / "lm_eval_tasks/crossin_mini/crossin_mini.yaml").read_text(encoding="utf-8")
    (checkout / "lm_eval_tasks/crossin_mini/new_name.yaml").write_text(
        text.replace("task: crossin_mini", "task: new_name"), encoding="utf-8"
    )
    assert {"crossin_mini", "new_name"} <= set(environment.tasks())


def test_the_entry_point_names_the_folder_of_the_task_files(
    wheel: Path, source: Path, environment: Environment, repo: Path
) -> None:
    """As the harness's pull request 4015 reads it: the module of the entry point, a package folder."""
    code = (
        "from importlib.metadata import entry_points; from importlib.util import find_spec;"
        "(e,) = entry_points(group='lm_eval.tasks'); print(*find_spec(e.module).submodule_search_locations)"
    )
    for what in ([str(wheel)], ["-e", str(repo)]):
        environment.install(*what)
        folder = Path(environment.run(str(environment.bin / "python"), "-c", code).stdout.strip())
        assert (folder / "cross_xquad" / "cross_xquad.yaml").is_file()
        environment.uninstall("crossin")


MINI_HARNESS = "from lm_eval.tasks._index import TaskIndex; from pathlib import Path; import lm_eval.tasks._index as i;"
MINI_HARNESS += "print(*TaskIndex.build([Path(i.__file__).parent]))"


@pytest.mark.parametrize("version", ["3.10", "3.11", "3.12", "3.13"])
def test_the_start_up_file_works_on_every_python(version: str, wheel: Path, source: Path, tmp_path: Path) -> None:
    pyenv = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python"))
    python = str(pyenv[0]) if pyenv else shutil.which(f"python{version}")
    if python is None:
        pytest.skip(f"no Python {version} here")
    subprocess.run([python, "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True)
    (site,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    shutil.unpack_archive(wheel, site, "zip")
    ours = Path(str(find_spec("yaml").origin)).parent  # type: ignore[union-attr]
    shutil.copytree(ours, site / "yaml", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    (site / "lm_eval/tasks").mkdir(parents=True)
    for name in ("_index.py", "_yaml_loader.py"):  # the two files of the harness that list tasks
        shutil.copy(source / "lm_eval/tasks" / name, site / "lm_eval/tasks")
    for name in ("lm_eval", "lm_eval/tasks"):
        (site / name / "__init__.py").touch()
    binary = str(tmp_path / "venv/bin/python")
    done = subprocess.run([binary, "-c", MINI_HARNESS], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert "cross_xquad" in done.stdout.split()
    assert done.stderr == ""
    shutil.rmtree(site / "crossin_metrics")  # removed by hand: the start-up file says nothing
    done = subprocess.run([binary, "-c", "print(1)"], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("1\n", "")


def test_the_recipes_run_from_an_installed_wheel(wheel: Path, source: Path, environment: Environment) -> None:
    environment.install(str(source))
    environment.install(str(wheel))
    crossin = str(environment.bin / "crossin")
    for name in ("mix", "tune", "align", "merge", "translate", "build-set", "experiment"):
        assert "--config" in environment.run(crossin, name, "--help").stdout
    environment.run(crossin, "mix", "--config", "recipes/configs/mix/mini_x2x.yaml", "--output_dir", "out")
    assert (environment.folder / "out" / "train.parquet").is_file()
