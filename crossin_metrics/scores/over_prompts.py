"""Several prompts become one number: the mean over prompts, and AC3 the harmonic mean of the two means.

That is how Table 3 of the paper is made (arXiv 2404.11932). The mean of the prompts' own AC3 would not
be the harmonic mean of the accuracy and the consistency published beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

from crossin_metrics.scores.answer_matrix import FloatArray
from crossin_metrics.scores.definitions import harmonic_mean

Value = TypeVar("Value", float, FloatArray)


def over_prompts(prompts: Sequence[Mapping[str, Value]]) -> dict[str, Value]:
    """Return one dict of scores for the scores of several prompts: what report, exports and experiments state.

    Args:
        prompts: for each prompt key -> score, or key -> array of scores (resamples, seeds), all of one shape.

    Returns:
        The keys that every prompt has; ranges as in :mod:`crossin_metrics.scores.catalogue`.
    """
    shared = [key for key in prompts[0] if all(key in scores for scores in prompts)]
    result: dict[str, Value] = {key: np.mean([scores[key] for scores in prompts], axis=0) for key in shared}
    for key in shared:
        consistency = key.replace("ac3", "consistency")
        if key.startswith("ac3") and "acc" in result and consistency in result:
            result[key] = harmonic_mean(result["acc"], result[consistency])  # type: ignore[assignment]
    if all(np.ndim(value) == 0 for value in result.values()):
        return {key: float(value) for key, value in result.items()}  # type: ignore[misc]
    return result
