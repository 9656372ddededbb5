"""Run an experiment: a grid of arms and seeds, each mixed, trained and evaluated, ending in one report.

    python recipes/run_experiment.py --config recipes/configs/experiments/mini.yaml --jobs 2

A stage whose inputs have not changed is skipped, so the same command goes on after a stop of any kind, and again after
a change does only what the change touches.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # run as a script: the checkout, not this folder, is where `recipes` is found
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from recipes.experiments.config import ExperimentOptions
from recipes.parsing import parse, run


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the options, run what is not done, report; returns 0, or 1 where a stage failed."""
    (options,) = parse(ExperimentOptions, argv, prog="run_experiment", description="Run a grid of tuning experiments.")
    from recipes.experiments.local import LocalExecutor, experiment_lock
    from recipes.experiments.plan import check_options, make_plan
    from recipes.experiments.records import Records

    plan = make_plan(options)
    records = Records(options.folder)
    with experiment_lock(options.folder):
        check_options(options)
        executor = LocalExecutor(options, records, say)
        signal.signal(signal.SIGTERM, _interrupt)
        outcome = executor.execute(plan)
    say(f"{len(outcome.done)} stages done, {len(outcome.skipped)} were, {len(outcome.failed)} failed")
    return 1 if outcome.failed or outcome.stopped else 0


def say(message: str) -> None:
    """A line on standard error, with the time."""
    print(f"{time.strftime('%H:%M:%S')} run_experiment: {message}", file=sys.stderr, flush=True)


def _interrupt(number: int, frame: Any) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    run(main, "run_experiment")
