"""RankC, top-1 agreement and `only_correct` against the released code of arXiv 2603.04678, on made-up rankings."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from crossin_metrics.scores import score


def test_scores_of_rankings_are_those_of_the_released_code(shared: Path) -> None:
    lines = (shared / "data" / "golden" / "rankc_cases.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 40
    for case in map(json.loads, lines):
        n_choices = np.array([len(ranking) for ranking in case["first"]])
        logprobs = np.full((len(n_choices), 2, n_choices.max()), -np.inf)
        for question, rankings in enumerate(zip(case["first"], case["second"], strict=True)):
            for language, ranking in enumerate(rankings):
                logprobs[question, language, ranking] = -np.arange(len(ranking))
        found = score(logprobs.argmax(axis=2), case["gold"], ["en", "zh"], n_choices=n_choices, logprobs=logprobs)
        assert found["rankc"] == pytest.approx(case["rankc"], abs=1e-9)
        assert found["consistency"] == pytest.approx(case["top1"], abs=1e-9)
        assert found.get("only_correct", 0.0) == pytest.approx(case["onlycorrect"], abs=1e-9)


def test_only_correct_over_pairs_counts_what_either_knows() -> None:
    answers = [[0, 0, 1], [0, 1, 1], [1, 1, 1], [0, -1, 0]]
    either = both = 0
    for row in answers:
        for a, b in ((0, 1), (0, 2), (1, 2)):
            both += row[a] == row[b] == 0
            either += 0 in (row[a], row[b])
    assert score(answers, [0] * 4, ["en", "zh", "vi"])["only_correct"] == pytest.approx(both / either, abs=1e-12)
