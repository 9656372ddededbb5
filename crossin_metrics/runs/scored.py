"""The scores of runs as flat dicts: one each for `crossin score --json`, a list of them for `pandas.DataFrame`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

from crossin_metrics.runs.run import Run, read_predictions
from crossin_metrics.runs.signature import signature_of
from crossin_metrics.scores.definitions import score_questions


def load(*paths: str | Path, bootstrap: int = 1000, seed: int = 0, **reading: Any) -> list[dict[str, Any]]:
    """Score every run in files and folders; `pandas.DataFrame(load("results"))` has one row a run.

    Args:
        paths: what `crossin score` takes: result folders, sample logs, prediction tables.
        bootstrap: resamples of the questions for standard errors and intervals; 0: none.
        seed: of the bootstrap.
        reading: options of :func:`crossin_metrics.runs.run.read_predictions`, such as `languages`.

    Returns:
        Per run `name, task, model, mode, prompt, variant, languages, signature` (None if unknown), then every score,
        with `<score>_stderr`, `_low` and `_high` (95% interval); a score that is undefined is None.

    Raises:
        CrossinError: a file or folder is missing, damaged or holds no answers.
    """
    rows = []
    for run in read_predictions(list(paths), **reading):
        facts = {name: getattr(run, name) for name in ("name", "task", "model", "mode", "prompt", "variant")}
        signed = signature_of(run) if run.settings.get("signature") else None
        facts |= {"languages": ",".join(run.languages), "signature": signed}
        rows.append(facts | flat_scores(*score_run(run, bootstrap, seed, pairs=True)))
    return rows


class Scored(NamedTuple):
    """A run's scores, their standard errors and intervals (empty without a bootstrap; of pairs only where asked)."""

    scores: dict[str, float]
    errors: dict[str, float]
    intervals: dict[str, tuple[float, float]]


def score_run(run: Run, n_resamples: int, seed: int, *, pairs: bool) -> Scored:
    """Score a run; standard errors and intervals from `n_resamples` of its questions (0: none)."""
    questions = run.questions()
    scores = score_questions(questions)
    errors: dict[str, float] = {}
    intervals: dict[str, tuple[float, float]] = {}
    if n_resamples:
        from crossin_metrics.scores.uncertainty import bootstrap, score_intervals, standard_errors

        names = [f"consistency_{a}_{b}" for a in run.languages for b in run.languages if a < b]
        left_out = set() if pairs else set(names)
        keys = [key for key in scores if not key.startswith("n_") and key not in left_out]
        replicates = bootstrap(questions, n_resamples=n_resamples, seed=seed, keys=keys)
        errors, intervals = standard_errors(replicates), score_intervals(replicates)
    scores["n_incomplete"] = float(run.n_incomplete)
    scores |= run.readings()
    return Scored(scores, errors, intervals)


def flat_scores(
    scores: dict[str, float], errors: dict[str, float], intervals: dict[str, tuple[float, float]]
) -> dict[str, float | int | None]:
    """One flat dict, counts as integers, `<score>_stderr`, `_low` and `_high` of those that have them; else None."""
    flat: dict[str, float | int | None] = {}
    for name, value in scores.items():
        flat[name] = int(value) if name.startswith("n_") else value if math.isfinite(value) else None
    for name, value in errors.items():
        if name in scores and not name.startswith("n_"):
            flat[f"{name}_stderr"] = value if math.isfinite(value) else None
    for name, ends in intervals.items():
        for end, value in zip(("low", "high"), ends, strict=True):
            flat[f"{name}_{end}"] = value if math.isfinite(value) else None
    return flat
