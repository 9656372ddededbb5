"""Tables of plain text for a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


def align(rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Rows of cells as lines with columns aligned: the first `left` columns to the left, the others to the right."""
    widths = [max(len(row[i]) for row in rows if i < len(row)) for i in range(max(map(len, rows)))]
    lines = []
    for row in rows:
        cells = [cell.ljust(widths[i]) if i < left else cell.rjust(widths[i]) for i, cell in enumerate(row)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def number(value: float | None) -> str:
    """Four decimals; "-" for what is undefined."""
    return "-" if value is None or not math.isfinite(value) else f"{value:.4f}"
