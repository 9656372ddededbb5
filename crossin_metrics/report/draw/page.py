"""The report as one HTML file that needs nothing else: no network, no other file.

Everything that came from a model or a data set reaches the page in two ways only: through Jinja2 with autoescape, or
inside one JSON block whose `<` are escaped, from which the script writes text nodes. A content security policy allows
that one script and no connection.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from crossin_metrics import __version__
from crossin_metrics.html import render_page
from crossin_metrics.languages import LANGUAGES
from crossin_metrics.report.browser import QuestionSet
from crossin_metrics.report.diagnosis import RULES, Finding
from crossin_metrics.report.draw import group_tables
from crossin_metrics.report.draw.style import Figure
from crossin_metrics.report.draw.tables import LEGEND, READING_LEGEND, Section, heading, mark
from crossin_metrics.report.entries import Entry, Group
from crossin_metrics.report.standing import no_better_than
from crossin_metrics.scores.catalogue import MAIN_SCORES
from crossin_metrics.scores.causes.disagreements import REASONS
from crossin_metrics.text_tables import NOT_SIGNIFICANT, UNTESTED, percent


@dataclass(frozen=True)
class Content:
    """All that a page is made of.

    Attributes:
        folded: the groups with each arm in place of its training seeds; the groups themselves without arms.
        answers: what the page says first.
        entries: in the order that numbers them.
    """

    title: str
    groups: Sequence[Group]
    folded: Sequence[Group]
    answers: Sequence[str]
    entries: Sequence[Entry]
    tables: Sequence[Section]
    findings: Mapping[int, Sequence[Finding]]
    figures: Sequence[Figure]
    question_sets: Sequence[QuestionSet]
    problems: Sequence[tuple[str, str]]
    notes: Sequence[str]
    mixed: bool
    n_resamples: int
    readings: Sequence[Section] = ()
    arms: Sequence[Section] = ()
    arms_legend: str = ""
    missing: Sequence[str] = ()
    by_group: Sequence[Section] = ()


def render(content: Content) -> str:
    """The page as text; nothing in it depends on time or machine."""
    entries = list(content.entries)
    rows = [row for group, folded in zip(content.groups, content.folded, strict=True) for row in _rows(group, folded)]
    return render_page(
        Path(__file__).with_name("templates"),
        "page.html.j2",
        style="page.css",
        scripts=["page.js", "questions.js"],
        data=_data(content, entries),
        filters={"percent": percent, "drawing": Markup},  # matplotlib escapes every text in its drawings
        inline_styles=True,
        content=content,
        rows=sorted(rows, key=lambda row: row["kind"] == "published"),
        feet=[row for group in content.folded for row in _baseline_rows(group)],
        has_seeds=any(row["seed"] for row in rows),
        has_spread=any(row["spread"] for row in rows),
        benchmarks=sorted({group.benchmark for group in content.groups}),
        formulations=sorted({entry.formulation for entry in entries}),
        setups=_setups(content.groups),
        data_formulations=sorted({entry.label.arm for entry in entries if entry.label.arm}),
        findings=[(entries[number], found) for number, found in content.findings.items() if found],
        rules=RULES,
        legend=LEGEND,
        group_legend=group_tables.LEGEND,
        reading_legend=READING_LEGEND,
        legend_marks=f"{NOT_SIGNIFICANT}: not significantly different from the best of its benchmark and set-up; "
        f"{UNTESTED}: untested, no shared prompt.",
        version=__version__,
    )


def _setups(groups: Sequence[Group]) -> list[str]:
    return list(dict.fromkeys(_setup_words(group) for group in groups))


def _setup_words(group: Group) -> str:
    if group.setup is not None:
        return group.setup.heading
    return "signatures mixed" if group.mixed else group.entries[0].kind


def _common(group: Group) -> dict[str, Any]:
    return {"benchmark": group.benchmark, "setup": _setup_words(group), "group": heading(group)}


def _baseline_rows(group: Group) -> list[dict[str, Any]]:
    brief = group.setup.brief if group.setup is not None else ""
    return [
        {**_common(group), "model": f"Baseline: {title}", "scores": scores, "brief": brief}
        for name, title in (("constant", "best constant letter"), ("random", "random answers"))
        if (scores := group.baselines.get(name))
    ]


def _rows(group: Group, folded: Group) -> list[dict[str, Any]]:
    """A group's rows of the leaderboard, best first; an arm's row comes before those of its training seeds."""
    seeds: dict[tuple[Any, ...], list[Entry]] = {}
    kept = {id(entry) for entry in folded.entries}
    for entry in group.entries:
        if id(entry) not in kept:
            seeds.setdefault(entry.label.arm_key, []).append(entry)
    ranks = _ranks(folded) if seeds else {id(entry): entry.rank for entry in group.entries}
    rows = []
    ordered = sorted(
        folded.entries, key=lambda one: (ranks.get(id(one)) is None, ranks.get(id(one)), -one.scores.get("ac3", 0.0))
    )
    for entry in ordered:
        of_arm = [] if entry.label.seed is not None or entry.runs else seeds.get(entry.label.arm_key, [])
        rows += [_row(group, entry, ranks.get(id(entry)), len(of_arm), marked=not seeds)]
        rows += [_row(group, one, None, 0, marked=False) | {"seed": True} for one in of_arm]
    return rows


def _ranks(folded: Group) -> dict[int, int | None]:
    """Places by AC3 of arms and models."""
    known = [entry for entry in folded.entries if entry.kind == "measured" and "ac3" in entry.scores]
    ordered = sorted(known, key=lambda entry: -entry.scores["ac3"])
    return {id(entry): place for place, entry in enumerate(ordered, 1)}


def _row(group: Group, entry: Entry, rank: int | None, n_seeds: int, *, marked: bool) -> dict[str, Any]:
    return {
        **_common(group),
        "kind": entry.kind,
        "model": entry.model,
        "scores": entry.scores,
        "entry": entry,
        "rank": rank,
        "seed": False,
        "n_seeds": n_seeds,
        "weak": no_better_than(group, entry),
        "marks": {metric: mark(group, entry, metric) for metric in MAIN_SCORES} if marked else {},
        "formulation": entry.formulation,
        "spread": entry.spread("ac3"),
        "brief": entry.setup.brief if entry.setup is not None else entry.kind,
        "arm": entry.label.arm,
        "constant": group.baselines.get("constant", {}).get("ac3"),
    }


def _data(content: Content, entries: Sequence[Entry]) -> dict[str, Any]:
    """What the script needs, with short keys: one number for each language pair, one character for each answer."""
    return {
        "entries": [_entry(entry) for entry in entries],
        "languages": {
            code: [LANGUAGES[code].english, LANGUAGES[code].direction]
            for code in sorted({code for entry in entries for run in entry.runs for code in run.languages})
            if code in LANGUAGES
        },
        "reasons": REASONS,
        "sets": [
            {
                "benchmark": made.benchmark,
                "langs": made.languages,
                "ids": made.ids,
                "gold": made.gold,
                "all": made.n_all,
                "texts": made.texts,
                "answers": made.answers,
                "responses": made.responses,
                "options": made.n_options,
                "chances": made.chances,
                "why": made.reasons,
                "shares": made.shares,
                "floors": made.floors,
                "suspects": made.suspects,
            }
            for made in content.question_sets
        ],
    }


def _entry(entry: Entry) -> dict[str, Any]:
    langs = (
        entry.runs[0].languages
        if entry.runs
        else tuple(key.removeprefix("acc_") for key in entry.scores if key.startswith("acc_"))
    )
    pairs = [entry.scores.get(f"consistency_{a}_{b}") for i, a in enumerate(langs) for b in langs[i + 1 :]]
    return {
        "model": entry.model,
        "benchmark": entry.benchmark,
        "formulation": entry.formulation,
        "setup": "" if entry.setup is None else entry.setup.heading,
        "kind": entry.kind,
        "langs": langs,
        "acc": [_short(entry.scores.get(f"acc_{code}")) for code in langs],
        "pairs": [_short(value) for value in pairs] if any(value is not None for value in pairs) else [],
        "constant": _short(entry.scores.get("baseline_constant_acc")),
        "random": _short(entry.scores.get("baseline_random_acc")),
    }


def _short(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, 4)
