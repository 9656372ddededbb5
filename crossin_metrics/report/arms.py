"""Arms in the report: the training seeds of each, and the tests between arms.

The labels file declares arms and seeds (:mod:`crossin_metrics.report.labels`); declared runs without a result are
listed as missing. The statistics are in :mod:`crossin_metrics.scores.training_seeds`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from crossin_metrics.errors import CrossinError, did_you_mean
from crossin_metrics.report.entries import Entry, Group
from crossin_metrics.report.labels import COSTS, Label, Labels
from crossin_metrics.scores.answer_matrix import AnswerMatrix
from crossin_metrics.scores.catalogue import MAIN_SCORES
from crossin_metrics.scores.training_seeds import (
    DEFAULT_RESAMPLES,
    ArmComparison,
    ArmScore,
    arm_scores,
    compare_family,
    resample_arms,
    seed_notes,
)
from crossin_metrics.signature import has_parts


@dataclass
class ArmResult:
    """One arm on one benchmark in one set-up.

    Attributes:
        name: as shown; label: of its first run.
        entries: one per seed, in order; empty where there is no result.
        missing: declared seeds without a result.
        trained: False for an untrained model.
        scores: the study's keys, acc, consistency, ac3, acc_<lang> -> over its seeds; empty without entries.
    """

    name: str
    label: Label
    entries: list[Entry]
    missing: list[int] = field(default_factory=list)
    trained: bool = True
    scores: dict[str, ArmScore] = field(default_factory=dict)

    @property
    def seeds(self) -> list[int | None]:
        """The seeds found; None for an untrained model."""
        return [entry.label.seed for entry in self.entries]


@dataclass
class Pair:
    """A declared comparison of two arms.

    Attributes:
        tests: score -> test, on the prompts that both have; none where an arm has no result, or no prompt is shared.
        prompts: those that both have, where one of them has others; None where they have the same.
    """

    a: str
    b: str
    tests: dict[str, ArmComparison]
    prompts: tuple[str, ...] | None = None


@dataclass
class Study:
    """The arms of one benchmark in one set-up, in the order of the labels file, and the family of their tests.

    Attributes:
        keys: scores that were asked for beside accuracy, consistency and AC3; the first is the primary one.
        planned: the comparison that was named before the runs for this benchmark and set-up; its test by the primary
            score is not corrected.
    """

    group: Group
    arms: list[ArmResult]
    pairs: list[Pair]
    baseline: str | None
    languages: tuple[str, ...]
    keys: tuple[str, ...] = ()
    planned: tuple[str, str] | None = None

    def metrics(self, order: Sequence[str] = MAIN_SCORES) -> list[str]:
        """The scores that its arms have, as tables and figures show them: those asked for first."""
        wanted = dict.fromkeys((*self.keys, *order))
        return [metric for metric in wanted if any(metric in arm.scores for arm in self.arms)]

    def is_planned(self, pair: Pair, key: str) -> bool:
        """Whether this is the one test that was named before the runs."""
        return (pair.a, pair.b) == self.planned and key == self.keys[0]

    def has(self, parts: str) -> bool:
        """Whether the signatures of all its runs have these parts, separated by spaces."""
        return all(has_parts(signature, parts) for signature in self.signatures)

    @property
    def signatures(self) -> dict[str, list[str]]:
        """Each signature of a run -> the arms that have it."""
        found: dict[str, list[str]] = {}
        for arm in self.arms:
            for signature in dict.fromkeys(entry.signature for entry in arm.entries):
                found.setdefault(signature, []).append(arm.name)
        return found


@dataclass(frozen=True)
class Cost:
    """What an arm cost: column of the labels file -> mean over the runs that have it."""

    name: str
    n_runs: int
    means: dict[str, float]


def make_studies(
    groups: Sequence[Group],
    labels: Labels,
    *,
    baseline: str | None = None,
    compare: Sequence[str] = (),
    keys: Sequence[str] = (),
    planned: str | None = None,
    planned_in: str | None = None,
    n_resamples: int = DEFAULT_RESAMPLES,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> tuple[list[Study], list[str]]:
    """Collect the entries of each group by arm, score the arms and test the declared pairs.

    Args:
        groups: scored; labels: with seeds, or every entry is its own arm.
        baseline: the arm that every other is tested against; compare: further pairs, `A=B`. Named as shown, or by
            name, system or arm in the labels file.
        keys: scores to test beside accuracy, consistency and AC3, the primary one first.
        planned: the pair, `A=B`, whose test by the primary score was named before the runs; planned_in: parts of the
            signature of the one group for which it was (`answers:cf-mean langs:en,zh`), where there are several.

    Returns:
        One study a group with measured entries (none without seeds, baseline or compare), and notes for the reader.

    Raises:
        CrossinError: an unknown or ambiguous arm; a comparison that is not `A=B`; a key that no score has.
    """
    if planned is not None and not keys:
        raise CrossinError("--planned: name the primary score, too: --keys transfer")
    if planned_in is not None and planned is None:
        raise CrossinError("--planned-in: name the comparison, too: --planned A=B")
    if not (labels.seeded or baseline is not None or compare):
        return [], []
    notes: list[str] = []
    studies = []
    for group in groups:
        measured = [entry for entry in group.entries if entry.runs]
        if not measured:
            continue
        if len({(e.setup.questions, e.setup.langs) for e in measured if e.setup is not None}) > 1:
            notes.append(f"{group.benchmark}: no arms, because questions or languages are mixed")
            continue
        arms = _arms(measured, labels, notes)
        studies.append(Study(group, arms, [], None, measured[0].runs[0].languages, tuple(keys)))
    names = _Names(studies, labels)
    base = None if baseline is None else names.find(baseline, "--baseline")
    named = None if planned is None else names.find_pair(planned, "--planned")
    if named is not None:
        meant = [study for study in studies if study.has(planned_in or "")]
        if len(meant) == 1:
            meant[0].planned = named
        else:
            notes.append(
                f"--planned {planned}: named for one table, but {len(meant)} of {len(studies)} are meant, so it is "
                "corrected as the others; say which by parts of its signature: --planned-in 'answers:cf langs:en,zh'"
            )
    further = [names.find_pair(text, "--compare") for text in compare]
    for number, study in enumerate(studies, 1):
        if progress is not None:
            progress(f"arms: {number} of {len(studies)}: {study.group.benchmark}")
        study.baseline = base
        pairs = [(arm.name, base) for arm in study.arms if arm.name != base] if base is not None else []
        family: dict[frozenset[str], tuple[str, str]] = {}
        for pair in (*([] if named is None else [named]), *pairs, *further):
            family.setdefault(frozenset(pair), pair)  # B - A is no second test
        notes += _score(study, list(family.values()), n_resamples, seed)
    known = list(dict.fromkeys(key for study in studies for arm in study.arms for key in arm.scores))
    notes += [
        f"--keys {key}: undefined for every arm, so not tested{did_you_mean(key, known)}"
        for key in keys
        if key not in known
    ]
    return studies, notes


def _arms(entries: Sequence[Entry], labels: Labels, notes: list[str]) -> list[ArmResult]:
    declared, names = labels.arms(), labels.arm_names()
    arms = {
        key: ArmResult(names[key], rows[0], [], trained=_trained(rows)) for key, rows in declared.items()
    }  # also those without any result
    others: list[ArmResult] = []
    for entry in entries:
        arm = arms.get(entry.label.arm_key)
        if arm is None or entry.label not in declared[entry.label.arm_key]:
            others.append(ArmResult(entry.model, entry.label, [entry], trained=False))
        elif entry.label.seed in arm.seeds:
            first = arm.entries[arm.seeds.index(entry.label.seed)]
            which = "" if entry.label.seed is None else f", seed {entry.label.seed}"
            notes.append(
                f"{arm.name}{which} has two results on {entry.benchmark} ({entry.formulation}): "
                f"{first.source} is used, {entry.source} ignored"
            )
        else:
            arm.entries.append(entry)
    for key, arm in arms.items():
        arm.entries.sort(key=lambda entry: -1 if entry.label.seed is None else entry.label.seed)
        expected = {row.seed for row in declared[key] if row.seed is not None}
        arm.missing = sorted(expected - {seed for seed in arm.seeds if seed is not None})
    return [*arms.values(), *others]


def _trained(rows: Sequence[Label]) -> bool:
    """Whether the arm was trained: it has seeds, and did not cost 0 tokens or parameters."""
    return any(row.seed is not None and row.tokens != 0.0 and row.trained_parameters != 0.0 for row in rows)


def _score(study: Study, pairs: Sequence[tuple[str, str]], n_resamples: int, seed: int) -> list[str]:
    """Fill in scores and tests; return warnings about seeds and prompts."""
    found = {arm.name: arm for arm in study.arms if arm.entries}
    questions = {id(run): run.questions() for arm in found.values() for entry in arm.entries for run in entry.runs}
    given: dict[str, list[list[AnswerMatrix]]] = {}
    untrained = []

    def on(name: str, prompts: tuple[str, ...]) -> str:
        """The key under which an arm is scored on these prompts; on all of each seed where its seeds share none."""
        arm, key = found[name], f"{name} on {', '.join(prompts)}"
        if not arm.trained and len(arm.entries) == 1:
            untrained.append(key)
        seeds = [dict(zip(entry.by_prompt, entry.runs, strict=True)) for entry in arm.entries]
        given[key] = [[questions[id(runs[prompt])] for prompt in prompts or runs] for runs in seeds]
        return key

    own = {name: on(name, _shared_prompts(arm)) for name, arm in found.items()}
    shared = {(a, b): _shared_prompts(found[a], found[b]) for a, b in pairs if a in found and b in found}
    known = {(a, b): (on(a, prompts), on(b, prompts)) for (a, b), prompts in shared.items() if prompts}
    resampled = resample_arms(given, untrained=untrained, keys=study.keys, n_resamples=n_resamples, seed=seed)
    for name, arm in found.items():
        arm.scores = arm_scores(resampled[own[name]])
    planned = (study.keys[0], known[study.planned]) if study.planned is not None and study.planned in known else None
    tests = dict(zip(known, compare_family(resampled, list(known.values()), planned=planned), strict=True))
    fewer = {(a, b): prompts for (a, b), prompts in shared.items() if known.get((a, b)) != (own[a], own[b])}
    study.pairs = [Pair(a, b, tests.get((a, b), {}), fewer.get((a, b))) for a, b in pairs]
    notes = [note for name, key in own.items() for note in seed_notes(name, resampled[key])]
    for prompts in dict.fromkeys(fewer.values()):
        names = ", ".join(f"{a} − {b}" for (a, b), those in fewer.items() if those == prompts)
        on_these = f"tested on {', '.join(prompts)}, the prompts that both have"
        notes.append(f"{names}: {on_these if prompts else 'untested, no prompt in common'}")
    return [f"{study.group.benchmark}: {note}" for note in notes]


def _shared_prompts(*arms: ArmResult) -> tuple[str, ...]:
    """The prompts that all seeds of all these arms share."""
    first, *others = [entry.by_prompt for arm in arms for entry in arm.entries]
    return tuple(prompt for prompt in first if all(prompt in other for other in others))


class _Names:
    """Names by which users may refer to arms."""

    def __init__(self, studies: Sequence[Study], labels: Labels) -> None:
        self.shown: dict[str, set[str]] = {}
        names = labels.arm_names()
        for key, rows in labels.arms().items():
            self.shown[names[key]] = {part for row in rows for part in (row.name, row.system, row.arm) if part}
        for arm in (arm for study in studies for arm in study.arms):
            said = {arm.label.name, arm.label.system, arm.label.arm} - {""}
            self.shown.setdefault(arm.name, set()).update(said)

    def find(self, given: str, option: str) -> str:
        """Return the shown name of an arm."""
        if given in self.shown:
            return given
        meant = [name for name, said in self.shown.items() if given in said]
        if len(meant) == 1:
            return meant[0]
        if meant:
            raise CrossinError(f"{option} {given}: ambiguous, it fits {', '.join(meant)}")
        raise CrossinError(f"{option} {given}: unknown arm; known are {', '.join(self.shown) or 'none'}")

    def find_pair(self, text: str, option: str) -> tuple[str, str]:
        """Return both shown names of `A=B`; a name may contain an equals sign."""
        parts = text.split("=")
        if len(parts) < 2:
            raise CrossinError(f"{option} {text}: must be two arms, as A=B")
        splits = [("=".join(parts[:i]).strip(), "=".join(parts[i:]).strip()) for i in range(1, len(parts))]
        error: CrossinError | None = None
        for a, b in splits:
            try:
                pair = self.find(a, option), self.find(b, option)
            except CrossinError as said:
                error = error or said
                continue
            if pair[0] == pair[1]:
                raise CrossinError(f"{option} {text}: both are {pair[0]}")
            return pair
        assert error is not None
        raise error


def missing_runs(labels: Labels) -> list[str]:
    """Name each arm with declared runs without a result; only where the labels file has seeds."""
    if not labels.seeded:
        return []
    unused, names = set(labels.unused()), labels.arm_names()
    found: dict[str, list[tuple[str, Label]]] = {}
    for pattern, label in labels.rows:
        if pattern in unused:
            found.setdefault(names[label.arm_key], []).append((pattern, label))
    lines = []
    for name, rows in found.items():
        seeds = [str(label.seed) for _, label in rows if label.seed is not None]
        which = f", seed{'s' * (len(seeds) > 1)} {', '.join(seeds)}" if seeds else ""
        more = f" and {len(rows) - 1} more" if len(rows) > 1 else ""
        lines.append(f"{name}{which} (no result matches {rows[0][0]}{more})")
    return lines


def costs(labels: Labels) -> list[Cost]:
    """What each arm cost; empty where the labels file does not say."""
    names = labels.arm_names()
    found = []
    for key, rows in labels.arms().items():
        means: dict[str, float] = {}
        for column in COSTS:
            known = [value for row in rows if (value := getattr(row, column)) is not None]
            if known:
                means[column] = sum(known) / len(known)
        n_runs = sum(any(getattr(row, column) is not None for column in COSTS) for row in rows)
        found.append(Cost(names[key], n_runs, means))
    return found if any(cost.means for cost in found) else []


def averaged(groups: Sequence[Group], studies: Sequence[Study]) -> list[Group]:
    """Replace the entries of an arm's seeds by one entry, for figures that show an arm as one point.

    Scores are means over seeds, intervals those of the arms.
    """
    by_group: Mapping[int, Study] = {id(study.group): study for study in studies}
    result = []
    for group in groups:
        study = by_group.get(id(group))
        if study is None:
            result.append(group)
            continue
        replaced: set[int] = set()
        means = []
        for arm in study.arms:
            if not arm.entries or arm.entries[0].label.seed is None:
                continue
            replaced |= {id(entry) for entry in arm.entries}
            values: dict[str, Any] = {key: one.mean for key, one in arm.scores.items()}
            values["n_questions"] = arm.entries[0].scores["n_questions"]
            intervals = {key: (one.low, one.high) for key, one in arm.scores.items() if key in MAIN_SCORES}
            label = replace(arm.entries[0].label, seed=None)
            first = arm.entries[0]
            means.append(Entry(arm.name, group.benchmark, group.setup, (), values, first.signature, label,
                               source=first.source, intervals=intervals))  # fmt: skip
        kept = [entry for entry in group.entries if id(entry) not in replaced and entry.label.seed is None]
        result.append(replace(group, entries=[*kept, *means]))
    return result
