"""Per-question ingredients of the agreement scores: subset shares, shown letters, option probabilities and rankings.

Legend of shapes: a block of `n` questions, `L` languages, `K` options (of the question with the most).
Arrays come language-major or option-major, with the questions last, so that each pass reads memory in a row.
Imports nothing but numpy.
"""

from __future__ import annotations

import numpy as np

from crossin_metrics.scores.answer_matrix import FloatArray, IntArray


def subset_shares(n_languages: int) -> FloatArray:
    """Return C(m, s) / C(L, s) as a table `[L - 1, L + 1]`: row s - 2 for s = 2..L, column m = 0..L.

    The share of size-s language subsets that lie within m given languages; in [0, 1]. Computed as the product of
    (m - i) / (L - i), i < s, whose factors are in [0, 1]: no binomial coefficient is formed, so nothing overflows for
    a hundred languages and more.
    """
    m = np.arange(n_languages + 1, dtype=np.float64)
    i = np.arange(n_languages, dtype=np.float64)[:, None]
    return np.asarray(np.cumprod(np.maximum(m - i, 0.0) / (n_languages - i), axis=0)[1:], dtype=np.float64)


def count_values(values: IntArray, n_values: int) -> IntArray:
    """Count, in each question, the languages with each value.

    Args:
        values: `[L, n]`, in -1..n_values - 1; -1 is not counted.
        n_values: number of values, K.

    Returns:
        `[K, n]` counts, 0..L.
    """
    dtype = np.uint8 if values.shape[0] <= 255 else np.int32
    counts = np.empty((n_values, values.shape[1]), dtype)
    for value in range(n_values):
        np.sum(values == value, axis=0, dtype=dtype, out=counts[value])
    return counts


def same_place_counts(orders: IntArray) -> FloatArray:
    """Count, in each question, the languages that show an option at a position.

    Args:
        orders: `[n, L, K]`, the option shown at each position, -1 pads.

    Returns:
        `[n, K, K]`: `[q, o, j]` languages of question q showing option o at position j, 0..L.
    """
    options = np.arange(orders.shape[2])
    return (orders[:, :, None, :] == options[None, None, :, None]).sum(axis=1).astype(np.float64)


def option_probabilities(logprobs: FloatArray, n_choices: IntArray, answered: IntArray) -> FloatArray:
    """Turn option loglikelihoods into probabilities: a softmax over the question's own options.

    Args:
        logprobs: `[n, L, K]`, any finite scale or -inf; options beyond the question's own are ignored.
        n_choices: `[n]`.
        answered: boolean `[n, L]`; a row that is not answered gets no mass at all.

    Returns:
        `[n, L, K]`, in [0, 1]; rows sum to 1, or to 0 where not answered.
    """
    usable = (np.arange(logprobs.shape[2]) < n_choices[:, None, None]) & answered[:, :, None]
    values = np.where(usable, logprobs, -np.inf)
    top = values.max(axis=2, keepdims=True)
    weights = np.exp(values - np.where(np.isfinite(top), top, 0.0))
    total = weights.sum(axis=2, keepdims=True)
    return np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)


def pair_overlaps(probabilities: FloatArray) -> FloatArray:
    """Return the chance that two languages pick one option if both draw from their own probabilities.

    CAPA's observed agreement (arXiv 2502.04313, c_obs^p): sum over options of p_a(o) p_b(o).

    Args:
        probabilities: `[n, L, K]`.

    Returns:
        `[L * (L - 1) / 2, n]`, in [0, 1], pairs in the order of :func:`numpy.triu_indices`.
    """
    a, b = np.triu_indices(probabilities.shape[1], 1)
    return np.einsum("nak,nbk->abn", probabilities, probabilities, optimize=True)[a, b]


def rank_consistency(logprobs: FloatArray, n_choices: IntArray, answered: IntArray) -> FloatArray:
    """Return RankC of each question, the mean over language pairs (Qi et al. 2023, arXiv 2310.10378).

    RankC = sum_j w_j P@j, where P@j is the share of one language's j best options that are among the other's j best
    and w_j = exp(K - j) / sum_k exp(K - k), with K the question's own number of options. Options with equal
    loglikelihoods take part as if ties were broken at random, independently in each language (the paper leaves ties
    open; any fixed rule would depend on how options are numbered). Rows that are not answered agree with nothing.

    Args:
        logprobs: `[n, L, K]`; only their order counts.
        n_choices: `[n]`.
        answered: boolean `[n, L]`.

    Returns:
        `[n]`, in [0, 1]; higher is more alike.
    """
    most = logprobs.shape[2]
    own = np.arange(most) < n_choices[:, None]
    usable = own[:, None, :] & answered[:, :, None]
    values = np.where(own[:, None, :], logprobs, np.nan)
    above = (values[:, :, None, :] > values[:, :, :, None]).sum(axis=3)
    level = np.maximum((values[:, :, None, :] == values[:, :, :, None]).sum(axis=3), 1)
    weights = np.exp(-np.arange(most, dtype=np.float64)) * own
    weights /= weights.sum(axis=1, keepdims=True)
    n_languages = logprobs.shape[1]
    result = np.zeros(logprobs.shape[0])
    for j in range(1, most + 1):
        # Chance that the option is among the j best: 1 above the cut, 0 below, a share of the places for a tie on it.
        inside = np.clip((j - above) / level, 0.0, 1.0) * usable
        total = inside.sum(axis=1)
        pairs = ((total**2).sum(axis=1) - (inside**2).sum(axis=(1, 2))) / 2.0  # over unordered language pairs
        result += weights[:, j - 1] * pairs / j
    return np.clip(result / (n_languages * (n_languages - 1) / 2.0), 0.0, 1.0)  # a rounding error may leave the range
