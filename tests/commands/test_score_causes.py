"""`crossin score` on models asked again, and its list of questions to look at."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers import cli

LANGUAGES = ("en", "es", "zh")
crossin = partial(cli.crossin, "score")


def table(path: Path, runs: dict[tuple[str, str], np.ndarray], gold: np.ndarray, **columns: Any) -> Path:
    """A table of (model, prompt) -> answers `[N, L]`."""
    rows = [
        {"model": model, "prompt": prompt, "id": f"q{q}", "language": code, "answer": int(answers[q, i])}
        | {"gold": int(gold[q]), "n_choices": 4}
        | {name: values[prompt][q] for name, values in columns.items()}
        for (model, prompt), answers in runs.items()
        for q in range(len(gold))
        for i, code in enumerate(LANGUAGES)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def unsteady(seed: int, n: int = 120, prompts: int = 3, keep: float = 0.8) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """A model whose languages hold one belief, which each asking gives with chance `keep`; another guess otherwise."""
    rng = np.random.default_rng(seed)
    gold = rng.integers(0, 4, n)
    belief = np.where(rng.random((n, 1)) < 0.5, gold[:, None], rng.integers(0, 4, (n, 1)))
    shape = (n, len(LANGUAGES))
    return {
        f"p{i + 1}": np.where(rng.random(shape) < keep, belief, rng.integers(0, 4, shape)) for i in range(prompts)
    }, gold


def test_prompts_of_one_model_show_its_noise_floor(tmp_path: Path) -> None:
    answers, gold = unsteady(0)
    path = table(tmp_path / "t.jsonl", {("m", prompt): given for prompt, given in answers.items()}, gold)
    said = crossin(path).stdout
    assert "asked again (p1, p2, p3): t|m\n" in said
    assert "why languages disagree (p1, share of the questions)" in said
    assert "rough" not in said.partition("asked again")[2]
    found = cli.printed_json("score", path)
    assert set(found) == {"t|m|p1", "t|m|p2", "t|m|p3"}
    for scores in found.values():  # languages hold one belief: prompts alone move the answers
        assert scores["language_ratio_kappa_low"] < 1.0 < scores["language_ratio_kappa_high"]
        reasons = {key: value for key, value in scores.items() if key.startswith("disagree_") and key.count("_") == 1}
        assert max(reasons, key=reasons.__getitem__) == "disagree_prompt"
        assert sum(reasons.values()) == pytest.approx(scores["disagree"])
        assert scores["disagree"] == pytest.approx(1.0 - scores["consistency_2"])
    without = crossin(path, "--bootstrap", 0).stdout.partition("asked again")[2]
    assert "[" not in without
    agree = np.mean([answers["p1"] == answers["p2"], answers["p1"] == answers["p3"], answers["p2"] == answers["p3"]])
    assert found["t|m|p1"]["asked_again"] == pytest.approx(agree)


def test_the_noise_floor_of_few_questions_is_marked_as_rough(tmp_path: Path) -> None:
    answers, gold = unsteady(0, n=60)
    path = table(tmp_path / "t.jsonl", {("m", prompt): given for prompt, given in answers.items()}, gold)
    said = crossin(path).stdout.partition("asked again")[2]
    assert "] ~" in said
    assert "~ rough: in simulations these intervals covered" in said


def test_of_many_models_each_has_one_row(tmp_path: Path) -> None:
    runs: dict[tuple[str, str], np.ndarray] = {}
    gold = unsteady(1)[1]
    for number in range(3):
        runs |= {(f"m{number}", prompt): given for prompt, given in unsteady(1, keep=0.5 + number / 5)[0].items()}
    lines = crossin(table(tmp_path / "t.jsonl", runs, gold)).stdout.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("asked again"))
    assert [line.split()[:2] for line in lines[start + 1 : start + 4]] == [[f"t|m{i}", "3"] for i in range(3)]


def test_one_run_alone_says_what_it_can(tmp_path: Path) -> None:
    answers, gold = unsteady(2)
    said = crossin(table(tmp_path / "t.jsonl", {("m", "p1"): answers["p1"]}, gold)).stdout
    assert "asked again" not in said
    assert "excess_consistency" in said
    assert "wrong_agreement" in said
    reasons = said.partition("why languages disagree (share of the questions)\n")[2].splitlines()[0].split()
    assert reasons == ["pair", "disagree", "ignorance", "unclear"]


def test_suspect_questions_are_listed_by_id(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    gold = rng.integers(0, 4, 60)
    runs: dict[tuple[str, str], np.ndarray] = {}
    for number in range(12):
        answers = np.where(rng.random((60, 3)) < 0.85, gold[:, None], (gold[:, None] + rng.integers(1, 4, (60, 3))) % 4)
        answers[7, 2] = (gold[7] + 1) % 4  # the defect: zh of q7
        runs |= {(f"m{number}", "p1"): answers, (f"m{number}", "p2"): answers}
    path = table(tmp_path / "t.jsonl", runs, gold)
    said = crossin(path, "--suspects").stdout
    assert said.splitlines()[0] == "t: 1 of 60 questions to look at, asked of 12 models"
    assert said.splitlines()[2].split()[:2] == ["q7", "zh"]
    (one,) = cli.printed_json("score", path, "--suspects")["t"]
    assert (one["question"], one["language"], one["answer"]) == ("q7", "zh", (gold[7] + 1) % 4)
    assert one["same"] == one["wrong"] == one["models"]


def test_suspects_need_models(tmp_path: Path) -> None:
    answers, gold = unsteady(4)
    done = crossin(table(tmp_path / "t.jsonl", {("m", "p1"): answers["p1"]}, gold), "--suspects")
    assert done.returncode == 2
    assert "at least 3 models and 3 languages, got 1 and 3; give the logs of more models" in done.stderr


def test_public_logs(shared: Path) -> None:
    """12 models by SeaEval: copies of nothing, so the floor is well below 1 and languages share more than nothing."""
    golden = shared / "data" / "golden" / "predictions_cross_mmlu.jsonl.gz"
    found = cli.printed_json("score", golden, "--bootstrap", 20, "--languages", "en,zh,vi,es")
    floors = [scores for scores in found.values() if "language_ratio" in scores]
    assert floors
    for scores in floors:
        assert 0.0 < scores["asked_across"] < scores["asked_again"] <= 1.0
