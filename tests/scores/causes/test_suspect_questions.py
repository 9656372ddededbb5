"""Defects planted into questions are found; ordinary questions are not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from crossin_metrics.errors import CrossinError
from crossin_metrics.scores.causes.suspect_questions import benjamini_hochberg, mid_tails, suspect_questions


def models(seed: int, *, n_models: int = 20, n: int = 150, variation: float = 0.0) -> tuple[np.ndarray, ...]:
    """Answers of models with different abilities, gold, and the questions' easiness."""
    rng = np.random.default_rng(seed)
    easy, ability = rng.normal(0.5, 1.5, n), rng.normal(0.0, 1.0, (n_models, 1, 1))
    logits = easy[None, :, None] + ability + np.linspace(0.6, -0.6, 4) + rng.normal(0.0, variation, (1, n, 4))
    gold = rng.integers(0, 4, n)
    wrong = (gold[None, :, None] + rng.integers(1, 4, logits.shape)) % 4
    return np.where(rng.random(logits.shape) < 1.0 / (1.0 + np.exp(-logits)), gold[None, :, None], wrong), gold, easy


def test_planted_defects_are_found_and_nothing_else() -> None:
    hits = false = 0
    for seed in range(4):
        answers, gold, easy = models(seed)
        rng = np.random.default_rng(seed)
        bad = rng.choice(np.flatnonzero(easy > 1.0), 5, replace=False)
        answers[:, bad, 3] = np.where(rng.random((20, 5)) < 0.95, (gold[bad] + 1) % 4, gold[bad])
        found = suspect_questions(answers, gold)
        assert {one.language for one in found} == {3}
        named = {one.question for one in found}
        hits, false = hits + len(named & set(bad.tolist())), false + len(named - set(bad.tolist()))
        first = found[0]
        assert first.answer == (gold[first.question] + 1) % 4  # the option that the defect leads to
        assert first.same <= first.wrong <= first.models <= 20
        assert [one.p_value for one in found] == sorted(one.p_value for one in found)
    assert hits >= 17
    assert false <= 1


@pytest.mark.parametrize("variation", [0.0, 0.7])
def test_without_a_defect_hardly_a_table_lists_anything(variation: float) -> None:
    listed = [len(suspect_questions(*models(seed, n_models=40, variation=variation)[:2])) for seed in range(8)]
    assert np.count_nonzero(listed) <= 1


def test_too_few_models_or_languages_are_refused() -> None:
    with pytest.raises(CrossinError, match="at least 3 models and 3 languages, got 2 and 4"):
        suspect_questions(*models(0, n_models=2)[:2])


def test_the_law_is_binomial_where_chances_are_equal() -> None:
    counts = np.arange(6)
    expected = binom.sf(counts, 5, 0.3) + binom.pmf(counts, 5, 0.3) / 2
    assert mid_tails(np.full((5, 6), 0.3), counts) == pytest.approx(expected)


def test_benjamini_hochberg_of_their_paper() -> None:
    """The example of Benjamini and Hochberg (1995, section 4.1): four of fifteen hypotheses are rejected at 5%."""
    p = [
        0.0001,
        0.0004,
        0.0019,
        0.0095,
        0.0201,
        0.0278,
        0.0298,
        0.0344,
        0.0459,
        0.3240,
        0.4262,
        0.5719,
        0.6528,
        0.7590,
        1.0,
    ]
    adjusted = benjamini_hochberg(np.array(p))
    assert (adjusted <= 0.05).sum() == 4
    assert adjusted[3] == pytest.approx(0.0095 * 15 / 4)
