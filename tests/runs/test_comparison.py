"""Runs of two systems matched and joined: what is paired and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossin_metrics.errors import CrossinError
from crossin_metrics.runs.comparison import join_runs, match_runs
from crossin_metrics.runs.run import Run
from crossin_metrics.scores.definitions import score_questions

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
    with pytest.raises(CrossinError, match=f"are not comparable: .*{said}.*--allow {field}"):
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
    chat = {"task_version": 1.0, "lm_eval_version": "0.4.13"}
    with pytest.raises(CrossinError, match="shots_as is not set and one turn"):
        match_runs([signed(1, SIGNATURE, **chat)], [signed(2, SIGNATURE, shots_as="one turn", **chat)])
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
    with pytest.raises(CrossinError, match=r"B has two runs of one benchmark, t\|m2\|p1 and t\|m3\|p1.*--run-b"):
        match_runs([a], [b, make_run(3)])
    with pytest.raises(CrossinError, match="no task in common"):
        match_runs([a, make_run(1, task="u")], [make_run(2, task="w"), make_run(2, task="x")])
    with pytest.raises(CrossinError, match="--allow shot: unknown signature field"):
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
    picked = [a.ids.index(identifier) for identifier in joined.ids]
    assert score_questions(joined.a)["acc"] == pytest.approx(
        (a.answers[picked][:, [1, 3]] == a.gold[picked][:, None]).mean()
    )


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
