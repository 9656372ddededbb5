"""The report's plot: a line a rule, a column a language, the share of questions that the rule answers."""

from __future__ import annotations

import warnings
from typing import Any

from crossin_metrics.artefacts.report import ALL, Report
from crossin_metrics.errors import CrossinError


def draw(report: Report) -> tuple[str, bytes]:
    """The plot as SVG text and PNG bytes; neither depends on time or machine.

    Raises:
        CrossinError: matplotlib is not installed.
    """
    try:
        import matplotlib
    except ImportError:
        raise CrossinError(
            "plots need matplotlib: pip install 'crossin[report]', or leave them out with --no-plots"
        ) from None
    import numpy as np
    from matplotlib.colors import TwoSlopeNorm
    from matplotlib.figure import Figure as Canvas

    from crossin_metrics.report.plots import _STYLE, INK, _png, _svg

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
    with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*[lL]ayout.*")
        canvas: Any = Canvas(figsize=(2.2 + 0.5 * len(columns), 0.9 + 0.26 * len(names)), layout="constrained")
        axes = canvas.subplots()
        # Blue below chance, red above; the same colour means the same distance in every report.
        axes.imshow(values, cmap="RdBu_r", norm=TwoSlopeNorm(chance, 0, 100), aspect="auto")
        for line, place in np.argwhere(~np.isnan(values)):
            star = "*" if (line, place) in stars else ""
            strong = values[line, place] > 75 or values[line, place] < chance / 4
            colour = "white" if strong else "#1b1f25"
            axes.text(
                place, line, f"{values[line, place]:.0f}{star}", ha="center", va="center", fontsize=7, color=colour
            )
        axes.set_xticks(range(len(columns)), columns, fontsize=8)
        axes.set_yticks(range(len(names)), names, fontsize=8)
        axes.set_title(f"Right answers, percent; chance {chance:.0f}; *: not chance", fontsize=9, color=INK)
        axes.tick_params(length=0)
        return _svg(canvas, "artefacts"), _png(canvas)
