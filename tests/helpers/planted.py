"""Parallel sets with and without an artefact, drawn by a seed; their words mean nothing."""

from __future__ import annotations

import numpy as np

from crossin_metrics.sets.parallel_set import Item, ParallelMCQ

_SYLLABLES = ("ba", "do", "fi", "gu", "ka", "le", "mi", "no", "pu", "ra", "so", "ti")


def word(rng: np.random.Generator, syllables: int = 2) -> str:
    return "".join(rng.choice(_SYLLABLES, syllables))


def options(rng: np.random.Generator, n: int = 4) -> list[str]:
    """Options that differ in length: of one to n words, no two of the same number, in random order."""
    return [" ".join(word(rng) for _ in range(length)) for length in rng.permutation(np.arange(1, n + 1))]


def plain(
    n: int = 120,
    languages: tuple[str, ...] = ("en", "es"),
    seed: int = 0,
    *,
    longest: float | None = None,
    passage: bool = True,
    n_choices: int = 4,
) -> ParallelMCQ:
    """Nothing tells the right option, unless `longest`: the share of questions whose longest option is right.

    Options are drawn for each language by itself; the longest is the same option in all where one is planted.
    """
    rng = np.random.default_rng(seed)
    items: dict[str, list[Item]] = {code: [] for code in languages}
    gold = []
    for number in range(n):
        lengths = rng.permutation(np.arange(1, n_choices + 1))
        right = int(rng.integers(n_choices))
        if longest is not None:
            place = int(lengths.argmax())
            others = [k for k in range(n_choices) if k != place]
            right = place if rng.random() < longest else int(rng.choice(others))
        gold.append(right)
        for code in languages:
            choices = tuple(" ".join(word(rng) for _ in range(length)) for length in lengths)
            context = " ".join(word(rng) for _ in range(12)) + f" {number // 2}." if passage else None
            items[code].append(Item(context, " ".join(word(rng) for _ in range(6)) + "?", choices))
    ids = tuple(f"q{number}" for number in range(n))
    groups = tuple(f"p{number // 2}" for number in range(n))
    return ParallelMCQ("planted", languages, ids, {c: tuple(v) for c, v in items.items()}, tuple(gold), groups, "test")
