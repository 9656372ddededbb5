"""Signature lines: made and read back, a field replaced."""

from __future__ import annotations

import pytest

from crossin_metrics.signature import signature_fields, signature_line

LINE = "crossin|task:cross_mmlu|data:a16d7f1f992a|langs:en,zh|prompt:p1|shots:0"


def test_a_line_survives_reading_and_writing() -> None:
    fields = signature_fields(LINE)
    assert list(fields) == ["task", "data", "langs", "prompt", "shots"]
    assert signature_line(fields) == LINE
    assert signature_line(fields | {"prompt": "p1,p2"}) == LINE.replace("prompt:p1", "prompt:p1,p2")


def test_only_the_first_colon_ends_a_name() -> None:
    assert signature_fields("crossin|prompt:a:b") == {"prompt": "a:b"}


@pytest.mark.parametrize("line", [None, "", "published: table 3", "sacrebleu|nrefs:1"])
def test_other_text_has_no_fields(line: str | None) -> None:
    assert signature_fields(line) == {}
