"""Runs that ask one model the same questions again, with another prompt or order of options, and what they tell.

The statistics are in :mod:`crossin_metrics.scores.causes`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crossin_metrics.errors import CrossinError
from crossin_metrics.runs.run import Run
from crossin_metrics.scores.answer_matrix import IntArray, shared_passages
from crossin_metrics.scores.causes.disagreements import AGREE, REASONS, Asked, disagreements, reason_shares
from crossin_metrics.scores.causes.noise_floor import noise_floor
from crossin_metrics.scores.causes.suspect_questions import Suspect, suspect_questions
from crossin_metrics.scores.uncertainty import Replicates


def repeats(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Group the runs that differ in prompt or order of options only: `task|model|mode|variant` -> two runs or more."""
    groups: dict[tuple[object, ...], list[Run]] = {}
    for run in runs:
        variant = "+".join(part for part in run.variant.split("+") if part and not part.startswith("order:"))
        groups.setdefault((run.task, run.model, run.mode, variant, run.languages), []).append(run)
    return {"|".join(str(part) for part in key[:-1] if part): found for key, found in groups.items() if len(found) > 1}


def asked_as(run: Run) -> str:
    """What tells a run from its repeats: prompt and order of options."""
    orders = [part for part in run.variant.split("+") if part.startswith("order:")]
    return "+".join(filter(None, [run.prompt, *orders])) or run.name


def floor_of(runs: Sequence[Run], *, n_resamples: int, seed: int | None) -> Replicates:
    """The noise floor over the questions that all these runs have.

    Raises:
        CrossinError: the runs share no question, or their gold options differ.
    """
    rows = _shared_rows(runs)
    answers = np.stack([run.answers[at] for run, at in zip(runs, rows, strict=True)])
    # Where a table does not say it, the number of options is known from the answers only: too low in some runs.
    n_choices = np.max([_n_choices(run)[at] for run, at in zip(runs, rows, strict=True)], axis=0)
    orders = None
    if any(run.orders is not None for run in runs):
        orders = np.stack([_orders(run, int(n_choices.max()))[at] for run, at in zip(runs, rows, strict=True)])
    first, at = runs[0], rows[0]
    passages = shared_passages([first.ids[i] for i in at], [first.groups[i] for i in at] if first.groups else [])
    return noise_floor(
        answers, first.languages, n_choices, orders=orders, passages=passages, n_resamples=n_resamples, seed=seed
    )


def reasons_of(run: Run, again: Sequence[Run] = ()) -> np.ndarray:
    """The reason of each disagreement `[n_pairs, n_questions]`; `again` are its repeats, used where they have all its
    questions."""
    known = []
    for other in again:
        row_of = {name: row for row, name in enumerate(other.ids)}
        if other is not run and other.languages == run.languages and all(name in row_of for name in run.ids):
            at = [row_of[name] for name in run.ids]
            known.append(Asked(other.answers[at], None if other.orders is None else other.orders[at]))
    return disagreements(Asked(run.answers, run.orders), run.gold, _n_choices(run), logprobs=run.logprobs, again=known)


def disagreement_scores(run: Run, again: Sequence[Run] = ()) -> dict[str, float]:
    """Share of the questions for each reason: `disagree`, `disagree_<reason>` and `disagree_<reason>_<a>_<b>`."""
    reasons = reasons_of(run, again)
    if not len(reasons):
        return {}
    shares = reason_shares(reasons)
    scores = {"disagree": float((reasons != AGREE).mean())}
    scores |= {f"disagree_{reason}": float(shares[:, i].mean()) for i, reason in enumerate(REASONS)}
    for row, (a, b) in zip(shares, zip(*np.triu_indices(len(run.languages), 1), strict=True), strict=True):
        names = "_".join(sorted((run.languages[a], run.languages[b])))
        scores |= {f"disagree_{reason}_{names}": float(row[i]) for i, reason in enumerate(REASONS)}
    return scores


def suspects_of(runs: Sequence[Run]) -> dict[str, tuple[list[Run], list[tuple[str, Suspect]]]]:
    """Questions to look at in each task: task -> (one run a model, [(question's id, what is odd)]).

    A model with several runs counts once, with the option that most of them give (the first of equals).

    Raises:
        CrossinError: no task has 3 models in 3 languages.
    """
    tasks: dict[tuple[str, tuple[str, ...]], dict[str, list[Run]]] = {}
    for run in runs:
        tasks.setdefault((run.task, run.languages), {}).setdefault(run.model or run.name, []).append(run)
    found: dict[str, tuple[list[Run], list[tuple[str, Suspect]]]] = {}
    refused = ""
    for (task, languages), models in tasks.items():
        every = [run for several in models.values() for run in several]
        rows = dict(zip(map(id, every), _shared_rows(every), strict=True))
        answers = [
            _most_given(np.stack([run.answers[rows[id(run)]] for run in several])) for several in models.values()
        ]
        at = rows[id(every[0])]
        try:
            suspects = suspect_questions(np.stack(answers), every[0].gold[at])
        except CrossinError as error:
            refused = str(error)
            continue
        name = task if task not in found else f"{task} ({', '.join(languages)})"
        firsts = [several[0] for several in models.values()]
        found[name] = firsts, [(every[0].ids[at[one.question]], one) for one in suspects]
    if not found:
        raise CrossinError(f"{refused}; give the logs of more models, of one task")
    return found


def _shared_rows(runs: Sequence[Run]) -> list[list[int]]:
    """Each run's rows of the questions that all have, in one order."""
    places = [{name: row for row, name in enumerate(run.ids)} for run in runs]
    shared = [name for name in runs[0].ids if all(name in place for place in places)]
    if not shared:
        raise CrossinError(f"{', '.join(run.name for run in runs[:3])}: no question id in common")
    rows = [[place[name] for name in shared] for place in places]
    for run, at in zip(runs, rows, strict=True):
        if (run.gold[at] != runs[0].gold[rows[0]]).any():
            raise CrossinError(f"{runs[0].name} and {run.name}: gold options differ, so they are not of one data set")
    return rows


def _n_choices(run: Run) -> IntArray:
    return run.questions().n_choices if run.n_choices is None else run.n_choices


def _orders(run: Run, most: int) -> IntArray:
    """Orders `[N, L, most]`, the options' own where the run does not say."""
    if run.orders is not None:
        return run.orders
    own = np.where(np.arange(most) < _n_choices(run)[:, None], np.arange(most), -1)
    return np.repeat(own[:, None, :], len(run.languages), axis=1)


def _most_given(answers: IntArray) -> IntArray:
    """The option `[N, L]` that most of several runs `[R, N, L]` give, the first of equals; -1 if none gives any."""
    counts = np.stack([(answers == option).sum(axis=0) for option in range(max(1, int(answers.max()) + 1))])
    return np.asarray(np.where(counts.max(axis=0) > 0, counts.argmax(axis=0), -1))
