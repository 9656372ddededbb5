"""Our aggregations in a task that is not ours, and the entry points the harness reads."""

from __future__ import annotations

import importlib
import importlib.util
from importlib.metadata import entry_points
from typing import Any

import pytest
from lm_eval.api.registry import get_aggregation, get_metric_aggregation, is_higher_better

from crossin_metrics.errors import CrossinError
from crossin_metrics.harness import plugins

ROWS: list[list[Any]] = [
    ["q1", "en", 0, 0],
    ["q1", "zh", 0, 0],
    ["q1", "es", 1, 0],
    ["q2", "es", 2, 2],
    ["q2", "en", 2, 2],
    ["q2", "zh", 2, 2],
    ["q3", "zh", None, 1],
    ["q3", "en", 1, 1],
    ["q3", "es", 1, 1],
]


def test_scores_across_languages() -> None:
    assert plugins.acc(ROWS) == pytest.approx(7 / 9)
    assert plugins.consistency(ROWS) == pytest.approx(1 / 3)  # only q2 agrees in all three
    assert plugins.ac3(ROWS) == pytest.approx(2 * (7 / 9) * (1 / 3) / (7 / 9 + 1 / 3))
    assert plugins.ac3(ROWS[::-1]) == plugins.ac3(ROWS)
    with pytest.raises(CrossinError, match="not 3"):
        plugins.acc([3])


def test_names_are_registered() -> None:
    for name in ("crossin_acc", "crossin_consistency", "crossin_ac3"):
        assert get_aggregation(name)(ROWS) == getattr(plugins, name.removeprefix("crossin_"))(ROWS)
        assert get_metric_aggregation(name) is get_aggregation(name)
        assert is_higher_better(name) is True


@pytest.mark.parametrize("group", ["models", "metrics", "aggregations", "tasks"])
def test_entry_points_name_what_exists(group: str) -> None:
    found = [point for point in entry_points(group=f"lm_eval.{group}") if point.value.startswith("crossin_metrics.")]
    if not found:
        pytest.skip("crossin is not installed here")
    for point in found:
        module, _, name = point.value.partition(":")
        if group == "models" and "vllm" in name.lower() and importlib.util.find_spec("vllm") is None:
            continue  # importable only beside vLLM
        loaded = importlib.import_module(module)
        assert callable(getattr(loaded, name)) if name else loaded.__path__  # tasks: a package folder
