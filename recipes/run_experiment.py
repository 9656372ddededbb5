"""Run an experiment: a grid of arms and seeds, each mixed, trained and evaluated, with one report.

    python recipes/run_experiment.py --config recipes/configs/experiments/mini.yaml --jobs 2

Stages whose inputs have not changed are skipped: rerun the same command to resume after an interruption, or after a
change to redo only what it affects.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crossin_metrics.text_tables import show

if __package__ in (None, ""):  # run as a script: `recipes` is found in the checkout, not in this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from crossin_metrics import errors
from crossin_metrics.errors import CrossinError
from crossin_metrics.sets.catalogue import DATA_DIR_VARIABLE
from recipes.common.options import parse, run
from recipes.common.paths import absolute
from recipes.experiments.config import ExperimentOptions

if TYPE_CHECKING:
    from recipes.experiments.local import Outcome
    from recipes.experiments.plan import Plan
    from recipes.experiments.records import Records


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the options, run what is not done, report; returns 1 if anything failed or is missing, else 0."""
    usual = "output_dir arms seeds evaluate models baseline small only jobs executor dry_run gpu status"
    (options,) = parse(
        ExperimentOptions,
        argv,
        prog="run_experiment",
        description="Run a grid of tuning experiments.",
        usual=usual.split(),
    )
    from recipes.experiments import overview
    from recipes.experiments.local import LocalExecutor, experiment_lock
    from recipes.experiments.plan import check_options, make_plan, write_configs
    from recipes.experiments.records import Records

    if DATA_DIR_VARIABLE in os.environ:  # stages run in another folder
        os.environ[DATA_DIR_VARIABLE] = absolute(os.environ[DATA_DIR_VARIABLE])
    with errors.waiting("run_experiment: loading torch and TRL, planning"):
        plan = make_plan(options)
    records = Records(options.folder)
    if options.status:
        show(overview.text(plan, records, {}, options.jobs, thorough=True))
        return 0
    if options.dry_run:
        from recipes.experiments.estimate import report

        check_options(options)
        show(report(options, plan))
        return 0
    with experiment_lock(options.folder):
        check_options(options)
        write_configs(options)
        guard = threading.Lock()  # runs report from their own threads

        def renew(*, ended: bool = False) -> None:
            failed, title = executor.outcome.failed, options.title or options.name
            with guard, contextlib.suppress(CrossinError):  # a full disk: the stages will report it
                overview.write_page(plan, records, failed, options.jobs, title, ended=ended)

        def tell(message: str) -> None:
            say(message)
            renew()

        executor: Any
        if options.executor == "slurm":
            from recipes.experiments.slurm import SlurmExecutor

            executor = SlurmExecutor(options, records, tell)
        else:
            executor = LocalExecutor(options, records, tell)
        say(f"{overview.summary(plan, records, options.jobs)}; live: {options.folder / overview.PAGE}")
        signal.signal(signal.SIGTERM, _interrupt)
        try:
            outcome = executor.execute(plan)
        finally:
            renew(ended=True)
        return conclude(options, plan, records, outcome)


def conclude(options: ExperimentOptions, plan: Plan, records: Records, outcome: Outcome) -> int:
    """Print the table, write the report and list what is missing; returns the exit code."""
    from recipes.experiments import overview
    from recipes.experiments.finish import REPORT, finish

    show(overview.text(plan, records, outcome.failed, options.jobs, thorough=True), sys.stderr)
    for stage, message in outcome.failed.items():
        say(f"failed: {stage}: {message}")
    if outcome.stopped:
        say(f"stopped: {outcome.stopped}; rerun the same command to resume")
        return 1
    missing = finish(options, plan, records, outcome.failed)
    say(f"report: {options.folder / REPORT / 'index.html'}")
    if missing:
        say(f"missing, and marked so in the report: {', '.join(missing)}")
    return 1 if outcome.failed else 0


def say(message: str) -> None:
    """Print a line with the time on standard error."""
    errors.say(f"{time.strftime('%H:%M:%S')} run_experiment: {message}")


def _interrupt(number: int, frame: Any) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    run(main, "run_experiment")
