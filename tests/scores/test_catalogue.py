"""The catalogue describes every score that is computed, and other places say the same."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from crossin_metrics.errors import CrossinError
from crossin_metrics.scores import score
from crossin_metrics.scores.catalogue import ALL_FORMULATIONS, HEADLINE, SCORES, describe
from crossin_metrics.scores.readings import reading_scores

README = Path(__file__).parents[2] / "lm_eval_tasks" / "README.md"


def test_every_computed_score_is_described_and_in_its_range() -> None:
    rng = np.random.default_rng(0)
    gold, logprobs = rng.integers(0, 3, 40), rng.normal(size=(40, 4, 3))
    scores = score(logprobs.argmax(axis=2), gold, ["en", "es", "vi", "zh"], logprobs=logprobs)
    of_texts = {key for key, facts in SCORES.items() if facts.kind in ("reading", "cause")}
    assert SCORES.keys() - {"n_incomplete"} - of_texts <= scores.keys()  # `crossin score` adds it
    for key, value in scores.items():
        facts = describe(key)
        assert facts.key == key
        assert facts.low <= value <= facts.high
        assert facts.description.strip(". ") == facts.description != ""
    assert set(HEADLINE) < scores.keys()
    assert len({describe(key).title for key in scores}) == len(scores)


def test_every_reading_is_described() -> None:
    codes = ["en", "zh"]
    answers, written = np.zeros((3, 2), dtype=int), np.full((3, 2, 2), "en")
    found = reading_scores(answers, np.full((3, 2), ""), answers, codes, written, np.ones((3, 2)))
    readings = {key for key, facts in SCORES.items() if facts.kind == "reading"} | {"n_unanswered"}
    assert found.keys() == readings | {f"{key}_{code}" for key in readings for code in codes}
    assert all(describe(key).key == key for key in found)


@pytest.mark.parametrize("key", ["f1", "acc_", "consistency_en", "ac3_en", "n_rows"])
def test_an_unknown_key_is_an_error(key: str) -> None:
    with pytest.raises(CrossinError, match=f"unknown score '{key}'"):
        describe(key)


def test_members_of_a_family_take_range_and_direction_from_their_score() -> None:
    assert describe("acc_en").description == "share of questions answered right in en"
    assert describe("consistency_en_zh").title == "Consistency, en and zh"
    assert describe("consistency_en_zh").only_if_right
    assert not describe("consistent_correct_3").only_if_right
    assert describe("letter_bias").higher_is_better is False
    assert describe("baseline_random_acc").higher_is_better is None
    assert math.isinf(describe("n_questions").high)


@pytest.mark.parametrize(
    ("key", "title"),
    [
        ("excess_consistency_ace_arab_en", "Excess consistency, ace_arab and en"),
        ("language_ratio_kappa_en_zh", "Across to within, beyond chance, en and zh"),
        ("language_ratio_en_zh", "Across to within, en and zh"),
        ("asked_again_en", "Asked again, en"),
        ("disagree_tie", "Disagreement by tie"),
        ("disagree_tie_en_zh", "Disagreement by tie, en and zh"),
    ],
)
def test_causes_have_families_too(key: str, title: str) -> None:
    assert describe(key).title == title


def test_the_readme_of_the_tasks_lists_the_metrics_of_the_harness_table() -> None:
    rows = ["| metric | what it is |", "|---|---|"]
    for key, facts in SCORES.items():
        if facts.harness:
            shown = [f"`_{name}`" if name != "letter" else name for name in facts.harness]
            only = "" if facts.harness == ALL_FORMULATIONS else f" ({', '.join(shown)} tasks)"
            rows.append(f"| `{key}` | {facts.description}{only} |")
        if key == "acc":
            rows.append(f"| `acc_<l>` | {describe('acc_l').description} |")
    assert "\n".join(rows) + "\n" in README.read_text(encoding="utf-8"), "replace the table by:\n" + "\n".join(rows)
