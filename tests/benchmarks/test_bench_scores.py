"""Speed and memory of scoring and of the bootstrap. Prints figures and asserts no times: `make bench` runs it.

Aims, on two cores that are otherwise idle: a million questions in ten languages scored within 1.5 s; 1,000 bootstrap
replicates of it within 60 s and 4 GB; 500 times the speed of SeaEval's own scorer on 10,000 questions in seven.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossin_metrics.scores import score
from crossin_metrics.scores.answer_matrix import answer_matrix
from crossin_metrics.scores.uncertainty import bootstrap

pytestmark = pytest.mark.benchmark_only
LANGUAGES = ["en", "zh", "vi", "es", "id", "ms", "fil", "de", "fr", "it"]


def simulated(n: int, n_languages: int, none_share: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
    """Answers and gold of a middling model, as int64 rows, the way they come out of a table."""
    rng = np.random.default_rng(0)
    gold = rng.integers(0, 4, n)
    knows = rng.random((n, 1)) + rng.normal(0, 0.2, (n, n_languages)) > 0.5
    answers = np.where(knows, gold[:, None], rng.integers(0, 4, (n, n_languages)))
    answers[rng.random((n, n_languages)) < none_share] = -1
    return answers, gold


def seconds(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def test_score_a_million_questions_in_ten_languages(benchmark: Any) -> None:
    answers, gold = simulated(1_000_000, 10)
    found = benchmark.pedantic(score, (answers, gold, LANGUAGES), rounds=5, warmup_rounds=1)
    print(f"\nscore, 1,000,000 x 10, {len(found)} scores: {benchmark.stats.stats.median:.3f} s (aim 1.5 s)")


# Peak memory belongs to a process, so the bootstrap has one of its own.
BOOTSTRAP = """
import json, resource, time
from crossin_metrics.scores.answer_matrix import answer_matrix
from crossin_metrics.scores.uncertainty import bootstrap, standard_errors
from tests.benchmarks.test_bench_scores import LANGUAGES, simulated
questions = answer_matrix(*simulated(1_000_000, 10), LANGUAGES)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.perf_counter()
errors = standard_errors(bootstrap(questions, n_resamples=1000))
took = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"seconds": took, "keys": len(errors), "peak_gb": peak / 2**20, "before_gb": before / 2**20}))
"""


def test_bootstrap_a_million_questions_in_ten_languages(benchmark: Any, repo: Path) -> None:
    def child() -> dict[str, float]:
        run = subprocess.run(
            [sys.executable, "-c", BOOTSTRAP], cwd=repo, capture_output=True, text=True, check=True, timeout=600
        )
        return json.loads(run.stdout)

    found = benchmark.pedantic(child, rounds=1)
    print(
        f"\nbootstrap, 1,000 replicates of 1,000,000 x 10, {found['keys']:.0f} scores: {found['seconds']:.1f} s "
        f"(aim 60 s), peak memory {found['peak_gb']:.2f} GB (aim 4 GB; {found['before_gb']:.2f} GB before)"
    )


def test_against_the_reference_scorer(benchmark: Any) -> None:
    """SeaEval's scorer (tiger-eval 0.0.2) and ours on the same 10,000 questions in seven languages, in one run."""
    theirs = pytest.importorskip(
        "tiger_eval.cross_lingual_assessment",
        reason="no ratio: install tiger-eval==0.0.2 with --no-deps, and rouge_score and nltk, to measure it",
    )
    answers, gold = simulated(10_000, 7, none_share=0.0)  # theirs picks at random where there is no answer
    languages = [f"language {i}" for i in range(7)]  # not "id", which is a question's id to theirs
    choices = ["(A) north", "(B) south", "(C) east", "(D) west"]
    questions = [
        {"id": str(i)}
        | {
            language: {"choices": choices, "answer": choices[gold[i]], "model_prediction": choices[picked]}
            for language, picked in zip(languages, row, strict=True)
        }
        for i, row in enumerate(answers.tolist())
    ]
    start = time.perf_counter()
    wanted = theirs.score(questions)
    whole = time.perf_counter() - start
    reading = seconds(
        lambda: [
            theirs.heuristic_align(q[x]["choices"], q[x]["model_prediction"]) for q in questions for x in languages
        ]
    )
    found = benchmark(score, answers, gold, languages)
    ours = benchmark.stats.stats.median
    for s in range(2, 8):
        assert found[f"consistency_{s}"] == pytest.approx(wanted[f"consistency_score_{s}"], abs=1e-9)
        assert found[f"ac3_{s}"] == pytest.approx(wanted[f"AC3_{s}"], abs=1e-9)
    print(
        f"\n10,000 x 7: reference scorer {whole:.2f} s ({whole - reading:.2f} s of it after reading the words), "
        f"ours {ours * 1e3:.2f} ms: {whole / ours:,.0f} x ({(whole - reading) / ours:,.0f} x), aim 500 x"
    )


def test_a_hundred_and_twenty_two_languages(benchmark: Any) -> None:
    """The size of Belebele: 900 questions, 122 languages, 7,381 language pairs."""
    languages = [f"l{i}" for i in range(122)]
    answers, gold = simulated(900, 122)
    found = benchmark.pedantic(score, (answers, gold, languages), rounds=3)
    took = seconds(lambda: bootstrap(answer_matrix(answers, gold, languages)))
    print(
        f"\n900 x 122, {len(found)} scores: {benchmark.stats.stats.median:.3f} s; "
        f"bootstrap of all of them, 1,000 replicates: {took:.2f} s"
    )


FACTS = """
import json, resource, time
import numpy as np
from crossin_metrics.scores.answer_matrix import answer_matrix
from crossin_metrics.scores.definitions import score_questions
from crossin_metrics.scores.uncertainty import bootstrap, standard_errors
from tests.benchmarks.test_bench_scores import simulated
answers, gold = simulated(6_792, 53)
logprobs = np.random.default_rng(1).normal(size=(6_792, 53, 10))
start = time.perf_counter()
questions = answer_matrix(answers, gold, [f"l{i}" for i in range(53)], logprobs=logprobs)
score_questions(questions)
scored = time.perf_counter() - start
errors = standard_errors(bootstrap(questions, n_resamples=1000))
took = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"scored": scored, "seconds": took, "keys": len(errors), "peak_gb": peak / 2**20}))
"""


def test_facts_in_53_languages(benchmark: Any, repo: Path) -> None:
    """BMLAMA-17's facts in BMLAMA-53's languages: 6,792 x 53 with ten loglikelihoods each."""

    def child() -> dict[str, float]:
        command = [sys.executable, "-c", FACTS]
        run = subprocess.run(command, cwd=repo, capture_output=True, text=True, check=True, timeout=600)
        return json.loads(run.stdout)

    found = benchmark.pedantic(child, rounds=1)
    print(
        f"\n6,792 x 53: scores {found['scored']:.1f} s, with 1,000 replicates {found['seconds']:.1f} s (aim 20 s), "
        f"peak memory {found['peak_gb']:.2f} GB (aim 2 GB)"
    )


def test_with_loglikelihoods(benchmark: Any) -> None:
    answers, gold = simulated(100_000, 7)
    logprobs = np.random.default_rng(1).normal(size=(100_000, 7, 4))
    benchmark.pedantic(score, (answers, gold, LANGUAGES[:7]), {"logprobs": logprobs}, rounds=3)
    print(f"\nscore with loglikelihoods, 100,000 x 7 x 4: {benchmark.stats.stats.median:.3f} s")
