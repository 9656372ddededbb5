"""Two small questions that the tests of parallel sets spoil, each in its own way."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any


def rows() -> list[dict[str, Any]]:
    """Two small questions in three languages, labelled as on the hub; the second has a passage."""
    return [
        {
            "id": "q1",
            "English": {"question": "One and one?", "choices": ["(A) two", "(B) five"], "answer": "(A) two"},
            "Chinese": {"question": "一加一？", "choices": ["(A) 二", "(B) 五"], "answer": "(A) 二"},
            "Indonesian": {"question": "Satu tambah satu?", "choices": ["(A) dua", "(B) lima"], "answer": "(A) dua"},
        },
        {
            "id": "q2",
            "English": {
                "context": "Ann ran.",
                "question": "Who?",
                "choices": ["(A) Bob", "(B) Ann"],
                "answer": "(B) Ann",
            },
            "Chinese": {
                "context": "安跑了。",
                "question": "谁？",
                "choices": ["(A) 鲍勃", "(B) 安"],
                "answer": "(B) 安",
            },
            "Indonesian": {
                "context": "Ann berlari.",
                "question": "Siapa?",
                "choices": ["(A) Bob", "(B) Ann"],
                "answer": "(B) Ann",
            },
        },
    ]


def write(path: Path, content: list[dict[str, Any]]) -> Path:
    lines = (json.dumps(row, ensure_ascii="\\ud" in json.dumps(row)) + "\n" for row in content)
    path.write_text("".join(lines), encoding="utf-8")
    return path


def change(language: str, **fields: Any) -> Callable[[list[dict[str, Any]]], None]:
    def apply(content: list[dict[str, Any]]) -> None:
        content[1][language].update(fields)

    return apply
