"""Scores by group of questions (subject, relation, passage): where languages part most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crossin_metrics.report.draw.tables import Section, heading
from crossin_metrics.report.entries import Entry, Group
from crossin_metrics.scores.uncertainty import joint_bootstrap, score_interval
from crossin_metrics.text_tables import Row, Table, csv_text, percent

COLUMNS = ("consistency", "acc")
FEWEST = 10  # questions in a group; the intervals of smaller ones say nothing
SHOWN = 12  # groups on the page; groups.csv has all
LEGEND = (
    f"In percent, of groups of at least {FEWEST} questions the {SHOWN} with the lowest consistency, averaged over "
    "models. 95% intervals from a bootstrap over a group's questions, not corrected for the number of groups: the "
    "lowest of many is partly bad luck. groups.csv has the others."
)


@dataclass(frozen=True)
class OneGroup:
    """An entry's scores on the questions of one group; scores and 95% intervals by key."""

    entry: Entry
    name: str
    n_questions: int
    scores: dict[str, float]
    intervals: dict[str, tuple[float, float]]


def by_group(group: Group, *, n_resamples: int, seed: int) -> list[OneGroup]:
    """Score each entry on each group of enough questions; empty where the runs know no groups or one language."""
    found = []
    for entry in group.entries:
        if not entry.runs or not all(run.groups and all(run.groups) for run in entry.runs):
            continue
        parts = [run.by_group() for run in entry.runs]
        for name, first in parts[0].items():
            if len(first.ids) < FEWEST or len(first.languages) < 2:
                continue
            runs = [part[name].questions() for part in parts]
            replicates = joint_bootstrap(runs, n_resamples=n_resamples, seed=seed)
            scores, values = replicates.over_prompts(list(range(len(runs))))
            intervals = {key: score_interval(key, scores[key], values[key], replicates.n_questions) for key in COLUMNS}
            known = {key: float(scores[key]) for key in COLUMNS}
            found.append(OneGroup(entry, name, replicates.n_questions, known, intervals))
    return found


def group_sections(groups: Sequence[Group], scored: Sequence[Sequence[OneGroup]]) -> list[Section]:
    """A table for each benchmark and set-up, one row per group, the least consistent first, a column per model."""
    sections = []
    for group, ones in zip(groups, scored, strict=True):
        members: dict[str, dict[int, OneGroup]] = {}
        for one in ones:
            members.setdefault(one.name, {})[id(one.entry)] = one
        entries = [entry for entry in group.entries if any(id(entry) in row for row in members.values())]
        if len(members) < 2:
            continue

        def parting(name: str, rows: dict[str, dict[int, OneGroup]] = members) -> tuple[float, str]:
            values = [one.scores["consistency"] for one in rows[name].values()]
            return sum(values) / len(values), name

        rows = []
        for name in sorted(members, key=parting)[:SHOWN]:
            cells = [name, str(next(iter(members[name].values())).n_questions)]
            for entry in entries:
                cells += [_cell(members[name].get(id(entry)), key) for key in COLUMNS]
            rows.append(Row(tuple(cells)))
        columns = ("Group", "Questions", *("Consistency", "Accuracy") * len(entries))
        title = heading(group) + (f", {group.setup.heading}" if group.setup is not None else "")
        headings = tuple((entry.model, len(COLUMNS)) for entry in entries)
        sections.append(Section((Table(title, columns, tuple(rows), 2, headings),), {}))
    return sections


def _cell(one: OneGroup | None, key: str) -> str:
    if one is None:
        return percent(None)
    low, high = one.intervals[key]
    return f"{percent(one.scores[key])} [{percent(low)}, {percent(high)}]"


def groups_csv(scored: Sequence[Sequence[OneGroup]]) -> str:
    """Every group that was scored, of every entry; shares, not percent. "" if there is none."""
    head = ["benchmark", "model", "formulation", "group", "n_questions"]
    head += [name for key in COLUMNS for name in (key, f"{key}_low", f"{key}_high")]
    rows: list[list[object]] = []
    for one in (one for ones in scored for one in ones):
        row: list[object] = [one.entry.benchmark, one.entry.model, one.entry.formulation, one.name, one.n_questions]
        for key in COLUMNS:
            row += [one.scores[key], *one.intervals[key]]
        rows.append(row)
    return csv_text([head, *rows]) if rows else ""
