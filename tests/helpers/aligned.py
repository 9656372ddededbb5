"""A small parallel set of sentences with a blank, and the command line of a short alignment on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.helpers.tiny_models import arguments

CODES = ("en", "zh", "vi", "es")
COLOURS = {
    "en": ("red", "green", "blue", "white"),
    "zh": ("红", "绿", "蓝", "白"),
    "vi": ("đỏ", "xanh lá", "xanh", "trắng"),
    "es": ("rojo", "verde", "azul", "blanco"),
}
SENTENCE = {
    "en": "House {} is ____.",
    "zh": "{}号房子是____色的。",
    "vi": "Nhà {} màu ____.",
    "es": "La casa {} es ____.",
}


def write_set(folder: Path, n: int = 8, codes: tuple[str, ...] = CODES, **changes: Any) -> Path:
    """`bmlama17.jsonl` with n questions; `changes`: language -> choices of the first question."""
    lines = []
    for number in range(n):
        row: dict[str, Any] = {"id": f"h{number}"}
        for code in codes:
            choices = changes.get(code, COLOURS[code]) if number == 0 else COLOURS[code]
            row[code] = {"question": SENTENCE[code].format(number), "choices": choices, "answer": choices[number % 3]}
        lines.append(json.dumps(row, ensure_ascii=False))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bmlama17.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def align_arguments(output: Path, model: Path, data: Path, **options: Any) -> list[str]:
    """Command line of a short, exact run with its reference cached beside the output."""
    chosen = {"set": "bmlama17", "data_dir": data, "n_pairs": 24, "learning_rate": 1e-3, **options}
    chosen.setdefault("reference_cache", output.parent / "cache")
    return arguments(output, model, None, **chosen)
