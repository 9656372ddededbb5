"""How far reviewers agree: share, Cohen's kappa of two, Krippendorff's alpha of any number.

`ratings` is one dict a question, reviewer -> verdict; a reviewer who did not judge a question is absent from it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations

Ratings = Sequence[Mapping[str, str]]


def share_agreeing(ratings: Ratings) -> tuple[int, int]:
    """Count the questions with at least two verdicts, and those among them whose verdicts are all the same.

    Returns:
        How many agree, of how many.
    """
    shared = [set(one.values()) for one in ratings if len(one) >= 2]
    return sum(len(verdicts) == 1 for verdicts in shared), len(shared)


def cohen_kappa(ratings: Ratings, a: str, b: str) -> tuple[float | None, int]:
    """Agreement of two reviewers beyond chance, on the questions both judged (Cohen 1960).

    Returns:
        (p_o - p_e) / (1 - p_e), in [-1, 1], higher is more alike, None where p_e is 1 (one same verdict throughout) or
        there are no questions; and the number of questions.
    """
    pairs = [(one[a], one[b]) for one in ratings if a in one and b in one]
    n = len(pairs)
    if not n:
        return None, 0
    observed = sum(x == y for x, y in pairs) / n
    left, right = Counter(x for x, _ in pairs), Counter(y for _, y in pairs)
    expected = sum(left[v] * right[v] for v in left) / n**2
    return (None if expected == 1 else (observed - expected) / (1 - expected)), n


def krippendorff_alpha(ratings: Ratings) -> float | None:
    """Krippendorff's alpha for nominal data, missing verdicts allowed (Krippendorff 2011, sections C and D).

    1 - D_o / D_e over the pairs of verdicts within questions, each question's pairs weighing 1 / (verdicts - 1).

    Returns:
        At most 1, which is perfect agreement; 0 is chance; below 0 is systematic disagreement. None where it is not
        defined: fewer than two verdicts on every question, or one same verdict throughout.
    """
    shared = [list(one.values()) for one in ratings if len(one) >= 2]
    totals = Counter(verdict for verdicts in shared for verdict in verdicts)
    n = sum(totals.values())
    unlike = sum(
        2 * sum(x != y for x, y in combinations(verdicts, 2)) / (len(verdicts) - 1) for verdicts in shared
    )  # ordered pairs
    expected = n * n - sum(count * count for count in totals.values())
    return None if not expected else 1 - (n - 1) * unlike / expected


def report_agreement(ratings: Ratings) -> list[str]:
    """Say it in sentences; none where no two reviewers judged one same question."""
    agreeing, n = share_agreeing(ratings)
    if not n:
        return []
    sentences = [
        f"agreement of reviewers on verdicts (edits aside): {agreeing} of {n} questions that two or more judged "
        f"({100 * agreeing / n:.1f}%); Krippendorff's alpha (nominal) {_words(krippendorff_alpha(ratings))}"
    ]
    for a, b in combinations(sorted({name for one in ratings for name in one}), 2):
        kappa, both = cohen_kappa(ratings, a, b)
        if both:
            sentences.append(f"Cohen's kappa of {a} and {b}: {_words(kappa)} over {both} questions")
    return sentences


def _words(value: float | None) -> str:
    return "undefined (one same verdict throughout)" if value is None else f"{value:.3f}"
