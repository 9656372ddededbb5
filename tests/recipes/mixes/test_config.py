"""Options of a mix that contradict one another or are out of range are refused, by name."""

from __future__ import annotations

from typing import Any

import pytest

from crossin_metrics.errors import CrossinError
from recipes.mixes.config import MixConfig


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"languages": ["en", "English"]}, "en en; must be one or more different"),
        ({"languages": []}, "languages"),
        ({"language_weights": [1.0]}, "1 weights for 4 languages"),
        ({"language_weights": [0.0, 0.0, 0.0, 0.0]}, "not all 0"),
        ({"language_weights": [-1.0, 1.0, 1.0, 1.0]}, "not negative"),
        ({"noise": "swap", "noise_rate": 1.5}, "noise_rate: 1.5"),
        ({"noise_rate": 0.5}, "noise is none"),
        ({"num_workers": 0}, "num_workers"),
        ({"seed": -1}, "seed: -1"),
        ({"held_out_pairs": ["zh"]}, "'zh' must be <instruction>-<answer>"),
        ({"held_out_pairs": ["zh-xx"]}, "unknown language 'xx'"),
        ({"variant": "base_only", "n_samples": 5}, "base_only takes no samples"),
        ({"variant": "seed_only", "n_base": 5}, "seed_only takes no base"),
        ({"n_base": 5, "base_seed_ratio": 1.0}, "give one of them"),
        ({"variant": "base_only", "base_seed_ratio": 1.0}, "base_seed_ratio needs samples"),
        ({"n_trans": 5}, "trans is false"),
    ],
)
def test_contradicting_mix_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(CrossinError, match=message):
        MixConfig(output_dir="unused", **options)


def test_language_names_become_codes() -> None:
    assert MixConfig(output_dir="x", languages=["English", "zh-CN", "Vietnamese"]).languages == ["en", "zh", "vi"]
