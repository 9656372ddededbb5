"""Model outputs that others wrote, one reader a format: prediction tables, sample logs; and how two runs compare."""

from pathlib import Path
from typing import Any

__all__ = ["load"]


def load(*paths: str | Path, **options: Any) -> list[dict[str, Any]]:
    """One flat dict of scores a run, ready for `pandas.DataFrame`; see :func:`crossin_metrics.runs.scored.load`."""
    from crossin_metrics.runs.scored import load as load_scores  # on first use: importing this package stays cheap

    return load_scores(*paths, **options)
