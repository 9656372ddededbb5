"""Agreement of reviewers: the share of questions they agree on, and Krippendorff's alpha.

`ratings` is one dict per question, reviewer -> verdict; a reviewer who did not judge a question is absent from it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations

Ratings = Sequence[Mapping[str, str]]


def krippendorff_alpha(ratings: Ratings) -> float | None:
    """Krippendorff's alpha for nominal data, missing verdicts allowed (Krippendorff 2011, sections C and D).

    1 - D_o / D_e over the pairs of verdicts within questions, each question's pairs weighing 1 / (verdicts - 1).

    Returns:
        At most 1, which is perfect agreement; 0 is chance; below 0 is systematic disagreement. None if undefined: fewer
        than two verdicts on every question, or one verdict throughout.
    """
    shared = [list(one.values()) for one in ratings if len(one) >= 2]
    totals = Counter(verdict for verdicts in shared for verdict in verdicts)
    n = sum(totals.values())
    unlike = sum(2 * sum(x != y for x, y in combinations(verdicts, 2)) / (len(verdicts) - 1) for verdicts in shared)
    expected = n * n - sum(count * count for count in totals.values())
    return None if not expected else 1 - (n - 1) * unlike / expected


def report_agreement(ratings: Ratings) -> list[str]:
    """One sentence; none if no question was judged by two reviewers."""
    shared = [set(one.values()) for one in ratings if len(one) >= 2]
    if not shared:
        return []
    agreeing, alpha = sum(len(verdicts) == 1 for verdicts in shared), krippendorff_alpha(ratings)
    return [
        f"agreement on verdicts (edits aside): {agreeing} of {len(shared)} questions judged by two or more reviewers "
        f"({100 * agreeing / len(shared):.1f}%); Krippendorff's alpha (nominal) "
        + ("undefined (one verdict throughout)" if alpha is None else f"{alpha:.3f}")
    ]
