"""Runs of two systems matched, joined and tested: what is paired, what is refused, and the statistics."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossin_metrics.commands.compare_tables import sentence
from crossin_metrics.errors import CrossinError
from crossin_metrics.runs.comparison import compare_questions, join_runs, match_runs
from crossin_metrics.scores.significance import holm
from crossin_metrics.runs.run import Run
from crossin_metrics.scores.definitions import score_questions
from crossin_metrics.scores.uncertainty import minimum_detectable_difference

LANGUAGES = ("en", "es", "vi", "zh")
SIGNATURE = "crossin|task:t|data:abc|langs:en|answers:letter|prompt:p1|shots:0|chat:no|s:3|v:0.1.0"


def make_run(
    seed: int = 0,
    n: int = 60,
    skill: float = 0.0,
    *,
    languages: tuple[str, ...] = LANGUAGES,
    ids: tuple[str, ...] | None = None,
    gold: Any = None,
    **parts: Any,
) -> Run:
    """A run whose languages share each question's difficulty; gold is the same for every seed."""
    rng = np.random.default_rng(seed)
    right = np.random.default_rng(99).integers(0, 4, 5000)[:n] if gold is None else np.asarray(gold)
    easy = rng.normal(skill, 1.5, (n, 1)) + rng.normal(0, 0.7, (n, len(languages))) > 0
    answers = np.where(easy, right[:, None], rng.integers(-1, 4, (n, len(languages))))
    run = Run(
        name="",
        task="t",
        model=f"m{seed}",
        mode="",
        prompt="p1",
        variant="",
        languages=languages,
        ids=ids or tuple(f"q{i:04d}" for i in range(n)),
        answers=answers.astype(np.int64),
        gold=right.astype(np.int64),
        n_choices=np.full(n, 4),
        orders=None,
        logprobs=None,
        source_files=(Path(f"m{seed}.jsonl"),),
    )
    run = replace(run, **parts)
    return replace(run, name="|".join(x for x in (run.task, run.model, run.mode, run.prompt, run.variant) if x))


# -- matching ---------------------------------------------------------------------------------------------------------


def test_runs_are_paired_by_task_mode_prompt_and_filter() -> None:
    tasks = [("t", "p1"), ("t", "p2"), ("u", "p1")]
    a = [make_run(1, task=task, prompt=prompt) for task, prompt in tasks]
    b = [make_run(2, task=task, prompt=prompt) for task, prompt in [*reversed(tasks), ("w", "p1")]]
    matches, notes = match_runs(a, b)
    assert [(m.benchmark, m.a.model, m.b.model) for m in matches] == [
        ("t|p1", "m1", "m2"),
        ("t|p2", "m1", "m2"),
        ("u|p1", "m1", "m2"),
    ]
    assert all(m.a.task == m.b.task and m.a.prompt == m.b.prompt for m in matches)
    assert notes == ["only B has w|m2|p1, left out"]


def signed(seed: int, signature: str, **settings: Any) -> Run:
    return make_run(seed, settings={"signature": signature, "lm_eval_version": "0.4.13", **settings})


@pytest.mark.parametrize(
    ("change", "field", "said"),
    [
        (lambda s: s.replace("abc", "abd"), "data", "data is abc and abd"),
        (lambda s: s.replace("shots:0", "shots:5"), "shots", "shots is 0 and 5"),
        (lambda s: s.replace("chat:no", "chat:yes"), "chat", "chat is no and yes"),
        (lambda s: s.replace("answers:letter", "answers:cf"), "answers", "answers is letter and cf"),
        (lambda s: s.replace("|s:3", "|order:row-0|s:3"), "order", "order is not set and row-0"),
    ],
)
def test_signatures_that_differ_in_what_matters_are_refused_unless_allowed(change: Any, field: str, said: str) -> None:
    a, b = signed(1, SIGNATURE), signed(2, change(SIGNATURE))
    with pytest.raises(CrossinError, match=f"do not compare: .*{said}.*--allow {field}"):
        match_runs([a], [b])
    for allowed in ([field], ["all"]):
        ((match,), _) = match_runs([a], [b], allow=allowed)
        assert set(match.differing) == {field}
    assert match_runs([a], [signed(2, SIGNATURE.replace("v:0.1.0", "v:0.2.0"))])[0][0].differing == {}


def test_other_settings_that_matter_are_refused_too() -> None:
    a = signed(1, SIGNATURE, task_version=1.0)
    with pytest.raises(CrossinError, match=r"task_version is 1\.0 and 2\.0"):
        match_runs([a], [signed(2, SIGNATURE, task_version=2.0)])
    with pytest.raises(CrossinError, match="system_instruction is not set and f00"):
        match_runs([a], [signed(2, SIGNATURE, task_version=1.0, system_instruction="f00")])
    with pytest.raises(CrossinError, match="mode is zero_shot and five_shot"):
        match_runs([make_run(1, mode="zero_shot")], [make_run(2, mode="five_shot")])
    with pytest.raises(CrossinError, match="task is t and u"):
        match_runs([make_run(1)], [make_run(2, task="u")])
    with pytest.raises(CrossinError, match="variant is not set and unanswered:random-0"):
        match_runs([make_run(1)], [make_run(2, variant="unanswered:random-0")])


def test_mixed_limits_compare_on_the_common_questions() -> None:
    a, b = signed(1, SIGNATURE, limit=None), make_run(2, n=40, settings={"signature": SIGNATURE, "limit": 160.0})
    ((match,), _) = match_runs([a], [b])
    joined = join_runs(match.a, match.b)
    assert (len(joined.ids), joined.only_a, joined.only_b) == (40, 20, 0)


def test_mistakes_in_matching() -> None:
    a, b = make_run(1), make_run(2)
    with pytest.raises(CrossinError, match="A and B are the same run"):
        match_runs([a], [a])
    with pytest.raises(CrossinError, match=r"B holds two runs of one benchmark, t\|m2\|p1 and t\|m3\|p1.*--run-b"):
        match_runs([a], [b, make_run(3)])
    with pytest.raises(CrossinError, match="no task in common"):
        match_runs([a, make_run(1, task="u")], [make_run(2, task="w"), make_run(2, task="x")])
    with pytest.raises(CrossinError, match="--allow shot: no field"):
        match_runs([a], [b], allow=["shot"])


# -- joining ----------------------------------------------------------------------------------------------------------


def test_joined_on_ids_and_common_languages() -> None:
    a = make_run(1, n=30)
    rows = [20, 3, 7, 11]
    b = make_run(2, n=30, languages=("ar", "es", "zh"))
    b = replace(b, ids=(*(b.ids[i] for i in rows), "new"), answers=b.answers[[*rows, 0]], gold=b.gold[[*rows, 0]])
    b = replace(b, n_choices=np.full(5, 4))
    joined = join_runs(a, b)
    assert joined.languages == ("es", "zh")
    assert set(joined.ids) == {a.ids[i] for i in rows}
    assert (joined.only_a, joined.only_b) == (26, 1)
    assert (joined.languages_only_a, joined.languages_only_b) == (("en", "vi"), ("ar",))
    for row, identifier in enumerate(joined.ids):
        assert joined.a.answers[:, row].tolist() == a.answers[a.ids.index(identifier)][[1, 3]].tolist()
        assert joined.b.answers[:, row].tolist() == b.answers[b.ids.index(identifier)][[1, 2]].tolist()
    # what is left out does not touch the scores of what is compared
    (tested,) = compare_questions([joined], keys=["acc"], n_resamples=50)
    picked = [a.ids.index(identifier) for identifier in joined.ids]
    assert tested["acc"].a == pytest.approx((a.answers[picked][:, [1, 3]] == a.gold[picked][:, None]).mean())


def test_other_data_are_refused() -> None:
    a, b = make_run(1, n=20), make_run(2, n=20)
    wrong = b.gold.copy()
    wrong[5] = (wrong[5] + 1) % 4
    with pytest.raises(CrossinError, match=r"id 'q0005': the gold option is .* 1 of 20 questions"):
        join_runs(a, replace(b, gold=wrong))
    with pytest.raises(CrossinError, match="id 'q0000': the number of choices is 4"):
        join_runs(a, replace(b, n_choices=np.full(20, 5)))
    with pytest.raises(CrossinError, match="no question id in common"):
        join_runs(a, replace(b, ids=tuple(f"x{i}" for i in range(20))))
    with pytest.raises(CrossinError, match="no language in common"):
        join_runs(a, replace(b, languages=("ar", "bn", "de", "fr")))


# -- statistics -------------------------------------------------------------------------------------------------------


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


def test_p_values_are_corrected_over_benchmarks_for_each_score() -> None:
    pairs = [join_runs(make_run(i, skill=0.3 * i), make_run(i + 50)) for i in range(4)]
    tested = compare_questions(pairs, n_resamples=500)
    alone = [compare_questions([pair], n_resamples=500)[0] for pair in pairs]
    for key in ("acc", "consistency", "ac3"):
        raw = [one[key].p_randomization for one in alone]
        assert [one[key].p_randomization for one in tested] == raw
        assert [one[key].p_randomization_holm for one in tested] == pytest.approx(holm(raw))
        assert [one[key].p_bootstrap_holm for one in tested] == pytest.approx(holm([x[key].p_bootstrap for x in alone]))
    assert all(one[key].significant == (one[key].p_randomization_holm <= 0.05) for one in tested for key in one)


def test_scores_and_detectable_difference() -> None:
    pair = join_runs(make_run(1, skill=0.5), make_run(2))
    (tested,) = compare_questions([pair], n_resamples=1000, alpha=0.1)
    scores = [score_questions(one) for one in (pair.a, pair.b)]
    for key, one in tested.items():
        assert (one.a, one.b) == pytest.approx((scores[0][key], scores[1][key]))
        assert one.difference == pytest.approx(one.a - one.b)
        assert one.detectable == pytest.approx(minimum_detectable_difference(one.standard_error, alpha=0.1, power=0.8))
    (mirrored,) = compare_questions([join_runs(make_run(2), make_run(1, skill=0.5))], n_resamples=1000, alpha=0.1)
    assert mirrored["ac3"].p_randomization == tested["ac3"].p_randomization
    assert mirrored["ac3"].low == pytest.approx(-tested["ac3"].high)


def test_agrees_with_scipy() -> None:
    stats = pytest.importorskip("scipy.stats", reason="scipy is not installed: not compared with it")
    pair = join_runs(make_run(1, n=120, skill=0.35), make_run(2, n=120))
    (tested,) = compare_questions([pair], n_resamples=20_000)
    right = [(one.answers == one.gold).mean(axis=0) for one in (pair.a, pair.b)]

    def difference(x: Any, y: Any, axis: int = -1) -> Any:
        return x.mean(axis=axis) - y.mean(axis=axis)

    theirs = stats.permutation_test(
        right, difference, permutation_type="samples", n_resamples=20_000, rng=np.random.default_rng(3)
    )
    # two estimates of one p-value by 20,000 draws each: a standard error of 0.005 at most
    assert tested["acc"].p_randomization == pytest.approx(theirs.pvalue, abs=0.02)
    interval = stats.bootstrap(
        right, difference, paired=True, method="percentile", n_resamples=20_000, rng=np.random.default_rng(4)
    )
    assert (tested["acc"].low, tested["acc"].high) == pytest.approx(tuple(interval.confidence_interval), abs=0.005)
    assert tested["acc"].standard_error == pytest.approx(interval.standard_error, rel=0.05)

    # the same of AC3, a curved score: resampled as rows, scored anew each time
    def ac3_difference(rows: Any) -> float:
        at = rows.astype(int)
        values = []
        for one in (pair.a, pair.b):
            answers, gold = one.answers[:, at], one.gold[at]
            acc = (answers == gold).mean()
            counts = np.stack([(answers == k).sum(axis=0) for k in range(4)])
            triples = (counts * (counts - 1) * (counts - 2) / 6).sum(axis=0) / 4  # of C(4, 3) = 4 subsets
            values.append(2 * acc * triples.mean() / (acc + triples.mean()))
        return float(values[0] - values[1])

    interval = stats.bootstrap(
        (np.arange(120.0),),
        ac3_difference,
        vectorized=False,
        method="percentile",
        n_resamples=4000,
        rng=np.random.default_rng(5),
    )
    assert tested["ac3"].difference == pytest.approx(ac3_difference(np.arange(120)), abs=1e-12)
    assert (tested["ac3"].low, tested["ac3"].high) == pytest.approx(tuple(interval.confidence_interval), abs=0.012)


def test_one_language_has_accuracy_alone_and_undefined_scores_are_said() -> None:
    pair = join_runs(make_run(1, languages=("en",)), make_run(2, languages=("en",)))
    assert list(compare_questions([pair], n_resamples=50)[0]) == ["acc"]
    with pytest.raises(CrossinError, match="no score consistency"):
        compare_questions([pair], keys=["consistency"], n_resamples=50)


# -- words ------------------------------------------------------------------------------------------------------------


def test_conclusions_say_what_the_figures_say() -> None:
    better = compare_questions([join_runs(make_run(1, skill=2.0), make_run(2))], n_resamples=500)[0]["acc"]
    assert sentence("t", "acc", better, 60, 0.05).startswith(f"t: A is higher in acc, by {better.difference:.4f} (")
    worse = compare_questions([join_runs(make_run(2), make_run(1, skill=2.0))], n_resamples=500)[0]
    assert sentence("t", "acc", worse["acc"], 60, 0.05).startswith("t: B is higher in acc, by 0.")
    assert "better only where the answers are right" in sentence("t", "consistency", worse["consistency"], 60, 0.05)
    run = make_run(1)
    same = compare_questions([join_runs(run, replace(run, model="x"))], n_resamples=500)[0]["acc"]
    assert sentence("t", "acc", same, 60, 0.05) == "t: A and B do not differ in acc: the same on every question"
    alike = compare_questions([join_runs(make_run(3), make_run(4))], n_resamples=500)[0]["acc"]
    said = sentence("t", "acc", alike, 60, 0.05)
    assert said.startswith("t: no difference in acc is shown (p = ")
    assert said.endswith(f"60 questions reliably show differences of {alike.detectable:.4f} and more")
    right, wrong = (make_run(i, n=1) for i in (1, 2))
    right, wrong = (
        replace(run, answers=(run.gold[:, None] + k) % 4 + np.zeros((1, 4), dtype=int))
        for k, run in enumerate((right, wrong))
    )
    one = compare_questions([join_runs(right, wrong)], n_resamples=50)[0]["acc"]
    assert one.difference == 1.0
    assert (
        sentence("t", "acc", one, 1, 0.05)
        == "t: no difference in acc is shown (p = 1.0000); 1 question cannot show one"
    )


# -- simulation -------------------------------------------------------------------------------------------------------


def equal_pairs(n_studies: int, n_benchmarks: int, n_resamples: int) -> dict[str, float]:
    """Share of studies of two equal systems on several benchmarks in which any difference, or the first, is shown."""
    shown = dict.fromkeys(("any", "bootstrap", "randomization"), 0)
    for study in range(n_studies):
        pairs = [
            join_runs(
                make_run(10_000 + 2 * (study * n_benchmarks + i)), make_run(10_001 + 2 * (study * n_benchmarks + i))
            )
            for i in range(n_benchmarks)
        ]
        tested = compare_questions(pairs, keys=["ac3"], n_resamples=n_resamples, seed=study)
        shown["any"] += any(one["ac3"].significant for one in tested)
        shown["bootstrap"] += tested[0]["ac3"].p_bootstrap <= 0.05
        shown["randomization"] += tested[0]["ac3"].p_randomization <= 0.05
    return {name: count / n_studies for name, count in shown.items()}


@pytest.mark.slow
def test_type_one_error_is_at_its_level() -> None:
    found = equal_pairs(1500, 4, 400)
    # 1,500 studies: a standard error of 0.6%
    assert 0.035 <= found["randomization"] <= 0.065, found
    assert 0.035 <= found["bootstrap"] <= 0.065, found
    assert found["any"] <= 0.065, found  # family-wise, over four benchmarks


def test_equal_systems_are_seldom_told_apart() -> None:
    found = equal_pairs(150, 2, 200)
    assert max(found.values()) <= 0.11, found  # a quick look at the slow simulation above


def difference_coverage(n_samples: int, n_resamples: int, n: int = 150) -> dict[str, float]:
    """Share of intervals of A - B that hold the true difference, that of a pool the questions are drawn from."""
    pool_a, pool_b = make_run(1, n=3000, skill=0.6), make_run(2, n=3000)
    truth = [score_questions(run.questions()) for run in (pool_a, pool_b)]
    rng = np.random.default_rng(8)
    held = dict.fromkeys(("acc", "consistency", "ac3"), 0)
    for i in range(n_samples):
        rows = rng.integers(0, 3000, n)
        ids = tuple(f"q{k:04d}" for k in range(n))
        a, b = (
            replace(run, ids=ids, answers=run.answers[rows], gold=run.gold[rows], n_choices=run.n_choices[rows])
            for run in (pool_a, pool_b)
            if run.n_choices is not None
        )
        (tested,) = compare_questions([join_runs(a, b)], n_resamples=n_resamples, seed=i)
        for key, one in tested.items():
            held[key] += one.low <= truth[0][key] - truth[1][key] <= one.high
    return {key: count / n_samples for key, count in held.items()}


@pytest.mark.slow
def test_intervals_of_the_difference_hold_it_95_per_cent_of_the_time() -> None:
    for key, share in difference_coverage(2000, 1000).items():
        assert 0.93 <= share <= 0.97, (key, share)


def test_intervals_of_the_difference_hold_it_about_as_often_as_they_say() -> None:
    for key, share in difference_coverage(150, 300).items():
        assert 0.89 <= share <= 0.995, (key, share)
