"""Why two languages disagree on a question: the first of these reasons that the run gives evidence of.

    unanswered   an answer is missing in one of them
    letter       the letter decides, not the option: both gave the run's favourite letter, which stood for different
                 options; or one, asked again with another order, gave the same letter and so another option
    tie          in one of them the other's answer is nearly as probable (by less than `NEAR`); needs likelihoods
    prompt       asked again with another prompt, one of them gives the other's answer; needs repeats
    ignorance    one of them is unsure: its answer has a probability below 1/2, or changes when it is asked again.
                 Without likelihoods and repeats: one is right and the other is wrong
    belief       both are sure, of different answers; needs likelihoods or repeats
    unclear      both are wrong, and neither likelihoods nor repeats tell whether they are sure

Labels are of single questions, by rules: a guess may look like a belief. `letter` needs different orders of options
(`permute=row`, or repeats with other orders). An honest model gives the favourite letter twice in one of K^2 cases.

Legend of shapes: N questions, L languages, K options, R repeats, P = L (L - 1) / 2 pairs as of `numpy.triu_indices`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crossin_metrics.scores.agreement import option_probabilities
from crossin_metrics.scores.answer_matrix import FloatArray, IntArray

REASONS = ("unanswered", "letter", "tie", "prompt", "ignorance", "belief", "unclear")
AGREE = -1
NEAR = 0.1  # difference of probabilities between two options that counts as a tie
SURE = 0.5  # probability of the answer from which a language counts as sure
FAVOURED = 0.05  # share by which a letter is picked more often than it is right, to be a favourite


@dataclass(frozen=True, eq=False)
class Asked:
    """One asking of all questions: `answers` `[N, L]`, -1 for none, and `orders` `[N, L, K]`, the option at each
    position, -1 pads; None: option i at position i."""

    answers: IntArray
    orders: IntArray | None = None

    def options_at(self, positions: IntArray) -> IntArray:
        """The options `[N, L]` shown at positions `[N, L]`; -1 at none."""
        if self.orders is None:
            return positions
        at = np.take_along_axis(self.orders, np.maximum(positions, 0)[:, :, None], axis=2)[:, :, 0]
        return np.where(positions < 0, -1, at)

    @property
    def positions(self) -> IntArray:
        """The position `[N, L]` of each answer, -1 for none."""
        if self.orders is None:
            return self.answers
        return np.where(self.answers < 0, -1, (self.orders == self.answers[:, :, None]).argmax(axis=2))


def disagreements(
    asked: Asked,
    gold: IntArray,
    n_choices: IntArray,
    *,
    logprobs: FloatArray | None = None,
    again: Sequence[Asked] = (),
) -> npt.NDArray[np.int8]:
    """Return the reason of each disagreement, an index of `REASONS`, or `AGREE`, as `[P, N]`.

    Args:
        asked: the answers to explain.
        gold: `[N]`.
        n_choices: `[N]`.
        logprobs: `[N, L, K]` of these answers; None: unknown.
        again: the same rows asked with other prompts or orders.
    """
    answers, n_languages = asked.answers, asked.answers.shape[1]
    answered = answers >= 0
    repeated = [other.answers for other in again]
    sure = np.ones(answers.shape, dtype=bool)
    chance = None
    if logprobs is not None:
        chance = option_probabilities(logprobs, n_choices, answered.astype(np.int8))
        sure &= _at(chance, answers) >= SURE
    for repeat in repeated:
        sure &= repeat == answers
    letter_bound = np.zeros(answers.shape, dtype=bool)
    for asking in again:
        letter_bound |= (asking.positions == asked.positions) & answered & (asking.answers != answers)
    favourite = _favourite(asked, gold, n_choices)
    evidence = logprobs is not None or bool(again)
    found = np.full((n_languages * (n_languages - 1) // 2, answers.shape[0]), AGREE, dtype=np.int8)
    for row, (a, b) in zip(found, zip(*np.triu_indices(n_languages, 1), strict=True), strict=True):
        one, other = answers[:, a], answers[:, b]
        right = (one == gold) | (other == gold)
        near = np.zeros(one.shape, dtype=bool)
        if chance is not None:
            gaps = [_at(chance[:, i], x) - _at(chance[:, i], y) for i, x, y in ((a, one, other), (b, other, one))]
            near = (np.minimum(gaps[0], gaps[1]) < NEAR) & (one >= 0) & (other >= 0)
        prompt = np.zeros(one.shape, dtype=bool)
        for repeat in repeated:
            prompt |= (repeat[:, a] == other) | (repeat[:, b] == one)
        row[:] = np.select(
            [
                (one < 0) | (other < 0),
                one == other,
                letter_bound[:, a] | letter_bound[:, b] | (favourite[:, a] & favourite[:, b]),
                near,
                prompt,
                ~(sure[:, a] & sure[:, b]) if evidence else right,
                np.full(one.shape, evidence),
            ],
            [0, AGREE, *range(1, 6)],
            default=6,
        )
    return found


def reason_shares(reasons: IntArray) -> FloatArray:
    """The share of all questions that each reason explains, `[P, len(REASONS)]`; a row sums to 1 - consistency."""
    return np.stack([(reasons == code).mean(axis=1) for code in range(len(REASONS))], axis=1)


def _at(values: FloatArray, options: IntArray) -> FloatArray:
    """The values `[...]` of `[..., K]` at options `[...]`; 0 for none."""
    at = np.take_along_axis(values, np.maximum(options, 0)[..., None].astype(np.intp), axis=-1)[..., 0]
    return np.asarray(np.where(options < 0, 0.0, at))


def _favourite(asked: Asked, gold: IntArray, n_choices: IntArray) -> npt.NDArray[np.bool_]:
    """Whether an answer `[N, L]` is at the letter that the run picks most beyond how often it is right."""
    most = int(n_choices.max())
    picked, right = (
        asked.positions,
        Asked(np.repeat(gold[:, None], asked.answers.shape[1], axis=1), asked.orders).positions,
    )
    excess = [(picked == letter).mean() - (right == letter).mean() for letter in range(most)]
    if max(excess) < FAVOURED:
        return np.zeros(picked.shape, dtype=bool)
    return np.asarray(picked == int(np.argmax(excess)))
