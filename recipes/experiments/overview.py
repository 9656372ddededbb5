"""How far an experiment is: a table of arms and seeds, in the terminal and as a page that renews itself."""

from __future__ import annotations

import fcntl
import html
import time
from collections import Counter
from pathlib import Path

from crossin_metrics.errors import CrossinError
from crossin_metrics.files import write_text
from recipes.common.stages import Records, Stage
from recipes.experiments.plan import Plan, Run

PAGE = "overview.html"
_SIGNS = {"done": "✓", "running": "▸", "failed": "✗", "stale": "~", "waiting": "·"}


def state_of(stage: Stage, records: Records, failed: dict[str, str], *, thorough: bool = False) -> str:
    """`done`, `running`, `failed`, `stale` (done, but an input has changed since) or `waiting`.

    Args:
        stage: the stage.
        records: its experiment's records.
        failed: stages that failed in this process.
        thorough: compare hashes too; else a record is believed.
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
    """Whether a process holds the stage."""
    try:
        with path.open("r") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
    except BlockingIOError:
        return True
    except OSError:
        return False


def seconds_of(records: Records, stages: tuple[Stage, ...]) -> float:
    """Seconds that the finished ones of these stages took."""
    return sum(float((records.read(stage) or {}).get("seconds", 0.0)) for stage in stages)


def remaining_seconds(plan: Plan, records: Records, jobs: int) -> float | None:
    """Estimate from the stages done so far: the mean of each kind; None while a kind has no example yet."""
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
    """The table for a terminal: one line an arm, one column a seed, one sign a stage."""
    seeds = list(dict.fromkeys(run.seed for run in plan.runs))
    arms = list(dict.fromkeys(run.arm for run in plan.runs))
    cells = {(run.arm, run.seed): run for run in plan.runs}
    width = max(len(arm) for arm in arms) + 2
    head = " " * width + "".join(f"seed {seed}".ljust(12) for seed in seeds)
    lines = [head]
    for arm in arms:
        row = arm.ljust(width)
        for seed in seeds:
            run = cells.get((arm, seed))
            row += (signs(run, records, failed, thorough) if run else "").ljust(12)
        lines.append(row.rstrip())
    kinds = " ".join(stage.kind for stage in max(plan.runs, key=lambda run: len(run.stages)).stages)
    lines.append(f"{kinds}: ✓ done ▸ running ✗ failed ~ its inputs changed · waiting")
    lines.append(summary(plan, records, jobs))
    return "\n".join(lines)


def signs(run: Run, records: Records, failed: dict[str, str], thorough: bool = False) -> str:
    """One sign for each stage of a run."""
    return " ".join(_SIGNS[state_of(stage, records, failed, thorough=thorough)] for stage in run.stages)


def summary(plan: Plan, records: Records, jobs: int) -> str:
    """One line: stages done of all, hours spent, hours to go."""
    stages = tuple(stage for run in plan.runs for stage in run.stages)
    done = sum(records.read(stage) is not None for stage in stages)
    left = remaining_seconds(plan, records, jobs)
    rest = "" if done == len(stages) else f", about {_span(left)} to go" if left is not None else ""
    return f"{done} of {len(stages)} stages done, {_span(seconds_of(records, stages))} of work{rest}"


def write_page(plan: Plan, records: Records, failed: dict[str, str], jobs: int, title: str, *, ended: bool) -> None:
    """Write `<experiment>/overview.html`; it loads itself again every 5 s until the experiment has ended."""
    seeds = list(dict.fromkeys(run.seed for run in plan.runs))
    cells = {(run.arm, run.seed): run for run in plan.runs}
    rows = []
    for arm in dict.fromkeys(run.arm for run in plan.runs):
        row = [f"<th scope=row>{html.escape(arm)}</th>"]
        for seed in seeds:
            run = cells.get((arm, seed))
            row.append(f"<td>{_cell(run, records, failed) if run else ''}</td>")
        rows.append("<tr>" + "".join(row) + "</tr>")
    trouble = "".join(f"<li><b>{html.escape(k)}</b>: {html.escape(v)}</li>" for k, v in failed.items())
    head = "".join(f"<th scope=col>seed {seed}</th>" for seed in seeds)
    renew = "" if ended else '<meta http-equiv="refresh" content="5">'
    write_text(
        records.folder / PAGE,
        f'<!doctype html><html lang="en"><meta charset="utf-8">{renew}<title>{html.escape(title)}</title>'
        f"<style>{_STYLE}</style><h1>{html.escape(title)}</h1><p>{html.escape(summary(plan, records, jobs))}; "
        f"{'ended' if ended else 'as of'} {time.strftime('%Y-%m-%d %H:%M:%S')}</p>"
        f"<table><tr><td></td>{head}</tr>{''.join(rows)}</table>"
        + (f"<h2>Failed</h2><ul>{trouble}</ul>" if trouble else "")
        + "</html>\n",
    )


def _cell(run: Run, records: Records, failed: dict[str, str]) -> str:
    out = []
    for stage in run.stages:
        state = state_of(stage, records, failed)
        seconds = (records.read(stage) or {}).get("seconds")
        detail = f"{state}, {seconds:.0f} s" if seconds is not None else state
        out.append(
            f'<span class="{state}" title="{html.escape(f"{stage.kind}: {detail}")}">{html.escape(stage.kind)}</span>'
        )
    return " ".join(out)


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


_STYLE = """
:root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;margin:2rem;max-width:70rem}
table{border-collapse:collapse}th,td{text-align:left;padding:.2rem .8rem .2rem 0;font-weight:normal}
span{padding:0 .35rem;border-radius:.2rem;border:1px solid #8886;white-space:nowrap}
.done{background:#1b7f4b;color:#fff}.running{background:#0a5fb4;color:#fff}.failed{background:#a4262c;color:#fff}
.waiting{opacity:.55}.stale{background:#8a6100;color:#fff}
"""
