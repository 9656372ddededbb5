"""What a run's answers suggest, by rules that the report states beside the findings."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from crossin_metrics.report.entries import Entry
from crossin_metrics.scores.uncertainty import bootstrap, percentile_intervals
from crossin_metrics.text_tables import number, percent

_KAPPA_RESAMPLES = 1000
MOSTLY_WRONG = 0.5  # share of agreement that is on a right option, below which agreement is called wrong
REAL_AGREEMENT = 0.2  # kappa from which agreement is more than chance: "fair" of Landis and Koch 1977
ONE_LETTER = 0.5  # share of answers on one letter
ONE_LETTER_TIMES = 1.5  # and how many times its share of right answers
DRAG = 0.05  # accuracy that a language must be behind the others to be named
UNANSWERED = 0.01
MANY_UNANSWERED = 0.10
FEW_QUESTIONS = 100


@dataclass(frozen=True)
class Rule:
    """A rule: its name, its condition as the report states it, and what finds it in an entry with samples."""

    name: str
    condition: str
    find: Callable[[Entry], str | None]


@dataclass(frozen=True)
class Finding:
    """What a rule found in an entry."""

    rule: str
    text: str


RULES: list[Rule] = []  # in the order reported


def _rule(name: str, condition: str) -> Callable[[Callable[[Entry], str | None]], Callable[[Entry], str | None]]:
    def add(find: Callable[[Entry], str | None]) -> Callable[[Entry], str | None]:
        RULES.append(Rule(name, condition, find))
        return find

    return add


def diagnose(entry: Entry) -> list[Finding]:
    """Findings of all rules; none for scores without samples."""
    found = ((rule.name, rule.find(entry)) for rule in RULES if entry.runs)
    return [Finding(name, text) for name, text in found if text is not None]


@_rule(
    "right but inconsistent",
    "the 95% interval of accuracy is above the best constant letter's accuracy, and that of consistency ends below "
    "accuracy",
)
def _inconsistent(entry: Entry) -> str | None:
    scores = entry.scores
    if "consistency" not in scores or "acc" not in entry.intervals:
        return None
    low = entry.intervals["acc"][0]
    if low <= scores["baseline_constant_acc"] or entry.intervals["consistency"][1] >= scores["acc"]:
        return None
    return (
        f"right in {percent(scores['acc'])}% of answers, but only {percent(scores['consistency'])}% of answers agree "
        f"over languages, and {percent(scores['consistent_correct'])}% are right throughout"
    )


@_rule(
    "consistent but wrong",
    f"Fleiss' kappa is at least {REAL_AGREEMENT} and under half of the agreement is on the right option "
    "(consistent_correct / consistency)",
)
def _consistent_but_wrong(entry: Entry) -> str | None:
    scores = entry.scores
    if not scores.get("consistency") or scores.get("fleiss_kappa", 0.0) < REAL_AGREEMENT:
        return None
    right = scores["consistent_correct"] / scores["consistency"]
    if right >= MOSTLY_WRONG:
        return None
    return (
        f"languages agree ({percent(scores['consistency'])}%, kappa {number(scores['fleiss_kappa'], 2)}), but "
        f"{percent(1 - right)}% of that agreement is on a wrong option"
    )


@_rule(
    "agreement no better than chance",
    f"the 95% interval of Fleiss' kappa over languages ({_KAPPA_RESAMPLES} resamples; of several prompts the one "
    "with the median kappa) reaches 0; chance is what the overall shares of letters give",
)
def _chance(entry: Entry) -> str | None:
    kappas = [scores.get("fleiss_kappa") for scores in entry.by_prompt.values()]
    known = sorted((kappa, i) for i, kappa in enumerate(kappas) if kappa is not None)
    if not known:
        return None
    kappa, middle = known[len(known) // 2]
    # The observed agreement's standard error is at most 0.5 / sqrt(n), as it is a mean of numbers in [0, 1]: four of
    # these above chance need no bootstrap.
    agreement, n = entry.by_prompt[entry.prompts[middle]]["consistency_2"], len(entry.runs[middle].ids)
    if kappa < 1.0 and kappa * (1.0 - agreement) / (1.0 - kappa) > 2.0 / math.sqrt(n):
        return None
    replicates = bootstrap(entry.runs[middle].questions(), n_resamples=_KAPPA_RESAMPLES, keys=["fleiss_kappa"])
    low, high = percentile_intervals(replicates)["fleiss_kappa"]
    if low > 0.0:
        return None
    shown = [number(value, 2) for value in (kappa, low, high)]
    return "Fleiss' kappa over languages is {}, 95% interval {} to {} (rough)".format(*shown)


@_rule(
    "agreement on one letter",
    f"one letter has at least {ONE_LETTER:.0%} of the answers and {ONE_LETTER_TIMES} times its share of right answers",
)
def _one_letter(entry: Entry) -> str | None:
    if "cf" in entry.formulation.split("+"):
        return None  # no letters are shown
    width = max(int(max(run.positions.max(), run.gold_positions.max())) + 1 for run in entry.runs)
    letters = np.arange(width)
    picked = np.mean([(run.positions[..., None] == letters).mean(axis=(0, 1)) for run in entry.runs], axis=0)
    gold = np.mean([(run.gold_positions[..., None] == letters).mean(axis=(0, 1)) for run in entry.runs], axis=0)
    top = int(picked.argmax())
    if picked[top] < ONE_LETTER or picked[top] < ONE_LETTER_TIMES * gold[top]:
        return None
    constant = entry.scores.get("baseline_constant_ac3")
    more = ""
    if constant is not None and entry.scores.get("ac3", 1.0) <= constant:
        more = f"; AC3 {percent(entry.scores['ac3'])}% is no better than always saying one letter, {percent(constant)}%"
    return f"{percent(picked[top])}% of answers are {chr(65 + top)}, which is right in {percent(gold[top])}%{more}"


@_rule("below the constant letter", "the 95% interval of AC3 ends below the best constant letter's AC3")
def _below_constant(entry: Entry) -> str | None:
    constant, high = entry.scores.get("baseline_constant_ac3"), entry.intervals.get("ac3", (0.0, 1.0))[1]
    if constant is None or high >= constant:
        return None
    ac3 = percent(entry.scores["ac3"])
    return f"AC3 {ac3}%, interval up to {percent(high)}%; one letter has {percent(constant)}%"


@_rule(
    "a language drags",
    f"its accuracy is at least {100 * DRAG:.0f} points below the mean of the others, and significantly so (paired "
    "normal test over questions, 5% level, Bonferroni over languages); from three languages on",
)
def _dragging(entry: Entry) -> str | None:
    languages = entry.runs[0].languages
    if len(languages) < 3:
        return None
    right = np.mean([run.answers == run.gold[:, None] for run in entry.runs], axis=0)
    limit = -NormalDist().inv_cdf(0.025 / len(languages))
    found = []
    for i, language in enumerate(languages):
        gap = right[:, i] - np.delete(right, i, axis=1).mean(axis=1)
        error = gap.std(ddof=1) / math.sqrt(len(gap)) if len(gap) > 1 else math.inf
        if gap.mean() <= -DRAG and gap.mean() < -limit * error:
            found.append((float(gap.mean()), language))
    behind = [f"{language} is {percent(-gap)} points behind the others" for gap, language in sorted(found)]
    return ", ".join(behind) or None


@_rule(
    "unanswered",
    f"at least {UNANSWERED:.0%} of the answers name no option; stressed from {MANY_UNANSWERED:.0%} on",
)
def _unanswered(entry: Entry) -> str | None:
    scores, languages = entry.scores, entry.runs[0].languages
    share = scores["n_unanswered"] / (scores["n_questions"] * len(languages))
    if share < UNANSWERED:
        return None
    unread = np.mean([(run.answers < 0).mean(axis=0) for run in entry.runs], axis=0)
    worst = int(unread.argmax())
    more = "; the scores say more of the format than of knowledge" if share >= MANY_UNANSWERED else ""
    return f"{percent(share)}% of answers name no option, most in {languages[worst]} ({percent(unread[worst])}%){more}"


@_rule("few questions", f"under {FEW_QUESTIONS} questions")
def _few(entry: Entry) -> str | None:
    n = int(entry.scores["n_questions"])
    if n >= FEW_QUESTIONS:
        return None
    note = f"; {entry.benchmark} is a smoke test, no benchmark" if entry.benchmark.startswith("crossin_mini") else ""
    low, high = entry.intervals.get("ac3", entry.intervals.get("acc", (math.nan, math.nan)))
    return f"{n} questions: the 95% interval is {percent(high - low)} points wide{note}"
