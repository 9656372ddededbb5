"""Kinds of rows that are not translated; the cases are in kinds.jsonl."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recipes.translation.kinds import is_code, untranslatable

CASES = [json.loads(line) for line in Path(__file__).with_name("kinds.jsonl").read_text("utf-8").splitlines()]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["instruction"][:40])
def test_kinds_that_are_not_translated(case: dict[str, str | None]) -> None:
    row = {"instruction": str(case["instruction"]), "input": "", "output": "It is 5 = 5; that is all."}
    found = untranslatable(row)
    assert (found and found[0]) == case["kind"]
    assert untranslatable(row, kinds=["foreign"]) is None


def test_code_is_seen_but_not_in_fences_and_not_in_prose() -> None:
    code = "def add(a, b):\n    total = a + b\n    return total\n\nprint(add(1, 2))"
    for snippet in (
        code,
        "SELECT name FROM people WHERE age > 30;",
        "<div>\n<p>Hello</p>\n</div>",
        "for (int i = 0; i < 3; i++) {\n x++;\n}",
        "if 10 <= x <= 20:",
        "total = 0\nfor n in [1, 2]:\n    total += n",
    ):
        assert is_code(snippet), snippet
    for prose in (
        f"Here it is:\n```python\n{code}\n```\nIt adds.",
        "1. Mix the flour.\n2. Add water: a cup.\n3. Bake (an hour).",
        "Q = m * c * dT, which is the heat that the water takes up.",
        "If you are late, call me.",
        "For the sauce: take two eggs.",
        "",
    ):
        assert not is_code(prose), prose


def test_rows_without_words_or_in_another_script_are_seen() -> None:
    assert untranslatable({"instruction": "12 + 5 = ?", "input": "", "output": "17"}) == ("no_words", "12 + 5 = ?")
    found = untranslatable({"instruction": "Say it", "input": "", "output": "Доброе утро, дорогие друзья"})
    assert found is not None
    assert found[0] == "foreign"


def test_few_of_the_packaged_rows_are_taken_for_untranslatable() -> None:
    from recipes.mixes.sources import SourceSpec
    from recipes.translation.rows import read_source

    for name in ("packaged:seed_mini", "packaged:base_mini"):
        rows = read_source(SourceSpec(name, ("en",))).rows
        taken = {row.fields["instruction"]: found for row in rows if (found := untranslatable(row.fields))}
        assert len(taken) <= 0.05 * len(rows), taken
