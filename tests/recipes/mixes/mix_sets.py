"""Small base and seed sets on disk, for the tests of mixes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

LANGUAGES = ("en", "zh", "vi", "es")


def seed_item(k: int) -> dict[str, Any]:
    """Item k in four languages; every text names its item, language and field, every other item has an input."""
    texts = {
        code: {
            "instruction": f"instruction {k} {code}",
            "input": f"input {k} {code}" if k % 2 else "",
            "output": f"output {k} {code}",
        }
        for code in LANGUAGES
    }
    return {"id": f"s{k}", **texts}


def base_row(k: int) -> dict[str, Any]:
    """Base row k, of the shape of Open-Platypus."""
    return {"id": f"b{k}", "instruction": f"base {k}", "input": "", "output": f"answer {k}", "data_source": "made up"}


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Write rows as JSON Lines and return the path."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path
