"""Agreement of reviewers, against a published example."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recipes.cross_xquad.review.agreement import krippendorff_alpha, report_agreement

VERDICTS = st.sampled_from(["accept", "reject", "redo"])


def test_krippendorff_alpha_of_the_published_example() -> None:
    # Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", section C: four observers, twelve units.
    observers = {
        "A": "1 2 3 3 2 1 4 1 2 . . .",
        "B": "1 2 3 3 2 2 4 1 2 5 . 3",
        "C": ". 3 3 3 2 3 4 2 2 5 1 .",
        "D": "1 2 3 3 2 4 4 1 2 5 1 .",
    }
    rows = {name: values.split() for name, values in observers.items()}
    ratings = [{name: values[unit] for name, values in rows.items() if values[unit] != "."} for unit in range(12)]
    assert krippendorff_alpha(ratings) == pytest.approx(0.743, abs=0.0005)


@settings(deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(["AB", "CD", "EF"]), VERDICTS), max_size=20))
def test_alpha_is_one_only_without_disagreement(ratings: list[dict[str, str]]) -> None:
    shared = [set(one.values()) for one in ratings if len(one) >= 2]
    alpha = krippendorff_alpha(ratings)
    if alpha is not None:
        assert alpha <= 1
        assert (alpha == 1) == all(len(verdicts) == 1 for verdicts in shared)
    assert bool(report_agreement(ratings)) == bool(shared)


def test_alpha_is_undefined_for_one_verdict_throughout() -> None:
    (sentence,) = report_agreement([{"AB": "accept", "CD": "accept"}] * 3)
    assert "3 of 3" in sentence
    assert sentence.endswith("undefined (one verdict throughout)")
