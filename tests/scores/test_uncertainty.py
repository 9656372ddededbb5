"""Bootstrap and intervals: against formulas, and by simulation with a known truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from crossin_metrics.errors import CrossinError
from crossin_metrics.scores import uncertainty
from crossin_metrics.scores.answer_matrix import answer_matrix
from crossin_metrics.scores.causes.excess import beyond_accuracy
from crossin_metrics.scores.definitions import score_questions
from crossin_metrics.scores.uncertainty import (
    bootstrap,
    joint_bootstrap,
    percentile_intervals,
    score_intervals,
    standard_errors,
)
from tests.helpers.simulated import LANGUAGES, rows_of, simulated


def test_standard_errors_of_accuracies_are_the_analytic_ones() -> None:
    questions = simulated(np.random.default_rng(0), 400)
    errors = standard_errors(bootstrap(questions, n_resamples=4000))
    right = questions.answers == questions.gold
    for i, language in enumerate(LANGUAGES):
        share = right[i].mean()
        assert errors[f"acc_{language}"] == pytest.approx(np.sqrt(share * (1 - share) / 400), rel=0.05)
    # The mean over languages: the spread of the questions' own means, not of rows as if they were independent.
    clustered = right.mean(axis=0).std() / np.sqrt(400)
    assert errors["acc"] == pytest.approx(clustered, rel=0.05)
    assert errors["acc"] > 1.3 * right.std() / np.sqrt(1600)


def test_copies_of_a_language_add_no_certainty() -> None:
    rng = np.random.default_rng(1)
    one = rng.integers(0, 4, (100, 1))
    gold = rng.integers(0, 4, 100)
    errors = standard_errors(bootstrap(answer_matrix(np.tile(one, 6), gold, list("abcdef")), n_resamples=500))
    assert errors["acc"] == pytest.approx(errors["acc_a"], rel=1e-9)
    assert errors["consistency"] == 0.0


def test_a_seed_repeats_and_zero_is_a_seed() -> None:
    questions = simulated(np.random.default_rng(2), 50)
    zero, again, one = (bootstrap(questions, n_resamples=20, seed=seed).values["ac3"] for seed in (0, 0, 1))
    fresh, fresher = (bootstrap(questions, n_resamples=20, seed=None).values["ac3"] for _ in range(2))
    assert np.array_equal(zero, again)
    assert not np.array_equal(zero, one)
    assert not np.array_equal(fresh, fresher)
    assert not np.array_equal(fresh, zero)


def test_keys_are_those_of_score_and_can_be_chosen() -> None:
    questions = simulated(np.random.default_rng(3), 50)
    scores = score_questions(questions)
    every = bootstrap(questions, n_resamples=20)
    assert every.estimate.keys() == scores.keys() - {"n_questions", "n_unanswered"}
    assert every.estimate == {key: pytest.approx(scores[key], abs=1e-12) for key in every.estimate}
    few = bootstrap(questions, n_resamples=20, keys=["ac3", "acc"])
    assert few.values.keys() == {"ac3", "acc"}
    assert np.array_equal(few.values["ac3"], every.values["ac3"])


def test_blocks_and_groups_change_nothing_but_the_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Splitting the draws over blocks is exact: n draws in every resample, and the same spread."""
    rng = np.random.default_rng(4)
    answers, gold = rng.integers(0, 4, (101, 4)), rng.integers(0, 4, 101)
    questions = answer_matrix(answers, gold, LANGUAGES, n_choices=rng.permutation([4, *[5, 4] * 50]))
    plain = bootstrap(questions, n_resamples=6000)
    monkeypatch.setattr(uncertainty, "_BLOCK", 7)
    monkeypatch.setattr(uncertainty, "_GROUP", 500)
    split = bootstrap(questions, n_resamples=6000)
    assert split.estimate == {key: pytest.approx(value, abs=1e-12) for key, value in plain.estimate.items()}
    for key in ("acc", "acc_en", "consistency", "ac3", "baseline_random_acc"):
        assert split.values[key].mean() == pytest.approx(plain.values[key].mean(), abs=0.004), key
        assert split.values[key].std() == pytest.approx(plain.values[key].std(), rel=0.05), key
    # 1/4 is on 51 questions and 1/5 on 50: a resample's mean is (n - m)/4n + m/5n for a whole number m.
    fives = (0.25 - split.values["baseline_random_acc"]) * 101 * 20
    assert np.allclose(fives, np.round(fives), atol=1e-6)
    assert fives.std() == pytest.approx(np.sqrt(101 * (50 / 101) * (51 / 101)), rel=0.05)


def test_a_resample_draws_each_question_equally_often() -> None:
    # One question of 5 is right in all languages: its count in a resample is binomial(5, 1/5).
    questions = answer_matrix([[0] * 4, *[[1] * 4] * 4], [0] * 5, LANGUAGES, n_choices=4)
    counts = np.round(bootstrap(questions, n_resamples=20_000).values["acc"] * 5)
    shares = np.bincount(counts.astype(int), minlength=6) / 20_000
    assert shares == pytest.approx([0.8**5, 0.8**4, 2 * 0.8**3 / 5, 2 * 0.8**2 / 25, 0.8 / 125, 1 / 3125], abs=0.01)


def test_intervals_hold_the_score_and_widen_with_the_level() -> None:
    questions = simulated(np.random.default_rng(6), 60)
    replicates = bootstrap(questions, n_resamples=500)
    narrow, wide = percentile_intervals(replicates, 0.5), percentile_intervals(replicates, 0.99)
    for key in ("acc", "ac3", "consistency_2", "transfer"):
        assert wide[key][0] < narrow[key][0] < narrow[key][1] < wide[key][1]
        assert wide[key][0] < replicates.estimate[key] < wide[key][1]


def test_scores_without_spread_have_a_point_for_an_interval() -> None:
    questions = answer_matrix([[1] * 4] * 10, [1] * 10, LANGUAGES, n_choices=4)
    replicates = bootstrap(questions, n_resamples=50)
    assert standard_errors(replicates)["acc"] == 0.0
    assert percentile_intervals(replicates)["acc"] == (1.0, 1.0)
    single = bootstrap(answer_matrix([[1] * 4], [1], LANGUAGES, n_choices=4), n_resamples=50)
    assert np.isnan(standard_errors(single)["acc"])


def test_undefined_replicates_are_left_out() -> None:
    # English is right on one question of three, so about (2/3)^3 of the resamples have no transfer rate.
    questions = answer_matrix([[0, 0], [1, 1], [1, 0]], [0, 0, 0], ["en", "zh"], n_choices=2)
    replicates = bootstrap(questions, n_resamples=2000)
    undefined = np.isnan(replicates.values["transfer"]).mean()
    assert undefined == pytest.approx((2 / 3) ** 3, abs=0.04)
    assert standard_errors(replicates)["transfer"] == 0.0
    assert percentile_intervals(replicates)["transfer"] == (1.0, 1.0)


@pytest.mark.parametrize(
    ("n", "n_samples", "n_resamples", "least", "most"),
    [(150, 300, 400, 0.91, 0.985), pytest.param(300, 2000, 1000, 0.93, 0.97, marks=pytest.mark.slow)],
)
def test_95_per_cent_intervals_hold_the_truth_95_per_cent_of_the_time(
    n: int, n_samples: int, n_resamples: int, least: float, most: float
) -> None:
    """Samples of questions from a pool whose scores are the truth."""
    rng = np.random.default_rng(14)
    pool = simulated(rng, 3000, 0.5)
    truth = score_questions(pool)
    held = dict.fromkeys(("acc", "consistency", "ac3", "fleiss_kappa", "transfer"), 0)
    for i in range(n_samples):
        sample = rows_of(pool, rng.integers(0, 3000, n))
        intervals = percentile_intervals(bootstrap(sample, n_resamples=n_resamples, seed=i, keys=held))
        for key, (low, high) in intervals.items():
            held[key] += low <= truth[key] <= high
    for key, count in held.items():
        assert least <= count / n_samples <= most, key


def test_mistakes_are_clear_messages() -> None:
    a = simulated(np.random.default_rng(13), 20)
    with pytest.raises(CrossinError, match="n_resamples must be at least 2"):
        bootstrap(a, n_resamples=1)
    with pytest.raises(CrossinError, match="unknown score 'ac9'"):
        bootstrap(a, keys=["ac9"])
    with pytest.raises(CrossinError, match="level must be between 0 and 1"):
        percentile_intervals(bootstrap(a, n_resamples=5), 95)


def test_runs_resampled_together_meet_the_same_questions() -> None:
    rng = np.random.default_rng(14)
    runs = [simulated(rng, 60), simulated(rng, 60)]
    together = joint_bootstrap(runs, n_resamples=50, seed=3)
    for i, run in enumerate(runs):
        alone = bootstrap(run, n_resamples=50, seed=3)
        for key in ("acc", "acc_vi", "consistency", "ac3"):
            assert together.estimate[key][i] == pytest.approx(alone.estimate[key])
            assert together.values[key][:, i] == pytest.approx(alone.values[key])
    scores, values = together.over_prompts([0, 1])
    assert scores["acc"] == pytest.approx(together.estimate["acc"].mean())
    assert values["ac3"] == pytest.approx(stats.hmean([values["acc"], values["consistency"]]), abs=1e-12)


@pytest.mark.parametrize("n", [32, 150])
@pytest.mark.parametrize("truth", [0.02, 0.5, 0.99])
def test_intervals_of_shares_cover_at_the_boundary(n: int, truth: float) -> None:
    rng = np.random.default_rng(n)
    covered = {"new": 0, "percentile": 0}
    for _ in range(200):
        gold = np.zeros(n, int)
        skill = truth + np.zeros((n, 1)) if truth != 0.5 else rng.choice([0.1, 0.9], (n, 1))
        answers = np.where(rng.random((n, 4)) < skill, 0, rng.integers(1, 4, (n, 4)))
        replicates = bootstrap(answer_matrix(answers, gold, LANGUAGES, n_choices=4), n_resamples=200, keys=["acc_en"])
        for name, (low, high) in (
            ("new", score_intervals(replicates)["acc_en"]),
            ("percentile", percentile_intervals(replicates)["acc_en"]),
        ):
            covered[name] += low <= truth <= high
    assert covered["new"] >= 0.91 * 200
    if truth == 0.99 and n == 32:
        assert covered["percentile"] < 0.4 * 200  # resamples of nothing but right answers do not differ


def test_intervals_by_hand() -> None:
    all_right = bootstrap(answer_matrix(np.zeros((50, 2), int), np.zeros(50, int), ["en", "es"], n_choices=4))
    low, high = score_intervals(all_right)["acc"]
    assert (low, high) == (pytest.approx(50 / (50 + 1.959964**2)), pytest.approx(1.0))  # Wilson with p = 1
    wilson = stats.binomtest(30, 100).proportion_ci(method="wilson")
    one = bootstrap(
        answer_matrix((np.arange(100)[:, None] >= 30).astype(int), np.zeros(100, int), ["en"]), n_resamples=20_000
    )
    assert score_intervals(one)["acc"] == pytest.approx((wilson.low, wilson.high), abs=0.003)  # Student's t


def test_ratios_count_the_questions_that_they_are_over() -> None:
    """16 of 400 questions are right in one language, two in none: 0 of 16 is "at most .19", and 1 of 2 hardly known."""
    answers, gold = np.zeros((400, 2), dtype=int), np.zeros(400, dtype=int)
    answers[:, 1] = 1
    answers[16:, 0] = 2  # wrong, and differently
    run = answer_matrix(answers, gold, ["en", "zh"], n_choices=4)
    low, high = score_intervals(bootstrap(run, n_resamples=200))["only_correct"]
    assert low == 0.0
    assert high == pytest.approx(stats.binomtest(0, 16).proportion_ci(method="wilson").high, abs=0.005)
    answers = np.zeros((400, 2), dtype=int)
    answers[:2] = 1
    found = beyond_accuracy(answer_matrix(answers, gold, ["en", "zh"], n_choices=4), n_resamples=200)
    low, high = score_intervals(found)["wrong_agreement"]
    assert found.estimate["wrong_agreement"] == 1.0
    assert low < 0.4


def test_the_interval_of_one_question_is_wide_and_of_none_that_of_the_replicates() -> None:
    values = np.ones(100)
    low, high = uncertainty.score_interval("acc", 1.0, values, 1.0)
    wilson = stats.binomtest(1, 1).proportion_ci(method="wilson")
    assert (low, high) == pytest.approx((wilson.low, wilson.high))
    assert uncertainty.score_interval("acc", 1.0, values, 0.0) == (1.0, 1.0)
