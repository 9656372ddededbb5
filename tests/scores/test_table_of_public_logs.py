"""The table beside the causes is what its script makes of the public logs."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

from tests.scores.table_of_public_logs import table


def test_the_committed_table_holds_the_script_s_figures(shared: Path, repo: Path) -> None:
    """All but the intervals, which take a thousand resamples."""
    with gzip.open(shared / "data" / "golden" / "picks_all_prompts.json.gz", "rt", encoding="utf-8") as file:
        picks = json.load(file)
    committed = (repo / "crossin_metrics" / "scores" / "causes" / "README.md").read_text(encoding="utf-8")
    for name, data in picks.items():
        made = "\n".join(table(name, data, 2))
        assert _without_intervals(made) in _without_intervals(committed)


def _without_intervals(text: str) -> str:
    return re.sub(r" \(-?[\d.]+ to -?[\d.]+\)", "", text)
