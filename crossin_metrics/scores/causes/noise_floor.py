"""The noise floor: is a model inconsistent across languages, or does it change its answers anyway?

Each row is asked again with another prompt or another order of options. Within one language the answers then agree to
some degree, S_l (`asked_again`). Two languages, asked with *different* prompts, agree to C_ab (`asked_across`).
If languages mattered no more than prompts do, C_ab would be the geometric mean of S_a and S_b; so

    language_ratio        C_ab / sqrt(S_a S_b)                1: languages differ as little as repeats do
    language_ratio_kappa  k_ab / sqrt(k_aa k_bb)              0: nothing but chance links two languages

with k the same agreement beyond chance, as letters drawn from each asking's own shares would agree (models near chance
agree by letter bias). Spearman's correction for attenuation (1904), for answers. Ratios of several pairs are ratios of
sums; sampling may take them above 1. There is no kappa ratio where agreement within languages is hardly beyond chance.
Prompts are taken as they are: intervals are over questions, or over passages where questions share them.

Legend of shapes: R askings of each row, at least 2; N questions; L languages; K options of the question with the most;
M = R L askings in one language.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crossin_metrics.errors import CrossinError
from crossin_metrics.scores.answer_matrix import FloatArray, IntArray
from crossin_metrics.scores.uncertainty import DEFAULT_RESAMPLES, Replicates, check_resamples

_LEAST = 0.1  # agreement within languages, beyond chance, below which a ratio to it says nothing


def noise_floor(
    answers: IntArray,
    languages: Sequence[str],
    n_choices: IntArray,
    *,
    orders: IntArray | None = None,
    passages: IntArray | None = None,
    n_resamples: int = DEFAULT_RESAMPLES,
    seed: int | None = 0,
) -> Replicates:
    """Return agreement within and across languages when rows are asked again, and their ratios.

    Args:
        answers: `[R, N, L]` option picked, -1 for none; none agrees with nothing.
        languages: L codes.
        n_choices: `[N]`.
        orders: `[R, N, L, K]` option shown at each position, -1 pads; None: the same order everywhere.
        passages: `[N]`, the passage of each question, as :attr:`AnswerMatrix.passages`; None: each is alone.
        n_resamples: of the questions or passages, at least 2.
        seed: of the resamples.

    Returns:
        Keys `asked_again`, `asked_again_<l>`, and of several languages `asked_across`, `language_ratio`,
        `language_ratio_kappa`, each also for pairs, `asked_across_<a>_<b>`; what is undefined (kappa without agreement
        beyond chance in a language) is left out. Shares are in [0, 1], ratios about so; higher is steadier.

    Raises:
        CrossinError: fewer than 2 askings or resamples.
    """
    check_resamples(n_resamples)
    repeats, n = answers.shape[:2]
    if repeats < 2:
        raise CrossinError("the noise floor needs each row asked at least twice, with another prompt or order")
    picked, shown, size = _one_hot(answers, n_choices, orders)
    units = n if passages is None else int(passages.max()) + 1
    counts = np.random.default_rng(seed).multinomial(units, np.full(units, 1.0 / units), size=n_resamples)
    drawn = counts.astype(np.float64) if passages is None else counts[:, passages].astype(np.float64)
    found = [
        _scores(*_agreement(picked, shown, size, weights / weights.sum()), repeats, languages)
        for weights in (np.ones(n), *drawn)
    ]
    keys = [key for key, value in found[0].items() if np.isfinite(value)]
    values = {key: np.array([one[key] for one in found[1:]]) for key in keys}
    return Replicates({key: found[0][key] for key in keys}, values, units)


def _one_hot(
    answers: IntArray, n_choices: IntArray, orders: IntArray | None
) -> tuple[FloatArray, IntArray | None, FloatArray]:
    """The options picked `[M, N, K]`; the position `[M, N, K]` of each option, None: its own; and whether a question
    has each of the C numbers of options `[C, N]`."""
    most = int(n_choices.max())
    by_asking = answers.transpose(0, 2, 1).reshape(-1, answers.shape[1])
    picked = (by_asking[:, :, None] == np.arange(most)).astype(np.float64)
    positions = None
    if orders is not None:
        shown = orders[..., :most].transpose(0, 2, 1, 3).reshape(*by_asking.shape, most)
        positions = np.argsort(np.where(shown < 0, most, shown), axis=2, kind="stable")
    return picked, positions, (n_choices == np.unique(n_choices)[:, None]).astype(np.float64)


def _agreement(
    picked: FloatArray, positions: IntArray | None, size: FloatArray, weights: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Observed and chance agreement `[M, M]` of every two askings, questions weighted by `weights` `[N]`, sum 1."""
    n_askings, _, most = picked.shape
    flat = picked.reshape(n_askings, -1)
    observed = (flat * np.repeat(weights, most)) @ flat.T
    letters = picked
    if positions is not None:
        letters = np.zeros_like(picked)
        np.put_along_axis(letters, positions, picked, axis=2)
    of_size = size * weights
    shares = np.einsum("mnk,cn->mck", letters, of_size) / np.maximum(of_size.sum(axis=1), 1e-300)[:, None]
    if positions is None:
        return observed, np.asarray(np.einsum("ack,bck,c->ab", shares, shares, of_size.sum(axis=1)))
    drawn = np.take_along_axis(shares[:, size.argmax(axis=0)], positions, axis=2).reshape(n_askings, -1)
    return observed, (drawn * np.repeat(weights, most)) @ drawn.T


def _scores(observed: FloatArray, chance: FloatArray, repeats: int, languages: Sequence[str]) -> dict[str, float]:
    again, by_luck = (_over_different_askings(matrix, repeats) for matrix in (observed, chance))
    kappa = (again - by_luck) / np.maximum(1.0 - by_luck, 1e-12)
    scores = {"asked_again": float(again.diagonal().mean())}
    scores |= {f"asked_again_{name}": float(again[i, i]) for i, name in enumerate(languages)}
    if len(languages) < 2:
        return scores
    a, b = np.triu_indices(len(languages), 1)
    across = {
        "language_ratio": (again[a, b], _floor(again, a, b)),
        "language_ratio_kappa": (kappa[a, b], _floor(kappa, a, b)),
    }
    scores["asked_across"] = float(again[a, b].mean())
    for key, (value, floor) in across.items():
        scores[key] = _divide(value.mean(), floor.mean())
    for i, pair in enumerate(zip(a.tolist(), b.tolist(), strict=True)):
        names = "_".join(sorted(languages[j] for j in pair))
        scores[f"asked_across_{names}"] = float(again[pair])
        for key, (value, floor) in across.items():
            scores[f"{key}_{names}"] = _divide(value[i], floor[i])
    return scores


def _over_different_askings(matrix: FloatArray, repeats: int) -> FloatArray:
    """The mean `[L, L]` over pairs of different askings, in whichever order."""
    blocks = matrix.reshape(repeats, -1, repeats, matrix.shape[0] // repeats)
    total = blocks.sum(axis=(0, 2)) - np.einsum("rarb->ab", blocks)
    return np.asarray(total / (repeats * (repeats - 1)))


def _floor(again: FloatArray, a: IntArray, b: IntArray) -> FloatArray:
    """Geometric mean of what two languages have within themselves; 0 where either has nothing beyond chance."""
    own = np.maximum(again.diagonal(), 0.0)
    return np.asarray(np.sqrt(own[a] * own[b]))


def _divide(value: float, floor: float) -> float:
    return float(value / floor) if floor >= _LEAST else float("nan")
