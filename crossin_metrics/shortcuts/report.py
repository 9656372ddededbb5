"""The report on a set's shortcuts: every guesser in every language against chance, agreement, statistics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from crossin_metrics.errors import CrossinError
from crossin_metrics.scores.definitions import score
from crossin_metrics.scores.significance import holm
from crossin_metrics.sets.parallel_set import ParallelMCQ
from crossin_metrics.shortcuts.chance import clustered, distribution, p_value, pooled_p_value, wilson
from crossin_metrics.shortcuts.learned import folds_of, learn
from crossin_metrics.shortcuts.rules import LEARNED, PLACE, PLACE_SAYS, RULES, best, feature_array, picks
from crossin_metrics.shortcuts.statistics import language_statistics, letter, set_statistics

LEVEL = 0.05
DEFAULT_PERMUTATIONS = 4999
FEWEST_GROUPS = 5  # passages below which nothing is learned
ALL = "all"
_EVERY = ""  # language of the rules that look at places alone, which are the same in every language

Indices = npt.NDArray[np.int64]
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Tested:
    """One guesser in one language.

    Attributes:
        rule: its name.
        language: a code; `all` for the languages together, where the rule is fixed beforehand; empty for rules that
            look at places alone, which are the same in every language.
        kind: `rule`, `learned` or `model`.
        reads_passage: whether it looks at the passage; what it finds is then shallow reading, no fault of the options.
        n, hits: rows (questions times languages) asked and answered right.
        share, low, high: hits / n with Wilson's 95% interval, in [0, 1]; of `all` a normal interval over questions.
        chance: mean of 1 / options, the share expected of guessing.
        p_value: exact and two-sided: binomial, of `all` the distribution of the picks' agreement with one right option;
            of learned rules a permutation test, one-sided.
        p_holm: corrected over all tests of the report (Holm 1979).
        flag: `above` or `below` chance if p_holm is at most the report's level, else empty.
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
        rules: name -> description, in the order reported.
        tests: rule by rule, language by language.
        agreement: rule -> `acc`, `consistency`, `ac3` (as `crossin_metrics.scores` has them), `everywhere` (share of
            questions that the rule solves in every language), `independent` (the product of its accuracies: the value
            of `everywhere` if languages were independent), `anywhere`; empty for one language.
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
    progress: Progress | None = None,
) -> Report:
    """Ask every guesser, and count its hits.

    Args:
        data: any parallel set; its questions may have different numbers of options.
        model: a checkpoint folder or hub name for the passage-free model; None asks none.
        limit: most questions that the model is asked, drawn by SHA-256 of their positions; None: all.
        prompt: for the model, see `crossin_metrics.harness.prompts`.
        model_args: for the backend, such as `dtype`.
        n_permutations: most draws of the learned rules' tests; a p-value of theirs is at least 1 / (draws + 1).
        seed: of these draws.
        level: family-wise error of the flags, over all tests of the report together.
        progress: called with a few words before each step.

    Raises:
        CrossinError: as `passage_free_scores`; a level, limit or number of draws out of range.
    """
    if not 0 < level < 1 or n_permutations < 99 or (limit is not None and limit < 1):
        raise CrossinError("the level must be between 0 and 1, permutations 99 or more, a limit 1 or more")
    found = _Tests(data, progress or (lambda _: None))
    everything = np.arange(len(data))
    with_passage = found.with_passage(everything)
    for rule in RULES:
        numbers = with_passage if rule.reads_passage else everything
        if len(numbers):
            found.progress(rule.name)
            columns = [picks(rule, data, code, numbers) for code in data.languages]
            found.add(rule.name, rule.says, "rule", columns, numbers, reads_passage=rule.reads_passage)
    for place in range(int(found.counts.max())):
        found.add_place(place)
    folds = folds_of(data.groups)
    notes: list[str] = []
    if (n_groups := len(set(data.groups))) < FEWEST_GROUPS:
        notes.append(f"nothing is learned from {n_groups} passages; {FEWEST_GROUPS} are needed")
    else:
        _learn(found, folds, n_permutations, seed)
    n_asked = 0
    if model is not None:
        n_asked = _ask_model(found, model, limit, prompt, model_args or {})
        if n_without := len(data) - len(with_passage):
            notes.append(f"{n_without} questions have no passage to hide: the model is asked about their options alone")
    found.progress("statistics")
    facts = {"name": data.name, "source": data.source, "hash": data.hash, "languages": list(data.languages)}
    return Report(
        data={**facts, **set_statistics(data)},
        settings={
            "level": level,
            "n_permutations": n_permutations,
            "seed": seed,
            "n_folds": int(folds.max()) + 1,
            "model": model,
            "prompt": prompt if model is not None else None,
            "n_asked": n_asked,
        },
        rules=found.rules,
        tests=_corrected(found.tests, level),
        agreement=found.agreement,
        languages={code: language_statistics(data, code) for code in data.languages},
        notes=tuple(notes),
    )


@dataclass
class _Tests:
    """The tests so far."""

    data: ParallelMCQ
    progress: Progress
    tests: list[Tested] = field(default_factory=list)
    rules: dict[str, str] = field(default_factory=dict)
    agreement: dict[str, dict[str, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        items = self.data.items[self.data.languages[0]]
        self.counts = np.array([len(item.choices) for item in items], dtype=np.int64)  # options of each question
        self.gold = np.array(self.data.gold, dtype=np.int64)

    def with_passage(self, numbers: Indices) -> Indices:
        """Those of the questions that have a passage (in every language, or in none)."""
        items = self.data.items[self.data.languages[0]]
        return np.array([number for number in numbers if items[number].context is not None], dtype=np.int64)

    def add(
        self,
        name: str,
        says: str,
        kind: str,
        columns: Sequence[Indices],
        numbers: Indices,
        *,
        reads_passage: bool = False,
        p_values: Sequence[float] | None = None,
    ) -> None:
        """Test a rule's picks (an array per language, for the questions `numbers`) and measure their agreement."""
        picked, counts, gold = np.stack(columns, axis=1), self.counts[numbers], self.gold[numbers]
        right = picked == gold[:, None]
        self.rules[name] = says
        for place, code in enumerate(self.data.languages):
            p = None if p_values is None else p_values[place]
            self._test(name, code, kind, int(right[:, place].sum()), counts, p, reads_passage)
        if len(columns) == 1:
            return
        if p_values is None:
            hits = int(right.sum())
            p = pooled_p_value(hits, picked, counts)
            self._test(name, ALL, kind, hits, counts, p, reads_passage, by_question=right.mean(axis=1))
        scores = score(picked, gold, self.data.languages, n_choices=counts)
        self.agreement[name] = {
            **{key: scores[key] for key in ("acc", "consistency", "ac3")},
            "everywhere": float(right.all(axis=1).mean()),
            "independent": float(np.prod(right.mean(axis=0))),
            "anywhere": float(right.any(axis=1).mean()),
        }

    def add_place(self, place: int) -> None:
        """Test the rule that always picks one place; questions without it are not asked."""
        name, there = f"always_{letter(place)}", self.counts > place
        self.rules[name] = f"option {letter(place)}"
        self._test(name, _EVERY, "rule", int((self.gold[there] == place).sum()), self.counts[there])

    def add_learned_place(self, hits: int, p: float) -> None:
        """Add the place that is learned, which is the same in every language."""
        self.rules[PLACE] = PLACE_SAYS
        self._test(PLACE, _EVERY, "learned", hits, self.counts, p)

    def _test(
        self,
        name: str,
        language: str,
        kind: str,
        hits: int,
        counts: Indices,
        p: float | None = None,
        reads_passage: bool = False,
        by_question: npt.NDArray[np.float64] | None = None,
    ) -> None:
        """Append a test; `by_question` are the shares of languages right, of all languages together."""
        if p is None:
            p = p_value(hits, _chance_distribution(tuple(counts.tolist())))
        n = len(counts) if by_question is None else len(counts) * len(self.data.languages)
        low, high = wilson(hits, n) if by_question is None else clustered(by_question)
        chance = float((1.0 / counts).mean())
        self.tests.append(Tested(name, language, kind, reads_passage, n, hits, hits / n, low, high, chance, p))


@lru_cache(maxsize=4)  # the same for every rule and language
def _chance_distribution(counts: tuple[int, ...]) -> npt.NDArray[np.float64]:
    return distribution([1 - 1 / n, 1 / n] for n in counts)


def _learn(found: _Tests, folds: Indices, n_permutations: int, seed: int) -> None:
    """The place and the classifiers of options, each learned within one language."""
    data, counts, gold = found.data, found.counts, found.gold
    found.progress(PLACE)
    places = np.broadcast_to(np.eye(int(counts.max())), (len(data), counts.max(), counts.max()))
    place = learn(places, counts, gold, folds, n_permutations=n_permutations, seed=(seed,))
    found.add_learned_place(place.hits, place.p_value)
    for name, (says, features) in LEARNED.items():
        results = []
        for number, code in enumerate(data.languages):
            found.progress(f"{name} {code}")
            array = feature_array(features(data.items[code]))
            drawn = (seed, number)  # a seed per language, so that languages do not agree on ties
            results.append(learn(array, counts, gold, folds, n_permutations=n_permutations, seed=drawn))
        columns, p_values = [one.picks for one in results], [one.p_value for one in results]
        found.add(name, says, "learned", columns, np.arange(len(data)), p_values=p_values)


def _ask_model(found: _Tests, model: str, limit: int | None, prompt: str, model_args: dict[str, Any]) -> int:
    """Test the passage-free model; returns how many questions it was asked."""
    from crossin_metrics.harness.documents import ordered_by_hash
    from crossin_metrics.shortcuts.model import MODEL_RULES, SHOW_QUESTION, passage_free_scores

    data = found.data
    numbers = np.sort(np.array(ordered_by_hash(range(len(data)), "artefacts")[:limit]))
    found.progress(f"model, {len(numbers)} questions")
    scores = passage_free_scores(data, numbers.tolist(), model, prompt=prompt, **model_args)
    for name, says in MODEL_RULES.items():
        # A question that has no passage is meant to be answered without one.
        chosen = found.with_passage(numbers) if name in SHOW_QUESTION else numbers
        if len(chosen) == 0:
            continue
        rows = scores[name][np.isin(numbers, chosen)]
        columns = [
            np.array([best(row, f"{name}\x1f{data.ids[i]}\x1f{code}") for i, row in zip(chosen, table, strict=True)])
            for code, table in zip(data.languages, rows.transpose(1, 0, 2).tolist(), strict=True)
        ]
        found.add(name, says, "model", columns, chosen)
    return len(numbers)


def _corrected(tests: Sequence[Tested], level: float) -> tuple[Tested, ...]:
    out = []
    for test, p in zip(tests, holm([test.p_value for test in tests]), strict=True):
        side = ("above" if test.share > test.chance else "below") if p <= level else ""
        out.append(replace(test, p_holm=p, flag=side))
    return tuple(out)
