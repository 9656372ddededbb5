"""Task fixtures: the harness's task manager over the checkout's files, and a small parallel set with a passage."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

LoadTask = Callable[..., Any]

_QUESTIONS = {
    "en": (
        "The river Ouse floods {n} times a year.",
        "How often does it flood?",
        ["{n} times", "never", "daily", "once"],
    ),
    "zh": ("乌斯河每年泛滥{n}次。", "它多久泛滥一次？", ["{n}次", "从不", "每天", "一次"]),
    "es": (
        "El río Ouse se desborda {n} veces al año.",
        "¿Cada cuánto se desborda?",
        ["{n} veces", "nunca", "a diario", "una vez"],
    ),
}


@pytest.fixture
def small_set(tmp_path: Path) -> Path:
    """A folder with `cross_xquad.jsonl`: six questions in en, zh, es; questions 0 and 1 share a passage."""
    lines = []
    for number in range(6):
        row: dict[str, Any] = {"id": f"q{number}"}
        for code, (context, question, choices) in _QUESTIONS.items():
            texts = [choice.format(n=number + 2) for choice in choices]
            row[code] = {
                "context": context.format(n=max(number, 1) + 2),
                "question": f"{question} ({number})",
                "choices": texts,
                "answer": texts[number % 4],
            }
        lines.append(json.dumps(row, ensure_ascii=False))
    (tmp_path / "cross_xquad.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path


@pytest.fixture
def load_task(repo: Path) -> LoadTask:
    """Return a function that loads a task of the checkout with some `--metadata`."""
    from lm_eval.tasks import TaskManager

    def load(name: str, **metadata: Any) -> Any:
        manager = TaskManager(include_path=str(repo / "lm_eval_tasks"), include_defaults=False, metadata=metadata)
        return manager.load([name])["tasks"][name]

    return load
