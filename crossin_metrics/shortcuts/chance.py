"""How far a number of hits is from chance: exact tails and intervals.

Under the null hypothesis each of a question's n options is right with the same probability, whatever the options look
like. A rule that does not know the right option then hits with probability 1/n on each question, and questions are
independent of each other, even on one passage.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
from scipy import stats

from crossin_metrics.scores.uncertainty import wilson_interval

LARGE = 30_000  # rows up to which the pooled test is exact; it takes some seconds there


def wilson(hits: int, n: int) -> tuple[float, float]:
    """Wilson's 95% score interval (1927) of a share, in [0, 1]; (0, 1) without trials.

    >>> [round(x, 4) for x in wilson(8, 10)]
    [0.4902, 0.9433]
    """
    if n == 0:
        return 0.0, 1.0
    interval = stats.binomtest(hits, n).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)


def clustered(values: npt.NDArray[np.float64]) -> tuple[float, float]:
    """95% interval of a mean over questions `[n_questions]`, each a share in [0, 1]; it has a width at 0 and 1, too."""
    if len(values) < 2:
        return 0.0, 1.0
    return wilson_interval(float(values.mean()), float(stats.sem(values)), len(values))


def distribution(trials: Iterable[Sequence[float] | npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
    """P(0), P(1) ... of the hits in independent trials, each given by its own P(0), P(1) ..."""
    out: npt.NDArray[np.float64] = np.ones(1)
    for one in trials:
        out = np.convolve(out, np.asarray(one, dtype=np.float64))
    return out


def p_value(hits: int, weights: npt.NDArray[np.float64]) -> float:
    """Exact two-sided p-value in (0, 1]: twice the smaller tail of the distribution `weights`."""
    return min(1.0, 2 * min(float(weights[hits:].sum()), float(weights[: hits + 1].sum())))


def pooled_p_value(hits: int, picks: npt.NDArray[np.int64], n_choices: npt.NDArray[np.int64]) -> float:
    """Two-sided p-value of the hits of all languages together; a question's right option is the same in all of them.

    Exact up to `LARGE` rows, above by the normal distribution with the exact mean and variance.

    Args:
        hits: over all rows.
        picks: options picked `[n_questions, n_languages]`.
        n_choices: options of each question `[n_questions]`.
    """
    # If option k of a question is right, as many languages hit as picked k.
    width = picks.shape[1] + 1
    each = [
        np.bincount(np.bincount(row, minlength=n), minlength=width) / n for row, n in zip(picks, n_choices, strict=True)
    ]
    if picks.size <= LARGE:
        return p_value(hits, distribution(each))
    table, values = np.array(each), np.arange(width)
    means = table @ values
    variance = float((table @ values**2 - means**2).sum())
    if variance <= 0:
        return 1.0
    tail = stats.norm.sf(abs(hits - float(means.sum())) / np.sqrt(variance))
    return min(1.0, 2 * float(tail) or 5e-324)
