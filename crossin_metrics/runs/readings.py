"""How a run's outputs were read, as a table: one row a language."""

from __future__ import annotations

from collections import Counter

from crossin_metrics.answers.reading import RULES
from crossin_metrics.runs.run import Run
from crossin_metrics.scores.readings import CUT, rule_counts


def reading_rows(run: Run) -> list[list[str]]:
    """Head and rows: per language, rows unanswered and cut, mean characters of thought, rows by rule.

    With self-agreement where rows are repeated, and the commonest languages of thought and answer and their shares
    where they were detected ("en 80%"); `none` counts rows that no rule decided. Empty where the files do not say how
    outputs were read.
    """
    if run.rules is None:
        return []
    scores, counts = run.readings(), rule_counts(run.rules, run.languages)
    seen = {rule for found in counts.values() for rule in found} - {CUT}
    rules = [*(rule for rule in RULES if rule in seen), *sorted(seen - set(RULES))]
    parts = ["self-agreement"] if run.self_agreement is not None else []
    parts += ["thought in", "answer in"] if run.written is not None else []
    rows = [["language", "unanswered", "cut", "thought", *parts, *rules]]
    for column, (code, found) in enumerate(counts.items()):
        cells = [f"{scores[f'{name}_{code}']:.0f}" for name in ("n_unanswered", "n_cut", "thought")]
        cells += [f"{100 * scores[f'self_agreement_{code}']:.0f}%"] if run.self_agreement is not None else []
        cells += written_in(run, column)
        rows.append([code, *cells, *(str(found[rule]) for rule in rules)])
    return rows


def written_in(run: Run, column: int) -> list[str]:
    """The commonest languages of thought and answer in a column, with their shares; empty if they were not detected."""
    if run.written is None:
        return []
    return [_commonest(run.written[:, column, part].tolist()) for part in (0, 1)]


def _commonest(languages: list[str]) -> str:
    known = Counter(language for language in languages if language)
    (most, count) = known.most_common(1)[0] if known else ("", 0)
    return f"{most} {100 * count / known.total():.0f}%" if most else ""
