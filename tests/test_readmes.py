"""Every command of every README: its names, files and options exist; what runs without GPU, hub and server is run.

The fast test runs what reads files only, the slow one the rest, in the READMEs' order in one folder, with `MODEL`
replaced by a small real model. `SKIPPED` gives the reason for all others.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from crossin_metrics import startup
from crossin_metrics.cli import COMMANDS, PASS_THROUGH, RECIPES, subcommand_options
from crossin_metrics.demo_model import demo_model
from crossin_metrics.errors import CrossinError
from crossin_metrics.harness.command import OPTIONS
from crossin_metrics.sets.catalogue import GROUPS, all_tasks
from tests.conftest import REPO
from tests.helpers.cli import crossin
from tests.helpers.report_files import answers_of, write_run

PROGRAMS = ("crossin", "lm_eval", "python", "accelerate", "make", "pip", "export", ".venv/bin/crossin")
SKIPPED = {
    "make ": "installs or runs all tests; the CI runs it",
    "pip install": "the tests of installing do",
    "export CROSSIN_DATA_DIR": "an example of a setting",
    "crossin-vllm": "needs vLLM and, to be fast, a GPU; tests/backends runs it",
    "crossin-api": "needs a server; tests/backends runs one",
    "cross_xquad_spans": "needs XQuAD's files; tests/sets and tests/shortcuts build the set",
    "--tasks cross_mmlu --model": "needs the hub",
    "--sample 500": "an option of another command",
    "bmlama17(_mini)?_cf": "needs BMLAMA's files",
    "accelerate launch -q recipes/sft_crossin.py": "tests/recipes/tuning/test_evaluate.py runs it",
    "artefacts cross_mmlu": "needs the hub",
    "--tasks cross_mmlu_gen": "needs the hub",
    "out/cross_xquad": "needs a server that writes questions; tests/recipes/cross_xquad scripts one",
    "translate_seed.py": "needs the hub's Alpaca; tests/recipes/translation runs a small one",
    "seeds/bmlama.py": "needs the facts of BMLAMA; tests/recipes runs it on a few",
    "align/mini_dco.yaml": "minutes of training; tests/recipes/alignment runs a smaller one",
    "M.yaml|table3.yaml(?! --dry_run)": "a 7-billion-parameter model",
    "_facts.yaml": "hours of training; tests/recipes/experiments runs a smaller grid",
    "experiments/mini.yaml --jobs 2": "82 minutes; tests/recipes/experiments runs a smaller one",
    "logs/samples_belebele": "the logs of another run",
}


@cache
def commands() -> tuple[tuple[str, str], ...]:
    """Every command, as (README, command): from blocks of shell code and from tables."""
    found = []
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=REPO, capture_output=True, text=True, check=True).stdout
    for name in listed.split():
        text = (REPO / name).read_text(encoding="utf-8")
        lines = []
        for block in re.findall(r"```(?:bash|sh|shell)?\n(.*?)```", text, flags=re.DOTALL):
            lines += [re.sub(r"\s+#\s.*", "", line).strip() for line in block.replace("\\\n", " ").splitlines()]
        for row in re.findall(r"^\|.*\|$", text, flags=re.MULTILINE):
            lines += re.findall(r"`([^`]+)`", row)
        found += [
            (name, " ".join(line.split()))
            for line in lines
            if line.split(" ")[0] in PROGRAMS and (line.count(" ") > 1 or line.startswith("make "))  # else just a name
        ]
    return tuple(dict.fromkeys(found))


def test_there_are_commands_and_each_file_they_name_exists() -> None:
    assert len(commands()) > 40
    for readme, command in commands():
        for word in shlex.split(command):
            path = word.partition("=")[2] or word
            if path.startswith(("recipes/", "tests/", "constraints")) and "M.yaml" not in path:
                assert (REPO / path).exists(), f"{readme}: {command}: {path}"


def test_each_sub_command_option_and_task_exists() -> None:
    options = {name: set(subcommand_options(name)) for name in COMMANDS} | {"eval": set(OPTIONS)}
    for readme, command in commands():
        words = shlex.split(command.replace("...", ""))
        program = words[0].rpartition("/")[2]
        if program == "crossin":
            assert words[1] in {*COMMANDS, *PASS_THROUGH, *RECIPES}, f"{readme}: {command}"
        if program in ("crossin", "lm_eval") and (words[1] in options or program == "lm_eval"):
            known = options["eval" if program == "lm_eval" else words[1]]
            flags = [word for word in words if word.startswith("--")]
            assert set(flags) <= known, f"{readme}: {command}"
        if "--tasks" in words:
            for task in words[words.index("--tasks") + 1].split(","):
                assert task in {*all_tasks(), *GROUPS, "my_questions", "belebele"}, f"{readme}: {command}"


def _reason(command: str) -> str | None:
    return next((reason for part, reason in SKIPPED.items() if re.search(part, command)), None)


def _in_process(command: str, folder: Path) -> None:
    words = shlex.split(re.sub(r"^\.venv/bin/", "", command))[1:]
    found = [sorted(str(path) for path in folder.glob(word)) if "*" in word else [word] for word in words]
    done = crossin(*(word for part in found for word in part), cwd=folder)
    assert done.returncode == 0, f"{command}\n{done.stderr[-2500:]}"


def _in_shell(command: str, folder: Path) -> None:
    """As a reader would, with a small model."""
    command = command.replace("pretrained=MODEL", f"pretrained={demo_model()}")
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(REPO)}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-1500:]}\n{done.stderr[-2500:]}"


def _workplace(folder: Path) -> Path:
    """A folder as a reader would have it: the checkout's recipes, results of two models, own questions."""
    for name in ("recipes", "lm_eval_tasks", "constraints.txt"):
        (folder / name).symlink_to(REPO / name)
    for seed, (name, skill) in enumerate({"MODEL": 0.5, "MODEL_A": 0.4, "MODEL_B": 0.6}.items()):
        write_run(folder / "results", *answers_of(skill, seed=seed), model=name, task="cross_mmlu")
    for place in (
        "results/base",
        "results/tuned",
        "results/quantised",
        "results/full",
        "A",
        "B",
        "out/a",
        "out/b",
        "out/c",
    ):
        skill = 0.4 + 0.02 * len(place)
        write_run(folder / place, *answers_of(skill), model=place.rpartition("/")[2], task="crossin_mini")
    shutil.copytree(folder / "results" / "MODEL_A", folder / "runs" / "demo" / "MODEL_A")
    answers, gold = answers_of(0.5, n=40)
    table = ["id,language,answer,gold"]
    for number, row in enumerate(answers):
        table += [f"q{number},{code},{a},{gold[number]}" for code, a in zip(("en", "zh", "vi"), row, strict=False)]
    (folder / "predictions.csv").write_text("\n".join(table) + "\n", encoding="utf-8")
    text = (REPO / "lm_eval_tasks" / "README.md").read_text(encoding="utf-8")
    (questions,) = re.findall(r"```json\n(\{.*?)```", text, flags=re.DOTALL)
    (task,) = re.findall(r"```yaml\n(task: .*?)```", text, flags=re.DOTALL)
    (folder / "my_questions.jsonl").write_text(questions, encoding="utf-8")
    for name, content in (("my_tasks/my_questions.yaml", task), ("my_data/cross_mmlu.jsonl", questions)):
        (folder / name).parent.mkdir()
        (folder / name).write_text(content, encoding="utf-8")
    return folder


@pytest.mark.slow
def test_the_notebook_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the harness's dummy model in place of a real one."""
    text = (REPO / "lm_eval_tasks" / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(import lm_eval\n.*?)```", text, flags=re.DOTALL)
    monkeypatch.chdir(_workplace(tmp_path))
    startup.register_tasks()
    namespace: dict[str, Any] = {}
    exec(block.replace('model="hf", model_args="pretrained=MODEL"', 'model="dummy"'), namespace)
    assert namespace["results"]["results"]["crossin_mini"]["n_questions,none"] == 32
    assert {"MODEL", "MODEL_A", "MODEL_B"} <= set(namespace["table"]["model"])


def _kind(command: str) -> str:
    """What a command needs: `files` only, `models` or other libraries, minutes of `training`."""
    if re.match(r"(\.venv/bin/)?crossin (score|compare|report|export|build-set --help)", command):
        return "files"
    return "training" if re.match(r"crossin tune|python recipes/merge_adapter.py", command) else "models"


@pytest.mark.parametrize(
    "kind", ["files", pytest.param("models", marks=pytest.mark.slow), pytest.param("training", marks=pytest.mark.slow)]
)
def test_what_can_run_here_runs(kind: str, tmp_path: Path) -> None:
    """In a folder where the results that the commands name are there; says what was left out and why."""
    if kind != "files" and "CROSSIN_READMES" not in os.environ:
        pytest.skip("CROSSIN_READMES is not set: models and training of the READMEs take minutes")
    if kind != "files":
        try:
            demo_model()
        except CrossinError as error:
            pytest.skip(str(error))
    folder = _workplace(tmp_path)
    run, left = [], {}
    for readme, command in commands():
        if reason := _reason(command) or ("an abridged line" if "..." in command else None):
            left[f"{readme}: {command}"] = reason
        elif command.startswith("crossin score samples_belebele") or _kind(command) != kind or command in run:
            continue
        else:
            (_in_process if kind == "files" else _in_shell)(command, folder)
            run.append(command)
    assert len(run) >= {"files": 8, "models": 6, "training": 2}[kind]
    print(f"{len(run)} commands run; {len(left)} left out:")
    print(json.dumps(left, indent=1))
