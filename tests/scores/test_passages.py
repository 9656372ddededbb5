"""Questions that share a passage are resampled, and exchanged, together."""

from __future__ import annotations

import numpy as np
import pytest

from crossin_metrics.scores.answer_matrix import AnswerMatrix, answer_matrix, shared_passages
from crossin_metrics.scores.causes.excess import beyond_accuracy
from crossin_metrics.scores.causes.noise_floor import noise_floor
from crossin_metrics.scores.causes.unequal_change import unequal_changes
from crossin_metrics.scores.definitions import score_questions
from crossin_metrics.scores.significance import approximate_randomization, paired_bootstrap
from crossin_metrics.scores.uncertainty import bootstrap, joint_bootstrap, standard_errors
from tests.helpers.simulated import LANGUAGES, two_systems

N, COPIES = 120, 3


def copied(one: AnswerMatrix, *, together: bool) -> AnswerMatrix:
    """Every question three times: a passage's questions could not depend on each other more."""
    rows = np.tile(np.arange(N), COPIES)
    passages = rows.astype(np.int64) if together else None
    return answer_matrix(one.answers.T[rows], one.gold[rows], LANGUAGES, n_choices=4, passages=passages)


def test_copies_on_one_passage_add_no_certainty() -> None:
    one, _ = two_systems(1, N)
    single = standard_errors(bootstrap(one, n_resamples=4000))
    together, alone = (
        standard_errors(bootstrap(copied(one, together=value), n_resamples=4000)) for value in (True, False)
    )
    for key in ("acc", "consistency", "ac3"):
        assert together[key] == pytest.approx(single[key], rel=0.06)
        assert alone[key] == pytest.approx(single[key] / np.sqrt(COPIES), rel=0.06)


def test_copies_add_no_certainty_to_excess_and_noise_floor() -> None:
    one, again = two_systems(1, N)
    rows, choices = np.tile(np.arange(N), COPIES), np.full(N * COPIES, 4)
    asked = np.stack([one.answers.T, again.answers.T])
    floor = [
        noise_floor(asked, LANGUAGES, choices[:N]),
        noise_floor(asked[:, rows], LANGUAGES, choices, passages=rows),
        noise_floor(asked[:, rows], LANGUAGES, choices),
    ]
    excess = [beyond_accuracy(x) for x in (one, copied(one, together=True), copied(one, together=False))]
    for found, keys in (
        (floor, ("asked_again", "language_ratio")),
        (excess, ("excess_consistency", "wrong_agreement")),
    ):
        single, together, alone = (standard_errors(replicates) for replicates in found)
        assert [replicates.n_questions for replicates in found] == [N, N, N * COPIES]
        for key in keys:
            assert found[1].estimate[key] == pytest.approx(found[0].estimate[key], abs=1e-6)
            assert together[key] == pytest.approx(single[key], rel=0.1)
            assert alone[key] == pytest.approx(single[key] / np.sqrt(COPIES), rel=0.1)


def test_unequal_changes_of_copies_keep_p_values_and_intervals_of_the_single_questions() -> None:
    pair = two_systems(3, N, 0.4)
    single, together = (
        unequal_changes(*runs, n_resamples=4000) for runs in (pair, [copied(one, together=True) for one in pair])
    )
    for a, b in zip(single, together, strict=True):
        assert b.unequal == pytest.approx(a.unequal)
        assert b.p_value == pytest.approx(a.p_value, abs=0.03)
        assert (b.low, b.high) == pytest.approx((a.low, a.high), abs=0.005)


def test_tests_of_copies_keep_the_p_value_of_the_single_questions() -> None:
    a, b = two_systems(3, N, 0.4)
    pairs = [(a, b), tuple(copied(one, together=True) for one in (a, b))]
    for test in (paired_bootstrap, approximate_randomization):
        single, together = (test(*pair, n_resamples=4000, keys=["ac3"])["ac3"] for pair in pairs)
        assert together.difference == pytest.approx(single.difference)
        assert together.p_value == pytest.approx(single.p_value, abs=0.02)


def test_resamples_of_several_runs_and_unequal_passages() -> None:
    """A resample of passages is as long as they are; its scores are means over its questions."""
    a, b = two_systems(5, 6)
    passages = np.array([0, 0, 0, 1, 2, 2])
    a, b = (answer_matrix(x.answers.T, x.gold, LANGUAGES, n_choices=4, passages=passages) for x in (a, b))
    found = joint_bootstrap([a, b], n_resamples=500)
    possible = set()
    for drawn in np.ndindex(3, 3, 3):
        rows = np.concatenate([np.flatnonzero(passages == passage) for passage in drawn])
        part = answer_matrix(a.answers.T[rows], a.gold[rows], LANGUAGES, n_choices=4)
        possible.add(round(score_questions(part)["acc"], 12))
    assert {round(value, 12) for value in found.values["acc"][:, 0]} == possible
    assert found.n_questions == 3


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        (["q1", "q1", "q3", "q3"], [0, 0, 1, 1]),  # passages, named after their first questions
        (["law", "law", "art", "art"], None),  # topics
        (["q1", "q2", "q3", "q4"], None),
        (["q1", "q1", "q1", "q1"], None),  # one passage: all there is to say is about its questions
        (["q1", "q1", "", "q4"], None),
        ([], None),
    ],
)
def test_passages_are_told_from_topics(groups: list[str], expected: list[int] | None) -> None:
    found = shared_passages(["q1", "q2", "q3", "q4"], groups)
    assert (None if found is None else found.tolist()) == expected
