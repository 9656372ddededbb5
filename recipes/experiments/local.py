"""Runs stages as processes on this machine: several runs at a time, logged, safe to stop and to resume."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from crossin_metrics.errors import CrossinError
from recipes.common.provenance import REPO
from recipes.experiments.config import ExperimentOptions
from recipes.experiments.plan import ALIGNED, Plan, Run
from recipes.experiments.records import Records, Stage
from recipes.tuning.run_folder import adopt

Say = Callable[[str], None]

# A stage's process notes its own number, then becomes the stage's command: an experiment killed right after it started
# the process cannot leave one behind that nobody knows.
_NOTED = """
import os, sys
os.write(int(sys.argv[1]), f"{sys.argv[2]} {os.getpid()}".encode())
os.execvp(sys.argv[3], sys.argv[3:])
"""


@dataclass
class Outcome:
    """The result of an execution.

    Attributes:
        done, skipped: names of stages that ran, and that were up to date.
        failed: stage -> error message.
        stopped: why no further stage was started; "" if nothing stopped it.
    """

    done: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    stopped: str = ""


@contextlib.contextmanager
def experiment_lock(folder: Path) -> Iterator[None]:
    """Lock an experiment's folder, so that one process at a time runs it.

    Raises:
        CrossinError: another process runs this experiment, or the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = (folder / ".lock").open("a")
    except OSError as error:
        raise CrossinError(f"cannot write {folder}: {error.strerror or error}") from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CrossinError(
                f"{folder}: another process is running this experiment; --status true shows its progress"
            ) from error
        yield


class LocalExecutor:
    """Runs stages as processes; `jobs` runs at a time.

    Each stage's process inherits a lock on `<stage>.running`. If it outlives a killed experiment, the next executor
    finds it by that lock, ends it, and resumes from what it saved.
    """

    def __init__(self, options: ExperimentOptions, records: Records, say: Say) -> None:
        self.options = options
        self.records = records
        self.say = say
        self.outcome = Outcome()
        self._stop = threading.Event()
        self._guard = threading.Lock()
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._slots = list(range(options.jobs))

    def execute(self, plan: Plan) -> Outcome:
        """Run every stage that is not up to date; later stages of a failed run are skipped."""
        try:
            for stage in plan.data:
                if not self._stage(stage, 0):
                    return self.outcome
            with ThreadPoolExecutor(self.options.jobs) as pool:
                futures = [pool.submit(self._run, run) for run in plan.runs if self.options.wants(run.arm, run.seed)]
                try:
                    for future in futures:
                        future.result()
                except BaseException:
                    self.stop("stopped")
                    raise
        finally:
            self.stop(self.outcome.stopped)
        return self.outcome

    def stop(self, why: str) -> None:
        """Start no further stage and end the running ones; their saved work stays."""
        self._stop.set()
        with self._guard:
            self.outcome.stopped = self.outcome.stopped or why
            processes = list(self._processes)
        for process in processes:
            end_group(process.pid)

    def _run(self, run: Run) -> None:
        with self._guard:
            slot = self._slots.pop(0)
        try:
            for stage in run.stages:
                if self._stop.is_set() or not self._stage(stage, slot):
                    return
            if not self.options.keep_checkpoints:
                for folder in (run.folder, run.folder / ALIGNED):
                    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
        finally:
            with self._guard:
                self._slots.append(slot)

    def _stage(self, stage: Stage, slot: int) -> bool:
        """Run one stage unless it is up to date; returns whether the next one can follow."""
        try:
            why = self.records.why_stale(stage)
            if not why:
                with self._guard:
                    self.outcome.skipped.append(stage.name)
                return True
            free = shutil.disk_usage(self.records.folder).free / 1e9
            if free < self.options.min_free_gb:
                self._fail(stage, f"disk: {free:.1f} GB free, min_free_gb is {self.options.min_free_gb:g}")
                self.stop("the disk is full")
                return False
            self.say(f"{stage.name}: started ({why})")
            inputs = self.records.inputs(stage)
            started = time.time()
            alike = self.records.trained_alike(stage, inputs)
            code = self._copy(stage, alike) if alike else self._process(stage, slot)
            if self._stop.is_set() and code:
                return False
            seconds = time.time() - started
            if code:
                self._fail(
                    stage, f"{last_log_line(self.records.log(stage))} (exit code {code}, {self.records.log(stage)})"
                )
                return False
            facts = {"seconds": round(seconds, 2), "started": round(started, 1), "command": list(stage.command)}
            self.records.write(stage, inputs, facts)
        except (CrossinError, OSError) as error:
            self._fail(stage, str(error))
            if disk_is_full(error):
                self.stop("the disk is full")
            return False
        with self._guard:
            self.outcome.done.append(stage.name)
        self.say(f"{stage.name}: done in {seconds:.0f} s")
        return True

    def _copy(self, stage: Stage, source: Path) -> int:
        self.say(f"{stage.name}: copied, {source} was trained on the same")
        with self._held(stage):
            adopt(source, stage.outputs[-1].parent)
        self.records.running(stage).unlink(missing_ok=True)
        return 0

    @contextlib.contextmanager
    def _held(self, stage: Stage) -> Iterator[IO[str]]:
        """The stage's lock, without an earlier result, and after ending a process that outlived its experiment."""
        running = self.records.running(stage)
        running.parent.mkdir(parents=True, exist_ok=True)
        with running.open("a+") as lock:
            take_over(lock, running)
            self.records.path(stage).unlink(missing_ok=True)
            self.records.failure(stage).unlink(missing_ok=True)
            yield lock

    def _process(self, stage: Stage, slot: int) -> int:
        with self._held(stage) as lock:
            for folder in stage.clear:
                shutil.rmtree(folder, ignore_errors=True)
            lock.truncate(0)
            note = (sys.executable, "-S", "-E", "-c", _NOTED, str(lock.fileno()), socket.gethostname())
            with self.records.log(stage).open("ab") as output:
                process = subprocess.Popen(
                    (*note, *stage.command),
                    cwd=REPO,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=environment(self.options.jobs, slot),
                    pass_fds=[lock.fileno()],
                    start_new_session=True,
                )
            with self._guard:
                self._processes.add(process)
            if self._stop.is_set():
                end_group(process.pid)
            code = process.wait()
            with self._guard:
                self._processes.discard(process)
        if not code or not self._stop.is_set():
            self.records.running(stage).unlink(missing_ok=True)
        return code

    def _fail(self, stage: Stage, message: str) -> None:
        with self._guard:
            self.outcome.failed[stage.name] = message
        with contextlib.suppress(OSError):
            self.records.failure(stage).write_text(message + "\n", encoding="utf-8")
        self.say(f"{stage.name}: FAILED: {message}")


def disk_is_full(error: BaseException) -> bool:
    """Whether an error or its cause is a full disk."""
    return any(isinstance(one, OSError) and one.errno == errno.ENOSPC for one in (error, error.__cause__))


def environment(jobs: int, slot: int) -> dict[str, str]:
    """The environment of a stage: its share of CPU threads and visible GPUs; variables the user set are kept."""
    out = dict(os.environ)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    out.setdefault("OMP_NUM_THREADS", str(max(1, cores // jobs)))
    out.setdefault("TOKENIZERS_PARALLELISM", "false")
    visible = [gpu for gpu in out.get("CUDA_VISIBLE_DEVICES", "").split(",") if gpu]
    if jobs > 1 and "CUDA_VISIBLE_DEVICES" not in out:
        import torch

        visible = [str(gpu) for gpu in range(torch.cuda.device_count())]
    if jobs > 1 and len(visible) >= jobs:
        share = len(visible) // jobs
        out["CUDA_VISIBLE_DEVICES"] = ",".join(visible[slot * share : (slot + 1) * share])
    return out


def take_over(lock: Any, path: Path) -> None:
    """Lock a stage, after ending a process of it that outlived its experiment.

    Raises:
        CrossinError: that process does not end.
    """
    for attempt in range(100):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            lock.seek(0)
            host, _, pid = lock.read().strip().rpartition(" ")
            if pid.isdigit() and host == socket.gethostname():  # the folder may be shared by several machines
                end_group(int(pid), signal.SIGTERM if attempt < 50 else signal.SIGKILL)
            time.sleep(0.2)
    raise CrossinError(
        f"{path}: an earlier process of this stage (host {host}, pid {pid}) is still running and does not end"
    )


def end_group(pid: int, how: signal.Signals = signal.SIGTERM) -> None:
    """Send a signal to a stage's process and its descendants."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, how)


def last_log_line(log: Path) -> str:
    """The last line of a log that is not blank or a progress bar."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 20_000))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return "no output"
    lines = [line.strip() for line in text.replace("\r", "\n").split("\n")]
    lines = [line for line in lines if line and "it/s]" not in line and "s/it]" not in line]
    return lines[-1][:400] if lines else "no output"
