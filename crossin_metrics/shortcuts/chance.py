"""How far a number of hits lies from chance: exact tails and Wilson's interval, without a statistics package.

Under the null hypothesis the right option of each question is any of its n options with the same probability, whatever
the options look like. Then a rule that does not know the right option hits with probability 1/n on each question, and
questions are independent of each other, also on one passage.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

LARGE = 30_000  # rows up to which the pooled test is exact; it takes some seconds there
Z95 = 1.959963984540054  # 97.5% point of the normal distribution


def wilson(hits: int, n: int, z: float = Z95) -> tuple[float, float]:
    """Wilson's score interval (1927) of a share, in [0, 1]; (0, 1) for no trials.

    >>> [round(x, 4) for x in wilson(8, 10)]
    [0.4902, 0.9433]
    """
    if n == 0:
        return 0.0, 1.0
    share = hits / n
    centre = share + z * z / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # At the ends the interval ends there; rounding would put it a little beside.
    low = 0.0 if hits == 0 else (centre - half) / (1 + z * z / n)
    high = 1.0 if hits == n else (centre + half) / (1 + z * z / n)
    return max(0.0, low), min(1.0, high)


def distribution(probabilities: Sequence[float]) -> npt.NDArray[np.float64]:
    """P(0), P(1) ... P(n) of the hits in independent trials: Poisson-binomial, binomial where all are equal."""
    out = np.ones(1)
    for p in probabilities:
        longer = np.zeros(len(out) + 1)
        longer[:-1] = out * (1 - p)
        longer[1:] += out * p
        out = longer
    return out


def pooled_p_value(hits: int, picks: npt.NDArray[np.int64], n_choices: npt.NDArray[np.int64]) -> float:
    """Two-sided p-value of the hits over all languages together, whose right option is one and the same in a question.

    Exact up to `LARGE` rows, above by the normal distribution with the exact mean and variance.

    Args:
        hits: how many, over all rows.
        picks: options picked `[n_questions, n_languages]`.
        n_choices: options of each question `[n_questions]`.
    """
    # If option k of a question is right, as many languages hit as picked k.
    width = picks.shape[1] + 1
    each = [
        np.bincount(np.bincount(row, minlength=n), minlength=width) / n for row, n in zip(picks, n_choices, strict=True)
    ]
    if picks.size <= LARGE:
        out = np.ones(1)
        for one in each:
            out = np.convolve(out, one)
        return p_value(hits, out)
    table, values = np.array(each), np.arange(width)
    means = table @ values
    variance = float((table @ values**2 - means**2).sum())
    if variance <= 0:
        return 1.0
    return min(1.0, math.erfc(abs(hits - float(means.sum())) / math.sqrt(2 * variance)) or 5e-324)


def clustered(values: npt.NDArray[np.float64], z: float = Z95) -> tuple[float, float]:
    """Normal interval of a mean over questions `[n_questions]`, each a share in [0, 1]; clipped to [0, 1]."""
    if len(values) < 2:
        return 0.0, 1.0
    half = z * float(values.std(ddof=1)) / math.sqrt(len(values))
    return max(0.0, float(values.mean()) - half), min(1.0, float(values.mean()) + half)


def p_value(hits: int, weights: npt.NDArray[np.float64], *, two_sided: bool = True) -> float:
    """Exact p-value in (0, 1] of a number of hits: twice the smaller tail, or the upper tail alone.

    Args:
        hits: how many.
        weights: as `distribution` returns.
        two_sided: whether too few hits count, too.
    """
    upper, lower = float(weights[hits:].sum()), float(weights[: hits + 1].sum())
    return min(1.0, 2 * min(upper, lower) if two_sided else upper)
