"""Figures of arms: scores over seeds, accuracy by language, accuracy against consistency."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas

from crossin_metrics.report.arms import ArmResult, Study
from crossin_metrics.report.draw.arm_tables import significant
from crossin_metrics.report.draw.style import COLOURS, INK, Figure, drawn, short_name
from crossin_metrics.report.draw.tables import heading
from crossin_metrics.report.draw.trade_off import FAINT, MARKERS, iso_lines
from crossin_metrics.scores.catalogue import MAIN_SCORES, describe
from crossin_metrics.scores.significance import ALPHA
from crossin_metrics.scores.training_seeds import ArmScore

WIDTH = 9.0  # inches: 900 pixels at 100 to the inch, about as wide as a README
_ACROSS = 4  # panels side by side
ORDER = ("ac3", "acc", "consistency")  # the headline first


def draw_arms(studies: Sequence[Study]) -> Iterator[tuple[Figure, bytes]]:
    """Yield each figure of each study, with its PNG; names end with benchmark and formulation."""
    slugs: list[str] = []
    for study in studies:
        answers = "mixed" if study.group.setup is None else study.group.setup.answers
        slug = re.sub(r"[^a-z0-9]+", "_", f"{study.group.benchmark} {answers}".lower()).strip("_")
        slugs.append(slug)
        ending = slug if slugs.count(slug) == 1 else f"{slug}_{slugs.count(slug)}"
        line = "" if study.baseline is None else f" Line: {study.baseline}."
        filled = (
            f" Filled: differs from {study.baseline} at the 5% level after Holm's correction; hollow: not "
            "significantly different, or untested (an arm has one seed, or no prompt is shared)."
        )
        scores = ("" if study.baseline is None else filled) + line
        for name, title, caption, maker in (
            ("arms", "Arms", f"{scores} Dashed: best constant letter, where it is in range.", _scores),
            (
                "arm_differences",
                f"Differences from {study.baseline}",
                " In points, with 95% intervals; right of the line is better. Filled: significant at the 5% level "
                "after Holm's correction.",
                _forest,
            ),
            ("arm_languages", "Arms by language", line, _languages),
            (
                "arm_trade_off",
                "Accuracy against consistency of arms",
                " Along a grey line AC3, their harmonic mean, is the same.",
                _trade_off,
            ),
        ):
            made = drawn(f"{name}_{ending}", partial(maker, study))
            if made is not None:
                title = f"{title}: {study.group.benchmark}"
                yield Figure(f"{name}_{ending}", title, _intervals(study) + caption, made[0]), made[1]


def _intervals(study: Study) -> str:
    if any(arm.trained for arm in study.arms):
        return (
            "Mean over training seeds with its 95% interval over questions and seeds (of one run: over questions "
            "alone), in percent; small dots: the seeds. All arms answered the same questions: whether two "
            "differ is decided by the paired tests, not by their intervals. The axes do not begin at 0."
        )
    return "With 95% intervals over questions, in percent. The axes do not begin at 0."


def _with_results(study: Study) -> list[ArmResult]:
    return [arm for arm in study.arms if arm.entries]


def _scores(study: Study) -> Canvas | None:
    metrics = study.metrics(ORDER)
    canvas, panels = _panels([arm.name for arm in _with_results(study)], len(metrics))
    different = significant(study)
    for axes, metric in zip(panels, metrics, strict=True):
        _points(axes, study, metric, {name for name, by in different if by == metric})
        value = study.group.baselines.get("constant", {}).get(metric)
        low, high = axes.get_xlim()
        if value is not None and low < 100 * value < high:
            axes.axvline(100 * value, linestyle="--", color=INK, linewidth=1, zorder=1)
        axes.set_title(describe(metric).title)
    canvas.supxlabel(f"{heading(study.group)}, percent", fontsize=9)
    return canvas


def _forest(study: Study) -> Canvas | None:
    """Each arm's difference from the baseline, a panel a score."""
    pairs = [pair for pair in study.pairs if pair.b == study.baseline and pair.tests]
    metrics = [metric for metric in study.metrics(ORDER) if any(metric in pair.tests for pair in pairs)]
    if not metrics:
        return None
    canvas, panels = _panels([pair.a for pair in pairs], len(metrics), 0.32)
    for axes, metric in zip(panels, metrics, strict=True):
        axes.axvline(0, color=INK, linewidth=1, zorder=1)
        for place, pair in enumerate(pairs):
            test = pair.tests.get(metric)
            if test is None:
                continue
            if not np.isnan(test.low):
                axes.plot([100 * test.low, 100 * test.high], [place, place], color=COLOURS[0], linewidth=1.5, zorder=2)
            face = COLOURS[0] if test.p_holm <= ALPHA else "white"
            axes.plot([100 * test.difference], [place], "s", color=COLOURS[0], markerfacecolor=face, markersize=6)
        axes.set_title(describe(metric).title)
        axes.grid(axis="x", color=FAINT, alpha=0.25, linewidth=0.6)
        axes.tick_params(axis="y", length=0)
    canvas.supxlabel(f"{heading(study.group)}, points more than {short_name(study.baseline or '')}", fontsize=9)
    return canvas


def _languages(study: Study) -> Canvas | None:
    if len(study.languages) < 2:
        return None
    canvas, panels = _panels([arm.name for arm in _with_results(study)], len(study.languages))
    for axes, code in zip(panels, study.languages, strict=True):
        _points(axes, study, f"acc_{code}", {arm.name for arm in study.arms})
        axes.set_title(code)
    spans = [axes.get_xlim() for axes in panels]
    for axes in panels:  # one scale, so that languages compare
        axes.set_xlim(min(low for low, _ in spans), max(high for _, high in spans))
    canvas.supxlabel(f"{heading(study.group)}, accuracy in percent", fontsize=9)
    return canvas


def _panels(names: list[str], n: int, height: float = 0.3) -> tuple[Canvas, list[Any]]:
    across = min(n, _ACROSS)
    lines = -(-n // across)
    canvas = Canvas(figsize=(WIDTH, lines * (height * len(names) + 0.6) + 0.4), layout="constrained")
    grid = canvas.subplots(lines, across, squeeze=False, sharey=True)
    for axes in grid.ravel()[n:]:
        axes.set_axis_off()
    grid[0, 0].set_yticks(range(len(names)), [short_name(name) for name in names])
    grid[0, 0].set_ylim(len(names) - 0.4, -0.6)  # the first arm on top
    return canvas, list(grid.ravel()[:n])


def _points(axes: Any, study: Study, key: str, filled: set[str]) -> None:
    for place, arm in enumerate(_with_results(study)):
        one = arm.scores.get(key)
        if one is None:
            continue
        base = arm.name == study.baseline
        colour = INK if base else COLOURS[0]
        if len(one.by_seed) > 1:
            axes.plot([100 * x for x in one.by_seed], [place + 0.25] * len(one.by_seed), "o", markersize=2.5,
                      color=COLOURS[1], zorder=2)  # fmt: skip
        axes.errorbar(
            [100 * one.mean],
            [place],
            xerr=_lengths(one),
            fmt="D" if base else "o",
            color=colour,
            markerfacecolor=colour if base or study.baseline is None or arm.name in filled else "white",
            capsize=2.5,
            markersize=5.5,
            zorder=3,
        )
        if base:
            axes.axvline(100 * one.mean, color=FAINT, linewidth=1, zorder=1)
    axes.grid(axis="x", color=FAINT, alpha=0.25, linewidth=0.6)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=8)


def _lengths(one: ArmScore) -> Any:
    if np.isnan(one.low):
        return None
    return np.array([[100 * (one.mean - one.low)], [100 * (one.high - one.mean)]]).clip(min=0.0)


def _trade_off(study: Study) -> Canvas | None:
    arms = [arm for arm in _with_results(study) if all(metric in arm.scores for metric in MAIN_SCORES)]
    if not arms:
        return None
    canvas = Canvas(figsize=(WIDTH, 5.2), layout="constrained")
    axes = canvas.subplots()
    for i, arm in enumerate(arms):
        acc, consistency = arm.scores["acc"], arm.scores["consistency"]
        colour, marker = COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]
        if len(acc.by_seed) > 1:
            x, y = ([100 * value for value in one.by_seed] for one in (acc, consistency))
            axes.plot(x, y, marker, markersize=3, color=colour, alpha=0.55, linestyle="none", zorder=2)
        axes.errorbar(
            [100 * acc.mean],
            [100 * consistency.mean],
            xerr=_lengths(acc),
            yerr=_lengths(consistency),
            fmt=marker,
            color=colour,
            elinewidth=0.7,
            markersize=7,
            markeredgecolor=INK,
            markeredgewidth=0.5,
            label=short_name(arm.name),
            zorder=3,
        )
    axes.set(xlabel="accuracy, percent", ylabel="consistency, percent", title=heading(study.group))
    iso_lines(axes)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return canvas
