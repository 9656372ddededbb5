"""Runs as entries of a leaderboard: one model on one benchmark in one set-up, averaged over its prompts, and tested.

Of several prompts (p1 ... p5) an entry's accuracy and consistency are the means over prompts, and AC3 the harmonic
mean of the two, as in the paper's Table 3 (arXiv 2404.11932); every other score is the mean over prompts. Intervals
and tests resample questions, the same ones for every prompt and every entry.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

from crossin_metrics.report.collect import Stated, model_label
from crossin_metrics.report.labels import Label, Labels
from crossin_metrics.runs.run import Run
from crossin_metrics.runs.signature import Setup, setup_of, signature_of
from crossin_metrics.scores.catalogue import MAIN_SCORES
from crossin_metrics.scores.definitions import harmonic_mean, score_questions
from crossin_metrics.scores.over_prompts import over_prompts
from crossin_metrics.scores.significance import TEST_RESAMPLES, AgainstBest, compare_with_best
from crossin_metrics.scores.uncertainty import few_note, joint_bootstrap, score_interval
from crossin_metrics.sets.catalogue import split_formulation
from crossin_metrics.signature import signature_fields, signature_line


@dataclass
class Entry:
    """One row of the leaderboard.

    Attributes:
        model: name as shown; label: what the labels file (or the name itself) says of it.
        benchmark: the task without the ending of its formulation.
        setup: what must agree for ranking; None for stated and published rows.
        runs: one per prompt; empty for scores without samples.
        scores: means over prompts (see :mod:`crossin_metrics.scores.over_prompts`).
        intervals: score -> 95% interval.
        tests: score -> test against the group's best; empty where nothing was tested.
        by_prompt: prompt -> the run's own scores.
        kind: "measured", "stated" (a results file without samples) or "published".
        rank: 1 for the best AC3 in its group; None where unranked.
    """

    model: str
    benchmark: str
    setup: Setup | None
    runs: tuple[Run, ...]
    scores: dict[str, float]
    signature: str
    label: Label
    kind: str = "measured"
    source: str = ""
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    tests: dict[str, AgainstBest] = field(default_factory=dict)
    by_prompt: dict[str, dict[str, float]] = field(default_factory=dict)
    rank: int | None = None

    @property
    def formulation(self) -> str:
        """letter, cf, gen ... or "unstated"; "published" for published rows."""
        return self.setup.answers if self.setup is not None else self.kind

    @property
    def prompts(self) -> tuple[str, ...]:
        """The prompts, in order."""
        return tuple(self.by_prompt)

    def spread(self, metric: str) -> tuple[float, float, float] | None:
        """Median, lowest and highest of a metric over the prompts; None where there is one prompt."""
        values = [scores[metric] for scores in self.by_prompt.values() if metric in scores]
        return (median(values), min(values), max(values)) if len(values) > 1 else None


@dataclass
class Group:
    """Entries that may be ranked together: same questions, same set-up.

    Attributes:
        baselines: "constant" and "random" -> acc, consistency, ac3 on the same questions.
        best: metric -> the entry with the highest score.
        mixed: whether set-ups are mixed (`--mix-signatures`).
    """

    benchmark: str
    setup: Setup | None
    entries: list[Entry]
    baselines: dict[str, dict[str, float]] = field(default_factory=dict)
    best: dict[str, Entry] = field(default_factory=dict)
    mixed: bool = False


def make_entries(runs: Sequence[Run], stated: Sequence[Stated], labels: Labels) -> list[Entry]:
    """Make one entry of the runs that differ only in their prompt: name it and score it."""
    by_key: dict[tuple[str, str, str, Setup], list[Run]] = {}
    for run in runs:
        by_key.setdefault((model_label(run), run.model, run.mode, setup_of(run)), []).append(run)
    names = short_names([key[0] for key in by_key] + [one.model for one in stated])
    arms = labels.arm_names()

    def shown(label: Label, model: str) -> str:
        return (label.name or names[model]) if label.seed is None else f"{arms[label.arm_key]}, seed {label.seed}"

    entries = []
    for (model, folder, _, setup), members in by_key.items():
        members.sort(key=lambda run: run.prompt)
        label = labels.of(names[model], model, folder, *(str(run.source_files[0]) for run in members))
        by_prompt = {run.prompt or "as given": score_questions(run.questions()) for run in members}
        signature = signature_of(members[0])
        if len(members) > 1:
            signature = signature_line(signature_fields(signature) | {"prompt": f"mean({','.join(by_prompt)})"})
        entries.append(
            Entry(
                model=shown(label, model),
                benchmark=split_formulation(members[0].task)[0],
                setup=setup,
                runs=tuple(members),
                scores=over_prompts(list(by_prompt.values())),
                signature=signature,
                label=label,
                source=str(members[0].source_files[0]),
                by_prompt=by_prompt,
            )
        )
    for one in stated:
        label = labels.of(names[one.model], one.model, str(one.source))
        scores = one.scores | ({"n_questions": float(one.n_questions)} if one.n_questions is not None else {})
        entries.append(
            Entry(
                model=shown(label, one.model),
                benchmark=split_formulation(one.task)[0],
                setup=None,
                runs=(),
                scores=scores,
                signature=one.signature or "no signature stated",
                label=label,
                kind="stated",
                source=str(one.source),
                intervals={
                    name: (max(0.0, one.scores[name] - 1.96 * se), min(1.0, one.scores[name] + 1.96 * se))
                    for name, se in one.errors.items()
                    if name in MAIN_SCORES and name in one.scores
                },
            )
        )
    return entries


def short_names(names: Sequence[str]) -> dict[str, str]:
    """Each name -> its shortest unique path suffix. Hub names (organisation/model) stay whole."""
    wanted = sorted(set(names))
    result = {}
    for name in wanted:
        parts = [part for part in name.split("/") if part]
        is_path = name.startswith(("/", ".", "~")) or len(parts) > 2
        depth = 1
        if is_path:
            others = [other.rstrip("/").split("/") for other in wanted if other != name]
            while depth < len(parts) and any([p for p in o if p][-depth:] == parts[-depth:] for o in others):
                depth += 1
        result[name] = "/".join(parts[-depth:]) if is_path and parts else name
    return result


def group_entries(entries: Sequence[Entry], *, mix: bool = False) -> list[Group]:
    """Group entries that may be ranked together; with `mix`, all of a benchmark."""
    groups: dict[tuple[str, Setup | str], Group] = {}
    for entry in entries:
        key: Setup | str = entry.kind if entry.setup is None else entry.setup
        where = (entry.benchmark, "mixed" if mix else key)
        groups.setdefault(where, Group(entry.benchmark, None if mix else entry.setup, [], mixed=mix)).entries.append(
            entry
        )
    return sorted(groups.values(), key=lambda group: (group.benchmark, group.setup is None, str(group.setup)))


def rank_and_test(
    groups: Sequence[Group],
    *,
    n_resamples: int = TEST_RESAMPLES,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> None:
    """Rank each group's entries, and fill in their intervals, tests and baselines."""
    for number, group in enumerate(groups, 1):
        if progress is not None:
            progress(f"tests: {number} of {len(groups)}: {group.benchmark}")
        ranked = [entry for entry in group.entries if entry.setup is not None or group.mixed]
        _rank(group, ranked)
        measured = [entry for entry in group.entries if entry.runs]
        if measured:
            group.baselines = _baselines(measured[0].scores)
        by_questions: dict[tuple[str, str], list[Entry]] = {}
        for entry in measured:
            assert entry.setup is not None
            by_questions.setdefault((entry.setup.questions, entry.setup.langs), []).append(entry)
        for members in by_questions.values():
            _fill(group, members, n_resamples, seed)


def few_questions(groups: Sequence[Group]) -> list[str]:
    """A note for each group with too few questions for its intervals."""
    found = {group.benchmark: few_note(entry.runs[0].questions()) for group in groups for entry in group.entries[:1]
             if entry.runs}  # fmt: skip
    return [f"{benchmark}: {note}" for benchmark, note in found.items() if note]


def _rank(group: Group, ranked: list[Entry]) -> None:
    def ranking_score(entry: Entry) -> float:
        return entry.scores.get("ac3", entry.scores.get("acc", 0.0))

    ordered = sorted(ranked, key=ranking_score, reverse=True)
    for place, entry in enumerate(ordered, 1):
        tied = place > 1 and abs(ranking_score(entry) - ranking_score(ordered[place - 2])) < 1e-12
        entry.rank = ordered[place - 2].rank if tied else place
    for metric in MAIN_SCORES:
        having = [entry for entry in ranked if metric in entry.scores]
        if having:
            group.best[metric] = max(having, key=lambda entry: entry.scores[metric])


def _baselines(scores: dict[str, float]) -> dict[str, dict[str, float]]:
    """The constant letter and random answers on the questions of these scores."""
    constant = {"acc": scores.get("baseline_constant_acc"), "ac3": scores.get("baseline_constant_ac3")}
    acc, ac3 = constant["acc"], constant["ac3"]
    if acc is not None and ac3 is not None and abs(float(harmonic_mean(acc, 1.0)) - ac3) <= 1e-9:
        constant["consistency"] = 1.0  # unless orders or numbers of options differ
    random = {name: scores.get(f"baseline_random_{name}") for name in MAIN_SCORES}
    found = {"constant": constant, "random": random}
    return {name: {k: v for k, v in row.items() if v is not None} for name, row in found.items()}


def _fill(group: Group, members: list[Entry], n_resamples: int, seed: int) -> None:
    """Intervals of entries on the same questions, and tests against the group's best where it is among them."""
    runs = [run.questions() for entry in members for run in entry.runs]
    replicates = joint_bootstrap(runs, n_resamples=n_resamples, seed=seed)
    columns = iter(range(len(runs)))
    systems = [{run.prompt or "as given": next(columns) for run in entry.runs} for entry in members]
    for entry, system in zip(members, systems, strict=True):
        scores, values = replicates.over_prompts(list(system.values()))
        entry.intervals = {
            key: score_interval(key, scores[key], values[key], replicates.n_questions)
            for key in MAIN_SCORES
            if key in entry.scores
        }
    for key, best in group.best.items():
        for place in (i for i, entry in enumerate(members) if entry is best):
            for i, test in compare_with_best(replicates, systems, place, key).items():
                members[i].tests[key] = test
