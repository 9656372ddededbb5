"""What the report says first, and who is not praised."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from crossin_metrics.report.collect import collect
from crossin_metrics.report.draw.tables import mark
from crossin_metrics.report.entries import Group, group_entries, make_entries, rank_and_test
from crossin_metrics.report.labels import Labels
from crossin_metrics.report.standing import no_better_than, sentences
from tests.helpers.report_files import answers_of, write_run


def group_of(folder: Path) -> Group:
    found = collect([folder])
    groups = group_entries(make_entries(found.runs, found.stated, Labels()))
    rank_and_test(groups, n_resamples=500)
    (group,) = groups
    return group


def agreeing(skill: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Answers that are the same in every language."""
    answers, gold = answers_of(skill, seed=seed)
    return np.repeat(answers[:, :1], 4, axis=1), gold


def test_a_model_that_always_says_one_letter_is_named_and_never_best(tmp_path: Path) -> None:
    answers, gold = answers_of(0.3)
    write_run(tmp_path, np.full_like(answers, np.bincount(gold).argmax()), gold, model="org/always")
    write_run(tmp_path, *answers_of(0.0, seed=1), model="org/random")
    group = group_of(tmp_path)
    always, random = (next(e for e in group.entries if e.model == name) for name in ("org/always", "org/random"))
    assert group.best["ac3"] is always  # the highest score there is
    assert no_better_than(group, always) == "one letter"
    assert no_better_than(group, random) == "chance"
    assert {mark(group, always, metric) for metric in ("acc", "consistency", "ac3")} == {""}
    (sentence,) = sentences([group])
    assert sentence.startswith("None of 2 models beats a constant letter (")
    assert "best is org/always" in sentence


def test_the_sentence_names_the_best_and_counts_who_beats_one_letter(tmp_path: Path) -> None:
    for name, skill in (("b", 0.9), ("c", 0.85), ("d", 0.5)):
        write_run(tmp_path, *agreeing(skill, 3), model=f"org/{name}")
    write_run(tmp_path, *answers_of(0.0, seed=1), model="org/random")
    group = group_of(tmp_path)
    best = max(group.entries, key=lambda entry: entry.scores["ac3"])
    assert mark(group, best, "ac3") == "best"
    (sentence,) = sentences([group])
    assert sentence.startswith(f"{best.model} is best on crossin_mini (AC3 ")
    assert "3 of 4 models beat a constant letter" in sentence


@pytest.mark.parametrize(("skill", "words"), [(0.9, "beats a constant letter"), (0.0, "does not beat a constant")])
def test_one_model(tmp_path: Path, skill: float, words: str) -> None:
    write_run(tmp_path, *agreeing(skill, 3), model="org/only")
    assert words in sentences([group_of(tmp_path)])[0]


def test_scores_without_samples(tmp_path: Path) -> None:
    stated = {"acc,none": 0.5, "consistency,none": 0.5, "ac3,none": 0.5}
    write_run(tmp_path, *answers_of(0.5), samples=False, scores=stated)
    group = group_of(tmp_path)
    assert no_better_than(group, group.entries[0]) == ""
    assert "neither ranked nor tested" in sentences([group])[0]
