"""Agreement beyond accuracy: do languages agree more than right answers alone would make them?

A model of a run in which languages share nothing but each question's difficulty:

    logit P(right in language l on question q) = theta_l + b_q

where the difficulties b_q have any distribution at all (Rasch 1960 with a nonparametric mixture, Kiefer and Wolfowitz
1956; fitted by EM on a grid), and a wrong answer is any of the K - 1 wrong options, each language by itself. Fitting
each b_q as a number of its own instead would be biased: four answers do not determine it.

    excess_consistency          consistency minus what the model expects; 0: nothing but ability and difficulty
    excess_consistency_<a>_<b>  the same of one pair: languages that share more, or less, than all do
    wrong_agreement             P(same option | both wrong), over all language pairs together
    baseline_wrong_agreement    1 / (K - 1), where wrong answers have nothing in common

Shared errors are shared beliefs, or shared letters: read `letter_bias` beside it, or ask with `permute=row`.
Tied rows count with the mean over random ties. Shapes: N questions, L languages, G grid points, `...` resamples.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.special import expit, logit

from crossin_metrics.scores.answer_matrix import AnswerMatrix, FloatArray
from crossin_metrics.scores.per_question import layout_of, statistics_block
from crossin_metrics.scores.ties import subset_chances
from crossin_metrics.scores.uncertainty import DEFAULT_RESAMPLES, Replicates, resampled_means

_GRID = np.linspace(-8.0, 8.0, 33)  # difficulties in logits: right in .0003 to .9997 of cases
_STEPS = 200  # of EM; 50 more move the excess by less than .001
_STEPS_OF_RESAMPLES = 20  # they start from the fit of all questions


def beyond_accuracy(
    questions: AnswerMatrix, *, n_resamples: int = DEFAULT_RESAMPLES, seed: int | None = 0
) -> Replicates:
    """Return excess consistency and agreement among wrong answers, with resamples of questions or passages.

    Args:
        questions: of one run, in at least two languages; with one nothing is returned.
        n_resamples: at least 2.
        seed: of the resamples.

    Returns:
        The keys of the module; in [-1, 1] and [0, 1]. `wrong_agreement` is left out where no two languages are wrong on
        one question.
    """
    if questions.n_languages < 2:
        return Replicates({}, {}, questions.n_units)
    plain = replace(questions, logprobs=None)  # the ties stay; likelihoods would only cost time
    layout, subset = layout_of(plain), layout_of(plain).subset
    n_languages = plain.n_languages
    names = ("right", "wrong", "n_right", "agree", "pairs", "scalars")
    widths = (n_languages, n_languages, n_languages + 1, 1, len(layout.pairs), 5)
    ends = np.cumsum(widths)

    def statistics(start: int, stop: int) -> FloatArray:
        block = statistics_block(plain, layout, start, stop)
        into = {group: block[columns] for group, columns in layout.slices.items()}
        right, wrong = into["right"], into["answered"] - into["right"]
        both = (wrong.sum(axis=0) ** 2 - (wrong**2).sum(axis=0)) / (n_languages * (n_languages - 1))
        same = into["agree"][0] - into["all_right"][0]
        chance = into["inverse_wrong"][0]
        scalars = np.stack([both, same, both * chance, chance, chance ** (subset - 1)])
        return np.concatenate([right, wrong, _n_right(right), into["agree"][[subset - 2]], into["pair"], scalars])

    mean, means = resampled_means(statistics, plain.n_questions, int(ends[-1]), n_resamples, seed, plain.passages)

    def parts(values: FloatArray) -> dict[str, FloatArray]:
        return dict(zip(names, np.split(values, ends[:-1], axis=-1), strict=True))

    fit = fit_difficulty(parts(mean)["n_right"], parts(mean)["right"])
    fits = fit_difficulty(parts(means)["n_right"], parts(means)["right"], start=fit, steps=_STEPS_OF_RESAMPLES)
    estimate, values = (_scores(parts(v), f, plain.languages, subset) for v, f in ((mean, fit), (means, fits)))
    known = [key for key, value in estimate.items() if np.isfinite(value)]
    return Replicates(
        {key: float(estimate[key]) for key in known},
        {key: values[key] for key in known},
        plain.n_units,
        {"wrong_agreement": float(parts(mean)["scalars"][0])},
    )


def fit_difficulty(
    n_right: FloatArray, right: FloatArray, *, start: tuple[FloatArray, FloatArray] | None = None, steps: int = _STEPS
) -> tuple[FloatArray, FloatArray]:
    """Fit the logit model by EM; how many languages are right, and how often each is, are all it needs.

    Args:
        n_right: `[..., L + 1]` share of questions right in 0 ... L languages.
        right: `[..., L]` share right in each language.
        start: theta `[L]` and weights `[G]` to start from; None: the languages' own logits, and equal weights.
        steps: of EM.

    Returns:
        theta `[..., L]`, and the weights `[..., G]` of the difficulties on the grid, sum 1.
    """
    if start is None:
        ability = logit(np.clip(right, 1e-3, 1.0 - 1e-3))
        start = ability - ability.mean(axis=-1, keepdims=True), np.full(_GRID.size, 1.0 / _GRID.size)
    theta = np.broadcast_to(start[0], right.shape).copy()
    weights = np.broadcast_to(start[1], (*right.shape[:-1], _GRID.size)).copy()
    scores = np.arange(n_right.shape[-1])[:, None] * _GRID
    for _ in range(steps):
        none_right = np.logaddexp(0.0, theta[..., :, None] + _GRID).sum(axis=-2)
        log_joint = scores + (np.log(np.maximum(weights, 1e-300)) - none_right)[..., None, :]
        posterior = np.exp(log_joint - log_joint.max(axis=-1, keepdims=True))
        posterior /= posterior.sum(axis=-1, keepdims=True)
        weights = np.einsum("...r,...rg->...g", n_right, posterior)
        chance = expit(theta[..., :, None] + _GRID)
        expected = np.einsum("...g,...lg->...l", weights, chance)
        slope = np.einsum("...g,...lg->...l", weights, chance * (1.0 - chance))
        theta = np.clip(theta + np.clip((right - expected) / np.maximum(slope, 1e-6), -1.0, 1.0), -12.0, 12.0)
    return theta, weights


def _n_right(right: FloatArray) -> FloatArray:
    """Chance `[L + 1, n]` that 0 ... L languages are right; `right` `[L, n]` is between 0 and 1 where a row ties."""
    chances = np.zeros((right.shape[0] + 1, right.shape[1]))
    chances[0] = 1.0
    for share in right:
        chances[1:] = chances[1:] * (1.0 - share) + chances[:-1] * share
        chances[0] *= 1.0 - share
    return chances


def _scores(
    mean: dict[str, FloatArray], fit: tuple[FloatArray, FloatArray], languages: tuple[str, ...], subset: int
) -> dict[str, FloatArray]:
    theta, weights = fit
    both, same, by_luck, chance, subset_chance = np.moveaxis(mean["scalars"], -1, 0)
    right = expit(theta[..., None, :] + _GRID[:, None])  # [..., G, L]
    answered = mean["wrong"] / np.maximum(1.0 - mean["right"], 1e-12)
    wrong = (1.0 - right) * np.minimum(answered, 1.0)[..., None, :]
    options = np.stack([right, wrong], axis=-1)
    in_all = subset_chances(options.reshape(-1, *options.shape[-2:]))[subset].reshape(*right.shape[:-1], 2)
    alike = np.einsum("...g,...go->...o", weights, in_all)
    scores = {"excess_consistency": mean["agree"][..., 0] - alike[..., 0] - alike[..., 1] * subset_chance}
    with np.errstate(invalid="ignore", divide="ignore"):
        scores["wrong_agreement"] = np.where(both > 1e-12, same / both, np.nan)
        scores["baseline_wrong_agreement"] = np.where(both > 1e-12, by_luck / both, np.nan)
    expected = np.einsum("...g,...ga,...gb->...ab", weights, right, right)
    expected += np.einsum("...g,...ga,...gb->...ab", weights, wrong, wrong) * chance[..., None, None]
    for i, (a, b) in enumerate(zip(*np.triu_indices(len(languages), 1), strict=True)):
        names = "_".join(sorted((languages[a], languages[b])))
        scores[f"excess_consistency_{names}"] = mean["pairs"][..., i] - expected[..., a, b]
    return scores
