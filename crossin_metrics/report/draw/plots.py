"""The paper's figures of a report's groups, by matplotlib, as SVG (for paper and page) and PNG.

Baselines: dashed, the best constant letter; dotted, random answers. Error bars are 95% intervals over questions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas

from crossin_metrics.report.draw.style import COLOURS, INK, Figure, annotate, drawn, short_name
from crossin_metrics.report.draw.tables import heading
from crossin_metrics.report.draw.trade_off import MOST_NAMED, draw_trade_off, placed
from crossin_metrics.report.entries import Entry, Group
from crossin_metrics.report.labels import Label

MOST_ROWS = 30  # models in a plot, best AC3 first; the page's tables have all
MOST_HEATMAPS = 6
_BAR_PANEL = 2.9  # inches: height of a panel of bars or lines
_LEGEND: dict[str, Any] = {"loc": "center left", "bbox_to_anchor": (1, 0.5)}
_SLANTED: dict[str, Any] = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"}

Groups = Sequence[Group]


def draw_all(groups: Groups, averaged: Groups | None = None) -> Iterator[tuple[Figure, bytes]]:
    """Yield each figure that the data has something for, with its PNG.

    Args:
        groups: of all runs.
        averaged: the same with each arm in place of its training seeds, for the figures that show an arm as one point;
            its intervals are over questions and seeds. None where there are no training seeds.
    """
    for name, title, caption, maker, by_arm in _FIGURES:
        over_seeds = by_arm and averaged is not None
        made = drawn(name, partial(maker, averaged if by_arm and averaged is not None else groups))
        if made is not None:
            seeds = " Means over training seeds, intervals over questions and seeds." if over_seeds else ""
            yield Figure(name, title, caption + seeds, made[0]), made[1]


def _stacked(
    groups: Groups,
    select: Callable[[Group], Any],
    height: Callable[[Any], float],
    draw: Callable[[Any, Group, Any], None],
) -> Canvas | None:
    """Panels one below another, one for each group that `select` finds something in; None without any."""
    shown = [(group, data) for group in groups if (data := select(group))]
    if not shown:
        return None
    heights = [height(data) for _, data in shown]
    canvas = Canvas(figsize=(7.0, sum(heights)), layout="constrained")
    panels = canvas.subplots(len(heights), 1, squeeze=False, gridspec_kw={"height_ratios": heights})
    for axes, (group, data) in zip(panels[:, 0], shown, strict=True):
        draw(axes, group, data)
        axes.set_title(_title(group))
    return canvas


def _title(group: Group) -> str:
    if group.setup is None:
        return heading(group) + ("" if group.mixed else f", {group.entries[0].kind}")
    shots = f", {group.setup.shots}-shot" if group.setup.shots.isdigit() else ""
    answers = "" if group.setup.answers == "unstated" else f", {group.setup.answers}"
    return heading(group) + answers + shots


def _best(entries: Sequence[Entry]) -> list[Entry]:
    """The entries with the highest AC3, as many as a plot shows."""
    return sorted(entries, key=lambda entry: -entry.scores["ac3"])[:MOST_ROWS]


def _measured(group: Group) -> list[Entry]:
    return _best([entry for entry in group.entries if entry.runs and "ac3" in entry.scores])


def _row_height(entries: Sequence[Entry]) -> float:
    return len(entries) * 0.28 + 1.1


def _bar_height(_: Any) -> float:
    return _BAR_PANEL


def _baselines(axes: Any, group: Group, *, vertical: bool = False) -> None:
    line = axes.axvline if vertical else axes.axhline
    for name, style in (("constant", "--"), ("random", ":")):
        value = group.baselines.get(name, {}).get("ac3")
        if value is not None:
            line(100 * value, linestyle=style, color=INK, linewidth=1, zorder=1)


def _errors(entries: Sequence[Entry]) -> Any:
    """Lengths of the error bars below and above AC3, in points, `[2, n_entries]`."""
    found = []
    for entry in entries:
        ac3 = entry.scores["ac3"]
        low, high = entry.intervals.get("ac3", (ac3, ac3))
        found.append((max(0.0, 100 * (ac3 - low)), max(0.0, 100 * (high - ac3))))
    return np.array(found).T.reshape(2, -1)


def _name_rows(axes: Any, entries: Sequence[Entry]) -> None:
    """Models as rows, the best on top, and AC3 as the horizontal axis."""
    axes.set(xlim=(0, 100), ylim=(-0.7, len(entries) - 0.3), xlabel="AC3, percent")
    axes.set_yticks(range(len(entries) - 1, -1, -1), [short_name(entry.model) for entry in entries])


def _draw_ranking(axes: Any, group: Group, entries: list[Entry]) -> None:
    places = np.arange(len(entries))[::-1]
    values = [100 * entry.scores["ac3"] for entry in entries]
    axes.errorbar(values, places, xerr=_errors(entries), fmt="o", color=COLOURS[0], capsize=2, markersize=4)
    _baselines(axes, group, vertical=True)
    _name_rows(axes, entries)


def _with_prompts(group: Group) -> list[Entry]:
    return _best([entry for entry in group.entries if entry.spread("ac3") is not None])


def _draw_prompts(axes: Any, group: Group, entries: list[Entry]) -> None:
    for place, entry in zip(range(len(entries) - 1, -1, -1), entries, strict=True):
        values = [100 * scores["ac3"] for scores in entry.by_prompt.values() if "ac3" in scores]
        middle, low, high = (100 * value for value in entry.spread("ac3") or (0.0, 0.0, 0.0))
        axes.plot([low, high], [place, place], color=COLOURS[0], linewidth=2)
        axes.plot(values, [place] * len(values), "|", color=COLOURS[0], markersize=8)
        axes.plot([middle], [place], "o", color=COLOURS[1], markersize=5, zorder=3)
    _baselines(axes, group, vertical=True)
    _name_rows(axes, entries)


def _draw_languages(axes: Any, group: Group, entries: list[Entry]) -> None:
    codes = entries[0].runs[0].languages
    for entry in entries:  # mixed signatures: the languages that all have
        codes = tuple(code for code in codes if code in entry.runs[0].languages)
    matrix = np.array([[100 * entry.scores[f"acc_{code}"] for code in codes] for entry in entries])
    constant = 100 * entries[0].scores["baseline_constant_acc"]
    matrix = np.vstack([matrix, np.full((1, len(codes)), constant)])
    axes.imshow(matrix, cmap="Blues", vmin=0, vmax=100, aspect="auto")
    if len(codes) <= 16:
        annotate(axes, matrix)
    axes.set_xticks(range(len(codes)), codes, rotation=90 if len(codes) > 20 else 0, fontsize=8)
    names = [*(short_name(entry.model) for entry in entries), "baseline: constant letter"]
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(length=0)


def _draw_pairs(groups: Groups) -> Canvas | None:
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
    low, high = _shades([entry for _, entry in chosen], r"consistency_[a-z]\D+")
    for axes, (group, entry) in zip(panels, chosen, strict=False):
        codes = entry.runs[0].languages
        matrix = np.full((len(codes), len(codes)), np.nan)
        for i, j in zip(*np.tril_indices(len(codes), -1), strict=True):
            matrix[i, j] = 100 * entry.scores.get(f"consistency_{codes[j]}_{codes[i]}", np.nan)
        image = axes.imshow(matrix, cmap="Blues", vmin=low, vmax=high)
        if len(codes) <= 12:
            annotate(axes, matrix, lambda value: value > low + 0.68 * (high - low))
        axes.set_xticks(range(len(codes) - 1), codes[:-1], fontsize=8)
        axes.set_yticks(range(1, len(codes)), codes[1:], fontsize=8)
        axes.set(ylim=(len(codes) - 0.5, 0.5), xlim=(-0.5, len(codes) - 1.5))
        axes.set_title(f"{short_name(entry.model)}\n{group.benchmark}", fontsize=8)
        axes.tick_params(length=0)
    canvas.colorbar(image, ax=panels.tolist(), shrink=0.6, label="percent")
    return canvas


def _shades(entries: Sequence[Entry], pattern: str) -> tuple[float, float]:
    """The ends of one colour scale for all of these entries: whole tens of percent, 20 points apart at least."""
    values = [100 * v for entry in entries for key, v in entry.scores.items() if re.fullmatch(pattern, key)]
    low = min(10 * np.floor(min(values, default=0.0) / 10), 80.0)
    return low, max(10 * np.ceil(max(values, default=100.0) / 10), low + 20.0)


def _treatment(label: Label) -> str:
    """What was done to the base model, without amount and translation."""
    tag = {"": "", "yes": " with tag", "no": " without tag"}.get(label.tag, f" {label.tag}")
    return (label.arm or label.system) + tag


def _formulations(group: Group) -> dict[tuple[str, str], Entry]:
    """Base and treatment -> the entry with most data; empty unless there are several treatments."""
    scored = [entry for entry in group.entries if "ac3" in entry.scores]
    tuned = [entry for entry in scored if entry.label.arm and not entry.label.translation]
    bases = {entry.label.base for entry in tuned}
    others = [e for e in scored if not e.label.arm and e.label.system and e.label.base in bases]
    bars: dict[tuple[str, str], Entry] = {}
    for entry in [*others, *tuned]:
        key = (entry.label.base, _treatment(entry.label))
        if key not in bars or (entry.label.n_samples or 0) > (bars[key].label.n_samples or 0):
            bars[key] = entry
    return bars if len({_treatment(entry.label) for entry in tuned}) > 1 else {}


def _draw_formulations(axes: Any, group: Group, bars: dict[tuple[str, str], Entry]) -> None:
    arms, bases = (list(dict.fromkeys(key[i] for key in bars)) for i in (1, 0))
    width = 0.8 / len(bases)
    for i, base in enumerate(bases):
        entries = [(x, bars[base, arm]) for x, arm in enumerate(arms) if (base, arm) in bars]
        places = [x + (i - (len(bases) - 1) / 2) * width for x, _ in entries]
        _bars(axes, places, [entry for _, entry in entries], width, base, i)
    _baselines(axes, group)
    crowded = sum(len(arm) + 2 for arm in arms) > 60
    axes.set_xticks(range(len(arms)), [short_name(arm) for arm in arms], **(_SLANTED if crowded else {}))
    axes.set_ylabel("AC3, percent")
    axes.margins(y=0.15)
    if any(bases):
        axes.legend(**_LEGEND)


def _bars(axes: Any, places: list[float], entries: list[Entry], width: float, name: str, colour: int) -> None:
    errors = _errors(entries)
    hatch = "//" if any(entry.kind == "published" for entry in entries) else None
    axes.bar(
        places,
        [100 * entry.scores["ac3"] for entry in entries],
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


def _translation(group: Group) -> dict[tuple[str, str, int | None], dict[bool, Entry]]:
    """Mixes that there are without and with translation pairs."""
    pairs: dict[tuple[str, str, int | None], dict[bool, Entry]] = {}
    for entry in group.entries:
        label = entry.label
        if label.arm and label.translation is not None and "ac3" in entry.scores:
            pairs.setdefault((label.base, _treatment(label), label.n_samples), {})[label.translation] = entry
    return {key: both for key, both in pairs.items() if len(both) == 2}


def _draw_translation(axes: Any, group: Group, pairs: dict[Any, dict[bool, Entry]]) -> None:
    for i, name in enumerate(("without translation", "with translation")):
        places = [x + (i - 0.5) * 0.4 for x in range(len(pairs))]
        _bars(axes, places, [both[bool(i)] for both in pairs.values()], 0.4, name, i)
    _baselines(axes, group)
    names = ["\n".join(filter(None, (short_name(base), arm, f"{n:,}" if n else ""))) for base, arm, n in pairs]
    axes.set_xticks(range(len(names)), names)
    axes.set_ylabel("AC3, percent")
    axes.legend(**_LEGEND)


def _quantity(group: Group) -> dict[tuple[str, str, bool], dict[int, Entry]]:
    """Mixes that there are in several sizes."""
    lines: dict[tuple[str, str, bool], dict[int, Entry]] = {}
    for entry in group.entries:
        label = entry.label
        if label.n_samples is not None and "ac3" in entry.scores:
            key = (label.base, _treatment(label), bool(label.translation))
            lines.setdefault(key, {})[label.n_samples] = entry
    return {key: points for key, points in lines.items() if len(points) > 1}


def _draw_quantity(axes: Any, group: Group, lines: dict[tuple[str, str, bool], dict[int, Entry]]) -> None:
    for i, ((base, arm, translation), points) in enumerate(lines.items()):
        entries = [points[n] for n in sorted(points)]
        errors = _errors(entries)
        axes.errorbar(
            sorted(points),
            [100 * entry.scores["ac3"] for entry in entries],
            yerr=errors if errors.any() else None,
            marker="o",
            markersize=4,
            capsize=3,
            color=COLOURS[i % len(COLOURS)],
            linestyle=("-", "--", "-.")[i // len(COLOURS) % 3],
            label=", ".join(filter(None, (short_name(base), arm, "translation" if translation else ""))) or "model",
        )
    _baselines(axes, group)
    axes.set(xlabel="cross-lingual samples", ylabel="AC3, percent")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.legend(**_LEGEND)


_LINES = "Dashed: best constant letter. Dotted: random answers."
# File name, title, caption, what draws it, whether an arm is one point
_FIGURES: tuple[tuple[str, str, str, Callable[[Groups], Canvas | None], bool], ...] = (
    (
        "trade_off",
        "Accuracy against consistency",
        f"With 95% intervals; the {MOST_NAMED} models with the highest AC3 are named. Black: the baselines. A model "
        "that always says one letter is perfectly consistent; better models are to its right. Along a grey line AC3 "
        "is the same.",
        lambda groups: _stacked(groups, placed, lambda _: 4.4, draw_trade_off),
        True,
    ),
    (
        "ac3",
        "AC3 of every model",
        f"AC3 with 95% intervals over questions, at most {MOST_ROWS} models of each benchmark and set-up. {_LINES}",
        lambda groups: _stacked(groups, _measured, _row_height, _draw_ranking),
        False,
    ),
    (
        "language_pairs",
        "Consistency of language pairs",
        "Share of questions with one answer in both languages, in percent (the paper's Figure 2), of the "
        f"{MOST_HEATMAPS} models with the highest AC3 of each benchmark and set-up. One colour scale for all of them.",
        _draw_pairs,
        False,
    ),
    (
        "languages",
        "Accuracy by language",
        f"In percent, at most {MOST_ROWS} models of each benchmark and set-up, highest AC3 first.",
        lambda groups: _stacked(groups, _measured, lambda entries: (len(entries) + 1) * 0.28 + 0.9, _draw_languages),
        False,
    ),
    (
        "formulations",
        "AC3 by data formulation",
        "By the formulation of the cross-lingual data, a colour for each base model (the paper's Figure 3); mixes "
        f"without translation pairs, of several amounts of data the largest. Hatched: published. {_LINES}",
        lambda groups: _stacked(groups, _formulations, _bar_height, _draw_formulations),
        True,
    ),
    (
        "translation",
        "With and without translation pairs",
        "The same mixes without and with translation pairs (the paper's Figure 4).",
        lambda groups: _stacked(groups, _translation, _bar_height, _draw_translation),
        True,
    ),
    (
        "quantity",
        "AC3 against data quantity",
        f"Cross-lingual samples in the mix, with 95% intervals over questions (the paper's Figure 5). {_LINES}",
        lambda groups: _stacked(groups, _quantity, _bar_height, _draw_quantity),
        True,
    ),
    (
        "prompts",
        "Sensitivity to the prompt",
        f"AC3 over the prompts: median, lowest and highest; at most {MOST_ROWS} models of each benchmark and set-up.",
        lambda groups: _stacked(groups, _with_prompts, _row_height, _draw_prompts),
        False,
    ),
)
