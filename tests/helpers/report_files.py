"""Result folders as the harness writes them (0.4.13), from given answers; help with their reports."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from crossin_metrics.report.build import Report

LANGUAGES = ("en", "es", "vi", "zh")
TIME = "2026-11-22T02-25-02.946254"


def answers_of(skill: float, *, n: int = 120, seed: int = 0, n_languages: int = 4) -> tuple[NDArray[Any], NDArray[Any]]:
    """Answers `[n, n_languages]`, right with the given chance and else random, and gold `[n]`, the same for all."""
    gold = np.random.default_rng(99).integers(0, 4, n)
    rng = np.random.default_rng(seed)
    known = rng.random((n, n_languages)) < skill
    return np.where(known, gold[:, None], rng.integers(0, 4, (n, n_languages))), gold


def write_run(
    folder: Path,
    answers: NDArray[Any],
    gold: NDArray[Any],
    *,
    model: str = "org/model",
    model_name: str | None = None,
    task: str = "crossin_mini",
    formulation: str = "letter",
    prompt: str = "p1",
    languages: Sequence[str] = LANGUAGES,
    time: str = TIME,
    version: float = 1.0,
    shots: int = 0,
    limit: float | None = None,
    whole: int | None = None,
    data: str = "74bc95a20242",
    question: str = "What is number {id} in {language}?",
    option: str = "{language} option {k} of {id}",
    words: str = "The answer is {letter}.",
    samples: bool = True,
    results: bool = True,
    scores: dict[str, Any] | None = None,
    group: str = "",
) -> Path:
    """Write `folder/<model>/results_<time>.json` and `samples_<task>_<time>.jsonl`; return the inner folder."""
    inner = folder / model.replace("/", "__")
    inner.mkdir(parents=True, exist_ok=True)
    signature = (
        f"crossin|task:{task}|data:{data}|langs:{','.join(sorted(languages))}|answers:{formulation}|prompt:{prompt}"
        f"|shots:{shots}|chat:no|s:3|v:0.1.0"
    )
    n_whole = len(gold) if whole is None else whole
    content = {
        "results": {task: {"name": task, "alias": task, **(scores or {})}},
        "configs": {task: {"metadata": {"version": version, "signature": signature, "n_questions": n_whole}}},
        "versions": {task: version},
        "n-shot": {task: shots},
        "config": {"model": "hf", "limit": limit},
        "lm_eval_version": "0.4.13",
        "model_name": model_name or model,
        "model_name_sanitized": model.replace("/", "__"),
        "chat_template_sha": None,
    }
    if results:
        (inner / f"results_{time}.json").write_text(json.dumps(content), encoding="utf-8")
    if samples:
        with (inner / f"samples_{task}_{time}.jsonl").open("w", encoding="utf-8") as stream:
            for q, row in enumerate(answers):
                for column, language in enumerate(languages):
                    sample = _sample(
                        q, language, int(row[column]), int(gold[q]), formulation, prompt, (question, option, words)
                    )
                    if group:
                        sample["doc"]["group"] = group.format(q % 4)
                    stream.write(json.dumps(sample, ensure_ascii=False) + "\n")
    return inner


def _sample(
    q: int, language: str, answer: int, gold: int, formulation: str, prompt: str, texts: tuple[str, str, str]
) -> dict[str, Any]:
    identifier = f"q{q:04d}"
    question, option, words = texts
    doc = {
        "id": identifier,
        "language": language,
        "formulation": formulation,
        "prompt": prompt,
        "question": question.format(id=identifier, language=language),
        "options": [option.format(id=identifier, language=language, k=k) for k in range(4)],
        "order": [0, 1, 2, 3],
        "gold": gold,
        "target": gold,
    }
    if formulation == "gen":
        text = "" if answer < 0 else words.format(letter="ABCD"[answer])
        responses: dict[str, Any] = {"resps": [[text]], "filtered_resps": [text]}
    else:
        pairs = [[str(-0.5 if k == answer else -2.0 - k), str(k == answer)] for k in range(4)]
        responses = {"resps": [[pair] for pair in pairs], "filtered_resps": pairs}
    return {
        "doc_id": q,
        "doc": doc,
        "target": str(gold),
        "filter": "none",
        **responses,
        "acc": 1,
        "consistency": answer,
    }


def text_of(report: Report, name: str) -> str:
    """A text file of a report."""
    content = report.files[name]
    assert isinstance(content, str)
    return content


def compile_latex(body: str, folder: Path) -> None:
    """Compile tables in a document; skips the test without LaTeX."""
    if shutil.which("pdflatex") is None:
        pytest.skip("pdflatex not found: the tables are not compiled")
    document = "\\documentclass{article}\\usepackage{booktabs,graphicx}\\begin{document}" + body + "\\end{document}"
    (folder / "t.tex").write_text(document, encoding="utf-8")
    command = ["pdflatex", "-interaction=batchmode", "t.tex"]
    assert subprocess.run(command, cwd=folder, capture_output=True, timeout=120).returncode == 0
