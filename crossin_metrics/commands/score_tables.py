"""How `crossin score` lays out scores for a person: aligned plain text, no colours."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from crossin_metrics.scores.catalogue import HEADLINE, SCORES, describe
from crossin_metrics.text_tables import align, number

if TYPE_CHECKING:
    from crossin_metrics.runs.run import Run

_WIDEST_MATRIX = 16  # languages whose pair matrix still fits a terminal


def one_run(run: Run, scores: Mapping[str, float], errors: Mapping[str, float], *, full: bool = False) -> str:
    """Everything about one run: headline scores, languages, pairs; all keys with `full`."""
    codes = run.languages
    signature = run.settings.get("signature")
    blocks = ["\n".join([run.name, *([f"signature {signature}"] if signature else []), _counts(run, scores)])]
    names = list(scores) if full else [name for name in HEADLINE if name in scores]
    names = [name for name in names if describe(name).kind != "count"]
    if full:
        names = [*(n for n in HEADLINE if n in scores), *(n for n in names if n not in HEADLINE)]
    table = [["score", "value", *(["SE"] if errors else [])]]
    table += [[name, number(scores[name]), *([number(errors.get(name))] if errors else [])] for name in names]
    blocks.append(align(table))
    blocks.append(align(_language_rows(codes, scores, errors)))
    if 1 < len(codes) <= _WIDEST_MATRIX:
        blocks.append("consistency of language pairs\n" + align(_pair_matrix(codes, scores)))
    elif len(codes) > _WIDEST_MATRIX:
        blocks.append(_extreme_pairs(codes, scores))
    return "\n\n".join(blocks)


def _counts(run: Run, scores: Mapping[str, float]) -> str:
    n_rows = int(scores["n_questions"]) * len(run.languages)
    parts = [
        f"{int(scores['n_questions'])} questions in {len(run.languages)} languages ({', '.join(run.languages)})"
        if len(run.languages) <= _WIDEST_MATRIX
        else f"{int(scores['n_questions'])} questions in {len(run.languages)} languages",
        f"{int(scores['n_unanswered'])} of {n_rows} rows unanswered",
    ]
    if run.n_incomplete:
        parts.append(f"{run.n_incomplete} incomplete questions left out")
    return "; ".join(parts)


def _language_rows(codes: Sequence[str], scores: Mapping[str, float], errors: Mapping[str, float]) -> list[list[str]]:
    """A row a language: accuracy, its mean consistency with the other languages, transfer from English."""
    several, transfer = len(codes) > 1, any(f"transfer_{code}" in scores for code in codes)
    head = ["language", "acc", *(["SE"] if errors else []), *(["consistency"] if several else [])]
    rows = [head + (["transfer"] if transfer else [])]
    for code in codes:
        row = [code, number(scores[f"acc_{code}"])]
        if errors:
            row.append(number(errors.get(f"acc_{code}")))
        if several:
            others = [pair_score(scores, code, other) for other in codes if other != code]
            row.append(number(sum(others) / len(others)))
        if transfer:
            row.append(number(scores.get(f"transfer_{code}")))
        rows.append(row)
    return rows


def pair_score(scores: Mapping[str, float], a: str, b: str) -> float:
    """consistency_<a>_<b>, in whichever order asked."""
    first, second = sorted((a, b))
    return scores[f"consistency_{first}_{second}"]


def _pair_matrix(codes: Sequence[str], scores: Mapping[str, float]) -> list[list[str]]:
    rows = [["", *codes[:-1]]]
    for i, code in enumerate(codes[1:], 1):
        rows.append([code, *(f"{pair_score(scores, code, other):.3f}" for other in codes[:i])])
    return rows


def _extreme_pairs(codes: Sequence[str], scores: Mapping[str, float], n: int = 5) -> str:
    pairs = [(pair_score(scores, a, b), a, b) for i, a in enumerate(codes) for b in codes[i + 1 :]]
    pairs.sort(key=lambda pair: (-pair[0], pair[1:]))
    rows = [["most consistent pairs", ""], *([f"{a} {b}", number(value)] for value, a, b in pairs[:n])]
    rows += [["least consistent pairs", ""], *([f"{a} {b}", number(value)] for value, a, b in pairs[-n:])]
    return align(rows) + f"\n(all {len(pairs)} pairs: --full or --json)"


def many_runs(runs: Sequence[Run], results: Sequence[tuple[Mapping[str, float], Mapping[str, float]]]) -> str:
    """One row a run; the standard error in brackets."""
    columns = ("acc", "consistency", "ac3", "fleiss_kappa", "baseline_constant_ac3", "baseline_random_ac3")
    rows = [
        [
            "run",
            *(re.sub("^baseline_(constant|random)_ac3$", r"ac3:\1", name) for name in columns),
            "langs",
            "n",
            "unanswered",
        ]
    ]
    for run, (scores, errors) in zip(runs, results, strict=True):
        cells = []
        for name in columns:
            shown = number(scores.get(name))
            error = None if SCORES[name].kind == "baseline" else errors.get(name)
            cells.append(shown if error is None or shown == "-" else f"{shown} ({error:.3f})")
        counts = [str(len(run.languages)), str(int(scores["n_questions"])), str(int(scores["n_unanswered"]))]
        rows.append([run.name, *cells, *counts])
    return align(rows)
