"""Paired tests, Holm, tests against the best and Student's t: by definition, against scipy, and by simulation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from crossin_metrics.errors import CrossinError
from crossin_metrics.scores.answer_matrix import answer_matrix
from crossin_metrics.scores.catalogue import MAIN_SCORES
from crossin_metrics.scores.definitions import score_questions
from crossin_metrics.scores.significance import (
    AgainstBest,
    approximate_randomization,
    compare_systems,
    compare_with_best,
    holm,
    minimum_detectable_difference,
    paired_bootstrap,
    t_p_value,
    t_quantile,
)
from crossin_metrics.scores.uncertainty import bootstrap, joint_bootstrap, standard_errors
from tests.helpers.simulated import LANGUAGES, rows_of, simulated, two_systems


def test_holm_by_its_definition() -> None:
    rng = np.random.default_rng(5)
    for n in (1, 2, 5, 9):
        p = rng.beta(0.3, 1, n).tolist()
        adjusted = holm(p)
        for alpha in (0.001, 0.01, 0.05, 0.2, 0.7):
            # step down: reject the smallest while p_(k) <= alpha / (n - k + 1), stop at the first that is not
            rejected: set[int] = set()
            for rank, i in enumerate(sorted(range(n), key=p.__getitem__)):
                if p[i] > alpha / (n - rank):
                    break
                rejected.add(i)
            assert {i for i in range(n) if adjusted[i] <= alpha} == rejected
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])  # Holm 1979's procedure by hand
    assert holm([]) == []
    with pytest.raises(CrossinError, match=r"in \[0, 1\]"):
        holm([0.5, float("nan")])


@settings(deadline=None)
@given(st.floats(0.5, 1e9), st.floats(0.0, 1e3))
def test_p_values_of_students_t_are_in_range_and_symmetric(degrees: float, t: float) -> None:
    assert 0.0 <= t_p_value(t, degrees) <= 1.0
    assert t_p_value(-t, degrees) == t_p_value(t, degrees)


def test_students_t_at_its_limits() -> None:
    assert t_p_value(4e-162, 2.0) == 1.0
    assert t_p_value(1.0, 1.0) == pytest.approx(0.5)  # Cauchy's
    assert t_p_value(math.inf, 3.0) == 0.0
    assert t_quantile(0.975, math.inf) == pytest.approx(1.959963984540054)
    assert t_quantile(0.975, 2.0) == pytest.approx(4.302652729911275)
    assert math.isnan(t_p_value(1.0, math.nan))
    assert math.isnan(t_quantile(0.975, math.nan))


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
    with pytest.raises(CrossinError, match="alpha and power"):
        minimum_detectable_difference(0.1, power=1.0)
    with pytest.raises(CrossinError, match="a standard error must be"):
        minimum_detectable_difference(-0.1)


def test_minimum_detectable_difference_of_the_textbooks() -> None:
    assert minimum_detectable_difference(1.0) == pytest.approx(1.959964 + 0.841621, abs=1e-5)
    assert minimum_detectable_difference(0.02, alpha=0.1, power=0.5) == pytest.approx(0.02 * 1.644854, abs=1e-6)
    assert minimum_detectable_difference(1.0, degrees=3.0) == pytest.approx(stats.t.ppf([0.975, 0.8], 3.0).sum())
    assert math.isnan(minimum_detectable_difference(0.0))


def test_p_values_are_corrected_over_benchmarks_for_each_score() -> None:
    pairs = [two_systems(i, 60, 0.3 * i) for i in range(4)]
    tested = compare_systems(pairs, n_resamples=500)
    alone = [compare_systems([pair], n_resamples=500)[0] for pair in pairs]
    for key in MAIN_SCORES:
        raw = [one[key].p_randomization for one in alone]
        assert [one[key].p_randomization for one in tested] == raw
        assert [one[key].p_randomization_holm for one in tested] == pytest.approx(holm(raw))
        assert [one[key].p_bootstrap_holm for one in tested] == pytest.approx(holm([x[key].p_bootstrap for x in alone]))
        # Holm's first step: what is found with 80% power whatever the other benchmark gives
        assert tested[0][key].detectable == pytest.approx(
            minimum_detectable_difference(tested[0][key].standard_error, alpha=0.05 / len(pairs))
        )
    assert all(one[key].significant == (one[key].p_randomization_holm <= 0.05) for one in tested for key in one)


def test_scores_and_detectable_differences_of_two_systems() -> None:
    pair = two_systems(1, 60, 0.5)
    (tested,) = compare_systems([pair], n_resamples=1000, alpha=0.1)
    scores = [score_questions(one) for one in pair]
    assert list(tested) == list(MAIN_SCORES)
    for key, one in tested.items():
        assert (one.a, one.b) == pytest.approx((scores[0][key], scores[1][key]))
        assert one.difference == pytest.approx(one.a - one.b)
        assert one.detectable == pytest.approx(minimum_detectable_difference(one.standard_error, alpha=0.1, power=0.8))


def test_intervals_of_a_difference_are_those_of_scipy() -> None:
    pair = two_systems(1, 120, 0.35)
    (tested,) = compare_systems([pair], n_resamples=20_000)
    right = [(one.answers == one.gold).mean(axis=0) for one in pair]

    def difference(x: Any, y: Any, axis: int = -1) -> Any:
        return x.mean(axis=axis) - y.mean(axis=axis)

    def ac3_difference(rows: Any) -> float:
        values = [score_questions(rows_of(one, rows.astype(int)))["ac3"] for one in pair]
        return values[0] - values[1]

    options: dict[str, Any] = {"method": "percentile", "random_state": np.random.default_rng(4)}  # scipy 1.15: rng
    acc = stats.bootstrap(right, difference, paired=True, n_resamples=20_000, **options)
    assert (tested["acc"].low, tested["acc"].high) == pytest.approx(tuple(acc.confidence_interval), abs=0.005)
    assert tested["acc"].standard_error == pytest.approx(acc.standard_error, rel=0.05)
    ac3 = stats.bootstrap((np.arange(120.0),), ac3_difference, vectorized=False, n_resamples=2000, **options)
    assert (tested["ac3"].low, tested["ac3"].high) == pytest.approx(tuple(ac3.confidence_interval), abs=0.015)


def test_one_language_has_accuracy_alone_and_undefined_scores_are_an_error() -> None:
    a, b = (answer_matrix(np.arange(20)[:, None] % k, np.zeros(20, dtype=int), ["en"]) for k in (2, 3))
    assert list(compare_systems([(a, b)], n_resamples=50)[0]) == ["acc"]
    with pytest.raises(CrossinError, match="consistency: undefined for these runs"):
        compare_systems([(a, b)], keys=["consistency"], n_resamples=50)


def test_a_score_is_tested_on_the_benchmarks_that_have_it() -> None:
    rng = np.random.default_rng(20)
    gold = rng.integers(0, 4, 30)
    pairs = [
        tuple(answer_matrix(rng.integers(0, 4, (30, 2)), gold, codes, n_choices=4) for _ in "ab")
        for codes in (["en", "zh"], ["id", "zh"])
    ]
    tested = compare_systems(pairs, keys=["acc", "transfer"], n_resamples=50)
    assert [list(scores) for scores in tested] == [["acc", "transfer"], ["acc"]]
    assert tested[0]["transfer"].p_randomization_holm == tested[0]["transfer"].p_randomization  # a family of one
    with pytest.raises(CrossinError, match="transfer: undefined for these runs"):
        compare_systems(pairs[1:], keys=["acc", "transfer"], n_resamples=50)


def test_systems_are_tested_against_the_best_on_shared_prompts_and_all_together() -> None:
    rng = np.random.default_rng(3)
    best = simulated(rng, 100, 0.8)
    others = [simulated(rng, 100, skill, best.gold) for skill in (0.5, 0.3, 0.0)]
    replicates = joint_bootstrap([best, *others], n_resamples=2000, seed=1)
    tests = compare_with_best(replicates, [{"p1": 0}, {"p1": 1}, {"p1": 2}, {"p2": 3}], 0, "ac3")
    values, score = replicates.values["ac3"][:, :3], replicates.estimate["ac3"][:3]
    spread = np.ptp(values - score, axis=1)
    for i in (1, 2):
        assert tests[i].difference == pytest.approx(score[i] - score[0])
        assert tests[i].p_value == (1 + (spread >= score[0] - score[i]).sum()) / 2001
    assert (tests[0].difference, tests[0].p_value, tests[0].significant) == (0.0, 1.0, False)
    assert 3 not in tests  # no shared prompt
    of_two = compare_with_best(replicates, [{"p1": 0, "p2": 1}, {"p1": 2, "p2": 3}], 0, "acc")[1]
    accuracies = [score_questions(one)["acc"] for one in (best, *others)]
    assert of_two.prompts == ("p1", "p2")
    assert of_two.difference == pytest.approx(np.mean(accuracies[2:]) - np.mean(accuracies[:2]))


@pytest.mark.parametrize(("m", "n_tables"), [(2, 60), (20, 60)])
def test_of_equal_systems_none_is_told_from_the_best_in_95_per_cent_of_tables(m: int, n_tables: int) -> None:
    rng = np.random.default_rng(8)
    told = 0
    for _ in range(n_tables):
        first = simulated(rng, 150)
        replicates = joint_bootstrap([first, *(simulated(rng, 150, 0.0, first.gold) for _ in range(m - 1))],
                                     n_resamples=400)  # fmt: skip
        best = int(replicates.estimate["acc"].argmax())
        tests = compare_with_best(replicates, [{"p1": i} for i in range(m)], best, "acc")
        told += any(test.significant for test in tests.values())
    assert told / n_tables <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / n_tables), told  # Holm after the choice: 0.2 of 20


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


def difference_coverage(n_samples: int, n_resamples: int, n: int = 150) -> dict[str, float]:
    """Share of intervals of A - B that hold the true difference, that of a pool the questions are drawn from."""
    pools = two_systems(1, 3000, 0.6)
    truth = [score_questions(pool) for pool in pools]
    rng = np.random.default_rng(8)
    held = dict.fromkeys(MAIN_SCORES, 0)
    for i in range(n_samples):
        a, b = (rows_of(pool, rows) for rows in [rng.integers(0, 3000, n)] for pool in pools)
        for key, one in paired_bootstrap(a, b, n_resamples=n_resamples, seed=i, keys=MAIN_SCORES).items():
            held[key] += one.low <= truth[0][key] - truth[1][key] <= one.high
    return {key: count / n_samples for key, count in held.items()}


@pytest.mark.parametrize(
    ("n_samples", "n_resamples", "least", "most"),
    [(150, 300, 0.89, 0.995), pytest.param(1000, 600, 0.925, 0.97, marks=pytest.mark.slow)],
)
def test_95_per_cent_intervals_hold_the_true_difference(
    n_samples: int, n_resamples: int, least: float, most: float
) -> None:
    for key, share in difference_coverage(n_samples, n_resamples).items():
        assert least <= share <= most, (key, share)


@pytest.mark.slow
def test_the_family_wise_error_over_four_benchmarks_is_at_its_level() -> None:
    wrong = 0
    for study in range(600):  # a standard error of 0.9%
        pairs = [two_systems(10_000 + 4 * study + i, 60) for i in range(4)]
        tested = compare_systems(pairs, keys=["ac3"], n_resamples=400, seed=study)
        wrong += any(one["ac3"].significant for one in tested)
    assert wrong / 600 <= 0.07


@pytest.mark.parametrize(("p_value", "significant"), [(0.05, True), (0.0501, False)])
def test_a_difference_counts_at_five_percent(p_value: float, significant: bool) -> None:
    assert AgainstBest(0.1, p_value, ("p1",)).significant is significant
