"""Scores on small tables whose values can be worked out by hand, against other implementations, and on bad input."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from crossin_metrics.errors import CrossinError
from crossin_metrics.scores import score
from crossin_metrics.scores.agreement import rank_consistency, subset_shares
from crossin_metrics.scores.answer_matrix import answer_matrix
from crossin_metrics.scores.definitions import (
    score_questions,
    scores_from_means,
)
from tests.helpers.simulated import question_statistics

EN_ES_ZH = ["en", "es", "zh"]


def random_logprobs(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return np.log(rng.dirichlet(np.ones(shape[-1]), size=shape[:-1]))


def test_a_table_worked_out_by_hand() -> None:
    answers = [[0, 0, 0], [1, 1, 2], [2, -1, -1], [3, 1, 0]]
    found = score(answers, [0, 1, 2, 1], EN_ES_ZH, n_choices=4)
    thirds = 1 / 3
    wanted = {
        "acc": (3 + 2 + 1 + 1) / 12,
        "acc_en": 3 / 4,
        "acc_es": 3 / 4,
        "acc_zh": 1 / 4,
        "consistency_2": (1 + thirds) / 4,
        "consistency_3": 1 / 4,
        "consistency": 1 / 4,
        "consistency_en_es": 2 / 4,
        "consistency_en_zh": 1 / 4,
        "consistency_es_zh": 1 / 4,
        "ac3_3": 2 * (7 / 12) * (1 / 4) / (7 / 12 + 1 / 4),
        "consistent_correct_2": (1 + thirds) / 4,
        "consistent_correct_3": 1 / 4,
        "transfer_es": 2 / 3,
        "transfer_zh": 1 / 3,
        "transfer": 1 / 2,
        # picked of the 10 answered rows: 4 A, 3 B, 2 C, 1 D; gold: a quarter A, a half B, a quarter C
        "letter_bias": (abs(0.4 - 0.25) + abs(0.3 - 0.5) + abs(0.2 - 0.25) + 0.1) / 2,
        "baseline_constant_acc": 1 / 2,
        "baseline_constant_ac3": 2 * 0.5 * 1 / 1.5,
        "baseline_random_acc": 1 / 4,
        "baseline_random_consistency": 1 / 16,
        "baseline_random_ac3": 2 * (1 / 4) * (1 / 16) / (1 / 4 + 1 / 16),
        "n_questions": 4,
        "n_unanswered": 2,
    }
    for key, value in wanted.items():
        assert found[key] == pytest.approx(value, abs=1e-12), key
    assert found["ac3"] == found["ac3_3"]
    assert all(type(value) is float for value in found.values())


def test_fleiss_kappa_of_the_usual_textbook_example() -> None:
    # Ten subjects, fourteen raters, five categories: kappa 0.210 in the encyclopaedias.
    counts = [
        [0, 0, 0, 0, 14],
        [0, 2, 6, 4, 2],
        [0, 0, 3, 5, 6],
        [0, 3, 9, 2, 0],
        [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0],
        [3, 2, 6, 3, 0],
        [2, 5, 3, 2, 2],
        [6, 5, 2, 1, 0],
        [0, 2, 2, 3, 7],
    ]
    answers = [[k for k, n in enumerate(row) for _ in range(n)] for row in counts]
    found = score(answers, [0] * 10, [f"l{i}" for i in range(14)], n_choices=5)
    assert found["fleiss_kappa"] == pytest.approx(0.210, abs=5e-4)
    assert found["consistency_2"] == pytest.approx(0.378, abs=5e-4)


def test_a_constant_letter_is_consistent_and_no_better_than_chance() -> None:
    gold = np.arange(40) % 4
    found = score(np.full((40, 7), 2), gold, list("abcdefg"), n_choices=4)
    assert found["consistency"] == found["consistency_7"] == 1.0
    assert found["fleiss_kappa"] == 0.0
    assert found["letter_bias"] == pytest.approx(0.75)
    assert found["acc"] == found["baseline_constant_acc"] == 0.25
    assert found["ac3"] == found["baseline_constant_ac3"] == pytest.approx(0.4)


def test_a_perfect_model() -> None:
    gold = np.arange(40) % 4
    found = score(np.repeat(gold[:, None], 4, axis=1), gold, ["en", "es", "vi", "zh"])
    for key in ("acc", "ac3", "consistency_4", "consistent_correct", "transfer", "fleiss_kappa"):
        assert found[key] == pytest.approx(1.0), key
    assert found["letter_bias"] == 0.0
    assert "kappa_p" not in found  # two models that make no errors: chance agreement is 1 as well


def test_a_model_that_never_answers() -> None:
    found = score(np.full((5, 3), -1), [0, 1, 2, 3, 0], EN_ES_ZH)
    for key in ("acc", "ac3", "consistency_2", "consistency", "consistency_en_zh", "fleiss_kappa", "kappa_p"):
        assert found[key] == 0.0, key
    assert found["n_unanswered"] == 15
    assert not {"letter_bias", "transfer", "transfer_es", "rankc"} & found.keys()


def test_which_keys_there_are() -> None:
    one = score([[0], [1]], [0, 0], ["en"], n_choices=2)
    shared = {"acc", "baseline_constant_acc", "baseline_random_acc", "letter_bias", "n_questions", "n_unanswered"}
    assert one.keys() == shared | {"acc_en"}
    two = score([[0, 0], [1, 0]], [0, 0], ["en", "zh"], n_choices=2)
    assert two["consistency"] == two["consistency_2"] == 0.5
    assert two["ac3"] == two["ac3_2"]
    assert "consistency_3" not in two
    assert "transfer" not in score([[0, 0], [1, 0]], [0, 0], ["es", "zh"])


def test_a_hundred_and_twenty_two_languages_against_exact_fractions() -> None:
    shares = subset_shares(122)
    assert shares.shape == (121, 123)
    for s, m in itertools.product((2, 3, 40, 61, 62, 121, 122), (0, 1, 2, 39, 61, 100, 121, 122)):
        exact = float(Fraction(math.comb(m, s), math.comb(122, s)))
        assert shares[s - 2, m] == pytest.approx(exact, rel=1e-12), (s, m)
    answers = np.zeros((3, 122), dtype=int)
    answers[1, :61] = 1
    found = score(answers, [0, 0, 0], [f"l{i}" for i in range(122)], n_choices=4)
    assert found["consistency_2"] == pytest.approx((2 + 2 * math.comb(61, 2) / math.comb(122, 2)) / 3)
    assert found["consistency_122"] == pytest.approx(2 / 3)


def test_more_than_255_languages_do_not_wrap_round() -> None:
    found = score(np.zeros((2, 300), dtype=int), [0, 1], [f"l{i}" for i in range(300)], n_choices=2)
    assert found["consistency_300"] == found["consistency_2"] == 1.0
    assert found["fleiss_kappa"] == 0.0


def test_kappa_p_against_the_authors_package() -> None:
    lmsim = pytest.importorskip("lmsim.metrics", reason="kappa_p is not compared with its authors' package: no lm-sim")
    rng = np.random.default_rng(3)
    n, languages = 60, ["en", "es", "vi", "zh"]
    logprobs, gold, n_choices = random_logprobs(rng, n, 4, 5), rng.integers(0, 3, n), rng.integers(3, 6, n)
    logprobs[np.arange(5) >= np.broadcast_to(n_choices[:, None, None], logprobs.shape)] = -np.inf
    probabilities = np.exp(logprobs)
    probabilities /= probabilities.sum(axis=2, keepdims=True)
    answers = logprobs.argmax(axis=2)

    def theirs(rows: np.ndarray) -> float:
        cut = [[list(row[: n_choices[q]]) for q, row in enumerate(rows[:, i])] for i in range(4)]
        pairs = itertools.combinations([[np.array(row) for row in column] for column in cut], 2)
        return float(np.mean([lmsim.CAPA().compute_k(a, b, list(gold)) for a, b in pairs]))

    soft = score(answers, gold, languages, n_choices=n_choices, logprobs=logprobs)
    assert soft["kappa_p"] == pytest.approx(theirs(probabilities), abs=1e-9)
    hard = score(answers, gold, languages, n_choices=n_choices)
    assert hard["kappa_p"] == pytest.approx(theirs(np.eye(5)[answers]), abs=1e-9)


def plain_kappa_p(probabilities: np.ndarray, gold: np.ndarray) -> float:
    """CAPA written out, for questions with one number of options."""
    n, n_languages, k = probabilities.shape
    kappas = []
    for a, b in itertools.combinations(range(n_languages), 2):
        observed = sum(probabilities[q, a] @ probabilities[q, b] for q in range(n)) / n
        right_a, right_b = (sum(probabilities[q, x, gold[q]] for q in range(n)) / n for x in (a, b))
        expected = right_a * right_b + (1 - right_a) * (1 - right_b) / (k - 1)
        kappas.append((observed - expected) / (1 - expected))
    return float(np.mean(kappas))


def test_kappa_p_written_out() -> None:
    rng = np.random.default_rng(4)
    logprobs, gold = random_logprobs(rng, 50, 3, 4), rng.integers(0, 4, 50)
    answers = logprobs.argmax(axis=2)
    soft = score(answers, gold, EN_ES_ZH, logprobs=logprobs)["kappa_p"]
    assert soft == pytest.approx(plain_kappa_p(np.exp(logprobs), gold), abs=1e-12)
    # Only differences of loglikelihoods count: a constant per row is the probability of the prompt.
    shifted = score(answers, gold, EN_ES_ZH, logprobs=logprobs - rng.uniform(0, 900, (50, 3, 1)))["kappa_p"]
    assert shifted == pytest.approx(soft, abs=1e-9)
    hard = score(answers, gold, EN_ES_ZH, n_choices=4)["kappa_p"]
    assert hard == pytest.approx(plain_kappa_p(np.eye(4)[answers], gold), abs=1e-12)
    assert abs(hard - soft) > 0.01


def plain_rankc(rankings: list[list[int]]) -> float:
    """RankC of one question written out: rankings of option indices, best first, one a language."""
    k = len(rankings[0])
    weights = [math.exp(k - j) for j in range(1, k + 1)]
    values = []
    for a, b in itertools.combinations(rankings, 2):
        at = [len(set(a[:j]) & set(b[:j])) / j for j in range(1, k + 1)]
        values.append(sum(w * p for w, p in zip(weights, at, strict=True)) / sum(weights))
    return float(np.mean(values))


def test_rankc_written_out() -> None:
    rng = np.random.default_rng(5)
    n_choices = rng.integers(2, 6, 40)
    logprobs = random_logprobs(rng, 40, 3, 5)
    logprobs[np.arange(5) >= np.broadcast_to(n_choices[:, None, None], logprobs.shape)] = np.nan
    found = score(np.nanargmax(logprobs, axis=2), np.zeros(40, int), EN_ES_ZH, n_choices=n_choices, logprobs=logprobs)
    wanted = [
        plain_rankc([np.argsort(-row[:k], kind="stable").tolist() for row in rows])
        for rows, k in zip(logprobs, n_choices, strict=True)
    ]
    assert found["rankc"] == pytest.approx(np.mean(wanted), abs=1e-12)


def test_rankc_with_ties_is_the_mean_over_ways_to_break_them() -> None:
    rows = np.array([[0.0, 1.0, 1.0, 1.0], [2.0, 2.0, 0.0, 0.0]])
    ways = []
    for tie in itertools.permutations([1, 2, 3]):
        for first, second in itertools.product(itertools.permutations([0, 1]), itertools.permutations([2, 3])):
            ways.append(plain_rankc([[*tie, 0], [*first, *second]]))
    found = rank_consistency(rows[None], np.array([4]), np.ones((1, 2), bool))
    assert found[0] == pytest.approx(np.mean(ways), abs=1e-12)


def test_rows_without_an_answer_have_no_mass_and_no_ranking() -> None:
    logprobs = np.log(np.full((1, 2, 4), 0.25))
    logprobs[0, 1] = np.nan
    found = score([[0, -1]], [0], ["en", "zh"], logprobs=logprobs)
    assert found["rankc"] == 0.0
    assert found["kappa_p"] == 0.0
    assert found["consistency"] == 0.0


def test_an_unread_answer_counts_as_none_whatever_its_loglikelihoods() -> None:
    rng = np.random.default_rng(10)
    answers, gold = rng.integers(-1, 4, (30, 3)), rng.integers(0, 4, 30)
    logprobs = random_logprobs(rng, 30, 3, 4)
    holes = np.where((answers >= 0)[:, :, None], logprobs, np.nan)
    found = score(answers, gold, EN_ES_ZH, logprobs=logprobs)
    assert found == score(answers, gold, EN_ES_ZH, logprobs=holes, n_choices=4)
    mass = np.where((answers >= 0)[:, :, None], np.exp(logprobs), 0.0)
    kappas = []
    for a, b in itertools.combinations(range(3), 2):
        observed = (mass[:, a] * mass[:, b]).sum(axis=1).mean()
        right = [mass[np.arange(30), x, gold].mean() for x in (a, b)]
        wrong = [mass[:, x].sum(axis=1).mean() - r for x, r in zip((a, b), right, strict=True)]
        expected = right[0] * right[1] + wrong[0] * wrong[1] / 3
        kappas.append((observed - expected) / (1 - expected))
    assert found["kappa_p"] == pytest.approx(np.mean(kappas), abs=1e-12)


def test_random_baselines_are_means_over_all_possible_answers() -> None:
    for k in (2, 3):
        every = np.array(list(itertools.product(range(k), repeat=4)))
        found = score(every, np.zeros(len(every), int), list("abcd"), n_choices=k)
        assert found["acc"] == pytest.approx(found["baseline_random_acc"])
        assert found["consistency_3"] == pytest.approx(found["baseline_random_consistency"])
        assert found["fleiss_kappa"] == pytest.approx(0.0, abs=1e-12)
        assert found["kappa_p"] == pytest.approx(0.0, abs=1e-12)


def permuted(rng: np.random.Generator, n: int, n_languages: int, k: int) -> np.ndarray:
    return rng.permuted(np.broadcast_to(np.arange(k), (n, n_languages, k)), axis=2)


@pytest.mark.parametrize("one_order", [True, False])
def test_constant_baselines_are_the_scores_of_constant_letters(one_order: bool) -> None:
    rng = np.random.default_rng(6)
    n, k = 30, 4
    orders = permuted(rng, n, 1 if one_order else 5, k) + np.zeros((n, 5, 1), int)
    n_choices = rng.integers(3, 5, n)
    for q in np.flatnonzero(n_choices == 3):  # drop option 3 where there are three
        for i in range(5):
            orders[q, i] = [*orders[q, i][orders[q, i] < 3], -1]
    gold = rng.integers(0, 3, n)
    letters = [score(orders[:, :, j], gold, list("abcde"), orders=orders) for j in range(k)]
    for found in letters:
        assert found["baseline_constant_acc"] == pytest.approx(max(x["acc"] for x in letters), abs=1e-12)
        assert found["baseline_constant_ac3"] == pytest.approx(max(x["ac3"] for x in letters), abs=1e-12)
        assert found["fleiss_kappa"] == pytest.approx(0.0, abs=1e-9) or found["n_unanswered"] > 0


def test_letters_drawn_at_random_agree_by_chance_alone_under_any_order() -> None:
    rng = np.random.default_rng(7)
    n = 40_000
    for n_languages_with_own_order in (1, 3):
        orders = permuted(rng, n, n_languages_with_own_order, 4) + np.zeros((n, 3, 1), int)
        letters = rng.choice(4, p=[0.7, 0.2, 0.1, 0.0], size=(n, 3))
        answers = np.take_along_axis(orders, letters[:, :, None], axis=2)[:, :, 0]
        found = score(answers, np.zeros(n, int), EN_ES_ZH, orders=orders)
        assert abs(found["fleiss_kappa"]) < 0.02
        assert found["letter_bias"] == pytest.approx(0.45, abs=0.01)


@pytest.mark.parametrize("numbers", [(4,), (2, 4), (2, 10), (3, 5)])
@pytest.mark.parametrize("own_orders", [False, True])
def test_guessing_has_no_kappa_with_different_numbers_of_options(numbers: tuple[int, ...], own_orders: bool) -> None:
    rng = np.random.default_rng(12)
    n = 20_000
    n_choices = rng.choice(numbers, n)
    answers = (rng.random((n, 3)) * n_choices[:, None]).astype(int)
    orders = None
    if own_orders:
        keys = np.where(np.arange(max(numbers)) < n_choices[:, None, None], rng.random((n, 3, max(numbers))), 2.0)
        orders = np.where(np.sort(keys, axis=2) < 2.0, keys.argsort(axis=2), -1)
    found = score(answers, np.zeros(n, int), EN_ES_ZH, n_choices=n_choices, orders=orders)
    assert abs(found["fleiss_kappa"]) < 0.015  # letters pooled over numbers: +.089 for {2, 4}, +.128 for {2, 10}


def test_ties_do_not_make_languages_agree() -> None:
    n = 400  # a tokenizer that appends an end-of-text token makes all letters equal
    gold = np.arange(n) % 4
    found = score(np.zeros((n, 3), int), gold, EN_ES_ZH, logprobs=np.zeros((n, 3, 4)))
    assert found["n_tied"] == 3 * n
    assert (found["acc"], found["consistency"]) == (0.25, 1 / 16)
    assert found["letter_bias"] == pytest.approx(0.0)
    assert found["fleiss_kappa"] == pytest.approx(0.0)
    as_given = score(np.ones((n, 3), int), gold, EN_ES_ZH, logprobs=np.tile([0.0, -1.0, 0.0, 0.0], (n, 3, 1)))
    assert (as_given["n_tied"], as_given["consistency"]) == (0, 1.0)  # not the maximum: length-normalised elsewhere


def test_chance_by_orders_is_plain_fleiss_where_the_orders_are_one() -> None:
    rng = np.random.default_rng(9)
    n_choices = rng.integers(2, 5, 60)
    orders = np.array([[[*rng.permutation(k), -1, -1][:4]] * 3 for k in n_choices])
    answers = (rng.random((60, 3)) ** 2 * n_choices[:, None]).astype(int)
    checked = answer_matrix(answers, np.zeros(60, int), EN_ES_ZH, orders=orders)
    assert checked.one_order
    by_orders = score_questions(replace(checked, one_order=False, orders=orders))
    plain = score_questions(checked)
    assert by_orders.keys() == plain.keys()
    for key, value in plain.items():
        assert by_orders[key] == pytest.approx(value, abs=1e-12), key


def test_orders_and_positions_tell_the_same() -> None:
    rng = np.random.default_rng(8)
    orders = permuted(rng, 50, 1, 4) + np.zeros((50, 3, 1), int)
    answers, gold = rng.integers(-1, 4, (50, 3)), rng.integers(0, 4, 50)
    place = np.argsort(orders, axis=2)
    positions = np.where(answers >= 0, np.take_along_axis(place, np.maximum(answers, 0)[:, :, None], 2)[:, :, 0], -1)
    gold_positions = np.take_along_axis(place, np.repeat(gold[:, None], 3, 1)[:, :, None], 2)[:, :, 0]
    by_orders = score(answers, gold, EN_ES_ZH, orders=orders)
    by_positions = score(answers, gold, EN_ES_ZH, n_choices=4, positions=positions, gold_positions=gold_positions)
    assert by_orders == by_positions
    assert by_orders["letter_bias"] != score(answers, gold, EN_ES_ZH)["letter_bias"]


def test_unknown_orders_leave_out_what_needs_them() -> None:
    gold_positions = [[0, 1], [1, 0]]
    found = score([[0, 0], [0, 0]], [0, 0], ["en", "zh"], positions=gold_positions, gold_positions=gold_positions)
    assert not {"fleiss_kappa", "baseline_constant_ac3"} & found.keys()
    assert found["letter_bias"] == 0.0


def test_gold_may_be_given_for_each_language() -> None:
    answers, gold = [[0, 1], [1, 1]], [0, 1]
    assert score(answers, [[0, 0], [1, 1]], ["en", "zh"]) == score(answers, gold, ["en", "zh"])


def test_numbers_of_other_types_are_read_alike() -> None:
    answers, gold = np.array([[0, 3], [1, -1]]), np.array([0, 1])
    wanted = score(answers, gold, ["en", "zh"])
    for dtype in (np.int8, np.int32, np.float32):
        assert score(answers.astype(dtype), gold.astype(dtype), ["en", "zh"]) == wanted
    assert score(answers.T.copy().T, gold.astype(np.uint8), ("en", "zh")) == wanted


TWO = {"answers": [[0, 1], [1, 1]], "gold": [0, 1], "languages": ["en", "zh"]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"answers": [0, 1]}, r"answers must be \[n_questions, n_languages\], got shape \[2\]"),
        ({"answers": np.zeros((0, 2), int), "gold": []}, "no questions"),
        ({"answers": [[0, 1], [1]]}, "answers must be a rectangular array"),
        ({"answers": [[0, 1], [1, None]]}, "answers must be integers"),
        ({"answers": [["A", "B"], ["A", "A"]]}, "answers must be integers"),
        ({"answers": [[True, False], [True, True]]}, "answers must be integers"),
        ({"answers": [[0, 1], [np.nan, 1]]}, "nan at row 1; use -1 for None"),
        ({"answers": [[0, 1.5], [1, 1]]}, "1.5 at row 0"),
        ({"answers": [[0, 1], [1, -2]]}, "answers has -2 at question row 1, language zh"),
        (
            {"answers": [[0, 1], [4, 1]], "n_choices": 4},
            "answers has 4 at question row 1, language en; allowed: 0 to 3",
        ),
        ({"answers": [[2, 1], [2, 1]], "n_choices": [3, 2]}, "answers has 2 at question row 1, language en"),
        ({"answers": [[0, 300], [1, 1]], "n_choices": 4}, "answers has 300"),
        ({"gold": [0, 1, 1]}, r"gold must have shape \[2\], got \[3\]"),
        ({"gold": [0, -1]}, "gold has -1 at question row 1; allowed"),
        ({"gold": [0, 5], "n_choices": 4}, "gold has 5 at question row 1"),
        ({"gold": [0, np.nan]}, "gold must be option indices, got nan at row 1"),
        ({"gold": [[0, 0], [1, 0]]}, "gold differs between languages at question row 1: en has option 1, zh has 0"),
        ({"gold": [[0, 0]]}, r"gold must have shape \[2, 2\]"),
        ({"languages": ["en"]}, "2 columns but 1 languages"),
        ({"languages": ["en", "en"]}, "'en' is named more than once"),
        ({"languages": "enzh"}, "must be a list of codes"),
        ({"languages": []}, "no languages"),
        ({"languages": ["en", None]}, "must be codes"),
        ({"n_choices": 1}, "question row 0 has 1 choices"),
        ({"n_choices": [4, 4, 4]}, "n_choices must have shape"),
        ({"n_choices": [4, 0]}, "question row 1 has 0 choices"),
        ({"positions": [[0, 1], [1, 1]]}, "give both or neither"),
        ({"positions": [[0, 1]], "gold_positions": [[0, 0], [1, 1]]}, "positions must have shape"),
        ({"positions": [[1, 1], [1, 1]], "gold_positions": [[0, 0], [1, 1]]}, "row 0, language en contradict"),
        ({"positions": [[0, -1], [1, 1]], "gold_positions": [[0, 0], [1, 1]]}, "row 0, language zh contradict"),
        ({"positions": [[0, 1], [1, 9]], "gold_positions": [[0, 0], [1, 1]]}, "positions has 9"),
        ({"orders": [[[0, 1], [0, 1]], [[0, 1], [1, 1]]]}, "orders at question row 1, language zh"),
        ({"orders": [[[0, 1]], [[0, 1]]]}, r"orders must have shape \[2, 2, 'n_choices'\]"),
        ({"orders": np.tile([0, 1], (2, 2, 1)), "n_choices": 3}, "orders have 2 options, but question row 0 has 3"),
        ({"orders": np.tile([0, 1], (2, 2, 1)), "positions": [[0, 1], [1, 1]]}, "not both"),
        ({"logprobs": np.zeros((2, 2))}, "logprobs must have shape"),
        ({"logprobs": [[[0, 0], [0, 0]], [[0, 0], [np.nan, 0]]]}, "logprobs at question row 1, language zh"),
        ({"logprobs": [[[0, 0], [0, np.inf]], [[0, 0], [0, 0]]]}, "logprobs at question row 0, language zh"),
        ({"logprobs": np.full((2, 2, 2), -np.inf), "n_choices": 2}, "one finite at least"),
        ({"logprobs": "x"}, "logprobs must be"),
    ],
)
def test_bad_input_is_one_clear_message(changes: dict[str, Any], message: str) -> None:
    arguments = {**TWO, **changes}
    with pytest.raises(CrossinError, match=message) as caught:
        score(arguments.pop("answers"), arguments.pop("gold"), arguments.pop("languages"), **arguments)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_means_of_the_wrong_width_are_refused() -> None:
    layout, matrix = question_statistics([[0, 1], [1, 1]], [0, 1], ["en", "zh"])
    assert matrix.shape == (2, len(layout.columns))
    with pytest.raises(CrossinError, match="columns"):
        scores_from_means(np.zeros(3), layout)


def test_importing_the_scores_imports_no_heavy_package() -> None:
    code = (
        "import sys; import crossin_metrics.scores, crossin_metrics.scores.uncertainty; "
        "print([m for m in ('torch', 'pandas', 'datasets', 'transformers', 'lm_eval') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("answers", "gold", "counts"), [([0, 0], 0, 2), ([1, 0], 0, 2), ([1, 0], 2, 3), ([4, -1], 0, 5)]
)
def test_without_a_number_of_options_it_is_what_the_answers_show(answers: list[int], gold: int, counts: int) -> None:
    assert answer_matrix([answers], [gold], ["en", "zh"]).n_choices.tolist() == [counts]
