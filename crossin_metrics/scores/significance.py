"""When a difference counts: paired tests over questions, Holm's correction, the best of many."""

from __future__ import annotations

from collections.abc import Sequence

from crossin_metrics.errors import CrossinError


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for having been taken together: Holm's step-down (1979), valid under any dependence.

    Returns:
        Adjusted p-values in the given order, each in [its own, 1]; at or below alpha are those rejected with a
        family-wise error of at most alpha.

    Raises:
        CrossinError: a number outside [0, 1].
    """
    if any(not 0.0 <= p <= 1.0 for p in p_values):
        raise CrossinError(f"p-values must be in [0, 1], got {list(p_values)}")
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = highest
    return adjusted
