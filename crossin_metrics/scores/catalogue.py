"""Every score once: its key, title, range, direction and meaning.

The harness's table, `crossin score`, `crossin compare`, the report, the exports and the task READMEs take these facts
from here. To add a score, compute it in :mod:`crossin_metrics.scores.definitions` and add one entry here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from crossin_metrics.errors import CrossinError, did_you_mean

ALL_FORMULATIONS = ("letter", "cf", "gen")


@dataclass(frozen=True)
class Score:
    """What a score is.

    Attributes:
        key: its name in score dicts.
        title: for headings.
        description: one phrase without a full stop, for tables and metadata.
        low, high: range. Shares are in [0, 1], not percent; counts have no upper bound.
        higher_is_better: None where neither direction is better.
        only_if_right: whether the score counts agreement on wrong answers too, so that more of it is better only where
            the answers are right.
        headline: whether `crossin score` shows it without `--full`.
        harness: formulations whose harness table shows it.
        kind: "score" (of the model), "baseline" (of trivial strategies on the same questions), "count", "reading"
            (how outputs were read: of generated text only, see :mod:`crossin_metrics.scores.readings`), or "cause"
            (what consistency is made of, :mod:`crossin_metrics.scores.causes`). Only the first kind has a standard
            error in the harness table and is exported unasked. --keys of commands: :func:`check_keys`.
        short: title for narrow columns, where it differs.
    """

    key: str
    title: str
    description: str
    low: float = 0.0
    high: float = 1.0
    higher_is_better: bool | None = True
    only_if_right: bool = False
    headline: bool = True
    harness: tuple[str, ...] = ALL_FORMULATIONS
    kind: Literal["score", "baseline", "count", "reading", "cause"] = "score"
    short: str = ""

    @property
    def column(self) -> str:
        """Title for a narrow column."""
        return self.short or self.title


def _baseline(key: str, title: str, description: str, harness: tuple[str, ...] = ()) -> Score:
    return Score(key, title, description, higher_is_better=None, harness=harness, kind="baseline")


def _count(key: str, title: str, description: str, harness: tuple[str, ...], better: bool | None) -> Score:
    return Score(
        key, title, description, 0.0, float("inf"), better, headline=False, harness=harness, kind="count"
    )  # fmt: skip


def _cause(key: str, title: str, description: str, low: float = 0.0, high: float = 1.0) -> Score:
    return Score(key, title, description, low, high, None, headline=False, harness=(), kind="cause")


# In the order in which tables show them. `s` is 3, the papers' default; with two languages 2.
SCORES: dict[str, Score] = {
    score.key: score
    for score in (
        Score("acc", "Accuracy", "mean over languages of the share of questions answered right", short="Acc"),
        Score(
            "consistency",
            "Consistency",
            "mean over language subsets of size s of the share of questions with one answer in all of them",
            only_if_right=True,
            short="Consis",
        ),
        Score("ac3", "AC3", "harmonic mean of accuracy and consistency (arXiv 2309.04766)"),
        Score(
            "consistent_correct",
            "Consistent and correct",
            "consistency counting only language subsets that are right throughout",
        ),
        Score(
            "only_correct",
            "Agreement on what either knows",
            "share right in both of two languages among the questions right in either (arXiv 2603.04678)",
            headline=False,
            harness=(),
        ),
        Score("transfer", "Transfer", "share right in other languages among the questions right in English"),
        Score(
            "fleiss_kappa",
            "Fleiss' kappa",
            "agreement over languages beyond the chance of letters",
            low=-1.0,
            only_if_right=True,
        ),
        Score(
            "kappa_p",
            "CAPA kappa_p",
            "agreement beyond what accuracy explains (arXiv 2502.04313)",
            low=-1.0,
            only_if_right=True,
        ),
        Score(
            "rankc",
            "RankC",
            "agreement over language pairs of the options ranked by log-probability (arXiv 2310.10378): summed, or the "
            "mean over tokens, as in its code, where the signature says `answers:cf-mean`",
            only_if_right=True,
            harness=("letter", "cf"),
        ),
        Score(
            "letter_bias",
            "Letter bias",
            "distance between letters picked and letters that were right",
            higher_is_better=False,
            harness=("letter", "gen"),
        ),
        _baseline("baseline_constant_acc", "Best constant letter: accuracy", "accuracy of the best constant letter"),
        _baseline(
            "baseline_constant_ac3",
            "Best constant letter: AC3",
            "AC3 of the constant letter that is best by AC3, on these questions",
            ("letter", "gen"),
        ),
        _baseline("baseline_random_acc", "Random answers: accuracy", "expected accuracy of uniform random answers"),
        _baseline(
            "baseline_random_consistency",
            "Random answers: consistency",
            "expected consistency of uniform random answers, independent in each language",
        ),
        _baseline(
            "baseline_random_ac3",
            "Random answers: AC3",
            "harmonic mean of the expected accuracy and consistency of uniform random answers",
            ALL_FORMULATIONS,
        ),
        _count("n_questions", "Questions", "questions asked in all languages", ALL_FORMULATIONS, None),
        _count("n_unanswered", "Unanswered", "rows (question and language) without an answer", ALL_FORMULATIONS, False),
        _count("n_tied", "Tied", "rows whose answer is one of several equally likely options", ("letter", "cf"), False),
        Score(
            "n_cut",
            "Cut",
            "unanswered rows whose thought did not end or whose token budget ended first",
            high=float("inf"),
            higher_is_better=False,
            headline=False,
            harness=("gen",),
            kind="reading",
        ),
        Score(
            "thought",
            "Length of thought",
            "mean characters of thought a row, where the model thinks",
            high=float("inf"),
            higher_is_better=None,
            headline=False,
            harness=("gen",),
            kind="reading",
        ),
        *(
            Score(
                f"{part}_own_language",
                f"{part.capitalize()}s in the row's language",
                f"share of {part}s in the row's language, of those whose language is known (`detect_languages`)",
                higher_is_better=None,
                headline=False,
                harness=("gen",),
                kind="reading",
            )
            for part in ("thought", "answer")
        ),
        Score(
            "self_agreement",
            "Self-agreement",
            "mean share of pairs of a row's repeats with one answer, where rows are repeated",
            headline=False,
            harness=("gen",),
            kind="reading",
        ),
        _cause(
            "excess_consistency",
            "Excess consistency",
            "consistency beyond what ability in each language and difficulty of each question give; 0: none",
            low=-1.0,
        ),
        _cause("wrong_agreement", "Agreement among errors", "share with one answer among pairs of wrong answers"),
        _cause("baseline_wrong_agreement", "Agreement among errors by chance", "1 / (K - 1) over the same pairs"),
        _cause(
            "asked_again", "Asked again", "share with the same answer in the same language, asked with another prompt"
        ),
        _cause(
            "asked_across", "Asked across", "share with the same answer in another language, asked with another prompt"
        ),
        _cause(
            "language_ratio",
            "Across to within",
            "asked_across over the geometric mean of asked_again; 1: languages differ no more than repeats",
            high=float("inf"),
        ),
        _cause(
            "language_ratio_kappa",
            "Across to within, beyond chance",
            "the same ratio of agreement beyond chance; 0: languages share nothing but letter habits",
            low=-float("inf"),
            high=float("inf"),
        ),
        _cause(
            "disagree", "Disagreement", "share of questions with different answers in two languages, mean over pairs"
        ),
        _count("n_incomplete", "Incomplete", "questions left out because a language is missing", (), False),
    )
}

MAIN_SCORES = ("acc", "consistency", "ac3")  # the three columns of the paper's Table 3 (arXiv 2404.11932)
HEADLINE = tuple(key for key, score in SCORES.items() if score.headline)

# Families: pattern of the key -> what replaces title and description of the score it belongs to.
_FAMILIES: tuple[tuple[str, str, str], ...] = (
    (
        r"(excess_consistency|asked_across|language_ratio_kappa|language_ratio)_((?!kappa_).+)_(.+)",
        "{title}, {0} and {1}",
        "{description}, of {0} and {1}",
    ),
    (
        r"(disagree)_([a-z]+)_(.+)_(.+)",
        "{title} by {0}, {1} and {2}",
        "share of questions with different answers in {1} and {2} for this reason: {0}",
    ),
    (r"(disagree)_([a-z]+)", "{title} by {0}", "{description}, for this reason: {0}"),
    (r"(asked_again)_(.+)", "{title}, {0}", "{description}, in {0}"),
    (r"(acc)_(.+)", "{title}, {0}", "share of questions answered right in {0}"),
    (
        r"(n_unanswered|n_cut|thought_own_language|answer_own_language|thought|self_agreement)_(.+)",
        "{title}, {0}",
        "{description}, in {0}",
    ),
    (r"(transfer)_(.+)", "{title}, {0}", "share right in {0} among the questions right in English"),
    (r"(consistency|ac3|consistent_correct)_(\d+)", "{title} (s = {0})", "{description}, s = {0}"),
    (r"(consistency)_(.+)_(.+)", "{title}, {0} and {1}", "share of questions with one answer in {0} and {1}"),
)


def describe(key: str) -> Score:
    """Return the facts of any score key, those of families included.

    Families are `acc_<l>`, `transfer_<l>`, `consistency_<s>`, `ac3_<s>`, `consistent_correct_<s>` and
    `consistency_<a>_<b>` (codes in alphabetical order); causes have families of languages and pairs likewise.

    Raises:
        CrossinError: no score has this key.

    >>> describe("consistency_en_es").description
    'share of questions with one answer in en and es'
    """
    if key in SCORES:
        return SCORES[key]
    for pattern, title, description in _FAMILIES:
        if match := re.fullmatch(pattern, key):
            parent = SCORES[match[1]]
            names = match.groups()[1:]
            return replace(
                parent,
                key=key,
                title=title.format(*names, title=parent.title),
                description=description.format(*names, description=parent.description),
                headline=False,
                short="",
            )
    raise CrossinError(
        f"unknown score {key!r}{did_you_mean(key, SCORES)}; known are {', '.join(SCORES)}, and families such as "
        "acc_en, consistency_2, ac3_4, consistency_en_zh and transfer_zh"
    )


def check_keys(keys: Iterable[str]) -> None:
    """Raise for a key that `--keys` of compare, report and export does not take.

    They take scores and baselines, families included: functions of means over questions, which are resampled. What
    else `crossin score` prints (counts, readings, causes) describes one run.

    Raises:
        CrossinError: a key that no score has, or of a kind that describes one run.
    """
    for key in keys:
        if describe(key).kind not in ("score", "baseline"):
            taken = ", ".join(name for name, score in SCORES.items() if score.kind == "score")
            raise CrossinError(
                f"{key} is printed by `crossin score` only, for one run; compare, report and export take {taken}, the "
                "baselines, and families such as acc_en"
            )
