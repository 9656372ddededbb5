"""Runs as jobs of a Slurm cluster, through submitit: one job a run, its stages in order as on one machine.

A job's number is noted beside the run's records, so a submitting process that was stopped finds its jobs again. The
experiment's folder has to lie on a file system that all nodes share.
"""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crossin_metrics.errors import CrossinError
from crossin_metrics.files import read_json, write_json
from recipes.common.provenance import REPO
from recipes.experiments.config import ExperimentOptions
from recipes.experiments.local import LocalExecutor, Outcome, last_log_line
from recipes.experiments.plan import Plan, Run
from recipes.experiments.records import Records

if TYPE_CHECKING:
    import submitit

Say = Callable[[str], None]

OURS = ("cluster", "max_num_timeout")
"""Keys of `slurm:` that are not parameters of a job: `local` for jobs on this machine; requeues after a time limit."""

DEFAULTS: dict[str, Any] = {"timeout_min": 240, "stderr_to_stdout": True}
REQUEUES = 20
"""Times that a job goes back to the queue after its time limit or a lost node; each goes on from saved work."""

LOST = ("TIMEOUT", "PREEMPTED", "NODE_FAIL", "BOOT_FAIL", "DEADLINE", "GONE")
"""Ends of a job that say nothing against its run: it is submitted again."""

ALIVE = (
    "PENDING",
    "CONFIGURING",
    "RUNNING",
    "COMPLETING",
    "SUSPENDED",
    "REQUEUED",
    "REQUEUE_HOLD",
    "RESIZING",
    "READY",
)
ACCOUNTING_DELAY = 600.0
"""Seconds for which the accounting may not know a job yet that was just submitted."""


class RunJob:
    """What a job does: one run's stages, through the executor of one machine, whose records say what is done.

    A job that meets its time limit, or is preempted, ends its stage, which saves its work, and goes back to the queue.
    """

    def __init__(self, options: ExperimentOptions, run: Run) -> None:
        self.options = copy.copy(options)
        self.options.jobs = 1  # the job's cores and GPUs are all for its run
        self.run = run

    def __call__(self) -> dict[str, Any]:
        """Do what is not done; returns what became of it, as it is noted in `job.json`."""
        records = Records(self.options.folder)
        outcome = LocalExecutor(self.options, records, _say_in_job).execute(Plan((), (self.run,)))
        result = {"done": outcome.done, "failed": outcome.failed, "stopped": outcome.stopped, "ended": time.time()}
        write_json(note_path(records, self.run).with_name("job_result.json"), {"job": _own_job(), **result})
        return result

    def checkpoint(self, *args: Any, **kwargs: Any) -> Any:
        """Called by submitit before a requeue: the same again."""
        import submitit

        return submitit.helpers.DelayedSubmission(RunJob(self.options, self.run))


class SlurmExecutor:
    """Submits one job a run and waits for them; a stopped wait leaves the jobs alone, and the next one finds them."""

    def __init__(self, options: ExperimentOptions, records: Records, say: Say, poll: float | None = None) -> None:
        """Args:
            poll: seconds between two looks at the jobs; None: 30, or 0.5 for jobs on this machine.

        Raises:
            CrossinError: submitit or Slurm is missing, or `slurm:` holds an option that does not exist.
        """
        self.options = options
        self.records = records
        self.say = say
        self.outcome = Outcome()
        settings = dict(options.slurm)
        self.cluster = str(settings.pop("cluster", "slurm"))
        self.requeues = settings.pop("max_num_timeout", REQUEUES)
        if not isinstance(self.requeues, int) or isinstance(self.requeues, bool) or self.requeues < 0:
            raise CrossinError(f"slurm: max_num_timeout: {self.requeues!r} must be a whole number, not negative")
        self.poll = poll if poll is not None else 0.5 if self.cluster == "local" else 30.0
        self.executor = self._executor(settings)
        self._jobs: dict[str, Any] = {}

    def execute(self, plan: Plan) -> Outcome:
        """Run the data stage here, then every run that has something to do as a job, and wait for all."""
        if plan.data:
            # Here, not in a job: it may need the network, which compute nodes seldom have.
            first = LocalExecutor(self.options, self.records, self.say).execute(Plan(plan.data, ()))
            self.outcome.done += first.done
            self.outcome.skipped += first.skipped
            self.outcome.failed |= first.failed
            if first.failed or first.stopped:
                self.outcome.stopped = first.stopped
                return self.outcome
        waiting, fresh = {}, []
        for run in plan.runs:
            if not self.options.wants(run.arm, run.seed):
                continue
            note = read_json(note_path(self.records, run))
            if self._finished(run):
                self.outcome.skipped += [stage.name for stage in run.stages]
            elif note is not None and self.state(note) in ALIVE:
                self.say(f"{run.name}: job {note['job_id']} is under way already")
                waiting[run.name] = (run, note)
            else:
                fresh.append(run)
        try:
            for run, note in self._submit(fresh, {}):
                waiting[run.name] = (run, note)
            self._wait(waiting)
        except KeyboardInterrupt:
            if waiting:
                jobs = " ".join(str(note["job_id"]) for _, note in waiting.values())
                self.say(f"stopped waiting; the jobs go on, and the same command finds them (scancel {jobs} ends them)")
            raise
        return self.outcome

    def state(self, note: dict[str, Any], *, ask: bool = True) -> str:
        """State of a noted job, in Slurm's words; GONE where it is not there any more.

        Args:
            ask: ask Slurm's accounting now, for all jobs at once; otherwise what it last said counts.
        """
        import submitit

        if note.get("cluster") != self.cluster:
            return "GONE"
        number = str(note["job_id"])
        if self.cluster != "slurm":
            if _lives(int(number)):
                return "RUNNING"
            return "COMPLETED" if submitit.LocalJob(self.folder, number).paths.result_pickle.is_file() else "GONE"
        job = self._jobs.setdefault(number, submitit.SlurmJob(self.folder, number))
        said = str(job.watcher.get_state(number, mode="force" if ask else "cache"))
        state = said.split(" ")[0].rstrip("+").upper()
        if state == "UNKNOWN":  # accounting lags behind, or forgot
            return "PENDING" if time.time() - float(note["submitted"]) < ACCOUNTING_DELAY else "GONE"
        return state

    @property
    def folder(self) -> Path:
        """Where submitit keeps the jobs' scripts and logs; `%j` is the job's number."""
        return self.records.folder / "stages" / "jobs" / "%j"

    def log(self, note: dict[str, Any]) -> Path:
        """A job's own log; the stages' logs are beside their records."""
        job = str(note["job_id"])
        return Path(str(self.folder).replace("%j", job)) / f"{job}_0_log.out"

    def _submit(self, runs: list[Run], attempts: dict[str, int]) -> list[tuple[Run, dict[str, Any]]]:
        """One array of jobs; their numbers are on disk before anything else happens."""
        if not runs:
            return []
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(REPO), os.environ.get("PYTHONPATH", ""))))
        for run in runs:
            note_path(self.records, run).parent.mkdir(parents=True, exist_ok=True)
        try:
            with self.executor.batch():
                jobs = [self.executor.submit(RunJob(self.options, run)) for run in runs]
        except Exception as error:  # sbatch's refusal comes as one of several types
            raise CrossinError(f"slurm: jobs were not accepted: {_last_line(error)}") from error
        out = []
        for run, job in zip(runs, jobs, strict=True):
            note = {
                "run": run.name,
                "cluster": self.cluster,
                "job_id": str(job.job_id),
                "submitted": time.time(),
                "attempt": attempts.get(run.name, 0),
            }
            write_json(note_path(self.records, run), note)
            out.append((run, note))
            self.say(f"{run.name}: job {job.job_id} submitted")
        return out

    def _wait(self, waiting: dict[str, tuple[Run, dict[str, Any]]]) -> None:
        states: dict[str, str] = {}
        seen: set[str] = set()
        while waiting:
            again: list[Run] = []
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
                    again.append(run)
            attempts = {run.name: self._attempt(run) + 1 for run in again}
            for run, note in self._submit(again, attempts):
                waiting[run.name] = (run, note)
                states.pop(run.name, None)
            if waiting:
                time.sleep(self.poll)

    def _progress(self, run: Run, note: dict[str, Any], seen: set[str]) -> None:
        """Say once which stages have ended since the job was submitted."""
        for stage in run.stages:
            record = self.records.path(stage)
            if stage.name not in seen and record.is_file() and record.stat().st_mtime >= float(note["submitted"]):
                seen.add(stage.name)
                facts = self.records.read(stage) or {}
                self.say(f"{stage.name}: done in {facts.get('seconds', 0):.0f} s")

    def _close(self, run: Run, note: dict[str, Any], state: str) -> bool:
        """Take in an ended job's stages; returns whether its run is to be submitted again."""
        result = read_json(note_path(self.records, run).with_name("job_result.json")) or {}
        ours = result.get("job") == note["job_id"]
        failed = dict(result.get("failed") or {}) if ours else {}
        done = set(result.get("done") or ()) if ours else set()
        for stage in run.stages:
            try:
                why = self.records.why_stale(stage)
            except CrossinError as error:
                why = str(error)
            if not why:
                fresh = stage.name in done or self.records.path(stage).stat().st_mtime >= float(note["submitted"])
                (self.outcome.done if fresh else self.outcome.skipped).append(stage.name)
                continue
            if stage.name in failed:
                self._fail(stage.name, failed[stage.name])
            elif not ours and state in LOST and self._attempt(run) < self.requeues:
                self.say(f"{run.name}: job {note['job_id']} was lost ({state.lower()}); its run is submitted again")
                self.outcome.done = [name for name in self.outcome.done if not name.startswith(f"{run.name}/")]
                return True
            else:
                said = (ours and result.get("stopped")) or last_log_line(self.log(note))
                self._fail(stage.name, f"job {note['job_id']} ended ({state.lower()}): {said} ({self.log(note)})")
            break  # what follows was not started
        return False

    def _attempt(self, run: Run) -> int:
        return int((read_json(note_path(self.records, run)) or {}).get("attempt", 0))

    def _fail(self, stage: str, message: str) -> None:
        self.outcome.failed[stage] = message
        self.say(f"{stage}: FAILED: {message}")

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
                    f"slurm: {key}: {settings[key]}: a run is one task; for several GPUs give gpus_per_node and "
                    "launcher: [accelerate, launch, -q, --num_processes, ...]"
                )
        try:
            executor = submitit.AutoExecutor(
                folder=self.folder, cluster=self.cluster, slurm_max_num_timeout=self.requeues
            )
        except (RuntimeError, ValueError) as error:
            raise CrossinError(f"slurm: {_last_line(error)}") from error
        chosen = {**DEFAULTS, "name": self.options.name, **settings}
        if self.cluster == "slurm":
            setup = list(chosen.get("slurm_setup") or [])
            chosen["slurm_setup"] = [f"export PYTHONPATH={_quoted(REPO)}:${{PYTHONPATH:-}}", *setup]
        try:
            executor.update_parameters(**chosen)
        except (NameError, ValueError, TypeError, AssertionError) as error:
            raise CrossinError(f"slurm: {str(error).splitlines()[0]} (parameters are submitit's)") from error
        return executor


def note_path(records: Records, run: Run) -> Path:
    """Where a run's job is noted."""
    return records.folder / "stages" / run.arm / str(run.seed) / "job.json"


def _say_in_job(message: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {message}", flush=True)


def _own_job() -> str:
    import submitit

    return str(submitit.JobEnvironment().job_id)


def _lives(pid: int) -> bool:
    """Whether a controller of submitit's local jobs has this process id; a zombie has ended."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return b"submitit" in command


def _quoted(path: Path) -> str:
    import shlex

    return shlex.quote(str(path))


def _last_line(error: BaseException) -> str:
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
