"""The paper's figures from a report's groups, by matplotlib, as SVG (for paper and page) and PNG.

Baselines are drawn in: dashed, the best constant letter; dotted, random answers. Error bars are 95% intervals over
questions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas

from crossin_metrics.report.draw.style import COLOURS, INK, Figure, drawn, short_name
from crossin_metrics.report.draw.tables import heading
from crossin_metrics.report.entries import Entry, Group
from crossin_metrics.report.labels import Label

MOST_ROWS = 30  # models in a plot, best AC3 first; the page's tables have all
MOST_HEATMAPS = 6
_SLANTED: dict[str, Any] = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"}
DARK_FROM = 68  # percent from which white reads better than black on matplotlib's Blues


def draw_all(groups: Sequence[Group], averaged: Sequence[Group] | None = None) -> Iterator[tuple[Figure, bytes]]:
    """Yield each figure that the data has something for, with its PNG.

    Args:
        groups: of all runs.
        averaged: the same with arms in place of their replicates, for the figures that show an arm as one point; its
            intervals are over questions and seeds. None where nothing is replicated.
    """
    makers: tuple[tuple[str, str, str, Callable[[Sequence[Group]], Canvas | None]], ...] = (
        (
            "ac3",
            "AC3 of every model",
            f"AC3 with 95% intervals over questions, at most {MOST_ROWS} models of each benchmark and set-up. Dashed: "
            "best constant letter. Dotted: random answers.",
            _ranking,
        ),
        (
            "language_pairs",
            "Consistency of language pairs",
            "Share of questions with one answer in both languages, in percent (the paper's Figure 2), of the "
            f"{MOST_HEATMAPS} models with the highest AC3 of each benchmark and set-up.",
            _pairs,
        ),
        (
            "languages",
            "Accuracy by language",
            f"In percent, at most {MOST_ROWS} models of each benchmark and set-up, highest AC3 first.",
            _languages,
        ),
        (
            "formulations",
            "AC3 by data formulation",
            "By the formulation of the cross-lingual data, a colour for each base model (the paper's Figure 3); mixes "
            "without translation pairs, of several amounts of data the largest. Hatched: published. Dashed: best "
            "constant letter. Dotted: random answers.",
            _formulations,
        ),
        (
            "translation",
            "With and without translation pairs",
            "The same mixes without and with translation pairs (the paper's Figure 4).",
            _translation,
        ),
        (
            "quantity",
            "AC3 against data quantity",
            "Cross-lingual samples in the mix, with 95% intervals over questions (the paper's Figure 5). Dashed: best "
            "constant letter. Dotted: random answers.",
            _quantity,
        ),
        (
            "prompts",
            "Sensitivity to the prompt",
            f"AC3 over the prompts asked: median, lowest and highest; at most {MOST_ROWS} models of each.",
            _prompts,
        ),
    )
    for name, title, caption, maker in makers:
        by_arm = averaged is not None and maker in (_formulations, _translation, _quantity)
        made = drawn(name, partial(maker, averaged if averaged is not None and by_arm else groups))
        if made is not None:
            seeds = " Means over training seeds, intervals over questions and seeds." if by_arm else ""
            yield Figure(name, title, caption + seeds, made[0]), made[1]


def _treatment(label: Label) -> str:
    """What was done to the base model, without amount and translation."""
    tag = {"": "", "yes": " with tag", "no": " without tag"}.get(label.tag, f" {label.tag}")
    return (label.arm or label.system) + tag


def _title(group: Group) -> str:
    if group.setup is None:
        return heading(group) + ("" if group.mixed else f", {group.entries[0].kind}")
    shots = f", {group.setup.shots}-shot" if group.setup.shots.isdigit() else ""
    answers = "" if group.setup.answers == "unstated" else f", {group.setup.answers}"
    return heading(group) + answers + shots


def _measured(group: Group) -> list[Entry]:
    entries = [entry for entry in group.entries if entry.runs and "ac3" in entry.scores]
    return sorted(entries, key=lambda entry: -entry.scores["ac3"])[:MOST_ROWS]


def _baselines(axes: Any, group: Group, *, vertical: bool = False) -> None:
    line = axes.axvline if vertical else axes.axhline
    for name, style in (("constant", "--"), ("random", ":")):
        value = group.baselines.get(name, {}).get("ac3")
        if value is not None:
            line(100 * value, linestyle=style, color=INK, linewidth=1, zorder=1)


def _errors(entry: Entry) -> tuple[float, float]:
    """Lengths below and above AC3, in points."""
    low, high = entry.intervals.get("ac3", (entry.scores["ac3"], entry.scores["ac3"]))
    return max(0.0, 100 * (entry.scores["ac3"] - low)), max(0.0, 100 * (high - entry.scores["ac3"]))


def _rows(counts: Sequence[int], *, extra: float = 1.1) -> tuple[Canvas, list[Any]]:
    """A canvas with one panel below another, each as high as its rows need."""
    heights = [count * 0.28 + extra for count in counts]
    canvas = Canvas(figsize=(7.0, sum(heights)), layout="constrained")
    axes = canvas.subplots(len(counts), 1, squeeze=False, gridspec_kw={"height_ratios": heights})
    return canvas, [line[0] for line in axes]


def _ranking(groups: Sequence[Group]) -> Canvas | None:
    shown = [(group, entries) for group in groups if (entries := _measured(group))]
    if not shown:
        return None
    canvas, panels = _rows([len(entries) for _, entries in shown])
    for axes, (group, entries) in zip(panels, shown, strict=True):
        places = np.arange(len(entries))[::-1]
        values = [100 * entry.scores["ac3"] for entry in entries]
        errors = np.array([_errors(entry) for entry in entries]).T
        axes.errorbar(values, places, xerr=errors, fmt="o", color=COLOURS[0], capsize=2, markersize=4)
        _baselines(axes, group, vertical=True)
        axes.set(title=_title(group), xlim=(0, 100), ylim=(-0.7, len(entries) - 0.3), xlabel="AC3, percent")
        axes.set_yticks(places, [short_name(entry.model) for entry in entries])
    return canvas


def _pairs(groups: Sequence[Group]) -> Canvas | None:
    chosen = [
        (group, entry)
        for group in groups
        for entry in [e for e in _measured(group) if len(e.runs[0].languages) > 2][:MOST_HEATMAPS]
    ]
    if not chosen:
        return None
    columns = 3
    lines = -(-len(chosen) // columns)
    size = max(2.6, 0.42 * max(len(entry.runs[0].languages) for _, entry in chosen))
    canvas = Canvas(figsize=(columns * size + 0.8, lines * (size + 0.5)), layout="compressed")
    panels = canvas.subplots(lines, columns, squeeze=False).ravel()
    for axes in panels[len(chosen) :]:
        axes.set_axis_off()
    for axes, (group, entry) in zip(panels[: len(chosen)], chosen, strict=True):
        codes = entry.runs[0].languages
        matrix = np.full((len(codes), len(codes)), np.nan)
        for i, a in enumerate(codes):
            for j, b in enumerate(codes):
                if i > j:
                    matrix[i, j] = 100 * entry.scores.get(f"consistency_{b}_{a}", np.nan)
        image = axes.imshow(matrix, cmap="Blues", vmin=0, vmax=100)
        if len(codes) <= 12:
            for i, j in np.argwhere(~np.isnan(matrix)):
                dark = matrix[i, j] > DARK_FROM
                axes.text(
                    j,
                    i,
                    f"{matrix[i, j]:.0f}",
                    ha="center",
                    va="center",
                    fontsize=7,
                    color="white" if dark else "#1b1f25",
                )
        axes.set_xticks(range(len(codes) - 1), codes[:-1], fontsize=8)
        axes.set_yticks(range(1, len(codes)), codes[1:], fontsize=8)
        axes.set_ylim(len(codes) - 0.5, 0.5)
        axes.set_xlim(-0.5, len(codes) - 1.5)
        axes.set_title(f"{short_name(entry.model)}\n{group.benchmark}", fontsize=8)
        axes.tick_params(length=0)
    canvas.colorbar(image, ax=panels.tolist(), shrink=0.6, label="percent")
    return canvas


def _languages(groups: Sequence[Group]) -> Canvas | None:
    shown = [(group, entries) for group in groups if (entries := _measured(group))]
    if not shown:
        return None
    canvas, panels = _rows([len(entries) + 1 for _, entries in shown], extra=0.9)
    for axes, (group, entries) in zip(panels, shown, strict=True):
        codes = entries[0].runs[0].languages
        for entry in entries:  # mixed signatures: the languages that all have
            codes = tuple(code for code in codes if code in entry.runs[0].languages)
        matrix = np.array([[100 * entry.scores[f"acc_{code}"] for code in codes] for entry in entries])
        constant = 100 * entries[0].scores["baseline_constant_acc"]
        matrix = np.vstack([matrix, np.full((1, len(codes)), constant)])
        axes.imshow(matrix, cmap="Blues", vmin=0, vmax=100, aspect="auto")
        if len(codes) <= 16:
            for i, j in np.ndindex(*matrix.shape):
                colour = "white" if matrix[i, j] > DARK_FROM else "#1b1f25"
                axes.text(j, i, f"{matrix[i, j]:.0f}", ha="center", va="center", fontsize=7, color=colour)
        axes.set_xticks(range(len(codes)), codes, rotation=90 if len(codes) > 20 else 0, fontsize=8)
        names = [*(short_name(entry.model) for entry in entries), "baseline: constant letter"]
        axes.set_yticks(range(len(names)), names)
        axes.set_title(_title(group))
        axes.tick_params(length=0)
    return canvas


def _formulations(groups: Sequence[Group]) -> Canvas | None:
    shown = []
    for group in groups:
        bars: dict[tuple[str, str], Entry] = {}
        tuned = [e for e in group.entries if e.label.arm and not e.label.translation and "ac3" in e.scores]
        bases = {entry.label.base for entry in tuned}
        others = [
            e
            for e in group.entries
            if not e.label.arm and e.label.system and e.label.base in bases and "ac3" in e.scores
        ]
        for entry in [*others, *tuned]:
            key = (entry.label.base, _treatment(entry.label))
            if key not in bars or (entry.label.n_samples or 0) > (bars[key].label.n_samples or 0):
                bars[key] = entry
        if len({_treatment(entry.label) for entry in tuned}) > 1:
            shown.append((group, bars))
    if not shown:
        return None
    canvas, panels = _rows([0] * len(shown), extra=2.9)
    for axes, (group, bars) in zip(panels, shown, strict=True):
        arms = list(dict.fromkeys(arm for _, arm in bars))
        names = list(dict.fromkeys(base for base, _ in bars))
        width = 0.8 / len(names)
        for i, base in enumerate(names):
            entries = [(x, bars[base, arm]) for x, arm in enumerate(arms) if (base, arm) in bars]
            places = [x + (i - (len(names) - 1) / 2) * width for x, _ in entries]
            _bars(axes, places, [entry for _, entry in entries], width, base, i)
        _baselines(axes, group)
        crowded = sum(len(arm) + 2 for arm in arms) > 60
        axes.set_xticks(range(len(arms)), [short_name(arm) for arm in arms], **(_SLANTED if crowded else {}))
        axes.set(title=_title(group), ylabel="AC3, percent")
        axes.margins(y=0.15)
        if any(names):
            axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return canvas


def _bars(axes: Any, places: list[float], entries: list[Entry], width: float, name: str, colour: int) -> None:
    values = [100 * entry.scores["ac3"] for entry in entries]
    errors = np.array([_errors(entry) for entry in entries]).T.reshape(2, -1)
    hatch = "//" if any(entry.kind == "published" for entry in entries) else None
    axes.bar(
        places,
        values,
        width * 0.95,
        yerr=errors if errors.any() else None,
        capsize=2,
        color=COLOURS[colour % len(COLOURS)],
        ecolor=INK,
        hatch=hatch,
        edgecolor=INK if hatch else None,
        linewidth=0.5 if hatch else 0,
        label=short_name(name) or "model",
    )


def _translation(groups: Sequence[Group]) -> Canvas | None:
    shown = []
    for group in groups:
        pairs: dict[tuple[str, str, int | None], dict[bool, Entry]] = {}
        for entry in group.entries:
            label = entry.label
            if label.arm and label.translation is not None and "ac3" in entry.scores:
                pairs.setdefault((label.base, _treatment(label), label.n_samples), {})[label.translation] = entry
        whole = {key: both for key, both in pairs.items() if len(both) == 2}
        if whole:
            shown.append((group, whole))
    if not shown:
        return None
    canvas, panels = _rows([0] * len(shown), extra=2.9)
    for axes, (group, whole) in zip(panels, shown, strict=True):
        for i, (translation, name) in enumerate(((False, "without translation"), (True, "with translation"))):
            places = [x + (i - 0.5) * 0.4 for x in range(len(whole))]
            _bars(axes, places, [both[translation] for both in whole.values()], 0.4, name, i)
        _baselines(axes, group)
        names = ["\n".join(filter(None, (short_name(base), arm, f"{n:,}" if n else ""))) for base, arm, n in whole]
        axes.set_xticks(range(len(names)), names)
        axes.set(title=_title(group), ylabel="AC3, percent")
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return canvas


def _quantity(groups: Sequence[Group]) -> Canvas | None:
    shown = []
    for group in groups:
        lines: dict[tuple[str, str, bool], dict[int, Entry]] = {}
        for entry in group.entries:
            label = entry.label
            if label.n_samples is not None and "ac3" in entry.scores:
                key = (label.base, _treatment(label), bool(label.translation))
                lines.setdefault(key, {})[label.n_samples] = entry
        longer = {key: points for key, points in lines.items() if len(points) > 1}
        if longer:
            shown.append((group, longer))
    if not shown:
        return None
    canvas, panels = _rows([0] * len(shown), extra=2.9)
    for axes, (group, longer) in zip(panels, shown, strict=True):
        for i, ((base, arm, translation), points) in enumerate(longer.items()):
            amounts = sorted(points)
            entries = [points[n] for n in amounts]
            errors = np.array([_errors(entry) for entry in entries]).T
            name = ", ".join(filter(None, (short_name(base), arm, "translation" if translation else "")))
            axes.errorbar(
                amounts,
                [100 * entry.scores["ac3"] for entry in entries],
                yerr=errors if errors.any() else None,
                marker="o",
                markersize=4,
                capsize=3,
                color=COLOURS[i % len(COLOURS)],
                linestyle=("-", "--", "-.")[i // len(COLOURS) % 3],
                label=name or "model",
            )
        _baselines(axes, group)
        axes.set(title=_title(group), xlabel="cross-lingual samples", ylabel="AC3, percent")
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return canvas


def _prompts(groups: Sequence[Group]) -> Canvas | None:
    shown = []
    for group in groups:
        entries = [entry for entry in group.entries if entry.spread("ac3") is not None]
        entries = sorted(entries, key=lambda entry: -entry.scores["ac3"])[:MOST_ROWS]
        if entries:
            shown.append((group, entries))
    if not shown:
        return None
    canvas, panels = _rows([len(entries) for _, entries in shown])
    for axes, (group, entries) in zip(panels, shown, strict=True):
        for place, entry in zip(range(len(entries) - 1, -1, -1), entries, strict=True):
            values = [100 * scores["ac3"] for scores in entry.by_prompt.values() if "ac3" in scores]
            middle, low, high = (100 * value for value in entry.spread("ac3") or (0.0, 0.0, 0.0))
            axes.plot([low, high], [place, place], color=COLOURS[0], linewidth=2)
            axes.plot(values, [place] * len(values), "|", color=COLOURS[0], markersize=8)
            axes.plot([middle], [place], "o", color=COLOURS[1], markersize=5, zorder=3)
        _baselines(axes, group, vertical=True)
        axes.set(title=_title(group), xlim=(0, 100), ylim=(-0.7, len(entries) - 0.3), xlabel="AC3, percent")
        axes.set_yticks(range(len(entries) - 1, -1, -1), [short_name(entry.model) for entry in entries])
    return canvas
