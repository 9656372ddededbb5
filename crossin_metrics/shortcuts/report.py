"""The artefact report of a parallel set: every guesser in every language against chance, agreement, statistics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from crossin_metrics.errors import CrossinError
from crossin_metrics.sets.parallel_set import ParallelMCQ
from crossin_metrics.shortcuts.chance import clustered, distribution, p_value, pooled_p_value, wilson
from crossin_metrics.shortcuts.learned import Learned, folds_of, learn
from crossin_metrics.shortcuts.rules import LEARNED, PLACE, PLACE_SAYS, RULES, best, feature_array, picks
from crossin_metrics.shortcuts.statistics import language_statistics, letter, set_statistics

LEVEL = 0.05
DEFAULT_PERMUTATIONS = 4999
FEWEST_GROUPS = 5  # passages below which nothing is learned
ALL = "all"
_EVERY = ""  # language of the rules that look at places alone, which are the same in every language


@dataclass(frozen=True)
class Tested:
    """One guesser in one language.

    Attributes:
        rule: its name.
        language: a code; `all` for the languages together, where the rule is fixed beforehand; empty for rules that
            look at places alone, which are the same in every language.
        kind: `rule`, `learned` or `model`.
        reads_passage: whether it looks at the passage; what it finds is then shallow reading, no artefact of options.
        n, hits: rows (questions times languages) asked and answered right.
        share, low, high: hits / n with Wilson's 95% interval, in [0, 1]; of `all` a normal interval over questions.
        chance: mean of 1 / options, the share expected of guessing.
        p_value: exact and two-sided: binomial, of `all` the distribution of the picks' agreement with one right option;
            of learned rules a permutation test, one-sided.
        p_holm: corrected over all tests of the report (Holm 1979).
        flag: `above` or `below` chance where p_holm is at most the report's level, else empty.
    """

    rule: str
    language: str
    kind: str
    reads_passage: bool
    n: int
    hits: int
    share: float
    low: float
    high: float
    chance: float
    p_value: float
    p_holm: float = 1.0
    flag: str = ""


@dataclass(frozen=True)
class Report:
    """What was found; see `Tested` and the functions of `statistics`.

    Attributes:
        data: `name`, `source`, `hash`, `languages`, and `statistics.set_statistics`.
        settings: level, permutations, seed, folds, model, prompt, questions the model was asked.
        rules: name -> what it does in words, in the order reported.
        tests: rule by rule, language by language.
        agreement: rule -> `acc`, `consistency`, `ac3` (as `crossin_metrics.scores` has them), `everywhere` (share of
            questions that the rule solves in every language), `independent` (the product of its accuracies: what
            `everywhere` were if languages had nothing to do with each other), `anywhere`; empty for one language.
        languages: code -> `statistics.language_statistics`.
        notes: what was left out and why.
    """

    data: dict[str, Any]
    settings: dict[str, Any]
    rules: dict[str, str]
    tests: tuple[Tested, ...]
    agreement: dict[str, dict[str, float]]
    languages: dict[str, dict[str, Any]]
    notes: tuple[str, ...] = ()

    @property
    def flagged(self) -> tuple[Tested, ...]:
        """The tests that chance does not explain."""
        return tuple(test for test in self.tests if test.flag)

    def to_json(self) -> dict[str, Any]:
        """Plain dicts, lists and numbers."""
        return asdict(self)


@dataclass
class _Collected:
    tests: list[Tested] = field(default_factory=list)
    rules: dict[str, str] = field(default_factory=dict)
    agreement: dict[str, dict[str, float]] = field(default_factory=dict)


def analyse(
    data: ParallelMCQ,
    *,
    model: str | None = None,
    limit: int | None = None,
    prompt: str = "p1",
    model_args: dict[str, Any] | None = None,
    n_permutations: int = DEFAULT_PERMUTATIONS,
    seed: int = 0,
    level: float = LEVEL,
    progress: Callable[[str], None] | None = None,
) -> Report:
    """Ask every guesser, and count.

    Args:
        data: any parallel set; its questions may have different numbers of options.
        model: a checkpoint folder or hub name for the passage-free model; None asks none.
        limit: most questions that the model is asked, drawn by SHA-256 of their positions; None: all.
        prompt: wording for the model, see `crossin_metrics.harness.prompts`.
        model_args: for the backend, such as `dtype`.
        n_permutations: most draws of the learned rules' tests; a p-value of theirs is at least 1 / (draws + 1).
        seed: of these draws.
        level: family-wise error of the flags, over all tests of the report together.
        progress: called with a few words before each step.

    Raises:
        CrossinError: as `passage_free_scores`; a level, limit or number of draws that cannot be.
    """
    if not 0 < level < 1 or n_permutations < 99 or (limit is not None and limit < 1):
        raise CrossinError("artefacts: the level is between 0 and 1, permutations are 99 or more, a limit 1 or more")
    say = progress or (lambda _: None)
    counts = np.array([len(item.choices) for item in data.items[data.languages[0]]], dtype=np.int64)
    gold = np.array(data.gold, dtype=np.int64)
    found = _Collected()
    notes: list[str] = []
    everything = np.arange(len(data))
    for rule in RULES:
        numbers = _with_passage(data, everything) if rule.reads_passage else everything
        if len(numbers) == 0:
            continue
        say(rule.name)
        columns = [picks(rule, data, code, numbers) for code in data.languages]
        _add(found, data, rule.name, rule.says, "rule", rule.reads_passage, columns, numbers)
    for place in range(int(counts.max())):
        name = f"always_{letter(place)}"
        found.rules[name] = f"option {letter(place)}"
        found.tests.append(_place_test(name, place, counts, gold))
    folds = folds_of(data.groups)
    if len(set(data.groups)) < FEWEST_GROUPS:
        notes.append(f"nothing is learned from {len(set(data.groups))} passages; {FEWEST_GROUPS} are needed")
    else:
        _learn_all(found, data, counts, gold, folds, n_permutations, seed, say)
    asked = 0
    if model is not None:
        asked = _ask_model(found, data, model, limit, prompt, model_args or {}, say)
        if len(without := set(range(len(data))) - set(_with_passage(data, everything).tolist())):
            notes.append(
                f"{len(without)} questions have no passage to hide: the model is asked about their options alone"
            )
    say("statistics")
    return Report(
        data={
            "name": data.name,
            "source": data.source,
            "hash": data.hash,
            "languages": list(data.languages),
            **set_statistics(data),
        },
        settings={
            "level": level,
            "n_permutations": n_permutations,
            "seed": seed,
            "n_folds": int(folds.max()) + 1,
            "model": model,
            "prompt": prompt if model is not None else None,
            "n_asked": asked,
        },
        rules=found.rules,
        tests=_corrected(found.tests, level),
        agreement=found.agreement,
        languages={code: language_statistics(data, code) for code in data.languages},
        notes=tuple(notes),
    )


def _learn_all(
    found: _Collected,
    data: ParallelMCQ,
    counts: npt.NDArray[np.int64],
    gold: npt.NDArray[np.int64],
    folds: npt.NDArray[np.int64],
    n_permutations: int,
    seed: int,
    say: Callable[[str], None],
) -> None:
    """The place, the kind and the classifier of simple features, each learned within one language."""
    say(PLACE)
    places = np.broadcast_to(np.eye(int(counts.max())), (len(data), counts.max(), counts.max()))
    learned = learn(places, counts, gold, folds, n_permutations=n_permutations, seed=(seed,))
    found.rules[PLACE] = PLACE_SAYS
    found.tests.append(_tested(PLACE, _EVERY, "learned", False, learned.hits, counts, learned.p_value))
    for name, (says, features) in LEARNED.items():
        results: list[Learned] = []
        for number, code in enumerate(data.languages):
            say(f"{name} {code}")
            array = feature_array(features, data.items[code])
            drawn = (seed, number)  # of its own, so that languages do not agree on ties
            results.append(learn(array, counts, gold, folds, n_permutations=n_permutations, seed=drawn))
        everything = np.arange(len(data))
        columns = [one.picks for one in results]
        p_values = [one.p_value for one in results]
        _add(found, data, name, says, "learned", False, columns, everything, p_values)


def _ask_model(
    found: _Collected,
    data: ParallelMCQ,
    model: str,
    limit: int | None,
    prompt: str,
    model_args: dict[str, Any],
    say: Callable[[str], None],
) -> int:
    from crossin_metrics.harness.documents import ordered_by_hash
    from crossin_metrics.shortcuts.model import MODEL_RULES, SHOW_QUESTION, passage_free_scores

    numbers = np.sort(np.array(ordered_by_hash(range(len(data)), "artefacts")[:limit]))
    say(f"model, {len(numbers)} questions")
    scores = passage_free_scores(data, numbers.tolist(), model, prompt=prompt, **model_args)
    for name, says in MODEL_RULES.items():
        # Where there is no passage, a question is meant to be answered without one.
        chosen = _with_passage(data, numbers) if name in SHOW_QUESTION else numbers
        if len(chosen) == 0:
            continue
        rows = scores[name][np.isin(numbers, chosen)]
        columns = [
            np.array([best(row, f"{name}\x1f{data.ids[i]}\x1f{code}") for i, row in zip(chosen, table, strict=True)])
            for code, table in zip(data.languages, rows.transpose(1, 0, 2).tolist(), strict=True)
        ]
        _add(found, data, name, says, "model", False, columns, chosen)
    return len(numbers)


def _with_passage(data: ParallelMCQ, numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Those of the questions that have a passage (in every language, or in none)."""
    items = data.items[data.languages[0]]
    return np.array([number for number in numbers if items[number].context is not None], dtype=np.int64)


def _add(
    found: _Collected,
    data: ParallelMCQ,
    name: str,
    says: str,
    kind: str,
    reads_passage: bool,
    columns: Sequence[npt.NDArray[np.int64]],
    numbers: npt.NDArray[np.int64],
    p_values: Sequence[float] | None = None,
) -> None:
    """Test a rule's picks (a column a language, for the questions `numbers`) and measure their agreement."""
    counts = np.array([len(item.choices) for item in data.items[data.languages[0]]], dtype=np.int64)[numbers]
    gold = np.array(data.gold, dtype=np.int64)[numbers]
    right = np.stack([column == gold for column in columns], axis=1)
    found.rules[name] = says
    for place, code in enumerate(data.languages):
        p = None if p_values is None else p_values[place]
        found.tests.append(_tested(name, code, kind, reads_passage, int(right[:, place].sum()), counts, p))
    if len(data.languages) > 1:
        from crossin_metrics.scores import score

        if p_values is None:
            found.tests.append(_together(name, kind, reads_passage, np.stack(columns, axis=1), right, counts))

        scores = score(np.stack(columns, axis=1), gold, data.languages, n_choices=counts)
        found.agreement[name] = {
            "acc": scores["acc"],
            "consistency": scores["consistency"],
            "ac3": scores["ac3"],
            "everywhere": float(right.all(axis=1).mean()),
            "independent": float(np.prod(right.mean(axis=0))),
            "anywhere": float(right.any(axis=1).mean()),
        }


def _tested(
    name: str,
    language: str,
    kind: str,
    reads_passage: bool,
    hits: int,
    counts: npt.NDArray[np.int64],
    p: float | None = None,
) -> Tested:
    chances = 1.0 / counts
    if p is None:
        p = p_value(hits, _weights(tuple(counts.tolist())))
    low, high = wilson(hits, len(counts))
    n = len(counts)
    return Tested(name, language, kind, reads_passage, n, hits, hits / n, low, high, float(chances.mean()), p)


@lru_cache(maxsize=4)  # the same for every rule and language
def _weights(counts: tuple[int, ...]) -> npt.NDArray[np.float64]:
    return distribution([1 / n for n in counts])


def _together(
    name: str,
    kind: str,
    reads_passage: bool,
    picked: npt.NDArray[np.int64],
    right: npt.NDArray[np.bool_],
    counts: npt.NDArray[np.int64],
) -> Tested:
    """A rule's hits in all languages together."""
    hits = int(right.sum())
    p = pooled_p_value(hits, picked, counts)
    low, high = clustered(right.mean(axis=1))
    chance = float((1.0 / counts).mean())
    return Tested(name, ALL, kind, reads_passage, right.size, hits, hits / right.size, low, high, chance, p)


def _place_test(name: str, place: int, counts: npt.NDArray[np.int64], gold: npt.NDArray[np.int64]) -> Tested:
    """One place always; questions without it are not asked."""
    there = counts > place
    return _tested(name, _EVERY, "rule", False, int((gold[there] == place).sum()), counts[there])


def _corrected(tests: Sequence[Tested], level: float) -> tuple[Tested, ...]:
    from crossin_metrics.scores.significance import holm

    out = []
    for test, p in zip(tests, holm([test.p_value for test in tests]), strict=True):
        side = ("above" if test.share > test.chance else "below") if p <= level else ""
        out.append(replace(test, p_holm=p, flag=side))
    return tuple(out)
