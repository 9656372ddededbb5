"""What a report says first: which model is best, and which do no better than one letter or chance."""

from __future__ import annotations

import math
from collections.abc import Sequence

from crossin_metrics.report.arms import Study
from crossin_metrics.report.entries import Entry, Group
from crossin_metrics.scores.catalogue import describe
from crossin_metrics.scores.significance import ALPHA
from crossin_metrics.text_tables import percent

ONE_LETTER, CHANCE = "one letter", "chance"


def no_better_than(group: Group, entry: Entry) -> str:
    """The baseline that the 95% interval of an entry's AC3 reaches: "chance", "one letter" or "" for neither.

    With one language, and so no AC3, accuracy decides. Entries without samples have no baselines.
    """
    if entry.kind != "measured":
        return ""
    metric = _metric(entry)
    low = entry.intervals.get(metric, (entry.scores[metric],))[0]
    for name, kind in ((CHANCE, "random"), (ONE_LETTER, "constant")):
        value = entry.scores.get(f"baseline_{kind}_{metric}", group.baselines.get(kind, {}).get(metric))
        if value is not None and low <= value:
            return name
    return ""


def sentences(groups: Sequence[Group], studies: Sequence[Study] = ()) -> list[str]:
    """The answer in one sentence for each benchmark and set-up with measured entries.

    Args:
        groups: with each arm in place of its training seeds (:func:`crossin_metrics.report.arms.averaged`).
        studies: whose differences from the baseline are added.
    """
    measured = [(group, members) for group in groups if (members := _measured(group))]
    benchmarks = [group.benchmark for group, _ in measured]
    found = []
    noun = "arms" if studies else "models"
    for group, members in measured:
        where = group.benchmark
        if benchmarks.count(where) > 1:
            where += " (signatures mixed)" if group.setup is None else f" ({group.setup.brief})"
        study = next((one for one in studies if _same(one.group, group)), None)
        found.append(_planned(study) + _sentence(where, noun, group, members) + _differences(study))
    found.sort(key=lambda sentence: not sentence.startswith(_PLANNED))
    return found or ["No samples were read: the scores are as stated elsewhere, neither ranked nor tested."]


def _measured(group: Group) -> list[Entry]:
    """Best first."""
    known = [entry for entry in group.entries if entry.kind == "measured" and _metric(entry) in entry.scores]
    return sorted(known, key=lambda entry: -entry.scores[_metric(entry)])


def _metric(entry: Entry) -> str:
    return "ac3" if "ac3" in entry.scores else "acc"


def _same(one: Group, other: Group) -> bool:
    return (one.benchmark, one.setup) == (other.benchmark, other.setup)


def _sentence(where: str, noun: str, group: Group, members: Sequence[Entry]) -> str:
    best, metric = members[0], _metric(members[0])
    words = {"ac3": "AC3", "acc": "accuracy"}[metric]
    score = f"{words} {percent(best.scores[metric])}%"
    beating = [entry for entry in members if not no_better_than(group, entry)]
    baseline = group.baselines.get("constant", {}).get(metric)
    letter = f"a constant letter{'' if baseline is None else f' ({percent(baseline)}%)'}"
    if not beating and len(members) == 1:
        return f"{best.model} ({score}) does not beat {letter} on {where}."
    if not beating:
        return f"None of {len(members)} {noun} beats {letter} on {where}; best is {best.model} ({score})."
    if len(members) == 1:
        return f"{best.model} ({score}) beats {letter} on {where}."
    tied = sum(entry is not best and metric in entry.tests and not entry.tests[metric].significant for entry in members)
    close = f"; {tied} not significantly worse" if tied else ""
    some = f"{len(beating)} of {len(members)} {noun} beat {letter}"
    # arms are tested against the baseline named in their labels, never against the best of them
    leads = "has the highest mean" if noun == "arms" else "is best"
    return f"{best.model} {leads} on {where} ({score}{close}); {some}."


_PLANNED = "Planned comparison"


def _planned(study: Study | None) -> str:
    """The result of the comparison that was named before the runs."""
    key = study.keys[0] if study and study.keys else ""
    pair = next((pair for pair in study.pairs if study.is_planned(pair, key)), None) if study else None
    test = pair.tests.get(key) if pair else None
    if pair is None:
        return ""
    if test is None:
        return f"{_PLANNED}: {pair.a} − {pair.b} by {describe(key).title} is untested. "
    said = f"{_PLANNED}: {pair.a} − {pair.b} is {100 * test.difference:+.1f} points of {describe(key).title}"
    if math.isnan(test.p_value):
        return f"{said}, untested over training seeds: an arm has one. "
    return f"{said} (95% interval {100 * test.low:+.1f} to {100 * test.high:+.1f}, p {test.p_value:.3f}). "


def _differences(study: Study | None) -> str:
    """How many arms differ from the baseline by AC3; untested: one seed, no result or no shared prompt."""
    if study is None or study.baseline is None:
        return ""
    tests = [pair.tests.get("ac3") for pair in study.pairs if pair.b == study.baseline]
    if not any(tests):
        return ""
    tested = [test for test in tests if test is not None and not math.isnan(test.p_value)]
    found = [test.difference > 0 for test in tested if test.p_holm <= ALPHA]
    better, worse, untested = sum(found), len(found) - sum(found), len(tests) - len(tested)
    said = " and ".join(f"{n} {word}" for n, word in ((better, "better"), (worse, "worse")) if n) or "none different"
    parts = [f"{said} in AC3 after Holm's correction"] if tested else []
    parts += [f"{untested} untested"] if untested else []
    return f" Of {len(tests)} arms against {study.baseline}: {', '.join(parts)}."
