"""Arms over several seeds: against the formulas and scipy, limits, mistakes; levels by simulation."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from crossin_metrics.errors import CrossinError
from crossin_metrics.scores.answer_matrix import AnswerMatrix, answer_matrix
from crossin_metrics.scores.definitions import harmonic_mean, score_questions
from crossin_metrics.scores.significance import holm, paired_bootstrap
from crossin_metrics.scores.training_seeds import (
    BOTH,
    QUESTIONS,
    Arm,
    arm_scores,
    compare_arms,
    compare_family,
    resample_arms,
    seed_notes,
)
from crossin_metrics.scores.uncertainty import bootstrap
from tests.scores.simulate_training_seeds import KEYS, World, simulate, truth

LANGUAGES = ("en", "vi", "zh")


def run_of(skill: float, seed: int, n: int = 80) -> AnswerMatrix:
    gold = np.random.default_rng(7).integers(0, 4, n)
    rng = np.random.default_rng(seed)
    known = rng.random((n, 3)) < skill
    return answer_matrix(np.where(known, gold[:, None], rng.integers(0, 4, (n, 3))), gold, LANGUAGES, n_choices=4)


def runs_of(skill: float, *seeds: int) -> list[list[AnswerMatrix]]:
    """Training seeds, each asked with one prompt."""
    return [[run_of(skill, seed)] for seed in seeds]


def arm_of(scores: list[float], values: NDArray[np.float64], *, trained: bool = True, n: int = 600) -> Arm:
    return Arm({"acc": np.array(scores)}, {"acc": values}, n, trained)


def test_scores_are_those_of_the_runs() -> None:
    runs = runs_of(0.5, 1, 2, 3)
    arm = resample_arms({"a": runs}, n_resamples=50)["a"]
    each = [score_questions(run) for (run,) in runs]
    found = arm_scores(arm)
    assert list(found) == ["acc", "consistency", "ac3", "acc_en", "acc_vi", "acc_zh"]
    for key, one in found.items():
        assert one.by_seed == pytest.approx([scores[key] for scores in each])
        assert one.mean == pytest.approx(np.mean([scores[key] for scores in each]))
        assert one.sd == pytest.approx(np.std([scores[key] for scores in each], ddof=1))
        assert one.covers == BOTH
        assert one.low < one.mean < one.high


def test_resamples_are_of_the_same_questions_for_all_runs() -> None:
    a, b = runs_of(0.4, 1, 2), runs_of(0.6, 3)
    arms = resample_arms({"a": a, "b": b}, n_resamples=300, seed=5)
    reference = bootstrap(a[1][0], n_resamples=300, seed=5, keys=["ac3"])
    assert arms["a"].values["ac3"][:, 1] == pytest.approx(reference.values["ac3"])
    joint = paired_bootstrap(a[0][0], b[0][0], n_resamples=300, seed=5, keys=["ac3"])["ac3"]
    gap = arms["a"].values["ac3"][:, 0] - arms["b"].values["ac3"][:, 0]
    assert gap.std(ddof=1) == pytest.approx(joint.standard_error)


def test_the_standard_error_is_made_of_questions_and_seeds() -> None:
    """Against the formula of the module's docstring, written out, with scipy's distribution."""
    arms = resample_arms({"a": runs_of(0.3, 1, 2, 3), "b": runs_of(0.6, 4, 5, 6, 7)}, n_resamples=400)
    a, b = (arms[name] for name in "ab")
    one = arm_scores(a, level=0.9)["ac3"]
    q, s = a.values["ac3"].mean(axis=1).var(ddof=1), a.scores["ac3"].var(ddof=1) / 3
    degrees = (q + s) / (q / 79 + s / 2)
    assert one.degrees == pytest.approx(degrees)
    assert one.high - one.mean == pytest.approx(stats.t.ppf(0.95, degrees) * math.sqrt(q + s))
    two = compare_arms(a, b)["ac3"]
    q = (a.values["ac3"].mean(axis=1) - b.values["ac3"].mean(axis=1)).var(ddof=1)
    t = b.scores["ac3"].var(ddof=1) / 4
    degrees = (q + s + t) ** 2 / (q**2 / 79 + s**2 / 2 + t**2 / 3)
    assert two.difference == pytest.approx(a.scores["ac3"].mean() - b.scores["ac3"].mean())
    assert two.p_value == pytest.approx(2 * stats.t.sf(abs(two.difference) / math.sqrt(q + s + t), degrees))
    assert two.p_questions == pytest.approx(2 * stats.t.sf(abs(two.difference) / math.sqrt(q), 79))
    assert two.detectable == pytest.approx(
        math.sqrt(q + s + t) * (stats.t.ppf(0.975, degrees) + stats.t.ppf(0.8, degrees))
    )
    assert two.low_questions - two.difference == pytest.approx(-stats.t.ppf(0.975, 79) * math.sqrt(q))
    assert two.p_questions < two.p_value


def test_detectable_differences_count_the_comparisons_corrected() -> None:
    arms = resample_arms({name: runs_of(0.3, i, i + 1, i + 2) for i, name in enumerate("abcd")}, n_resamples=200)
    family = compare_family(arms, [("a", "d"), ("b", "d"), ("c", "d")])
    one, alone = family[0]["ac3"], compare_arms(arms["a"], arms["d"])["ac3"]
    assert (one.n_tests, alone.n_tests) == (3, 1)
    assert one.detectable == pytest.approx(
        one.standard_error * (stats.t.ppf(1 - 0.025 / 3, one.degrees) + stats.t.ppf(0.8, one.degrees))
    )
    assert one.detectable > 1.1 * alone.detectable


def test_without_questions_variance_it_is_welchs_test() -> None:
    x, y = [0.50, 0.55, 0.61], [0.40, 0.42, 0.47, 0.43]
    a, b = arm_of(x, np.tile(x, (10, 1))), arm_of(y, np.tile(y, (10, 1)))
    expected = stats.ttest_ind(x, y, equal_var=False)
    found = compare_arms(a, b)["acc"]
    assert found.p_value == pytest.approx(float(expected.pvalue))
    assert found.degrees == pytest.approx(float(expected.df))


def test_an_arm_against_itself_and_swapped() -> None:
    arms = resample_arms({"a": runs_of(0.3, 1, 2, 3), "b": runs_of(0.6, 4, 5, 6)}, n_resamples=200)
    same = compare_arms(arms["a"], replace(arms["a"]))["ac3"]
    assert same.difference == 0.0
    assert same.p_value == same.p_questions == 1.0
    forward, backward = (compare_arms(arms[x], arms[y])["ac3"] for x, y in ("ab", "ba"))
    assert backward.difference == -forward.difference
    assert backward.p_value == pytest.approx(forward.p_value)
    assert (backward.low, backward.high) == pytest.approx((-forward.high, -forward.low))


def test_one_seed_tells_nothing_of_another() -> None:
    arms = resample_arms(
        {"one": runs_of(0.3, 1), "three": runs_of(0.6, 4, 5, 6), "untuned": runs_of(0.2, 9)},
        untrained=["untuned"],
        n_resamples=200,
    )
    assert arm_scores(arms["one"])["acc"].covers == QUESTIONS
    assert math.isnan(arm_scores(arms["one"])["acc"].sd)
    unknown = compare_arms(arms["three"], arms["one"])["acc"]
    assert math.isnan(unknown.p_value)
    assert math.isnan(unknown.low)
    assert 0.0 < unknown.p_questions < 0.05
    known = compare_arms(arms["three"], arms["untuned"])["acc"]  # nothing random was done to the untuned model
    assert known.p_questions < known.p_value < 0.05


def test_prompts_are_averaged_as_table_3_does() -> None:
    wordings = [[run_of(skill, seed) for seed in (1, 2)] for skill in (0.3, 0.6)]
    arm = resample_arms({"a": wordings}, n_resamples=50)["a"]
    for seed, runs in enumerate(wordings):
        each = [score_questions(run) for run in runs]
        acc, consistency = (np.float64(np.mean([one[key] for one in each])) for key in ("acc", "consistency"))
        assert arm.scores["acc"][seed] == pytest.approx(acc)
        assert arm.scores["ac3"][seed] == pytest.approx(float(harmonic_mean(acc, consistency)))  # type: ignore[arg-type]


def test_intervals_stay_in_range() -> None:
    arm = resample_arms({"a": runs_of(1.0, 1, 2, 3)}, n_resamples=50)["a"]
    one = arm_scores(arm)["ac3"]
    assert (one.mean, one.low, one.high) == (1.0, 1.0, 1.0)
    narrow = arm_of([0.99, 0.95, 1.0], np.tile([0.99, 0.95, 1.0], (10, 1)))
    assert arm_scores(narrow)["acc"].high == 1.0
    certain = compare_arms(arm_of([1.0] * 3, np.ones((9, 3)), n=5), arm_of([0.0] * 3, np.zeros((9, 3)), n=5))["acc"]
    assert certain.p_value == 2.0**-4


def test_one_question_decides_nothing() -> None:
    arms = resample_arms(
        {"a": [[run_of(1.0, 1, n=1)]], "b": [[run_of(0.0, 6, n=1)]]}, untrained=["a", "b"], n_resamples=9
    )
    assert math.isnan(compare_arms(arms["a"], arms["b"])["acc"].p_value)


def test_families_are_corrected_together() -> None:
    runs = {"base": runs_of(0.4, 1, 2, 3), "x": runs_of(0.5, 4, 5, 6), "y": runs_of(0.7, 7, 8, 9)}
    runs["single"] = runs_of(0.9, 10)
    arms = resample_arms(runs, n_resamples=200)
    pairs = [("x", "base"), ("y", "base"), ("single", "base"), ("y", "x")]
    family = compare_family(arms, pairs)
    raw = [compare_arms(arms[a], arms[b])["ac3"] for a, b in pairs]
    assert [one["ac3"].p_questions_holm for one in family] == pytest.approx(holm([one.p_questions for one in raw]))
    known = [0, 1, 3]  # one seed has no p-value over seeds, and is no part of that family
    expected = holm([raw[i].p_value for i in known])
    assert [family[i]["ac3"].p_holm for i in known] == pytest.approx(expected)
    assert math.isnan(family[2]["ac3"].p_holm)


def test_a_score_named_beforehand_is_resampled_on_the_same_questions() -> None:
    """Transfer and consistent_correct by hand: the scores of questions drawn with replacement, the same in all runs."""
    runs = {"a": runs_of(0.6, 1, 2), "b": runs_of(0.3, 3, 4)}
    keys = ["transfer", "consistent_correct"]
    arms = resample_arms(runs, keys=keys, n_resamples=300)
    for name, ((first,), (second,)) in runs.items():
        expected = [score_questions(run) for run in (first, second)]
        for key in keys:
            assert arms[name].scores[key] == pytest.approx([one[key] for one in expected])
            alone = bootstrap(second, n_resamples=300, keys=[key])
            assert arms[name].values[key][:, 1] == pytest.approx(alone.values[key])
    # the same resamples as accuracy's: a key that both ways compute agrees replicate by replicate
    both = resample_arms(runs, keys=["acc_en", "transfer"], n_resamples=300)["a"]
    again = bootstrap(runs["a"][0][0], n_resamples=300, keys=["acc_en"]).values["acc_en"]
    assert both.values["acc_en"][:, 0] == pytest.approx(again)
    assert set(compare_arms(arms["a"], arms["b"])) >= {*keys, "acc", "consistency", "ac3"}
    with pytest.raises(CrossinError, match="unknown score 'trasnfer'; did you mean 'transfer'"):
        resample_arms(runs, keys=["trasnfer"])


def test_an_arm_without_a_score_takes_it_from_no_other() -> None:
    gold = np.random.default_rng(7).integers(0, 4, 80)
    wrong = np.repeat((gold[:, None] + 1) % 4, 3, axis=1)
    wrong[0] = gold[0]  # one question right: in some resamples English has none
    untuned = answer_matrix(wrong, gold, LANGUAGES, n_choices=4)
    runs = {"a": runs_of(0.6, 1, 2), "b": runs_of(0.4, 3, 4), "untuned": [[untuned]]}
    arms = resample_arms(runs, untrained=["untuned"], keys=["transfer"], n_resamples=300)
    alone = resample_arms({name: runs[name] for name in "ab"}, keys=["transfer"], n_resamples=300)
    assert "transfer" not in arms["untuned"].scores
    assert compare_arms(arms["a"], arms["b"]) == compare_arms(alone["a"], alone["b"])


def test_resamples_without_the_score_leave_it_out() -> None:
    """Right in English on one question: most resamples have none, so transfer is undefined there."""
    answers = np.ones((30, 2), dtype=int)
    answers[0] = 0
    run = answer_matrix(answers, np.zeros(30, dtype=int), ["en", "vi"])
    arm = resample_arms({"a": [[run]]}, keys=["transfer", "consistent_correct"], n_resamples=100)["a"]
    assert "transfer" not in arm.scores
    assert arm.scores["consistent_correct"] == pytest.approx([1 / 30])


def test_an_arm_on_fewer_prompts_is_scored_on_the_same_resamples() -> None:
    wordings = [[run_of(0.5, 1), run_of(0.3, 2)], [run_of(0.5, 3), run_of(0.3, 4)]]
    first = [prompts[:1] for prompts in wordings]
    arms = resample_arms({"both": wordings, "first": first}, keys=["transfer"], n_resamples=50)
    alone = resample_arms({"first": first}, keys=["transfer"], n_resamples=50)["first"]
    for key, values in alone.values.items():
        assert arms["first"].values[key] == pytest.approx(values)
        assert arms["first"].scores[key] == pytest.approx(alone.scores[key])


def test_without_english_there_is_no_transfer_and_everything_else_stands() -> None:
    def run_in(code: str) -> AnswerMatrix:
        return replace(run_of(0.5, 1), languages=(code, *LANGUAGES[1:]))

    keys = ["transfer", "consistent_correct"]
    assert "transfer" in resample_arms({"a": [[run_in("en")]]}, keys=keys, n_resamples=20)["a"].scores
    found = resample_arms({"a": [[run_in("id")]]}, keys=keys, n_resamples=20)["a"].scores
    assert found.keys() >= {"consistent_correct", "ac3"}
    assert "transfer" not in found


def test_the_planned_comparison_is_tested_alone() -> None:
    runs = {"base": runs_of(0.4, 1, 2, 3), "x": runs_of(0.5, 4, 5, 6), "y": runs_of(0.7, 7, 8, 9)}
    arms = resample_arms(runs, keys=["transfer"], n_resamples=200)
    pairs = [("x", "base"), ("y", "base"), ("y", "x")]
    family = compare_family(arms, pairs, planned=("transfer", ("y", "base")))
    raw = {key: [compare_arms(arms[a], arms[b])[key] for a, b in pairs] for key in ("transfer", "ac3")}
    planned = family[1]["transfer"]
    assert (planned.p_holm, planned.n_tests) == (raw["transfer"][1].p_value, 1)
    rest = holm([raw["transfer"][i].p_value for i in (0, 2)])
    assert [family[i]["transfer"].p_holm for i in (0, 2)] == pytest.approx(rest)
    assert [family[i]["transfer"].n_tests for i in (0, 2)] == [2, 2]
    # by another score nothing was planned: all three are one family
    assert [one["ac3"].p_holm for one in family] == pytest.approx(holm([one.p_value for one in raw["ac3"]]))


def test_the_same_seed_gives_the_same_and_none_a_fresh_one() -> None:
    runs = {"a": runs_of(0.4, 1, 2)}
    first, again = (resample_arms(runs, n_resamples=20, seed=0)["a"].values["acc"] for _ in range(2))
    assert (first == again).all()
    fresh = [resample_arms(runs, n_resamples=20, seed=None)["a"].values["acc"] for _ in range(2)]
    assert (fresh[0] != fresh[1]).any()


def test_mistakes() -> None:
    with pytest.raises(CrossinError, match="arm a: no run"):
        resample_arms({"a": []})
    with pytest.raises(CrossinError, match="no arm"):
        resample_arms({})
    with pytest.raises(CrossinError, match="a and b did not answer the same questions"):
        resample_arms({"a": [[run_of(0.5, 1)]], "b": [[run_of(0.5, 1, n=81)]]})
    other = answer_matrix(np.zeros((80, 2), dtype=int), np.zeros(80, dtype=int), ["en", "vi"])
    with pytest.raises(CrossinError, match="languages of a and b differ"):
        resample_arms({"a": [[run_of(0.5, 1)]], "b": [[other]]})
    with pytest.raises(CrossinError, match="arm a: 2 runs of a model that was not trained"):
        resample_arms({"a": runs_of(0.5, 1, 2)}, untrained=["a"])
    arm = resample_arms({"a": runs_of(0.5, 1)}, n_resamples=20)["a"]
    with pytest.raises(CrossinError, match="resampled together"):
        compare_arms(arm, resample_arms({"a": runs_of(0.5, 1)}, n_resamples=21)["a"])
    with pytest.raises(CrossinError, match="level"):
        arm_scores(arm, level=95)


@pytest.mark.slow
@pytest.mark.parametrize("spread", [0.0, 0.1, 0.3])
def test_intervals_cover_and_tests_keep_their_level(spread: float) -> None:
    """300 data sets: a rate of 0.95 has a standard error of 0.013; what is not chosen must be seen to fail."""
    world = World(seed=spread)
    true, _ = truth(world, np.random.default_rng(1), n_seeds=600, n=1000)
    rates = simulate(world, true[:], n_datasets=300, n_resamples=200)
    for i, key in enumerate(KEYS):
        assert rates["coverage"]["chosen"][i] > 0.915, key
        assert rates["type I"]["chosen"][i] < 0.085, key
    if spread == 0.3:  # seeds matter: questions alone find differences that are none
        assert rates["type I"]["questions"].min() > 0.3
        assert rates["type I"]["crossed"].max() > 0.1


@pytest.mark.slow
def test_the_test_finds_what_there_is() -> None:
    world, better = World(seed=0.05), World(seed=0.05, level=1.0)
    true, _ = truth(world, np.random.default_rng(1), n_seeds=50, n=500)
    rates = simulate(world, true, n_datasets=60, n_resamples=200, other=better)
    assert rates["type I"]["chosen"].min() > 0.9  # the power, here


@pytest.mark.parametrize(
    ("scores", "trained", "said"),
    [
        ([0.50, 0.51, 0.52], True, ""),
        ([0.50, 0.51, 0.25], True, "x: one of 3 seeds is 26 points from the others in acc; .* run more seeds"),
        ([0.50, 0.60, 0.25, 0.42, 0.55], True, ""),  # they spread widely, but evenly
        ([0.50, 0.51], True, "x: two seeds; .* up to 18% of equal arms, not 5%"),
        ([0.50], True, ""),
        ([0.50], False, ""),
    ],
)
def test_seeds_that_break_what_tests_assume_are_named(scores: list[float], trained: bool, said: str) -> None:
    values = np.array(scores) + np.random.default_rng(0).normal(0, 0.02, (200, 1))
    notes = seed_notes("x", Arm({"acc": np.array(scores)}, {"acc": values}, 100, trained))
    assert len(notes) == bool(said)
    assert not said or re.fullmatch(said, notes[0])
