"""Runs as jobs of a Slurm cluster, through submitit: one job per run, its stages in order as on one machine.

The job's id is stored beside the run's records, so that a restarted experiment finds its jobs. The experiment's folder
must be on a file system that all nodes share.
"""

from __future__ import annotations

import copy
import os
import shlex
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crossin_metrics.errors import CrossinError
from crossin_metrics.files import read_json, write_json
from crossin_metrics.text_tables import show
from recipes.common.provenance import REPO
from recipes.experiments.config import ExperimentOptions
from recipes.experiments.local import LocalExecutor, Outcome, last_log_line
from recipes.experiments.plan import Plan, Run
from recipes.experiments.records import Records

if TYPE_CHECKING:
    import submitit

Say = Callable[[str], None]

DEFAULTS: dict[str, Any] = {"timeout_min": 240, "stderr_to_stdout": True}
REQUEUES = 20
"""How often a job is requeued after its time limit or a lost node; each attempt resumes."""
LOST = {"TIMEOUT", "PREEMPTED", "NODE_FAIL", "BOOT_FAIL", "DEADLINE", "GONE"}
"""Final states that are not the run's fault: it is submitted again."""
ALIVE = {
    "PENDING",
    "CONFIGURING",
    "RUNNING",
    "COMPLETING",
    "SUSPENDED",
    "REQUEUED",
    "REQUEUE_HOLD",
    "RESIZING",
    "READY",
}
ACCOUNTING_DELAY = 600.0
"""Seconds during which Slurm's accounting may not know a new job."""


class RunJob:
    """What a job does: the stages of one run, through the local executor, whose records say what is done.

    At its time limit or when preempted, a job ends its stage, which saves its work, and is requeued.
    """

    def __init__(self, options: ExperimentOptions, run: Run) -> None:
        self.options = copy.copy(options)
        self.options.jobs = 1  # the run gets all of the job's cores and GPUs
        self.run = run

    def __call__(self) -> dict[str, Any]:
        """Run what is not done; returns the outcome and writes it to `job_result.json`."""
        import submitit

        records = Records(self.options.folder)
        outcome = LocalExecutor(self.options, records, _say_in_job).execute(Plan((), (self.run,)))
        result = {"done": outcome.done, "failed": outcome.failed, "stopped": outcome.stopped, "ended": time.time()}
        job = str(submitit.JobEnvironment().job_id)
        write_json(note_path(records, self.run).with_name("job_result.json"), {"job": job, **result})
        return result

    def checkpoint(self, *args: Any, **kwargs: Any) -> Any:
        """Called by submitit before a requeue."""
        import submitit

        return submitit.helpers.DelayedSubmission(RunJob(self.options, self.run))


class SlurmExecutor:
    """Submits one job per run and waits. If the wait is interrupted, the jobs continue, and a rerun finds them."""

    def __init__(self, options: ExperimentOptions, records: Records, say: Say, poll: float | None = None) -> None:
        """Args:
            poll: seconds between two checks of the jobs; None: 30, or 0.5 for jobs on this machine.

        Raises:
            CrossinError: submitit or Slurm is missing, or `slurm:` has an unknown option.
        """
        self.options = options
        self.records = records
        self.say = say
        self.outcome = Outcome()
        settings = dict(options.slurm)
        self.cluster = str(settings.pop("cluster", "slurm"))
        self.requeues = settings.pop("max_num_timeout", REQUEUES)
        if not isinstance(self.requeues, int) or isinstance(self.requeues, bool) or self.requeues < 0:
            raise CrossinError(f"slurm: max_num_timeout: {self.requeues!r} must be a whole number, 0 or more")
        self.poll = poll if poll is not None else 0.5 if self.cluster == "local" else 30.0
        self.executor = self._executor(settings)
        self._jobs: dict[str, Any] = {}

    def execute(self, plan: Plan) -> Outcome:
        """Run the data stage here, then each unfinished run as a job, and wait for all jobs."""
        if plan.data:  # here, because compute nodes often have no network
            self.outcome = LocalExecutor(self.options, self.records, self.say).execute(Plan(plan.data, ()))
            if self.outcome.failed or self.outcome.stopped:
                return self.outcome
        waiting, fresh = {}, []
        for run in plan.runs:
            if not self.options.wants(run.arm, run.seed):
                continue
            note = read_json(note_path(self.records, run))
            if self._finished(run):
                self.outcome.skipped += [stage.name for stage in run.stages]
            elif note is not None and self.state(note) in ALIVE:
                self.say(f"{run.name}: job {note['job_id']} is already running")
                waiting[run.name] = (run, note)
            else:
                fresh.append(run)
        try:
            waiting |= self._submit(fresh, attempt=0)
            self._wait(waiting)
        except KeyboardInterrupt:
            if waiting:
                jobs = " ".join(str(note["job_id"]) for _, note in waiting.values())
                self.say(f"interrupted; the jobs continue, and the same command finds them (scancel {jobs} ends them)")
            raise
        return self.outcome

    def state(self, note: dict[str, Any], *, ask: bool = True) -> str:
        """State of a job in Slurm's terms; GONE if it no longer exists.

        Args:
            note: the job's note.
            ask: query Slurm's accounting now, for all jobs at once; otherwise use its last answer.
        """
        import submitit

        if note.get("cluster") != self.cluster:
            return "GONE"
        number = str(note["job_id"])
        if self.cluster != "slurm":
            if _is_alive(int(number)):
                return "RUNNING"
            return "COMPLETED" if submitit.LocalJob(self.folder, number).paths.result_pickle.is_file() else "GONE"
        job = self._jobs.setdefault(number, submitit.SlurmJob(self.folder, number))
        answer = str(job.watcher.get_state(number, mode="force" if ask else "cache"))
        state = answer.split(" ")[0].rstrip("+").upper()
        if state == "UNKNOWN":  # accounting lags, or has dropped the job
            return "PENDING" if time.time() - float(note["submitted"]) < ACCOUNTING_DELAY else "GONE"
        return state

    @property
    def folder(self) -> Path:
        """Where submitit keeps the jobs' scripts and logs; `%j` is the job's id."""
        return self.records.folder / "stages" / "jobs" / "%j"

    def log(self, note: dict[str, Any]) -> Path:
        """The job's own log; the stages' logs are beside their records."""
        job = str(note["job_id"])
        return Path(str(self.folder).replace("%j", job)) / f"{job}_0_log.out"

    def _submit(self, runs: list[Run], attempt: int) -> dict[str, tuple[Run, dict[str, Any]]]:
        """Submit one array of jobs and store their ids; returns them by run."""
        if not runs:
            return {}
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(REPO), os.environ.get("PYTHONPATH", ""))))
        try:
            with self.executor.batch():
                jobs = [self.executor.submit(RunJob(self.options, run)) for run in runs]
        except Exception as error:  # sbatch's refusal comes as one of several types
            raise CrossinError(f"slurm: the jobs were not accepted: {_one_line(error)}") from error
        out = {}
        for run, job in zip(runs, jobs, strict=True):
            note: dict[str, Any] = {"run": run.name, "cluster": self.cluster, "job_id": str(job.job_id)}
            note |= {"submitted": time.time(), "attempt": attempt}
            path = note_path(self.records, run)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_json(path, note)
            out[run.name] = (run, note)
            self.say(f"{run.name}: job {job.job_id} submitted")
        return out

    def _wait(self, waiting: dict[str, tuple[Run, dict[str, Any]]]) -> None:
        states: dict[str, str] = {}
        seen: set[str] = set()
        while waiting:
            again: dict[int, list[Run]] = {}
            for number, (name, (run, note)) in enumerate(list(waiting.items())):
                self._progress(run, note, seen)
                state = self.state(note, ask=number == 0)
                if state != states.get(name):
                    states[name] = state
                    self.say(f"{name}: job {note['job_id']} {state.lower().replace('_', ' ')}")
                if state in ALIVE:
                    continue
                del waiting[name]
                if self._close(run, note, state):
                    again.setdefault(note["attempt"] + 1, []).append(run)
            for attempt, runs in again.items():
                waiting |= self._submit(runs, attempt)
                for run in runs:
                    states.pop(run.name, None)
            if waiting:
                time.sleep(self.poll)

    def _progress(self, run: Run, note: dict[str, Any], seen: set[str]) -> None:
        """Report each stage that has ended since the job was submitted, once."""
        for stage in run.stages:
            record = self.records.path(stage)
            if stage.name not in seen and record.is_file() and record.stat().st_mtime >= float(note["submitted"]):
                seen.add(stage.name)
                facts = self.records.read(stage) or {}
                self.say(f"{stage.name}: done in {facts.get('seconds', 0):.0f} s")

    def _close(self, run: Run, note: dict[str, Any], state: str) -> bool:
        """Add an ended job's stages to the outcome; returns whether to submit its run again."""
        result = read_json(note_path(self.records, run).with_name("job_result.json")) or {}
        if result.get("job") != note["job_id"]:
            result = {}  # of an earlier job
        for stage in run.stages:
            try:
                why = self.records.why_stale(stage)
            except CrossinError as error:
                why = str(error)
            if not why:
                modified = self.records.path(stage).stat().st_mtime
                done = stage.name in result.get("done", ()) or modified >= float(note["submitted"])
                (self.outcome.done if done else self.outcome.skipped).append(stage.name)
                continue
            failed = result.get("failed") or {}
            if not result and state in LOST and note["attempt"] < self.requeues:
                self.say(f"{run.name}: job {note['job_id']} was lost ({state.lower()}); submitting its run again")
                self.outcome.done = [name for name in self.outcome.done if not name.startswith(f"{run.name}/")]
                return True
            last = result.get("stopped") or last_log_line(self.log(note))
            ended = f"job {note['job_id']} ended ({state.lower()}): {last} ({self.log(note)})"
            self.outcome.failed[stage.name] = message = failed.get(stage.name, ended)
            self.say(f"{stage.name}: FAILED: {message}")
            break  # later stages were not started
        return False

    def _finished(self, run: Run) -> bool:
        try:
            return not any(self.records.why_stale(stage) for stage in run.stages)
        except CrossinError:
            return False

    def _executor(self, settings: dict[str, Any]) -> submitit.AutoExecutor:
        try:
            import submitit
        except ImportError as error:
            raise CrossinError("executor: slurm needs submitit: pip install submitit") from error
        for key in ("nodes", "tasks_per_node", "slurm_ntasks_per_node"):
            if settings.get(key, 1) != 1:
                raise CrossinError(
                    f"slurm: {key}: {settings[key]}: a run is one task; for several GPUs set gpus_per_node and "
                    "launcher: [accelerate, launch, -q, --num_processes, ...]"
                )
        chosen = {**DEFAULTS, "name": self.options.name, **settings}
        if self.cluster == "slurm":
            path = f"export PYTHONPATH={shlex.quote(str(REPO))}:${{PYTHONPATH:-}}"
            chosen["slurm_setup"] = [path, *(chosen.get("slurm_setup") or [])]
        try:
            executor = submitit.AutoExecutor(
                folder=self.folder, cluster=self.cluster, slurm_max_num_timeout=self.requeues
            )
            executor.update_parameters(**chosen)
        except (RuntimeError, NameError, ValueError, TypeError, AssertionError) as error:
            raise CrossinError(f"slurm: {_one_line(error)} (options are submitit's)") from error
        return executor


def note_path(records: Records, run: Run) -> Path:
    """Where a run's job id is stored."""
    return records.folder / "stages" / run.arm / str(run.seed) / "job.json"


def _say_in_job(message: str) -> None:
    show(f"{time.strftime('%H:%M:%S')} {message}")


def _is_alive(pid: int) -> bool:
    """Whether this process id is a controller of submitit's local jobs; a zombie's command line is empty."""
    try:
        return b"submitit" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:400] or type(error).__name__
