"""How generated outputs were read: unanswered and cut rows, length and language of thought, overall and per language.

Shapes: `[n_questions, n_languages]`, as everywhere in this package.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

CUT = "cut"  # as :mod:`crossin_metrics.answers.outputs` names it; this package imports no other


def reading_scores(
    answers: NDArray[np.integer],
    rules: NDArray[np.str_],
    thoughts: NDArray[np.integer],
    languages: Sequence[str],
    written: NDArray[np.str_] | None = None,
    self_agreement: NDArray[np.floating] | None = None,
) -> dict[str, float]:
    """Count rows by how they were read.

    Args:
        answers: `[n_questions, n_languages]`, option index or -1.
        rules: `[n_questions, n_languages]`, the rule that read each row.
        thoughts: `[n_questions, n_languages]`, characters of thought.
        languages: codes of the columns.
        written: `[n_questions, n_languages, 2]`, the language of each thought and of each answer ("": unknown), where
            they were detected.
        self_agreement: `[n_questions, n_languages]`, share of pairs of a row's repeats with one answer, in [0, 1],
            where rows are repeated.

    Returns:
        `n_unanswered`, `n_cut` (rows, cut ones among the unanswered), `thought` (mean characters a row, from 0),
        `thought_own_language` and `answer_own_language` (share of thoughts and answers of known language that are in
        the row's, in [0, 1]; left out where none is known), `self_agreement` (mean, in [0, 1], of repeated rows only),
        and each with `_<language>`.
    """
    missing, cut = answers < 0, rules == CUT
    found = {"n_unanswered": float(missing.sum()), "n_cut": float(cut.sum()), "thought": float(thoughts.mean())}
    for column, code in enumerate(languages):
        found[f"n_unanswered_{code}"] = float(missing[:, column].sum())
        found[f"n_cut_{code}"] = float(cut[:, column].sum())
        found[f"thought_{code}"] = float(thoughts[:, column].mean())
    if self_agreement is not None:
        found["self_agreement"] = float(self_agreement.mean())
        found |= {f"self_agreement_{code}": float(self_agreement[:, k].mean()) for k, code in enumerate(languages)}
    for part, name in enumerate(("thought_own_language", "answer_own_language") if written is not None else ()):
        assert written is not None
        own = written[:, :, part] == np.array(languages)
        known = written[:, :, part] != ""
        found |= {name: float(own[known].mean())} if known.any() else {}
        for column, code in enumerate(languages):
            if known[:, column].any():
                found[f"{name}_{code}"] = float(own[:, column][known[:, column]].mean())
    return found


def rule_counts(rules: NDArray[np.str_], languages: Sequence[str]) -> dict[str, Counter[str]]:
    """Return how many rows of each language each rule read; `none` where no rule decided."""
    return {
        code: Counter(str(rule) or "none" for rule in rules[:, column].tolist())
        for column, code in enumerate(languages)
    }
