"""The report's plot: a line a rule, a column a language, the share of questions that the rule answers."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from crossin_metrics.errors import CrossinError
from crossin_metrics.shortcuts.report import ALL, Report


def draw(report: Report) -> tuple[str, bytes]:
    """The plot as SVG text and PNG bytes; neither depends on time or machine.

    Raises:
        CrossinError: matplotlib is not installed.
    """
    if find_spec("matplotlib") is None:
        raise CrossinError("plots need matplotlib: pip install 'crossin[report]', or do without (--no-plots)")
    from crossin_metrics.report.draw.style import drawn

    made = drawn("artefacts", lambda: _canvas(report))
    assert made is not None  # there is always something to show
    return made


def _canvas(report: Report) -> Any:
    import numpy as np
    from matplotlib.colors import TwoSlopeNorm
    from matplotlib.figure import Figure as Canvas

    columns = [*report.data["languages"], *([ALL] if len(report.data["languages"]) > 1 else [])]
    names = list(report.rules)
    values = np.full((len(names), len(columns)), np.nan)
    stars: set[tuple[int, int]] = set()
    for test in report.tests:
        line = names.index(test.rule)
        for place in [columns.index(test.language)] if test.language else range(len(columns)):
            values[line, place] = 100 * test.share
            if test.flag:
                stars.add((line, place))
    chance = 100 * next((test.chance for test in report.tests if test.language), 0.25)
    canvas = Canvas(figsize=(2.2 + 0.5 * len(columns), 0.9 + 0.26 * len(names)), layout="constrained")
    axes: Any = canvas.subplots()
    # Blue below chance, red above; the same colour means the same distance in every report.
    axes.imshow(values, cmap="RdBu_r", norm=TwoSlopeNorm(chance, 0, 100), aspect="auto")
    for line, place in np.argwhere(~np.isnan(values)):
        strong = values[line, place] > 75 or values[line, place] < chance / 4
        words = f"{values[line, place]:.0f}{'*' if (line, place) in stars else ''}"
        colour = "white" if strong else "#1b1f25"
        axes.text(place, line, words, ha="center", va="center", fontsize=7, color=colour)
    axes.set_xticks(range(len(columns)), columns, fontsize=8)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.set_title(f"Right answers, percent; chance {chance:.0f}; *: not chance", fontsize=9)
    axes.tick_params(length=0)
    return canvas
