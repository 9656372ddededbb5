"""Questions to look at: most models that answer them elsewhere fail in one language. Often a defect of translation.

How many models fail is compared with what their record and the question's difficulty give:

    logit P(model m is right on question q in language l) = theta_ml + b_q

with b_q taken from the *other* languages only, and its standard error allowed for. Given that, models fail by
themselves (a Poisson binomial law). Questions differ between languages anyway, by what the models have read: the
z-values' own spread, where it is wider than 1, is taken for that ordinary variation (an empirical null, Efron 2004),
so that what is listed stands out from it. The false-discovery rate over all questions and languages is controlled
(Benjamini and Hochberg 1995). Simulated without any defect: a table lists something in 0 to 5% of cases (5, 20 and 40
models, with and without such variation).

Shapes: M models, N questions, L languages.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit, ndtr, ndtri

from crossin_metrics.errors import CrossinError
from crossin_metrics.scores.answer_matrix import FloatArray, IntArray

FALSE_DISCOVERIES = 0.05
FEWEST_MODELS = 3  # with fewer nobody can say "most models"
_PRIOR = 2.0  # standard deviation of difficulties in logits: keeps those that every model knows finite
_NODES, _NODE_WEIGHTS = np.polynomial.hermite_e.hermegauss(9)


@dataclass(frozen=True)
class Suspect:
    """One question in one language.

    Attributes:
        question, language: row and column.
        wrong: models that are right in most other languages, and wrong here.
        models: models that are right in most other languages.
        answer: the wrong option that most of the former give, -1 where they give none.
        same: how many of them give it.
        p_value: that so many of all models fail, corrected for all questions and languages (false-discovery rate).
    """

    question: int
    language: int
    wrong: int
    models: int
    answer: int
    same: int
    p_value: float


def suspect_questions(answers: IntArray, gold: IntArray, *, rate: float = FALSE_DISCOVERIES) -> list[Suspect]:
    """Return the questions that most models fail in one language only, the surest first.

    Args:
        answers: `[M, N, L]` option picked by different models, -1 for none, which counts as wrong.
        gold: `[N]`.
        rate: of false discoveries among those returned, in (0, 1).

    Raises:
        CrossinError: fewer than 3 models or languages.
    """
    n_models, _, n_languages = answers.shape
    if n_models < FEWEST_MODELS or n_languages < 3:
        raise CrossinError(
            f"suspect questions need at least {FEWEST_MODELS} models and 3 languages, got {n_models} and {n_languages}"
        )
    right = answers == gold[None, :, None]
    p_values = benjamini_hochberg(_empirical_null(_failures(right)))
    elsewhere = right.sum(axis=2, keepdims=True) - right
    knows = elsewhere > (n_languages - 1) / 2
    wrong, models = (knows & ~right).sum(axis=0), knows.sum(axis=0)
    found = []
    for q, language in np.argwhere((p_values <= rate) & (2 * wrong > models)).tolist():
        given = answers[knows[:, q, language], q, language]
        options, times = np.unique(given[(given >= 0) & (given != gold[q])], return_counts=True)
        answer, same = (int(options[times.argmax()]), int(times.max())) if options.size else (-1, 0)
        n_wrong, n_models = int(wrong[q, language]), int(models[q, language])
        found.append(Suspect(q, language, n_wrong, n_models, answer, same, float(p_values[q, language])))
    return sorted(found, key=lambda one: (one.p_value, -one.wrong, one.question))


def _failures(right: np.ndarray) -> FloatArray:
    """z-values `[N, L]` of the number of models that fail; positive: more than expected."""
    n, n_languages = right.shape[1:]
    share = (right.sum(axis=1) + 0.5) / (n + 1.0)
    theta, b = logit(share)[:, None, :], np.zeros((1, n, 1))
    for _ in range(30):
        for name, axes in (("b", (0, 2)), ("theta", 1)):
            chance = expit(theta + b)
            spread = (chance * (1.0 - chance)).sum(axis=axes, keepdims=True)
            step = (right - chance).sum(axis=axes, keepdims=True)
            if name == "b":
                b += np.clip((step - b / _PRIOR**2) / (spread + _PRIOR**-2), -1.0, 1.0)
            else:
                theta += np.clip(step / (spread + 1e-2), -1.0, 1.0)
    z = np.empty((n, n_languages))
    for language in range(n_languages):
        others = [i for i in range(n_languages) if i != language]
        difficulty, error = _difficulty(right[:, :, others], theta[:, :, others])
        n_wrong = (~right[:, :, language]).sum(axis=0)
        tail = np.zeros(n)
        for node, weight in zip(_NODES, _NODE_WEIGHTS / _NODE_WEIGHTS.sum(), strict=True):
            tail += weight * mid_tails(expit(-theta[:, :, language] - difficulty - node * error), n_wrong)
        z[:, language] = -ndtri(np.clip(tail, 1e-300, 1.0 - 1e-15))
    return z


def _difficulty(right: np.ndarray, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
    """b_q `[N]` of questions by the languages given, and its standard error."""
    b = np.zeros(right.shape[1])
    for _ in range(30):
        chance = expit(theta + b[None, :, None])
        information = (chance * (1.0 - chance)).sum(axis=(0, 2)) + _PRIOR**-2
        b += np.clip(((right - chance).sum(axis=(0, 2)) - b / _PRIOR**2) / information, -1.0, 1.0)
    return b, 1.0 / np.sqrt(information)


def mid_tails(chances: FloatArray, counts: IntArray) -> FloatArray:
    """P(more than `counts` `[T]`) + P(equal) / 2 of trials with chances `[M, T]`: the Poisson binomial law, mid-p."""
    law = np.zeros((chances.shape[0] + 1, chances.shape[1]))
    law[0] = 1.0
    for chance in chances:
        law[1:] = law[1:] * (1.0 - chance) + law[:-1] * chance
        law[0] *= 1.0 - chance
    at = counts[None]
    tails = np.take_along_axis(law[::-1].cumsum(axis=0)[::-1], at, axis=0)[0]
    return np.asarray(tails - np.take_along_axis(law, at, axis=0)[0] / 2.0)


def _empirical_null(z: FloatArray) -> FloatArray:
    """Upper tails of z-values by a normal law with their own median spread, at least 1."""
    return np.asarray(ndtr(-z / max(1.0, float(np.median(np.abs(z))) / 0.6745)))


def benjamini_hochberg(p_values: FloatArray) -> FloatArray:
    """Adjusted p-values, any shape: those at most q have a false-discovery rate of at most q."""
    flat = p_values.reshape(-1)
    order = np.argsort(flat)
    ranked = flat[order] * flat.size / np.arange(1, flat.size + 1)
    adjusted = np.empty_like(flat)
    adjusted[order] = np.minimum.accumulate(ranked[::-1])[::-1]
    return np.minimum(adjusted, 1.0).reshape(p_values.shape)
