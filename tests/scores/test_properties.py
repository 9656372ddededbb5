"""What must hold for any answers: closed forms equal enumeration, order and numbering do not matter, bounds."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossin_metrics.scores import score
from crossin_metrics.scores.answer_matrix import answer_matrix
from crossin_metrics.scores.definitions import scores_from_means
from crossin_metrics.scores.uncertainty import joint_bootstrap
from tests.helpers.simulated import question_statistics, subset_consistency

CODES = ["zh", "en", "vi", "es", "id", "ms"]
Run = dict[str, Any]
relaxed = settings(deadline=None)  # a busy machine is no counterexample


@st.composite
def runs(draw: st.DrawFn) -> Run:
    """Answers of any model to any set: Nones, questions with fewer options, orders of options, loglikelihoods, ties."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, n_languages, most = draw(st.integers(1, 12)), draw(st.integers(2, 6)), draw(st.integers(2, 5))
    counts = rng.integers(2, most + 1, n) if draw(st.booleans()) else np.full(n, most)
    none_share, skew = draw(st.sampled_from([0.0, 0.3, 1.0])), draw(st.sampled_from([0.0, 1.0, 3.0]))
    gold = (rng.random(n) * counts).astype(int)
    # A question has a favourite option that many languages share; skew 0 is independent noise.
    favourite = (rng.random((n, 1)) * counts[:, None]).astype(int)
    noise = (rng.random((n, n_languages)) * counts[:, None]).astype(int)
    answers = np.where(rng.random((n, n_languages)) < 1 - np.exp(-skew), favourite, noise)
    answers[rng.random((n, n_languages)) < none_share] = -1
    run: Run = {"answers": answers, "gold": gold, "languages": CODES[:n_languages], "n_choices": counts}
    if draw(st.booleans()):
        values = rng.integers(-3, 1, (n, n_languages, most)).astype(float)  # few levels, so many ties
        values[np.broadcast_to(np.arange(most) >= counts[:, None, None], values.shape)] = -np.inf
        run["logprobs"] = values
    if draw(st.booleans()):
        one_order = draw(st.booleans())
        orders = np.full((n, n_languages, most), -1)
        for q, k in enumerate(counts):
            for i in range(n_languages):
                orders[q, i, :k] = orders[q, 0, :k] if one_order and i else rng.permutation(k)
        run["orders"] = orders
    return run


def same_scores(a: dict[str, float], b: dict[str, float]) -> None:
    assert a.keys() == b.keys()
    for key, value in a.items():
        assert b[key] == pytest.approx(value, abs=1e-9), key


@relaxed
@given(runs())
def test_closed_form_equals_enumeration_of_subsets(run: Run) -> None:
    run.pop("logprobs", None)  # ties: test_tied_rows_score_the_mean_over_ways_to_break_them
    found, answers, languages = score(**run), run["answers"], run["languages"]
    right = answers == run["gold"][:, None]
    for s in range(2, len(languages) + 1):
        agree, correct, by_subset = [], [], []
        for subset in itertools.combinations(range(len(languages)), s):
            rows = [[row[i] for i in subset] for row in answers.tolist()]
            agree.append(np.mean([len(set(row)) == 1 and row[0] >= 0 for row in rows]))
            correct.append(np.mean([right[q, list(subset)].all() for q in range(len(rows))]))
            by_subset.append(subset_consistency(answers, languages, [languages[i] for i in subset]))
        assert found[f"consistency_{s}"] == pytest.approx(np.mean(agree), abs=1e-12)
        assert found[f"consistent_correct_{s}"] == pytest.approx(np.mean(correct), abs=1e-12)
        assert by_subset == pytest.approx(agree)
    acc = right.mean()
    assert found["acc"] == pytest.approx(acc)
    consistency = found["consistency"]
    assert found["ac3"] == pytest.approx(2 * acc * consistency / (acc + consistency) if acc + consistency else 0.0)


@relaxed
@given(runs())
def test_tied_rows_score_the_mean_over_ways_to_break_them(run: Run) -> None:
    if "logprobs" not in run:
        return
    run = {key: value if key == "languages" else value[:1] for key, value in run.items()}  # one question: few ways
    (values,), (k,) = run["logprobs"], run["n_choices"]
    best = [np.flatnonzero(row[:k] == row[:k].max()) for row in values]
    run["answers"] = np.array([[row[0] for row in best]])
    untied = {key: value for key, value in run.items() if key != "logprobs"}
    ways = [score(**dict(untied, answers=np.array([way]))) for way in itertools.product(*best)][:2000]
    if len(ways) == 2000:
        return
    found = score(**run)
    assert found["n_tied"] == sum(len(row) > 1 for row in best)
    for key in [key for key in ways[0] if key.startswith(("acc", "consisten"))]:
        assert found[key] == pytest.approx(np.mean([way[key] for way in ways]), abs=1e-9), key
    joint = joint_bootstrap([answer_matrix(**run)], n_resamples=2)
    for key in ("acc", "consistency", "ac3"):
        assert joint.estimate[key][0] == pytest.approx(found[key], abs=1e-12)


@relaxed
@given(runs())
def test_chance_agreement_equals_enumeration_of_letter_pairs(run: Run) -> None:
    answers, n_languages = run["answers"], len(run["languages"])
    counts, n = run["n_choices"], len(run["gold"])
    run.pop("logprobs", None)
    if len(set(counts.tolist())) > 1:
        return  # see test_guessing_has_no_kappa_with_different_numbers_of_options
    most = int(counts.max())
    orders = run.get("orders", np.tile(np.arange(most), (n, n_languages, 1)))[:, :, :most]
    pairs = list(itertools.permutations(range(n_languages), 2))
    letters = np.zeros(most)
    for q, i in itertools.product(range(n), range(n_languages)):
        letters += orders[q, i] == answers[q, i]
    letters /= n * n_languages
    observed, expected = 0.0, 0.0
    for q, (a, b) in itertools.product(range(n), pairs):
        observed += (answers[q, a] == answers[q, b] >= 0) / (n * len(pairs))
        for j, k in itertools.product(range(most), repeat=2):
            expected += letters[j] * letters[k] * (orders[q, a, j] == orders[q, b, k]) / (n * len(pairs))
    wanted = (observed - expected) / (1 - expected) if expected < 1 - 1e-12 else 0.0
    assert score(**run)["fleiss_kappa"] == pytest.approx(wanted, abs=1e-9)


@relaxed
@given(runs(), st.randoms(use_true_random=False))
def test_order_of_questions_does_not_matter(run: Run, random: Any) -> None:
    order = list(range(len(run["gold"])))
    random.shuffle(order)
    moved = {key: value if key == "languages" else value[order] for key, value in run.items()}
    same_scores(score(**run), score(**moved))


@relaxed
@given(runs(), st.randoms(use_true_random=False))
def test_order_of_languages_does_not_matter(run: Run, random: Any) -> None:
    order = list(range(len(run["languages"])))
    random.shuffle(order)
    moved = dict(run, languages=[run["languages"][i] for i in order], answers=run["answers"][:, order])
    moved |= {key: run[key][:, order] for key in ("orders", "logprobs") if key in run}
    same_scores(score(**run), score(**moved))


@relaxed
@given(runs(), st.integers(0, 2**32 - 1))
def test_numbering_of_options_does_not_matter(run: Run, seed: int) -> None:
    """Renaming each question's options changes no score, as long as they are shown at the same letters."""
    rng = np.random.default_rng(seed)
    n, n_languages = run["answers"].shape
    most = int(run["n_choices"].max())
    shown = run.get("orders", np.where(np.arange(most) < run["n_choices"][:, None, None], np.arange(most), -1))
    shown = np.broadcast_to(shown[:, :, :most], (n, n_languages, most))
    moved = dict(run, answers=run["answers"].copy(), gold=run["gold"].copy(), orders=shown.copy())
    if "logprobs" in run:
        moved["logprobs"] = run["logprobs"].copy()
    for q, k in enumerate(run["n_choices"]):
        new = rng.permutation(k)  # option o is called new[o] now
        answered = run["answers"][q] >= 0
        moved["answers"][q, answered] = new[run["answers"][q, answered]]
        moved["gold"][q] = new[run["gold"][q]]
        moved["orders"][q, :, :k] = new[shown[q, :, :k]]
        if "logprobs" in run:
            moved["logprobs"][q][:, new] = run["logprobs"][q][:, :k]
    same_scores(score(**run), score(**moved))


@relaxed
@given(runs())
def test_bounds_and_monotonicity(run: Run) -> None:
    found = score(**run)
    for key, value in found.items():
        if not key.startswith("n_"):
            low = -1.0 if key in ("fleiss_kappa", "kappa_p") else 0.0
            assert low - 1e-9 <= value <= 1 + 1e-9, key
    for s in range(3, len(run["languages"]) + 1):
        assert found[f"consistency_{s}"] <= found[f"consistency_{s - 1}"] + 1e-12
        assert found[f"consistent_correct_{s}"] <= found[f"consistency_{s}"] + 1e-12
        assert found[f"ac3_{s}"] <= 2 * min(found["acc"], found[f"consistency_{s}"]) + 1e-12
    assert found["n_unanswered"] == (run["answers"] < 0).sum()


@relaxed
@given(runs())
def test_taking_an_answer_away_never_raises_agreement(run: Run) -> None:
    before = score(**run)
    answers = run["answers"].copy()
    answers[0, 0] = -1
    after = score(**dict(run, answers=answers))
    for key, value in after.items():
        if key.startswith(("acc", "consisten", "ac3", "rankc")):
            assert value <= before[key] + 1e-12, key


@relaxed
@given(runs(), st.integers(0, 2**32 - 1))
def test_scores_of_a_resample_are_scores_of_reweighted_means(run: Run, seed: int) -> None:
    """What the bootstrap relies on: all scores are functions of means of per-question statistics."""
    n = len(run["gold"])
    rng = np.random.default_rng(seed)
    if "orders" in run and (run["orders"] != run["orders"][:, :1]).any():
        differing = np.flatnonzero((run["orders"] != run["orders"][:, :1]).any(axis=(1, 2)))
    else:
        differing = np.array([], dtype=int)
    rows = rng.integers(0, n, n)
    if differing.size:  # keep one such question, so that the resample has the same columns
        rows[0] = differing[0]
    rows[-1] = int(run["n_choices"].argmax())
    if differing.size and n == 1:
        rows[0] = differing[0]
    layout, matrix = question_statistics(**run)
    means = matrix[rows].mean(axis=0)
    resample = {key: value if key == "languages" else value[rows] for key, value in run.items()}
    wanted = score(**resample)
    found = scores_from_means(np.stack([means, means]), layout)
    assert matrix.min() >= 0.0
    assert matrix.max() <= 1.0 + 1e-12
    for key, values in found.items():
        assert values.shape == (2,)
        if key in wanted:
            assert values == pytest.approx(wanted[key], abs=1e-9), key
        else:
            assert np.isnan(values).all(), key
