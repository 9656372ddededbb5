"""Row results and aggregation: order-free, whole questions only, permutations undone, errors and signatures."""

from __future__ import annotations

import logging
import pickle
import random
from pathlib import Path
from typing import Any

import pytest

from crossin_metrics.errors import CrossinError
from crossin_metrics.scores import score


def _log_likelihoods(row: dict[str, Any], option: int) -> list[tuple[float, bool]]:
    """Responses, in the order shown, of a model that likes one option."""
    return [(-0.5, True) if shown == option else (-3.0 - shown / 10, False) for shown in row["order"]]


def _run(task: Any, picks: dict[tuple[str, str], int], rows: list[dict[str, Any]]) -> dict[str, Any]:
    values: dict[str, list[Any]] = {}
    for row in rows:
        for key, value in task.process_results(row, _log_likelihoods(row, picks[row["id"], row["language"]])).items():
            values.setdefault(key, []).append(value)
    return {key: task.aggregation()[key](items) for key, items in values.items()}


@pytest.fixture
def picks() -> dict[tuple[str, str], int]:
    rng = random.Random(3)
    return {(f"q{n}", code): rng.randrange(4) for n in range(6) for code in ("en", "zh", "es")}


@pytest.mark.parametrize("permute", ["none", "question", "row"])
def test_scores_are_those_of_the_options_picked(
    load_task: Any, small_set: Path, picks: dict[tuple[str, str], int], permute: str
) -> None:
    task = load_task("cross_xquad", data_dir=str(small_set), languages=["en", "zh", "es"], permute=permute)
    rows = list(task.eval_docs)
    result = _run(task, picks, rows)
    answers = [[picks[f"q{n}", code] for code in ("en", "zh", "es")] for n in range(6)]
    expected = score(answers, [n % 4 for n in range(6)], ["en", "zh", "es"], n_choices=4)
    for key in ("acc", "acc_zh", "consistency", "ac3", "consistent_correct", "n_questions"):
        assert result[key] == pytest.approx(expected[key], abs=1e-12)
    shuffled = rows[:]
    random.Random(1).shuffle(shuffled)
    assert _run(task, picks, shuffled) == result
    assert set(task.higher_is_better()) <= set(result)


def test_standard_errors_stand_behind_their_metric_and_are_seeded(
    load_task: Any, small_set: Path, picks: dict[tuple[str, str], int]
) -> None:
    arguments = {"data_dir": str(small_set), "languages": ["en", "zh", "es"]}
    task = load_task("cross_xquad", **arguments)
    result = _run(task, picks, list(task.eval_docs))
    row = task.eval_docs[0]
    names = [name for name, _ in task.process_results(row, _log_likelihoods(row, 0)).items()]
    for name in names:
        if not name.endswith("_stderr"):
            assert names.index(f"{name}_stderr") == names.index(name) + 1
    # Six questions, acc per question in {0, 1/3, 2/3, 1}; the first two share a passage, so they vary together: the
    # bootstrap's error is near that of a mean over passages.
    per_question = [sum(picks[f"q{n}", code] == n % 4 for code in ("en", "zh", "es")) / 3 for n in range(6)]
    mean = sum(per_question) / 6
    by_passage = [per_question[0] + per_question[1] - 2 * mean, *(x - mean for x in per_question[2:])]
    analytic = (sum(x**2 for x in by_passage) / 36) ** 0.5
    assert result["acc_stderr"] == pytest.approx(analytic, rel=0.15)
    assert result["n_questions_stderr"] == "N/A"
    other = load_task("cross_xquad", score_seed=1, **arguments)
    changed = _run(other, picks, list(other.eval_docs))
    assert changed["acc"] == result["acc"]
    assert changed["acc_stderr"] != result["acc_stderr"]
    none = load_task("cross_xquad", bootstrap=0, **arguments)
    assert _run(none, picks, list(none.eval_docs))["acc_stderr"] == "N/A"


def test_incomplete_questions_are_left_out_with_a_warning(
    load_task: Any, small_set: Path, picks: dict[tuple[str, str], int], caplog: pytest.LogCaptureFixture
) -> None:
    task = load_task("cross_xquad", data_dir=str(small_set), languages=["en", "zh", "es"])
    rows = list(task.eval_docs)
    with caplog.at_level(logging.WARNING):
        result = _run(task, picks, rows[:8])  # two whole questions and two rows of a third
    assert result == pytest.approx(_run(task, picks, rows[:6]), nan_ok=True)
    assert result["n_questions"] == 2
    assert "1 of 3 questions were not asked in all of en, zh, es" in caplog.text


def test_a_selection_without_a_whole_question_is_refused(load_task: Any, small_set: Path) -> None:
    task = load_task("cross_xquad", data_dir=str(small_set), languages=["en", "zh", "es"])
    with pytest.raises(CrossinError, match="use --limit 3 or a multiple"):
        task.build_all_requests(limit=2, rank=0, world_size=1)
    with pytest.raises(CrossinError, match="the 3 rows selected contain no question in all 3 languages"):
        task.build_all_requests(samples=[0, 1, 5], rank=0, world_size=1)
    task.build_all_requests(samples=[3, 4, 5], rank=0, world_size=1)
    assert {i.doc["id"] for i in task.instances} == {"q1"}


def test_the_log_holds_the_answer_and_whether_it_is_right(load_task: Any, small_set: Path) -> None:
    task = load_task("cross_xquad", data_dir=str(small_set), languages=["en", "zh"], permute="row")
    row = task.eval_docs[2]  # question 1, gold option 1
    logged = {}
    logged.update(task.process_results(row, _log_likelihoods(row, 1)))  # as lm-eval does
    assert logged == {"answer": 1, "acc": 1}
    wrong = task.process_results(row, _log_likelihoods(row, 3))
    assert (wrong["answer"], wrong["acc"]) == (3, 0)
    rows = dict(wrong.items())
    assert set(rows) == set(task.aggregation())
    assert pickle.loads(pickle.dumps(rows)) == rows  # rows are gathered from other processes


def test_cloze_normalises_by_characters(load_task: Any, small_set: Path) -> None:
    task = load_task("cross_xquad_cf", data_dir=str(small_set), languages=["en", "zh"])
    row = task.eval_docs[0]  # options: "2 times", "never", "daily", "once"
    values = task.process_results(row, [(-7.0, False), (-6.0, False), (-6.1, False), (-5.9, False)])
    # The likeliest is 3; by character -7/7 beats -6/5, -6.1/5 and -5.9/4. Gold is 0.
    assert {**values} == {"answer": 3, "acc": 0, "answer_norm": 0, "acc_norm": 1}
    assert "letter_bias" not in task.aggregation()


def test_generation_reads_words_and_undoes_the_order(load_task: Any, small_set: Path) -> None:
    arguments = {"data_dir": str(small_set), "languages": ["en", "zh"], "permute": "row"}
    task = load_task("cross_xquad_gen", **arguments)
    for row in list(task.eval_docs)[:6]:
        for position, letter in enumerate("ABCD"):
            assert task.process_results(row, [f" {letter}."])["answer"] == row["order"][position]
    row = task.eval_docs[0]
    assert task.process_results(row, ["I would rather not say."])["answer"] is None
    guess = load_task("cross_xquad_gen", unanswered="random", **arguments)
    first = [guess.process_results(r, [""])["answer"] for r in guess.eval_docs]
    again = [guess.process_results(r, [""])["answer"] for r in guess.eval_docs]
    assert first == again
    assert set(first) <= {0, 1, 2, 3}
    assert len(set(first)) > 1


@pytest.mark.parametrize("broken", [[float("nan")] * 4, [-1.0, float("inf"), -1.0, -1.0], [float("-inf")] * 4])
def test_a_row_of_unusable_likelihoods_is_one_unanswered_row(
    load_task: Any, small_set: Path, broken: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    task = load_task("cross_xquad", data_dir=str(small_set), languages=["en", "zh"])
    rows = list(task.eval_docs)
    values = [
        task.process_results(r, [(x, False) for x in broken] if n == 0 else _log_likelihoods(r, 1))
        for n, r in enumerate(rows)
    ]
    assert values[0]["answer"] is None
    with caplog.at_level(logging.WARNING, "lm_eval.crossin"):
        found = {k: task.aggregation()[k]([dict(v.items())[k] for v in values]) for k in task.aggregation()}
    assert found["consistency"] == pytest.approx(5 / 6)  # the broken row agrees with nothing
    assert (found["n_unanswered"], found["n_tied"]) == (1, 0)
    assert "1 of 12 rows" in caplog.text


def test_partly_impossible_options_are_an_answer(load_task: Any, small_set: Path) -> None:
    task = load_task("cross_xquad", data_dir=str(small_set), languages=["en", "zh"])
    assert (
        task.process_results(task.eval_docs[0], [(x, False) for x in (float("-inf"), -2.0, -3.0, -3.0)])["answer"] == 1
    )


def test_many_ties_are_said(load_task: Any, small_set: Path, caplog: pytest.LogCaptureFixture) -> None:
    task = load_task("cross_xquad", data_dir=str(small_set), languages=["en", "zh"], bootstrap=0)
    values = [dict(task.process_results(r, [(-1.0, False)] * 4).items()) for r in task.eval_docs]
    with caplog.at_level(logging.WARNING, "lm_eval.crossin"):
        found = {k: task.aggregation()[k]([v[k] for v in values]) for k in ("n_tied", "acc", "consistency")}
    assert found == {"n_tied": 12, "acc": 0.25, "consistency": 0.25}
    assert "12 of 12 rows tie exactly at the top" in caplog.text
    assert "end-of-text token" in caplog.text


def test_predict_only_gives_no_scores(load_task: Any, small_set: Path) -> None:
    task = load_task("cross_xquad", data_dir=str(small_set), languages=["en", "zh"])
    task.override_metric("bypass")  # what `lm_eval --predict_only` does
    made = task.process_results(task.eval_docs[0], _log_likelihoods(task.eval_docs[0], 1))
    assert (list(made.items()), made["answer"]) == ([], 1)


def test_signature_says_what_matters(load_task: Any, small_set: Path) -> None:
    arguments = {"data_dir": str(small_set), "languages": ["zh", "en"]}
    task = load_task("cross_xquad", **arguments)
    base = task.signature()
    assert base.startswith("crossin|task:cross_xquad|data:")
    assert "|langs:en,zh|answers:letter|prompt:p1|shots:0|chat:no|s:2|v:" in base
    assert task.signature(chat=True) != base
    different = [{"prompt": "p2"}, {"permute": "row"}, {"permute": "row", "permute_seed": 4}]
    signatures = {load_task("cross_xquad", **{**arguments, **change}).signature() for change in different}
    assert len(signatures | {base}) == 4
    same = load_task("cross_xquad", data_dir=str(small_set), languages=["en", "zh"])
    assert same.signature() == base  # the order of languages does not matter
    task.build_all_requests(limit=2, rank=0, world_size=1)
    assert task.dump_config()["metadata"]["signature"] == base
