"""Cells and rows of tables in Markdown, LaTeX and CSV."""

from __future__ import annotations

import csv
import html
import io
from dataclasses import dataclass


@dataclass(frozen=True)
class Grid:
    """A table of texts; the first column is a name, the second too if `n_text` is 2, the others numbers."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    n_text: int = 1


def md_rows(grid: Grid) -> list[str]:
    aligned = ["---"] * grid.n_text + ["---:"] * (len(grid.columns) - grid.n_text)
    lines = ["| " + " | ".join(map(md, grid.columns)) + " |", "|" + "|".join(aligned) + "|"]
    return lines + ["| " + " | ".join(map(md, row)) + " |" for row in grid.rows]


NOT_SIGNIFICANT = "≈"  # behind a score that is not told from the column's best


UNTESTED = "?"  # behind a score that could not be compared with it


OTHER_PROMPTS = "‡"  # behind a model that was not asked with the prompts that most were


def md(text: str) -> str:
    """Text as text: no markup of Markdown or HTML works in it."""
    escaped = html.escape(" ".join(text.split()), quote=False)
    return "".join(f"\\{c}" if c in "\\`*_[]|#!~" else c for c in escaped)


_LATEX = {
    **{c: f"\\{c}" for c in "&%$#_{}"},
    "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "<": "\\textless{}",
    ">": "\\textgreater{}",
    OTHER_PROMPTS: "$^\\ddagger$",
    "–": "--",
    "−": "$-$",
    "±": "$\\pm$",
    "†": "$^\\dagger$",
}


def tex(text: str) -> str:
    """Text as text: no markup of LaTeX works in it."""
    return "".join(_LATEX.get(c, c) for c in " ".join(text.split()))


def csv_text(rows: list[list[object]]) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue()
