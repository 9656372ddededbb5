"""Rules of the diagnosis: each fires on answers made for it, and stays silent on good ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossin_metrics.report.build import Options, build_report
from crossin_metrics.report.collect import collect
from crossin_metrics.report.diagnosis import RULES, diagnose
from crossin_metrics.report.entries import group_entries, make_entries, rank_and_test
from crossin_metrics.report.labels import Labels
from tests.helpers.report_files import answers_of, text_of, write_run

N = 200
GOLD = np.random.default_rng(99).integers(0, 4, N)
RNG = np.random.default_rng(5)


def found_in(
    folder: Path, answers: np.ndarray[Any, Any], gold: np.ndarray[Any, Any] = GOLD, **more: Any
) -> dict[str, str]:
    write_run(folder, answers, gold, **more)
    found = collect([folder])
    groups = group_entries(make_entries(found.runs, found.stated, Labels()))
    rank_and_test(groups, n_resamples=500)
    return {finding.rule: finding.text for finding in diagnose(groups[0].entries[0])}


def _right_but_inconsistent() -> np.ndarray[Any, Any]:
    return np.where(RNG.random((N, 4)) < 0.5, GOLD[:, None], RNG.integers(0, 4, (N, 4)))


def _consistent_but_wrong() -> np.ndarray[Any, Any]:
    wrong = (GOLD + RNG.integers(1, 4, N)) % 4
    return np.repeat(np.where(RNG.random(N) < 0.2, GOLD, wrong)[:, None], 4, axis=1)


def _random() -> np.ndarray[Any, Any]:
    return RNG.integers(0, 4, (N, 4))


def _one_letter() -> np.ndarray[Any, Any]:
    return np.where(RNG.random((N, 4)) < 0.9, 3, RNG.integers(0, 4, (N, 4)))


def _chinese_drags() -> np.ndarray[Any, Any]:
    answers = np.repeat(GOLD[:, None], 4, axis=1)
    answers[: N // 3, 3] = (GOLD[: N // 3] + 1) % 4
    return answers


def _silent() -> np.ndarray[Any, Any]:
    answers = np.repeat(GOLD[:, None], 4, axis=1)
    answers[: N // 4, 1] = -1
    return answers


@pytest.mark.parametrize(
    ("rule", "make", "says"),
    [
        ("right but inconsistent", _right_but_inconsistent, "right throughout"),
        ("consistent but wrong", _consistent_but_wrong, "on a wrong option"),
        ("agreement no better than chance", _random, "95% interval"),
        ("agreement on one letter", _one_letter, "of answers are D"),
        ("below the constant letter", _random, "one letter has"),
        ("a language drags", _chinese_drags, "zh is "),
    ],
)
def test_each_rule_fires(tmp_path: Path, rule: str, make: Callable[[], np.ndarray[Any, Any]], says: str) -> None:
    assert says in found_in(tmp_path, make())[rule]


def test_unanswered_names_the_language(tmp_path: Path) -> None:
    found = found_in(tmp_path, _silent(), task="crossin_mini_gen", formulation="gen")
    assert found["unanswered"].startswith("6.2% of answers name no option, most in es (25.0%)")
    assert "a language drags" in found


def test_few_questions_says_how_wide(tmp_path: Path) -> None:
    answers, gold = answers_of(0.5, n=20)
    found = found_in(tmp_path, answers, gold)
    assert found["few questions"].startswith("20 questions: the 95% interval is ")
    assert "smoke test" in found["few questions"]


def test_a_good_model_has_no_findings(tmp_path: Path) -> None:
    answers = np.repeat(GOLD[:, None], 4, axis=1)
    answers[:10] = (answers[:10] + 1) % 4
    assert found_in(tmp_path, answers) == {}


def test_letters_do_not_matter_where_none_are_shown(tmp_path: Path) -> None:
    found = found_in(tmp_path, _one_letter(), task="crossin_mini_cf", formulation="cf")
    assert "agreement on one letter" not in found


def test_the_report_states_every_rule(tmp_path: Path) -> None:
    write_run(tmp_path, _random(), GOLD)
    report = build_report([tmp_path], Options(n_resamples=200, plots=False))
    for rule in RULES:
        assert rule.name in text_of(report, "diagnosis.md")
        assert rule.name in text_of(report, "index.html")
