"""Noise floor and excess of every public model with three prompts or more, as the tables of scores/causes/README.md.

    python tests/scores/table_of_public_logs.py ../shared/data/golden/picks_all_prompts.json.gz

The file holds the options that models picked in SeaEval's public logs (arXiv 2309.04766): per set `ids`, `gold` (one
digit a question) and `logs`, `model|mode|prompt` -> language -> one character a question, a digit or no answer.
"""

from __future__ import annotations

import argparse
import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np

from crossin_metrics.languages import language_code
from crossin_metrics.scores.answer_matrix import answer_matrix
from crossin_metrics.scores.causes.excess import beyond_accuracy
from crossin_metrics.scores.causes.noise_floor import noise_floor
from crossin_metrics.scores.definitions import score_questions
from crossin_metrics.scores.uncertainty import Replicates, percentile_interval
from crossin_metrics.text_tables import markdown_table

LANGUAGES = ("en", "es", "vi", "zh")
FEWEST_PROMPTS = 3
MOST_UNANSWERED = 0.15  # of the rows; above, agreement is about who answers at all


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picks", type=Path)
    parser.add_argument("--resamples", type=int, default=1000)
    args = parser.parse_args()
    with gzip.open(args.picks, "rt", encoding="utf-8") as file:
        for name, data in json.load(file).items():
            print("\n".join(table(name, data, args.resamples)), end="\n\n")


def table(name: str, data: dict[str, Any], n_resamples: int) -> list[str]:
    """Title, summary and one row a model, the highest ratio beyond chance first."""
    rows = [row for model, asked in sorted(models(data).items()) if (row := measured(model, asked, data, n_resamples))]
    rows.sort(key=lambda row: -row["language_ratio_kappa"][0])
    places = np.argsort(np.argsort([-row["consistency"] for row in rows]))
    moved = int(np.abs(places - np.arange(len(rows))).max())
    mean = {key: np.mean([row[key][0] for row in rows]) for key in rows[0] if isinstance(rows[0][key], tuple)}
    head = [
        "model",
        "prompts",
        "acc",
        "consistency",
        "again",
        "across",
        "ratio",
        "ratio (kappa)",
        "excess",
        "same error",
    ]
    cells = [
        [row["model"], row["prompts"], f"{row['acc']:.2f}", f"{row['consistency']:.2f}"]
        + [f"{row[key][0]:.2f}" for key in ("asked_again", "asked_across")]
        + [interval(*row[key]) for key in ("language_ratio", "language_ratio_kappa")]
        + [interval(*row[key]) for key in ("excess_consistency", "wrong_agreement")]
        for row in rows
    ]
    said = (
        f"{name}: {len(rows)} models. Within a language {mean['asked_again']:.2f}, across {mean['asked_across']:.2f}, "
        f"ratio {mean['language_ratio']:.2f}, beyond chance {mean['language_ratio_kappa']:.2f}; excess "
        f"{mean['excess_consistency']:.2f}, same error {mean['wrong_agreement']:.2f} (chance .33). Ordered by the "
        f"ratio beyond chance instead of consistency, models move by up to {moved} places."
    )
    return [f"### {name}", "", said, "", *markdown_table(head, cells)]


def interval(value: float, low: float, high: float) -> str:
    return f"{value:.2f} ({low:.2f} to {high:.2f})"


def models(data: dict[str, Any]) -> dict[str, np.ndarray]:
    """`model|mode` -> answers `[R, N, L]` of the prompts in which few rows are unanswered, three or more."""
    found: dict[str, list[np.ndarray]] = {}
    for key, log in sorted(data["logs"].items()):
        by_code = {language_code(language): picks for language, picks in log.items()}
        if set(LANGUAGES) <= by_code.keys():
            answers = np.array([[int(c) if c.isdigit() else -1 for c in by_code[code]] for code in LANGUAGES]).T
            if (answers < 0).mean() <= MOST_UNANSWERED:
                found.setdefault(key.rpartition("|")[0], []).append(answers)
    return {model: np.stack(asked) for model, asked in found.items() if len(asked) >= FEWEST_PROMPTS}


def measured(model: str, asked: np.ndarray, data: dict[str, Any], n_resamples: int) -> dict[str, Any] | None:
    """Scores with 95% intervals over questions; excess and shared errors are means over the prompts."""
    gold = np.array([int(c) for c in data["gold"]])
    floor = noise_floor(asked, LANGUAGES, np.full(len(gold), 4), n_resamples=n_resamples)
    if "language_ratio_kappa" not in floor.estimate:
        return None
    runs = [answer_matrix(answers, gold, LANGUAGES, n_choices=4) for answers in asked]
    causes = [beyond_accuracy(run, n_resamples=n_resamples) for run in runs]  # the same resamples for each prompt
    scores = [score_questions(run) for run in runs]
    row: dict[str, Any] = {"model": model.removesuffix("|zero_shot"), "prompts": len(asked)}
    row |= {key: float(np.mean([one[key] for one in scores])) for key in ("acc", "consistency")}
    for key in ("asked_again", "asked_across", "language_ratio", "language_ratio_kappa"):
        row[key] = (floor.estimate[key], *percentile_interval(floor.values[key]))
    for key in ("excess_consistency", "wrong_agreement"):
        row[key] = over_prompts(causes, key)
    return row


def over_prompts(causes: list[Replicates], key: str) -> tuple[float, float, float]:
    values = np.mean([one.values[key] for one in causes], axis=0)
    return float(np.mean([one.estimate[key] for one in causes])), *percentile_interval(values)


if __name__ == "__main__":
    main()
