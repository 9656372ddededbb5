"""What a run's answers suggest, in words, by rules that the report states beside the findings."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from crossin_metrics.report.entries import Entry
from crossin_metrics.runs.run import Run
from crossin_metrics.scores.uncertainty import bootstrap, percentile_intervals

_DEMO = "a smoke test, no benchmark"
_KAPPA_RESAMPLES = 1000
MOSTLY_WRONG = 0.5  # share of agreement that is on a right option, below which agreement is called wrong
REAL_AGREEMENT = 0.2  # kappa from which agreement counts as more than letters: "fair" of Landis and Koch 1977
ONE_LETTER = 0.5  # share of answers on one letter
ONE_LETTER_TIMES = 1.5  # and how many times its share of right answers
DRAG = 0.05  # accuracy that a language must be behind the others to be named
UNANSWERED = 0.01
MANY_UNANSWERED = 0.10
FEW_QUESTIONS = 100


@dataclass(frozen=True)
class Rule:
    """A rule: its name, and its condition as the report states it."""

    name: str
    condition: str
    find: Callable[[Entry], str | None]


@dataclass(frozen=True)
class Finding:
    """What a rule found in an entry."""

    rule: str
    text: str


def diagnose(entry: Entry) -> list[Finding]:
    """Findings of all rules; nothing for scores without samples."""
    if not entry.runs:
        return []
    found = ((rule, rule.find(entry)) for rule in RULES)
    return [Finding(rule.name, text) for rule, text in found if text is not None]


def _percent(value: float) -> str:
    return f"{100 * value:.1f}%"


def _inconsistent(entry: Entry) -> str | None:
    scores = entry.scores
    if "consistency" not in scores or "acc" not in entry.intervals:
        return None
    low = entry.intervals["acc"][0]
    if low <= scores["baseline_constant_acc"] or entry.intervals["consistency"][1] >= scores["acc"]:
        return None
    return (
        f"right in {_percent(scores['acc'])} of answers, but only {_percent(scores['consistency'])} of answers agree "
        f"over languages, and {_percent(scores['consistent_correct'])} are right throughout"
    )


def _consistent_but_wrong(entry: Entry) -> str | None:
    scores = entry.scores
    if not scores.get("consistency") or scores.get("fleiss_kappa", 0.0) < REAL_AGREEMENT:
        return None
    right = scores["consistent_correct"] / scores["consistency"]
    if right >= MOSTLY_WRONG:
        return None
    return (
        f"languages agree ({_percent(scores['consistency'])}, kappa {scores['fleiss_kappa']:.2f}), but "
        f"{_percent(1 - right)} of that agreement is on a wrong option"
    )


def _chance(entry: Entry) -> str | None:
    kappas = [entry.by_prompt[prompt].get("fleiss_kappa") for prompt in entry.by_prompt]
    known = sorted((k, i) for i, k in enumerate(kappas) if k is not None)
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
    return f"Fleiss' kappa over languages is {kappa:.2f}, 95% interval {low:.2f} to {high:.2f}"


def _letter_shares(run: Run) -> tuple[np.ndarray, np.ndarray]:
    most = int(max(run.positions.max(), run.gold_positions.max())) + 1
    picked = np.array([(run.positions == j).mean() for j in range(most)])
    gold = np.array([(run.gold_positions == j).mean() for j in range(most)])
    return picked, gold


def _one_letter(entry: Entry) -> str | None:
    if "cf" in entry.formulation.split("+"):
        return None  # no letters are shown
    shares = [_letter_shares(run) for run in entry.runs]
    most = max(len(picked) for picked, _ in shares)
    picked, gold = (np.mean([np.pad(pair[i], (0, most - len(pair[i]))) for pair in shares], axis=0) for i in (0, 1))
    top = int(picked.argmax())
    if picked[top] < ONE_LETTER or picked[top] < ONE_LETTER_TIMES * gold[top]:
        return None
    below = entry.scores.get("baseline_constant_ac3")
    more = ""
    if below is not None and entry.scores.get("ac3", 1.0) <= below:
        more = f"; AC3 {_percent(entry.scores['ac3'])} is no better than always saying one letter, {_percent(below)}"
    return f"{_percent(picked[top])} of answers are {chr(65 + top)}, which is right in {_percent(gold[top])}{more}"


def _below_constant(entry: Entry) -> str | None:
    constant, high = entry.scores.get("baseline_constant_ac3"), entry.intervals.get("ac3", (0.0, 1.0))[1]
    if constant is None or high >= constant:
        return None
    return f"AC3 {_percent(entry.scores['ac3'])}, interval up to {_percent(high)}; one letter has {_percent(constant)}"


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
    if not found:
        return None
    return ", ".join(f"{language} is {_percent(-gap)[:-1]} points behind the others" for gap, language in sorted(found))


def _unanswered(entry: Entry) -> str | None:
    scores = entry.scores
    share = scores["n_unanswered"] / (scores["n_questions"] * len(entry.runs[0].languages))
    if share < UNANSWERED:
        return None
    unread = np.mean([(run.answers < 0).mean(axis=0) for run in entry.runs], axis=0)
    worst = int(unread.argmax())
    more = "; the scores say more of the format than of knowledge" if share >= MANY_UNANSWERED else ""
    language = entry.runs[0].languages[worst]
    return f"{_percent(share)} of answers name no option, most in {language} ({_percent(float(unread[worst]))}){more}"


def _few(entry: Entry) -> str | None:
    n = int(entry.scores["n_questions"])
    if n >= FEW_QUESTIONS:
        return None
    note = f"; {entry.benchmark} is {_DEMO}" if entry.benchmark.startswith("crossin_mini") else ""
    low, high = entry.intervals.get("ac3", entry.intervals.get("acc", (math.nan, math.nan)))
    return f"{n} questions: the 95% interval is {_percent(high - low)[:-1]} points wide{note}"


RULES: tuple[Rule, ...] = (
    Rule(
        "right but inconsistent",
        "the 95% interval of accuracy is above the best constant letter's accuracy, and that of "
        "consistency ends below accuracy",
        _inconsistent,
    ),
    Rule(
        "consistent but wrong",
        f"Fleiss' kappa is at least {REAL_AGREEMENT} and under half of the agreement is on the right option "
        "(consistent_correct / consistency)",
        _consistent_but_wrong,
    ),
    Rule(
        "agreement no better than chance",
        f"the 95% interval of Fleiss' kappa over languages ({_KAPPA_RESAMPLES} resamples; of several prompts the one "
        "with the median kappa) reaches 0; chance is what the overall shares of letters give",
        _chance,
    ),
    Rule(
        "agreement on one letter",
        f"one letter has at least {ONE_LETTER:.0%} of the answers and {ONE_LETTER_TIMES} times its share of right "
        "answers",
        _one_letter,
    ),
    Rule(
        "below the constant letter",
        "the 95% interval of AC3 ends below the best constant letter's AC3",
        _below_constant,
    ),
    Rule(
        "a language drags",
        f"its accuracy is at least {100 * DRAG:.0f} points below the mean of the others, and significantly so (paired "
        "normal test over questions, 5% level, Bonferroni over languages); from three languages on",
        _dragging,
    ),
    Rule(
        "unanswered",
        f"at least {UNANSWERED:.0%} of the answers name no option; said more loudly from {MANY_UNANSWERED:.0%} on",
        _unanswered,
    ),
    Rule("few questions", f"under {FEW_QUESTIONS} questions", _few),
)
