"""The `crossin` groups: unweighted means of the three sets, with the harness's own evaluator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from lm_eval import simple_evaluate
from lm_eval.tasks import TaskManager

SIZES = {"cross_xquad": 9, "cross_mmlu": 5, "cross_logiqa": 4}


@pytest.fixture
def three_sets(tmp_path: Path) -> Path:
    for name, size in SIZES.items():
        lines = []
        for number in range(size):
            texts = {code: [f"{code} {letter} {number}" for letter in "wxyz"] for code in ("en", "zh", "vi", "es")}
            row: dict[str, Any] = {"id": f"{name}-{number}"}
            for code, choices in texts.items():
                row[code] = {"question": f"{name} {number} {code}", "choices": choices, "answer": choices[number % 4]}
            lines.append(json.dumps(row))
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("suffix", ["", "_cf"])
def test_a_group_is_the_unweighted_mean(repo: Path, three_sets: Path, suffix: str) -> None:
    manager = TaskManager(
        include_path=str(repo / "lm_eval_tasks"), include_defaults=False, metadata={"data_dir": str(three_sets)}
    )
    results = simple_evaluate(model="dummy", tasks=[f"crossin{suffix}"], task_manager=manager, log_samples=False)
    group = results["groups"][f"crossin{suffix}"]
    keys = ["acc", "consistency", "ac3"] + (["acc_norm", "consistency_norm", "ac3_norm"] if suffix else [])
    for key in keys:
        parts = [results["results"][f"{name}{suffix}"] for name in SIZES]
        assert group[f"{key},none"] == pytest.approx(sum(part[f"{key},none"] for part in parts) / 3)
        errors = [part[f"{key}_stderr,none"] for part in parts]
        assert group[f"{key}_stderr,none"] == pytest.approx(sum(e**2 for e in errors) ** 0.5 / 3)
    assert {name: results["results"][f"{name}{suffix}"]["n_questions,none"] for name in SIZES} == SIZES
