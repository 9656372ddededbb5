"""Bootstrap, intervals and paired tests: against formulas, against scipy, and by simulation with a known truth."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from crossin_metrics.errors import CrossinError
from crossin_metrics.scores import uncertainty
from crossin_metrics.scores.answer_matrix import AnswerMatrix, answer_matrix
from crossin_metrics.scores.definitions import score_questions
from crossin_metrics.scores.uncertainty import (
    approximate_randomization,
    bca_intervals,
    bootstrap,
    minimum_detectable_difference,
    paired_bootstrap,
    percentile_intervals,
    standard_errors,
)

LANGUAGES = ["en", "es", "vi", "zh"]


def simulated(rng: np.random.Generator, n: int, skill: float = 0.0, gold: np.ndarray | None = None) -> AnswerMatrix:
    """A model whose languages share each question's difficulty, so that its rows are dependent."""
    gold = rng.integers(0, 4, n) if gold is None else gold
    easy = rng.normal(skill, 1.5, (n, 1)) + rng.normal(0, 0.7, (n, 4)) > 0
    answers = np.where(easy, gold[:, None], rng.integers(-1, 4, (n, 4)))
    return answer_matrix(answers, gold, LANGUAGES, n_choices=4)


def rows_of(questions: AnswerMatrix, rows: np.ndarray) -> AnswerMatrix:
    return answer_matrix(questions.answers.T[rows], questions.gold[rows], LANGUAGES, n_choices=4)


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


@pytest.mark.parametrize("skill", [0.0, 2.5])
def test_intervals_are_those_of_scipy(skill: float) -> None:
    stats = pytest.importorskip("scipy.stats", reason="intervals are not compared with scipy's: not installed")
    questions = simulated(np.random.default_rng(5), 80, skill)
    replicates = bootstrap(questions, n_resamples=999)
    percentile, bca = percentile_intervals(replicates, 0.9), bca_intervals(questions, replicates, 0.9)
    right = (questions.answers == questions.gold).mean(axis=0)

    def ac3(rows: np.ndarray, axis: int = -1) -> Any:
        picked = rows.astype(int)
        return np.apply_along_axis(lambda r: score_questions(rows_of(questions, r))["ac3"], axis, picked).round(10)

    def mean(x: np.ndarray, axis: int = -1) -> Any:
        return x.mean(axis=axis).round(10)

    for key, data, statistic in (("acc", right, mean), ("ac3", np.arange(80.0), ac3)):
        # Rounded, since scipy takes equal replicates that differ in the last bit for different ones.
        ours = SimpleNamespace(bootstrap_distribution=replicates.values[key].round(10))
        common = {"n_resamples": 0, "bootstrap_result": ours, "confidence_level": 0.9, "vectorized": True}
        for found, method in ((percentile, "percentile"), (bca, "BCa")):
            theirs = stats.bootstrap((data,), statistic, method=method, **common).confidence_interval
            assert found[key] == pytest.approx((theirs.low, theirs.high), abs=1e-6), (key, method)


def test_intervals_hold_the_score_and_widen_with_the_level() -> None:
    questions = simulated(np.random.default_rng(6), 60)
    replicates = bootstrap(questions, n_resamples=500)
    for intervals in (percentile_intervals, lambda r, level: bca_intervals(questions, r, level)):
        narrow, wide = intervals(replicates, 0.5), intervals(replicates, 0.99)
        for key in ("acc", "ac3", "consistency_2", "transfer"):
            assert wide[key][0] < narrow[key][0] < narrow[key][1] < wide[key][1]
            assert wide[key][0] < replicates.estimate[key] < wide[key][1]


def test_scores_without_spread_have_a_point_for_an_interval() -> None:
    questions = answer_matrix([[1] * 4] * 10, [1] * 10, LANGUAGES, n_choices=4)
    replicates = bootstrap(questions, n_resamples=50)
    assert standard_errors(replicates)["acc"] == 0.0
    assert percentile_intervals(replicates)["acc"] == bca_intervals(questions, replicates)["acc"] == (1.0, 1.0)
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


def test_a_system_does_not_differ_from_itself() -> None:
    questions = simulated(np.random.default_rng(7), 80)
    for test in (paired_bootstrap, approximate_randomization):
        for key, found in test(questions, questions, n_resamples=100).items():
            assert (found.difference, found.p_value) == (0.0, 1.0), key
            assert not key.startswith("baseline_")


def test_a_p_value_is_never_zero() -> None:
    gold = np.arange(60) % 4
    good = answer_matrix(np.repeat(gold[:, None], 4, axis=1), gold, LANGUAGES)
    bad = answer_matrix(np.repeat((gold[:, None] + 1) % 4, 4, axis=1), gold, LANGUAGES)
    for test in (paired_bootstrap, approximate_randomization):
        assert test(good, bad, n_resamples=99, keys=["acc"])["acc"].p_value == 1 / 100


def test_comparisons_mirror_when_the_systems_change_places() -> None:
    rng = np.random.default_rng(8)
    a = simulated(rng, 120, 0.4)
    b = simulated(rng, 120, 0.0, a.gold)
    there, back = (paired_bootstrap(x, y, keys=["acc", "ac3"]) for x, y in ((a, b), (b, a)))
    for key in ("acc", "ac3"):
        assert there[key].difference == -back[key].difference == there[key].a - there[key].b
        assert (there[key].low, there[key].high) == pytest.approx((-back[key].high, -back[key].low))
        assert there[key].p_value == back[key].p_value
        assert there[key].standard_error == pytest.approx(back[key].standard_error)
        assert there[key].a == pytest.approx(score_questions(a)[key])


def test_pairing_uses_that_both_systems_met_the_same_questions() -> None:
    rng = np.random.default_rng(9)
    a = simulated(rng, 300)
    answers = a.answers.T.copy()
    answers[:15] = (a.gold[:15, None] + 1) % 4  # B is A but for fifteen questions
    b = answer_matrix(answers, a.gold, LANGUAGES, n_choices=4)
    paired = paired_bootstrap(a, b, keys=["acc"])["acc"]
    gap = (a.answers == a.gold).mean(axis=0) - (b.answers == b.gold).mean(axis=0)
    assert paired.standard_error == pytest.approx(gap.std() / np.sqrt(300), rel=0.1)
    single = [standard_errors(bootstrap(x))["acc"] for x in (a, b)]
    assert paired.standard_error < 0.5 * np.hypot(*single)
    assert paired.p_value < 0.01 < paired.low < paired.difference < paired.high


def test_approximate_randomization_nears_the_exact_test_of_scipy() -> None:
    stats = pytest.importorskip("scipy.stats", reason="the randomisation test is not compared with scipy's")
    rng = np.random.default_rng(10)
    a = simulated(rng, 12, 1.5)
    b = simulated(rng, 12, -0.5, a.gold)
    found = approximate_randomization(a, b, n_resamples=40_000, keys=["acc"])["acc"]
    right = [(x.answers == x.gold).mean(axis=0) for x in (a, b)]
    exact = stats.permutation_test(
        right, lambda x, y: x.mean() - y.mean(), permutation_type="samples", n_resamples=np.inf
    )
    assert found.difference == pytest.approx(exact.statistic)
    assert 0.01 < exact.pvalue < 0.9
    assert found.p_value == pytest.approx(exact.pvalue, abs=0.01)
    assert np.isnan(found.standard_error)


def test_randomization_of_a_curved_score_equals_its_enumeration() -> None:
    rng = np.random.default_rng(11)
    a = simulated(rng, 8, 1.0)
    b = simulated(rng, 8, -0.5, a.gold)
    observed, extreme = abs(score_questions(a)["ac3"] - score_questions(b)["ac3"]), 0
    for swap in range(2**8):
        swapped = np.array([swap >> q & 1 for q in range(8)], dtype=bool)[:, None]
        mixed = [np.where(swapped, y.answers.T, x.answers.T) for x, y in ((a, b), (b, a))]
        one, other = (score_questions(answer_matrix(m, a.gold, LANGUAGES, n_choices=4))["ac3"] for m in mixed)
        extreme += abs(one - other) >= observed - 1e-12
    found = approximate_randomization(a, b, n_resamples=20_000, keys=["ac3"])["ac3"]
    assert 0.01 < extreme / 2**8 < 0.9
    assert found.p_value == pytest.approx(extreme / 2**8, abs=0.015)


def test_systems_with_and_without_loglikelihoods_or_orders_are_compared_on_what_both_have() -> None:
    rng = np.random.default_rng(12)
    answers, gold = rng.integers(0, 4, (40, 2)), rng.integers(0, 4, 40)
    logprobs = np.log(rng.dirichlet(np.ones(4), (40, 2)))
    orders = rng.permuted(np.broadcast_to(np.arange(4), (40, 2, 4)), axis=2)
    rich = answer_matrix(answers, gold, ["en", "zh"], logprobs=logprobs, orders=orders)
    plain = answer_matrix(answers, gold, ["en", "zh"], n_choices=4)
    for test in (paired_bootstrap, approximate_randomization):
        found = test(rich, plain, n_resamples=50)
        assert found["kappa_p"].difference == found["ac3"].difference == 0.0
        assert not {"rankc", "fleiss_kappa"} & found.keys()
        assert "rankc" in test(rich, rich, n_resamples=50)


def test_a_number_of_choices_seen_in_one_system_holds_for_both() -> None:
    few = answer_matrix([[0, 1], [1, 1], [0, 0]], [0, 1, 1], ["en", "zh"])
    many = answer_matrix([[3, 1], [1, 1], [0, 2]], [0, 1, 1], ["en", "zh"])
    found = paired_bootstrap(few, many, n_resamples=20, keys=["kappa_p", "baseline_random_acc"])
    assert found["baseline_random_acc"].a == found["baseline_random_acc"].b == 0.25
    assert (
        found["kappa_p"].a
        == score_questions(answer_matrix(few.answers.T, few.gold, ["en", "zh"], n_choices=4))["kappa_p"]
    )
    assert approximate_randomization(many, few, n_resamples=20)["acc"].difference == pytest.approx(-1 / 6)


def test_undefined_differences_do_not_make_a_difference_surer() -> None:
    # English is right on one question only: a third of the resamples have no transfer rate to differ in.
    a = answer_matrix([[0, 0], [1, 1], [1, 0]], [0, 0, 0], ["en", "zh"], n_choices=2)
    b = answer_matrix([[0, 1], [1, 1], [1, 0]], [0, 0, 0], ["en", "zh"], n_choices=2)
    found = paired_bootstrap(a, b, n_resamples=2000, keys=["transfer"])["transfer"]
    assert found.difference == 1.0
    assert found.p_value == pytest.approx((2 / 3) ** 3, abs=0.04)


def test_mistakes_are_clear_messages() -> None:
    rng = np.random.default_rng(13)
    a = simulated(rng, 20)
    other_gold = answer_matrix(a.answers.T, [*a.gold[:7], (a.gold[7] + 1) % 4, *a.gold[8:]], LANGUAGES)
    other_languages = answer_matrix(a.answers.T, a.gold, ["en", "es", "vi", "fr"])
    for b, message in (
        (simulated(rng, 19), "answered 20 and 19 questions"),
        (other_gold, "gold options differ at question row 7"),
        (other_languages, "languages differ"),
    ):
        for test in (paired_bootstrap, approximate_randomization):
            with pytest.raises(CrossinError, match=message):
                test(a, b)
    with pytest.raises(CrossinError, match="n_resamples must be at least 2"):
        bootstrap(a, n_resamples=1)
    with pytest.raises(CrossinError, match="there is no score ac9"):
        bootstrap(a, keys=["ac9"])
    with pytest.raises(CrossinError, match="level must be between 0 and 1"):
        percentile_intervals(bootstrap(a, n_resamples=5), 95)
    with pytest.raises(CrossinError, match="replicates are of 20 questions, but 19"):
        bca_intervals(simulated(rng, 19), bootstrap(a, n_resamples=5))
    with pytest.raises(CrossinError, match="alpha and power"):
        minimum_detectable_difference(0.1, power=1.0)
    with pytest.raises(CrossinError, match="a standard error must be"):
        minimum_detectable_difference(float("nan"))


def test_minimum_detectable_difference_of_the_textbooks() -> None:
    assert minimum_detectable_difference(1.0) == pytest.approx(1.959964 + 0.841621, abs=1e-5)
    assert minimum_detectable_difference(0.02, alpha=0.1, power=0.5) == pytest.approx(0.02 * 1.644854, abs=1e-6)


def coverage(n: int, n_samples: int, n_resamples: int, method: str) -> dict[str, float]:
    """Share of intervals that hold the truth: samples of questions from a pool whose scores are the truth."""
    rng = np.random.default_rng(14)
    pool = simulated(rng, 3000, 0.5)
    truth = score_questions(pool)
    keys = ("acc", "consistency", "ac3", "fleiss_kappa", "transfer")
    held = dict.fromkeys(keys, 0)
    for i in range(n_samples):
        sample = rows_of(pool, rng.integers(0, 3000, n))
        replicates = bootstrap(sample, n_resamples=n_resamples, seed=i, keys=keys)
        bca = method == "bca"
        intervals = bca_intervals(sample, replicates) if bca else percentile_intervals(replicates)
        for key in keys:
            held[key] += intervals[key][0] <= truth[key] <= intervals[key][1]
    return {key: count / n_samples for key, count in held.items()}


@pytest.mark.slow
@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_95_per_cent_intervals_hold_the_truth_95_per_cent_of_the_time(method: str) -> None:
    for key, share in coverage(n=300, n_samples=2000, n_resamples=1000, method=method).items():
        assert 0.93 <= share <= 0.97, (key, share)


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    # A quick look at the slow simulation above: 300 samples leave a standard error of 1.3%.
    for key, share in coverage(n=150, n_samples=300, n_resamples=400, method="percentile").items():
        assert 0.91 <= share <= 0.985, (key, share)


def rejections(test: Any, n_pairs: int, skill: float = 0.0, **more: Any) -> dict[str, float]:
    """Share of pairs of simulated systems, B better by `skill`, that a test at 5% tells apart."""
    rng = np.random.default_rng(15)
    counts = {"acc": 0, "consistency": 0, "ac3": 0}
    for i in range(n_pairs):
        a = simulated(rng, 150)
        b = simulated(rng, 150, skill, a.gold)
        for key, found in test(a, b, seed=i, keys=list(counts), **more).items():
            counts[key] += found.p_value <= 0.05
    return {key: count / n_pairs for key, count in counts.items()}


@pytest.mark.slow
@pytest.mark.parametrize("test", [paired_bootstrap, approximate_randomization])
def test_two_equal_systems_are_told_apart_5_per_cent_of_the_time(test: Any) -> None:
    for key, share in rejections(test, 2000, n_resamples=500).items():
        assert 0.035 <= share <= 0.065, (key, share)


@pytest.mark.parametrize("test", [paired_bootstrap, approximate_randomization])
def test_equal_systems_are_seldom_told_apart_and_different_ones_often(test: Any) -> None:
    for key, share in rejections(test, 200, n_resamples=200).items():
        assert 0.01 <= share <= 0.1, (key, share)
    for key, share in rejections(test, 50, skill=1.5, n_resamples=200).items():
        assert share >= 0.95, (key, share)


@pytest.mark.slow
def test_the_minimum_detectable_difference_is_found_with_the_power_it_promises() -> None:
    rng = np.random.default_rng(16)
    found = []
    for _ in range(40):  # the true difference of this pair of systems, and the standard error on 150 questions
        a = simulated(rng, 20_000)
        b = simulated(rng, 20_000, 0.5, a.gold)
        found.append(score_questions(b)["acc"] - score_questions(a)["acc"])
    difference = float(np.mean(found))
    error = np.mean(
        [
            paired_bootstrap(a, simulated(rng, 150, 0.5, a.gold), n_resamples=300, keys=["acc"])["acc"].standard_error
            for a in (simulated(rng, 150) for _ in range(100))
        ]
    )
    # Which power has a difference of that size as its minimum? Then that share of pairs must be told apart.
    powers = np.linspace(0.05, 0.95, 181)
    sizes = [minimum_detectable_difference(float(error), power=float(power)) for power in powers]
    promised = float(np.interp(difference, sizes, powers))
    assert 0.2 < promised < 0.95
    assert rejections(paired_bootstrap, 1000, skill=0.5, n_resamples=500)["acc"] == pytest.approx(promised, abs=0.05)
