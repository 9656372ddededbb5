"""Several prompts as one number."""

from __future__ import annotations

import numpy as np
import pytest

from crossin_metrics.scores.over_prompts import over_prompts


def test_scores_are_means_and_ac3_the_harmonic_mean_of_the_means() -> None:
    one = {"acc": 0.9, "consistency": 0.8, "ac3": 0.1, "rankc": 1.0, "consistency_2": 0.5, "ac3_2": 0.3}
    other = {"acc": 0.3, "consistency": 0.4, "ac3": 0.1, "consistency_2": 0.7, "ac3_2": 0.3}
    found = over_prompts([one, other])
    assert list(found) == ["acc", "consistency", "ac3", "consistency_2", "ac3_2"]  # what every prompt has
    assert found == pytest.approx({"acc": 0.6, "consistency": 0.6, "ac3": 0.6, "consistency_2": 0.6, "ac3_2": 0.6})
    assert all(type(value) is float for value in found.values())


def test_resamples_are_averaged_one_by_one() -> None:
    prompts = [
        {"acc": np.array(acc), "consistency": np.array([0.5, 1.0]), "ac3": np.zeros(2)} for acc in ([0, 1], [1, 1])
    ]
    assert over_prompts(prompts)["ac3"] == pytest.approx([0.5, 1.0])
