"""Runs as jobs: submitit's local cluster stands in for Slurm; stages are real, short processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from crossin_metrics.errors import CrossinError
from recipes.common.provenance import REPO
from recipes.experiments.config import ExperimentOptions
from recipes.experiments.plan import Plan, Run
from recipes.experiments.records import Records, Stage
from recipes.experiments.slurm import SlurmExecutor, note_path

submitit = pytest.importorskip("submitit")

# A stage that writes its file and counts its runs; given a path, it first waits for that file.
STAGE = """
import pathlib, sys, time
target, wait = pathlib.Path(sys.argv[1]), sys.argv[2]
while wait and not pathlib.Path(wait).exists():
    time.sleep(0.05)
with target.with_suffix(".count").open("a") as file:
    file.write("x")
if sys.argv[3] == "fail":
    sys.exit("the disk of this stage is full of sand")
target.parent.mkdir(parents=True, exist_ok=True)
target.write_text("done")
"""


def options(folder: Path, **slurm: Any) -> ExperimentOptions:
    arms = {name: {"mix_config": "m", "train_config": "t"} for name in ("a", "b")}
    chosen = {"cluster": "local", "timeout_min": 5, **slurm}
    return ExperimentOptions(
        name="jobs", arms=arms, evaluate={"e": {"tasks": "cross_mmlu"}}, output_dir=str(folder), slurm=chosen
    )


def plan(folder: Path, *, wait: Path | None = None, fail: str = "") -> Plan:
    """Two runs of two stages after a data stage; the first stage of run a waits for a file."""

    def stage(name: str, target: Path, files: tuple[Path, ...], waits: bool = False) -> Stage:
        target.parent.mkdir(parents=True, exist_ok=True)
        arguments = (str(target), str(wait) if wait and waits else "", "fail" if name == fail else "")
        return Stage(name, (sys.executable, "-c", STAGE, *arguments), {"name": name}, files, (target,))

    data = folder / "data" / "seed.txt"
    runs = []
    for arm in ("a", "b"):
        place = folder / "arms" / arm / "seed0"
        first, second = place / "mix.txt", place / "train.txt"
        stages = (
            stage(f"{arm}/0/mix", first, (data,), waits=arm == "a"),
            stage(f"{arm}/0/train", second, (first,)),
        )
        runs.append(Run(arm, 0, place, stages))
    return Plan((stage("data", data, ()),), tuple(runs))


def counts(folder: Path) -> dict[str, int]:
    files = sorted(folder.rglob("*.count"))
    return {str(path.relative_to(folder).with_suffix("")): len(path.read_text()) for path in files}


ONCE = {"arms/a/seed0/mix": 1, "arms/a/seed0/train": 1, "arms/b/seed0/mix": 1, "arms/b/seed0/train": 1, "data/seed": 1}


def execute(folder: Path, made: Plan, **slurm: Any) -> tuple[Any, list[str]]:
    said: list[str] = []
    return SlurmExecutor(options(folder, **slurm), Records(folder), said.append, poll=0.1).execute(made), said


def test_each_run_is_a_job_and_nothing_runs_twice(tmp_path: Path) -> None:
    made = plan(tmp_path)
    outcome, said = execute(tmp_path, made)
    names = ["data", *(stage.name for run in made.runs for stage in run.stages)]
    assert (sorted(outcome.done), outcome.failed, outcome.skipped) == (sorted(names), {}, [])
    assert counts(tmp_path) == ONCE
    assert sum("submitted" in line for line in said) == 2
    again, said = execute(tmp_path, made)
    assert (sorted(again.skipped), again.done) == (sorted(names), [])
    assert not any("submitted" in line for line in said)
    assert counts(tmp_path) == ONCE


def test_a_failing_stage_names_its_log_and_leaves_the_others_alone(tmp_path: Path) -> None:
    outcome, _ = execute(tmp_path, plan(tmp_path, fail="a/0/mix"))
    assert list(outcome.failed) == ["a/0/mix"]
    message = outcome.failed["a/0/mix"]
    assert "full of sand" in message
    log = tmp_path / "stages" / "a" / "0" / "mix.log"
    assert str(log) in message
    assert "full of sand" in log.read_text(encoding="utf-8")
    assert sorted(outcome.done) == ["b/0/mix", "b/0/train", "data"]
    healed, _ = execute(tmp_path, plan(tmp_path))
    assert (sorted(healed.done), healed.failed) == (["a/0/mix", "a/0/train"], {})


def test_a_killed_submitter_finds_its_jobs_again(tmp_path: Path) -> None:
    go = tmp_path / "go"
    child = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import sys; sys.path.insert(0, {str(REPO)!r}); from tests.recipes.experiments."
            "test_slurm import submit_and_wait; submit_and_wait(sys.argv[1], sys.argv[2])",
            str(tmp_path),
            str(go),
        ],
        cwd=REPO,
        start_new_session=True,
    )
    note = note_path(Records(tmp_path), plan(tmp_path).runs[0])
    try:
        _until(lambda: note.is_file() and (tmp_path / "stages" / "a" / "0" / "mix.running").exists())
    finally:
        child.kill()
        child.wait()
    before = json.loads(note.read_text(encoding="utf-8"))["job_id"]
    said: list[str] = []

    def say(message: str) -> None:
        said.append(message)
        if "already running" in message:
            go.touch()

    made = plan(tmp_path, wait=go)
    outcome = SlurmExecutor(options(tmp_path), Records(tmp_path), say, poll=0.1).execute(made)
    assert outcome.failed == {}
    assert any(f"a/0: job {before} is already running" in line for line in said)
    assert json.loads(note.read_text(encoding="utf-8"))["job_id"] == before
    assert counts(tmp_path) == ONCE


def submit_and_wait(folder: str, go: str) -> None:
    """For the child process of the test above."""
    place = Path(folder)
    SlurmExecutor(options(place), Records(place), print, poll=0.1).execute(plan(place, wait=Path(go)))


def test_a_job_has_the_node_to_itself(tmp_path: Path) -> None:
    from recipes.experiments.slurm import RunJob

    chosen = options(tmp_path)
    chosen.jobs = 4
    assert RunJob(chosen, plan(tmp_path).runs[0]).options.jobs == 1
    assert chosen.jobs == 4


def test_a_job_that_cannot_begin_is_not_repeated_for_ever(tmp_path: Path) -> None:
    """A node on which the environment is missing: tried again as often as is allowed, then failed, its log named."""
    outcome, said = execute(tmp_path, plan(tmp_path), local_setup=["exit 3"], max_num_timeout=1)
    assert sorted(outcome.failed) == ["a/0/mix", "b/0/mix"]
    assert all("_log.out" in message for message in outcome.failed.values())
    assert sum("submitting its run again" in line for line in said) == 2
    assert counts(tmp_path) == {"data/seed": 1}


def test_a_lost_job_is_submitted_again(tmp_path: Path) -> None:
    go = tmp_path / "go"
    made = plan(tmp_path, wait=go)
    said: list[str] = []

    def say(message: str) -> None:
        said.append(message)
        if message.startswith("a/0: job") and "running" in message and not go.exists():
            _until(lambda: (tmp_path / "stages" / "a" / "0" / "mix.running").exists())
            _kill_tree(int(message.split("job ")[1].split()[0]))
            go.touch()

    outcome = SlurmExecutor(options(tmp_path), Records(tmp_path), say, poll=0.1).execute(made)
    assert outcome.failed == {}
    assert any("was lost" in line for line in said)
    assert json.loads(note_path(Records(tmp_path), made.runs[0]).read_text(encoding="utf-8"))["attempt"] == 1
    assert (tmp_path / "arms" / "a" / "seed0" / "train.txt").read_text() == "done"


@pytest.mark.parametrize(
    ("slurm", "words"),
    [
        ({"slurm_partitoin": "gpu"}, "slurm_partitoin"),
        ({"gpus": 1}, "gpus"),
        ({"timeout_min": "long"}, "timeout_min"),
        ({"nodes": 2}, "one task"),
        ({"max_num_timeout": -1}, "max_num_timeout"),
        ({"cluster": "moon"}, "moon"),
    ],
)
def test_wrong_options_are_refused(tmp_path: Path, slurm: dict[str, Any], words: str) -> None:
    with pytest.raises(CrossinError, match=words):
        SlurmExecutor(options(tmp_path, **slurm), Records(tmp_path), print)


def test_the_batch_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With stand-ins for Slurm's own commands: what sbatch is given."""
    commands = tmp_path / "bin"
    commands.mkdir()
    (commands / "sbatch").write_text(f'#!/bin/sh\ncp "$1" {tmp_path}/submitted.sh\necho Submitted batch job 4711\n')
    (commands / "srun").write_text("#!/bin/sh\n")
    for script in commands.iterdir():
        script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{commands}:{os.environ['PATH']}")
    chosen = {
        "cluster": "slurm",
        "timeout_min": 90,
        "gpus_per_node": 1,
        "mem_gb": 120,
        "cpus_per_task": 8,
        "slurm_partition": "long",
        "slurm_array_parallelism": 1,
        "slurm_additional_parameters": {"requeue": True},
    }
    folder = tmp_path / "experiment"
    executor = SlurmExecutor(options(folder, **chosen), Records(folder), print)
    submitted = executor._submit(list(plan(folder).runs), attempt=0)
    assert [note["job_id"] for _, note in submitted.values()] == ["4711_0", "4711_1"]
    text = (tmp_path / "submitted.sh").read_text(encoding="utf-8")
    for line in (
        "--job-name=jobs",
        "--time=90",
        "--gpus-per-node=1",
        "--mem=120GB",
        "--cpus-per-task=8",
        "--partition=long",
        "--array=0-1%1",
        "--requeue",
        f"--output={folder}/stages/jobs/%A_%a/%A_%a_0_log.out",
    ):
        assert f"#SBATCH {line}\n" in text
    assert f"export PYTHONPATH={REPO}:" in text
    assert subprocess.run(["bash", "-n", str(tmp_path / "submitted.sh")], check=False).returncode == 0


def test_states_of_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """sacct's words, as a stand-in for it says them: alive, lost, and not known yet."""
    commands = tmp_path / "bin"
    commands.mkdir()
    sacct = commands / "sacct"
    (commands / "srun").write_text("#!/bin/sh\n")
    monkeypatch.setenv("PATH", f"{commands}:{os.environ['PATH']}")
    (commands / "srun").chmod(0o755)
    executor = SlurmExecutor(options(tmp_path, cluster="slurm"), Records(tmp_path), print)
    for number, (words, expected) in enumerate(
        [
            ("RUNNING", "RUNNING"),
            ("CANCELLED by 1000", "CANCELLED"),
            ("OUT_OF_MEMORY", "OUT_OF_MEMORY"),
            ("", "PENDING"),
        ]
    ):
        line = f"77{number}_0|{words}|node1\\n" if words else ""
        sacct.write_text(f"#!/bin/sh\nprintf 'JobID|State|NodeList\\n{line}'\n")
        sacct.chmod(0o755)
        note = {"cluster": "slurm", "job_id": f"77{number}_0", "submitted": time.time()}
        assert executor.state(note) == expected
        submitit.SlurmJob.watcher.clear()
    assert executor.state({"cluster": "slurm", "job_id": "999_0", "submitted": time.time() - 3600}) == "GONE"


def _until(condition: Any, seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("waited in vain")
        time.sleep(0.05)


def _kill_tree(pid: int) -> None:
    """As a node that goes away: the controller, its task and what that has started, at once."""
    import psutil

    processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    for process in processes:
        process.send_signal(signal.SIGSTOP)
    for process in processes:
        process.kill()
    psutil.wait_procs(processes, timeout=10)
