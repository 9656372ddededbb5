"""Progress of an experiment: a table of arms and seeds, in the terminal and as a page that reloads itself."""

from __future__ import annotations

import fcntl
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

from crossin_metrics.errors import CrossinError
from crossin_metrics.files import write_text
from crossin_metrics.html import render_page
from crossin_metrics.text_tables import align
from recipes.experiments.plan import Plan, Run
from recipes.experiments.records import Records, Stage

PAGE = "overview.html"
_SIGNS = {"done": "✓", "running": "▸", "failed": "✗", "stale": "~", "waiting": "·"}


def state_of(stage: Stage, records: Records, failed: dict[str, str], *, thorough: bool = False) -> str:
    """`done`, `running`, `failed`, `stale` (done, but an input has changed since) or `waiting`.

    Args:
        stage: the stage.
        records: its experiment's records.
        failed: stages that failed in this process.
        thorough: also compare hashes; otherwise trust the record.
    """
    if stage.name in failed:
        return "failed"
    if is_locked(records.running(stage)):
        return "running"
    if records.read(stage) is None:
        return "failed" if records.failure(stage).is_file() else "waiting"
    if thorough:
        try:
            return "stale" if records.why_stale(stage) else "done"
        except CrossinError:
            return "stale"
    return "done"


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock of a stage."""
    try:
        with path.open("r") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
    except BlockingIOError:
        return True
    except OSError:
        return False


def seconds_of(records: Records, stages: tuple[Stage, ...]) -> float:
    """Total seconds of the finished stages among these."""
    return sum(float((records.read(stage) or {}).get("seconds", 0.0)) for stage in stages)


def remaining_seconds(plan: Plan, records: Records, jobs: int) -> float | None:
    """Estimate from the mean duration of each kind of stage; None until each kind has finished once."""
    spent: dict[str, list[float]] = {}
    missing: Counter[str] = Counter()
    for run in plan.runs:
        for stage in run.stages:
            record = records.read(stage)
            if record is None:
                missing[stage.kind] += 1
            else:
                spent.setdefault(stage.kind, []).append(float(record.get("seconds", 0.0)))
    if any(kind not in spent for kind in missing):
        return None
    return sum(n * sum(spent[kind]) / len(spent[kind]) for kind, n in missing.items()) / jobs


def text(plan: Plan, records: Records, failed: dict[str, str], jobs: int, *, thorough: bool = False) -> str:
    """The table for a terminal: one line per arm, one column per seed, one sign per stage."""
    seeds, rows = grid(plan)
    cells = [[arm, *(signs(run, records, failed, thorough) if run else "" for run in runs)] for arm, runs in rows]
    kinds = " ".join(stage.kind for stage in max(plan.runs, key=lambda run: len(run.stages)).stages)
    return "\n".join(
        [
            align([["", *(f"seed {seed}" for seed in seeds)], *cells], left=1 + len(seeds)),
            f"{kinds}: ✓ done ▸ running ✗ failed ~ inputs changed · waiting",
            summary(plan, records, jobs),
        ]
    )


def grid(plan: Plan) -> tuple[list[int], list[tuple[str, list[Run | None]]]]:
    """The seeds, and for each arm its runs by seed."""
    seeds = list(dict.fromkeys(run.seed for run in plan.runs))
    cells = {(run.arm, run.seed): run for run in plan.runs}
    return seeds, [(arm, [cells.get((arm, s)) for s in seeds]) for arm in dict.fromkeys(run.arm for run in plan.runs)]


def signs(run: Run, records: Records, failed: dict[str, str], thorough: bool = False) -> str:
    """One sign per stage of a run."""
    return " ".join(_SIGNS[state_of(stage, records, failed, thorough=thorough)] for stage in run.stages)


def summary(plan: Plan, records: Records, jobs: int) -> str:
    """One line: stages done, time spent, time left."""
    stages = tuple(stage for run in plan.runs for stage in run.stages)
    done = sum(records.read(stage) is not None for stage in stages)
    left = remaining_seconds(plan, records, jobs)
    rest = f", about {_span(left)} left" if left is not None else ", time left: known once each kind of stage has run"
    rest = "" if done == len(stages) else rest
    return f"{done} of {len(stages)} stages done, {_span(seconds_of(records, stages))} of work{rest}"


def write_page(plan: Plan, records: Records, failed: dict[str, str], jobs: int, title: str, *, ended: bool) -> None:
    """Write `<experiment>/overview.html`, which reloads itself every 5 s until the experiment has ended."""
    seeds, rows = grid(plan)
    page = render_page(
        Path(__file__).parent,
        "overview.html.j2",
        style="overview.css",
        title=title,
        summary=summary(plan, records, jobs),
        ended=ended,
        now=time.strftime("%Y-%m-%d %H:%M:%S"),
        seeds=seeds,
        rows=[(arm, [_stages(run, records, failed) if run else [] for run in runs]) for arm, runs in rows],
        failed=failed,
    )
    write_text(records.folder / PAGE, page)


def _stages(run: Run, records: Records, failed: dict[str, str]) -> list[tuple[str, str, str, str]]:
    """Kind, state, details and time of each stage: what it took, or how long it has been running."""
    found = []
    for stage in run.stages:
        state = state_of(stage, records, failed)
        seconds = (records.read(stage) or {}).get("seconds")
        if state == "running":
            with suppress(OSError):  # it may end this very moment
                seconds = time.time() - records.running(stage).stat().st_mtime
        took = "" if seconds is None else _span(seconds)
        found.append((stage.kind, state, f"{stage.kind}: {', '.join(filter(None, (state, took)))}", took))
    return found


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
