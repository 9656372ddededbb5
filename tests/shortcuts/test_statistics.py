"""Statistics of a small set, by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from crossin_metrics.sets.parallel_set import Item, ParallelMCQ
from crossin_metrics.shortcuts.statistics import language_statistics, set_statistics


def test_statistics_of_a_small_set() -> None:
    rows = [
        Item("The mill was built by Ada in 1066.", "Who?", ("Ada", "Bo Li", "1066", "nobody at all")),
        Item("The mill was built by Ada in 1066.", "Who? ", ("x", "X.", "yy", "zzz")),
    ]
    data = ParallelMCQ("two", ("en",), ("a", "b"), {"en": tuple(rows)}, (0, 3), ("p", "p"), "test")
    assert set_statistics(data) == {
        "n_questions": 2,
        "n_groups": 1,
        "n_choices": {"4": 2},
        "gold_places": {"A": 1, "B": 0, "C": 0, "D": 1},
    }
    by = language_statistics(data, "en")
    assert by["duplicates"] == {"options": ["b"], "questions": ["a", "b"]}
    numbers = replace(data, items={"en": tuple(replace(row, choices=("2", "-2", ".2", "2%")) for row in rows)})
    assert language_statistics(numbers, "en")["duplicates"]["options"] == []
    assert by["length"]["gold"]["p50"] == 3.0
    assert by["length"]["gold_longest"] == 0.5
    assert by["length"]["gold_shortest"] == 0.5
    assert by["length"]["ratio"] == pytest.approx(math.sqrt(3 / (5 * 4 * 13) ** (1 / 3) * 3 / (1 * 2 * 2) ** (1 / 3)))
    assert by["kinds"]["gold"] == {"number": 0.0, "date": 0.0, "name": 0.5, "phrase": 0.5}
    assert by["in_passage"]["gold"] == 0.5
