"""How every figure of a report is drawn and saved: style, colours, SVG and PNG.

The SVG's ink is `currentColor`, so that it follows the page's dark and light.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas

INK = "#1b1f24"
ON_PALE = "#1b1f25"  # text on a pale cell, which stays dark in the page's dark mode
# Okabe and Ito's colours, distinct to colour-blind readers; readable on white and on near-black.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: searchable, and in the page's font
    "font.family": "sans-serif",
    "font.size": 10,
    "text.parse_math": False,  # a model's name may hold dollar signs
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 9,
}


def drawn(name: str, make: Callable[[], Canvas | None]) -> tuple[str, bytes] | None:
    """Draw a figure in the report's style: its SVG and PNG, or None where it has nothing to show."""
    with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        warnings.filterwarnings("ignore", message=".*[lL]ayout.*")
        canvas = make()
        return None if canvas is None else (_svg(canvas, name), _png(canvas))


def annotate(
    axes: Any, matrix: Any, white: Callable[[float], bool] = lambda value: value > 68, marks: Any = ()
) -> None:
    """Write each percentage of a heat map into its cell; `marks` are cells with a star.

    White text reads better than black on matplotlib's Blues above 68.
    """
    for i, j in np.argwhere(~np.isnan(matrix)):
        text = f"{matrix[i, j]:.0f}{'*' if (i, j) in marks else ''}"
        colour = "white" if white(matrix[i, j]) else ON_PALE
        axes.text(j, i, text, ha="center", va="center", fontsize=7, color=colour)


def short_name(name: str) -> str:
    """A model's name for a plot: at most 36 characters, its middle left out."""
    name = " ".join(name.split())
    return name if len(name) <= 36 else f"{name[:17]}…{name[-18:]}"


def _svg(canvas: Canvas, name: str) -> str:
    stream = io.StringIO()
    empty = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with matplotlib.rc_context({"svg.hashsalt": name}):  # ids that do not change, and differ between figures
        canvas.savefig(stream, format="svg", transparent=True, metadata=empty, bbox_inches="tight")
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    # Ids that nothing refers to would be double in a page.
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    text = re.sub(r'(<image [^>]*?) id="[^"]*"', r"\1", text)
    return text.replace(INK, "currentColor")


def _png(canvas: Canvas) -> bytes:
    stream = io.BytesIO()
    FigureCanvasAgg(canvas)
    canvas.savefig(stream, format="png", dpi=150, facecolor="white", metadata={"Software": None}, bbox_inches="tight")
    return stream.getvalue()


@dataclass(frozen=True)
class Figure:
    """A plot as the page shows it: SVG made by this package, and its words."""

    name: str
    title: str
    caption: str
    svg: str
