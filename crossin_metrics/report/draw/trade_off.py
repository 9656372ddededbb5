"""Accuracy against consistency: models or arms, both baselines, and lines along which AC3 is the same."""

from __future__ import annotations

from typing import Any

import numpy as np

from crossin_metrics.report.draw.style import COLOURS, INK, short_name
from crossin_metrics.report.entries import Entry, Group

FAINT = "#8a929c"
MARKERS = "osD^vP*Xp<>"  # one arm a marker and a colour: 66 pairs
MOST_NAMED = 12  # models with a colour and a name, best AC3 first; the others are grey
_BASELINES = (("constant", "X", "best constant letter"), ("random", "P", "random answers"))


def placed(group: Group) -> list[Entry]:
    """Entries that have a place in the plot, best AC3 first."""
    known = [entry for entry in group.entries if entry.kind == "measured" and "ac3" in entry.scores]
    return sorted(known, key=lambda entry: -entry.scores["ac3"])


def draw_trade_off(axes: Any, group: Group, entries: list[Entry]) -> None:
    """Draw one group's panel."""
    for i, entry in enumerate(entries[:MOST_NAMED]):
        axes.errorbar(
            [100 * entry.scores["acc"]],
            [100 * entry.scores["consistency"]],
            xerr=_lengths(entry, "acc"),
            yerr=_lengths(entry, "consistency"),
            fmt=MARKERS[i % len(MARKERS)],
            color=COLOURS[i % len(COLOURS)],
            elinewidth=0.7,
            markersize=6,
            label=short_name(entry.model),
            zorder=3,
        )
    others = entries[MOST_NAMED:]
    if others:
        x, y = ([100 * entry.scores[metric] for entry in others] for metric in ("acc", "consistency"))
        axes.plot(x, y, "o", color=FAINT, markersize=3.5, label=f"{len(others)} others", zorder=2)
    for name, marker, title in _BASELINES:
        scores = group.baselines.get(name, {})
        if "acc" in scores and "consistency" in scores:
            x, y = [100 * scores["acc"]], [100 * scores["consistency"]]
            axes.plot(x, y, marker, color=INK, markersize=9, linestyle="none", label=f"baseline: {title}", zorder=4)
    axes.set(xlabel="accuracy, percent", ylabel="consistency, percent")
    axes.margins(0.08)
    iso_lines(axes)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=8)


def _lengths(entry: Entry, metric: str) -> Any:
    value = entry.scores[metric]
    low, high = entry.intervals.get(metric, (value, value))
    if np.isnan(low):
        return None
    return np.array([[100 * (value - low)], [100 * (high - value)]]).clip(min=0.0)


def iso_lines(axes: Any) -> None:
    """Lines of one AC3: consistency = a c / (2 c - a), a being AC3 and c accuracy."""
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    axes.set(xlim=(left, right), ylim=(bottom, top))
    harmonic = [2 * x * y / max(x + y, 1e-9) for x, y in ((max(left, 0), max(bottom, 0)), (right, top))]
    step = next((s for s in (0.5, 1, 2, 5, 10) if (harmonic[1] - harmonic[0]) / s <= 9), 20)
    for level in np.arange(step * np.ceil(harmonic[0] / step), harmonic[1], step):
        x = np.linspace(max(left, level / 2 + 0.01), right, 400)
        y = level * x / (2 * x - level)
        shown = (y > bottom) & (y < top)
        if shown.sum() < 10:
            continue
        axes.plot(x[shown], y[shown], color=FAINT, linewidth=0.7, alpha=0.6, zorder=0)
        axes.annotate(
            f"{level:g}", (x[shown][-1], y[shown][-1]), fontsize=7, color=FAINT, ha="right", va="bottom", zorder=0
        )
