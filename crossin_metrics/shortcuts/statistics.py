"""Counts that explain shortcuts: lengths and kinds of options, duplicates, places of the right options."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import compress
from typing import Any

import numpy as np

from crossin_metrics.sets.answer_kinds import KINDS, kind
from crossin_metrics.sets.parallel_set import Item, ParallelMCQ
from crossin_metrics.shortcuts.texts import fold

PERCENTILES = (5, 25, 50, 75, 95)


def set_statistics(data: ParallelMCQ) -> dict[str, Any]:
    """Of the set as a whole: numbers of questions, passages and options, and how often each place is right.

    Returns:
        `n_questions`, `n_groups` (passages), `n_choices` (options -> questions), `gold_places` (letter -> questions).
    """
    counts = Counter(len(item.choices) for item in data.items[data.languages[0]])
    places = Counter(data.gold)
    return {
        "n_questions": len(data),
        "n_groups": len(set(data.groups)),
        "n_choices": {str(n): counts[n] for n in sorted(counts)},
        "gold_places": {letter(place): places[place] for place in range(max(counts))},
    }


def language_statistics(data: ParallelMCQ, language: str) -> dict[str, Any]:
    """Of one language.

    Returns:
        `length`: characters of right (`gold`) and wrong (`distractors`) options: mean and percentiles; `ratio`: the
        geometric mean over questions of the right option's length to the geometric mean of the others'; `gold_longest`
        and `gold_shortest`: shares of questions whose right option alone is it.
        `kinds`: share of each kind among right and wrong options; `gold_alone`: share of questions whose right option
        is the only one of its kind.
        `in_passage`: shares of right and wrong options found word for word in the passage (NFKC, case and white
        space folded); None without passages.
        `in_question`: shares of questions whose right option, and of those where a wrong one, is in the question.
        `duplicates`: ids of questions with two options that differ in case, space, quotes and last punctuation at most
        (`options`), or that another question repeats on the same passage (`questions`).
    """
    items = data.items[language]
    gold = [item.choices[right] for item, right in zip(items, data.gold, strict=True)]
    wrong = [_others(item, right) for item, right in zip(items, data.gold, strict=True)]
    ratios = [np.log(len(g)) - np.mean([np.log(len(c)) for c in w]) for g, w in zip(gold, wrong, strict=True)]
    flat = [choice for others in wrong for choice in others]
    asked = Counter((fold(item.question), fold(item.context or "")) for item in items)
    doubled = [len({_bare(choice) for choice in item.choices}) < len(item.choices) for item in items]
    repeated = [asked[fold(item.question), fold(item.context or "")] > 1 for item in items]
    return {
        "length": {
            "gold": _spread([len(choice) for choice in gold]),
            "distractors": _spread([len(choice) for choice in flat]),
            "ratio": float(np.exp(np.mean(ratios))),
            "gold_longest": _share(len(g) > max(map(len, w)) for g, w in zip(gold, wrong, strict=True)),
            "gold_shortest": _share(len(g) < min(map(len, w)) for g, w in zip(gold, wrong, strict=True)),
        },
        "kinds": {
            "gold": _kinds(gold),
            "distractors": _kinds(flat),
            "gold_alone": _share(kind(g) not in map(kind, w) for g, w in zip(gold, wrong, strict=True)),
        },
        "in_passage": _in_passage(items, gold, wrong),
        "in_question": {
            "gold": _share(fold(g) in fold(item.question) for item, g in zip(items, gold, strict=True)),
            "distractors": _share(
                any(fold(c) in fold(item.question) for c in w) for item, w in zip(items, wrong, strict=True)
            ),
        },
        "duplicates": {
            "options": list(compress(data.ids, doubled)),
            "questions": list(compress(data.ids, repeated)),
        },
    }


def _bare(option: str) -> str:
    """The option without what does not tell it from another. Other signs stay: -1 and .1 are not 1."""
    return fold(option).rstrip(" .,;:!?。，；：！？…").strip("\"'“”‘’«»") or option


def letter(place: int) -> str:
    """A place's name: A, B ... Z, then its number from 27."""
    return chr(ord("A") + place) if place < 26 else str(place + 1)


def _others(item: Item, right: int) -> list[str]:
    return [choice for number, choice in enumerate(item.choices) if number != right]


def _share(values: Any) -> float:
    return float(np.mean(list(values)))


def _spread(lengths: Sequence[int]) -> dict[str, float]:
    return {
        "mean": float(np.mean(lengths)),
        **{f"p{p}": float(np.percentile(lengths, p)) for p in PERCENTILES},
    }


def _kinds(options: Sequence[str]) -> dict[str, float]:
    counts = Counter(map(kind, options))
    return {name: counts[name] / len(options) for name in KINDS}


def _in_passage(
    items: Sequence[Item], gold: Sequence[str], wrong: Sequence[Sequence[str]]
) -> dict[str, float | int] | None:
    rows = [(fold(i.context), g, w) for i, g, w in zip(items, gold, wrong, strict=True) if i.context is not None]
    if not rows:
        return None
    return {
        "n_questions": len(rows),
        "gold": _share(fold(g) in passage for passage, g, _ in rows),
        "distractors": _share(fold(c) in passage for passage, _, w in rows for c in w),
    }
