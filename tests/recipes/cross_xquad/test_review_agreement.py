"""Agreement of reviewers against published examples and another implementation."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recipes.cross_xquad.review.agreement import cohen_kappa, krippendorff_alpha, report_agreement, share_agreeing

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


def test_cohen_kappa_of_a_known_table() -> None:
    # 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no: p_o 0.7, p_e 0.5.
    table = {("accept", "accept"): 20, ("accept", "reject"): 5, ("reject", "accept"): 10, ("reject", "reject"): 15}
    ratings = [{"AB": x, "CD": y} for (x, y), count in table.items() for _ in range(count)] + [{"AB": "redo"}]
    value, n = cohen_kappa(ratings, "AB", "CD")
    assert value == pytest.approx(0.4)
    assert n == 50
    assert share_agreeing(ratings) == (35, 50)


@settings(deadline=None)  # the first example imports scikit-learn
@given(st.lists(st.tuples(VERDICTS, VERDICTS), min_size=1, max_size=40))
def test_cohen_kappa_is_that_of_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    value, n = cohen_kappa([{"AB": x, "CD": y} for x, y in pairs], "AB", "CD")
    assert n == len(pairs)
    if len({verdict for pair in pairs for verdict in pair}) == 1:
        assert value is None
    else:
        assert value == pytest.approx(metrics.cohen_kappa_score(*zip(*pairs, strict=True)))


@settings(deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(["AB", "CD", "EF"]), VERDICTS), max_size=20))
def test_alpha_is_at_most_one_and_one_only_without_disagreement(ratings: list[dict[str, str]]) -> None:
    alpha = krippendorff_alpha(ratings)
    agreeing, n = share_agreeing(ratings)
    if alpha is not None:
        assert alpha <= 1
        assert (alpha == 1) == (agreeing == n)
    assert bool(report_agreement(ratings)) == (n > 0)


def test_one_same_verdict_throughout_is_said_not_divided_by_zero() -> None:
    (first, second) = report_agreement([{"AB": "accept", "CD": "accept"}] * 3)
    assert "3 of 3" in first
    assert first.endswith("undefined (one same verdict throughout)")
    assert second.endswith("undefined (one same verdict throughout) over 3 questions")
