"""Metrics and aggregations for tasks that are not ours: `crossin_acc`, `crossin_consistency`, `crossin_ac3`.

A task whose `process_results` returns, under one of these names, `[question id, language, answer, gold]` for each row
(option indices that mean the same in every language; answer None or -1: none) gets the score across languages:

    metric_list:
      - metric: crossin_ac3
        aggregation: crossin_ac3        # or, on lm-eval 0.4.13: !function crossin_metrics.harness.plugins.ac3
        higher_is_better: true

The harness's main branch finds the names through the entry points `lm_eval.metrics` and `lm_eval.aggregations`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from lm_eval.api.registry import register_aggregation, register_metric

from crossin_metrics.backends.checks import require_harness
from crossin_metrics.errors import CrossinError
from crossin_metrics.harness.aggregate import Row, aggregate_rows


def acc(items: Sequence[Any]) -> float:
    """Mean over languages of the share answered right, in [0, 1]; items `[id, language, answer, gold]`, any order."""
    return aggregate_rows("acc", _rows(items))


def consistency(items: Sequence[Any]) -> float:
    """Consistency_3 (two languages: of that pair), in [0, 1]; items as for :func:`acc`."""
    return aggregate_rows("consistency", _rows(items))


def ac3(items: Sequence[Any]) -> float:
    """AC3_3, the harmonic mean of the two others, in [0, 1]; items as for :func:`acc`."""
    return aggregate_rows("ac3", _rows(items))


def _rows(items: Sequence[Any]) -> list[Row]:
    """Raises CrossinError if an item is not `[id, language, answer, gold]`."""
    rows = []
    for item in items:
        try:
            key, language, answer, gold = item
            rows.append(Row(str(key), str(language), -1 if answer is None else int(answer), int(gold)))
        except (TypeError, ValueError) as error:
            raise CrossinError(
                f"a crossin metric needs [question id, language, answer, gold] for each row, not {item!r}"
            ) from error
    return rows


def _passthrough(function: Callable[[Sequence[Any]], float]) -> Callable[[Any], Any]:
    """Register an aggregation and the metric of that name, which passes a row on unchanged."""
    require_harness()
    name = f"crossin_{function.__name__}"
    register_aggregation(name)(function)

    def metric(items: Any) -> Any:
        return items

    metric.__name__ = name
    metric.__doc__ = f"Pass the row on to the aggregation `{name}`."
    return register_metric(metric=name, higher_is_better=True, output_type="multiple_choice", aggregation=name)(metric)


crossin_acc, crossin_consistency, crossin_ac3 = (_passthrough(function) for function in (acc, consistency, ac3))
