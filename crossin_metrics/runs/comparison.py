"""Two systems to compare: their runs matched by task and joined on the question's id.

The tests are in :mod:`crossin_metrics.scores.significance`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from crossin_metrics.errors import CrossinError
from crossin_metrics.runs.run import Run
from crossin_metrics.runs.signature import differences, run_fields
from crossin_metrics.scores.answer_matrix import AnswerMatrix, answer_matrix, shared_passages


@dataclass(frozen=True)
class Match:
    """One run of A and one of B on the same benchmark.

    Attributes:
        benchmark: `task|mode|prompt|variant`, what the two have in common.
        a, b: the runs.
        differing: signature fields in which they differ although it matters (allowed by the caller).
    """

    benchmark: str
    a: Run
    b: Run
    differing: dict[str, tuple[str, str]]


@dataclass(frozen=True)
class Joined:
    """Two runs on what both answered.

    Attributes:
        a, b: the same questions in the same rows, the same languages in the same columns.
        languages: codes both have.
        ids: question ids both have, in sorted order.
        only_a, only_b: how many of its complete questions each has alone.
        languages_only_a, languages_only_b: codes that each has alone.
    """

    a: AnswerMatrix
    b: AnswerMatrix
    languages: tuple[str, ...]
    ids: tuple[str, ...]
    only_a: int
    only_b: int
    languages_only_a: tuple[str, ...]
    languages_only_b: tuple[str, ...]


def match_runs(
    runs_a: Sequence[Run], runs_b: Sequence[Run], *, allow: Collection[str] = ()
) -> tuple[list[Match], list[str]]:
    """Pair the runs of two systems by task, mode, prompt and variant.

    Args:
        runs_a, runs_b: of one system each, as :func:`crossin_metrics.runs.run.read_predictions` gives them.
        allow: signature fields that may differ (`shots`, `prompt`, ...), or `all`.

    Returns:
        The pairs in A's order, and a note for every run without a partner.

    Raises:
        CrossinError: two runs of one side compete for a partner; no pair is left; a pair's signatures differ in what
            matters and it is not allowed; both are one and the same run.
    """
    known = {name for run in (*runs_a, *runs_b) for name in run_fields(run)} | {"all", "order", "unanswered"}
    for name in allow:
        if name not in known:
            raise CrossinError(f"--allow {name}: unknown signature field; these runs have {', '.join(sorted(known))}")
    left_a, left_b = _by_benchmark("A", runs_a), _by_benchmark("B", runs_b)
    pairs = [(left_a.pop(key), left_b.pop(key)) for key in list(left_a) if key in left_b]
    # The rest may be the same task in another set-up; pair it only where that is unambiguous.
    for task in dict.fromkeys(key[0] for key in left_a):
        keys_a, keys_b = ([key for key in left if key[0] == task] for left in (left_a, left_b))
        if len(keys_a) == len(keys_b) == 1 and not any(a.task == task for a, _ in pairs):
            pairs.append((left_a.pop(keys_a[0]), left_b.pop(keys_b[0])))
    if not pairs and len(left_a) == len(left_b) == 1:
        pairs.append((left_a.popitem()[1], left_b.popitem()[1]))
    if not pairs:
        raise CrossinError(
            f"A and B have no task in common: A has {_names(runs_a)}; B has {_names(runs_b)}; give runs of one task "
            "or choose with --run-a and --run-b"
        )
    matches = [_match(a, b, allow) for a, b in pairs]
    notes = [f"only A has {run.name}, left out" for run in left_a.values()]
    notes += [f"only B has {run.name}, left out" for run in left_b.values()]
    return matches, notes


def _by_benchmark(side: str, runs: Sequence[Run]) -> dict[tuple[str, ...], Run]:
    found: dict[tuple[str, ...], Run] = {}
    for run in runs:
        key = run.task, run.mode, run.prompt, run.variant
        if key in found:
            raise CrossinError(
                f"{side} has two runs of one benchmark, {found[key].name} and {run.name}: choose one, e.g. "
                f"--run-{side.lower()} '*{run.model}*'"
            )
        found[key] = run
    return found


def _names(runs: Sequence[Run], most: int = 4) -> str:
    names = [run.name for run in runs]
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _match(a: Run, b: Run, allow: Collection[str]) -> Match:
    if a.name == b.name and {p.resolve() for p in a.source_files} == {p.resolve() for p in b.source_files}:
        raise CrossinError(f"A and B are the same run, {a.name}; give two different ones")
    found = differences(a, b)
    refused = [name for name in found if name not in allow and "all" not in allow]
    if refused:
        said = "; ".join(
            f"{name} is {found[name][0] or 'not set'} and {found[name][1] or 'not set'}" for name in refused
        )
        raise CrossinError(
            f"{a.name} and {b.name} are not comparable: {said}; rerun one of them, choose runs "
            f"with --run-a and --run-b, or compare anyway with --allow {','.join(refused)}"
        )
    shared = [x if x == y else f"{x or '-'}/{y or '-'}" for x, y in zip(_parts(a), _parts(b), strict=True)]
    return Match("|".join(part for part in shared if part), a, b, found)


def _parts(run: Run) -> tuple[str, str, str, str]:
    return run.task, run.mode, run.prompt, run.variant


def join_runs(a: Run, b: Run) -> Joined:
    """Cut two runs to the questions and languages both have.

    Raises:
        CrossinError: no common language or question, or a question's gold option or number of choices differs.
    """
    languages = tuple(code for code in a.languages if code in b.languages)
    if not languages:
        raise CrossinError(
            f"{a.name} and {b.name} have no language in common ({', '.join(a.languages)}; {', '.join(b.languages)})"
        )
    rows_a, rows_b = ({name: row for row, name in enumerate(run.ids)} for run in (a, b))
    ids = tuple(name for name in a.ids if name in rows_b)
    if not ids:
        raise CrossinError(
            f"{a.name} and {b.name} have no question id in common (A: {a.ids[0]!r} ...; B: {b.ids[0]!r} ...): are "
            "they of one data set?"
        )
    at_a, at_b = [rows_a[name] for name in ids], [rows_b[name] for name in ids]
    _same(a, b, ids, a.gold[at_a], b.gold[at_b], "the gold option")
    if a.n_choices is not None and b.n_choices is not None:
        _same(a, b, ids, a.n_choices[at_a], b.n_choices[at_b], "the number of choices")
    return Joined(
        _cut(a, at_a, languages),
        _cut(b, at_b, languages),
        languages,
        ids,
        len(a.ids) - len(ids),
        len(b.ids) - len(ids),
        tuple(code for code in a.languages if code not in languages),
        tuple(code for code in b.languages if code not in languages),
    )


def _same(a: Run, b: Run, ids: Sequence[str], left: np.ndarray, right: np.ndarray, what: str) -> None:
    if (left != right).any():
        row = int((left != right).argmax())
        raise CrossinError(
            f"id {ids[row]!r}: {what} is {left[row]} in {a.name} ({a.source_files[0]}) but {right[row]} in {b.name} "
            f"({b.source_files[0]}), and so in {int((left != right).sum())} of {len(ids)} questions: they are not of "
            "one data set"
        )


def _cut(run: Run, rows: list[int], languages: Sequence[str]) -> AnswerMatrix:
    at = np.ix_(rows, [run.languages.index(code) for code in languages])
    return answer_matrix(
        run.answers[at],
        run.gold[rows],
        languages,
        n_choices=None if run.n_choices is None else run.n_choices[rows],
        orders=None if run.orders is None else run.orders[at],
        logprobs=None if run.logprobs is None else run.logprobs[at],
        passages=shared_passages([run.ids[i] for i in rows], [run.groups[i] for i in rows] if run.groups else []),
    )
