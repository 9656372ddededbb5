"""Requests of every shape a multiple-choice task can send."""

from __future__ import annotations

import random

import pytest
from lm_eval.api.instance import Instance


def instances(pairs: list[tuple[str, str]]) -> list[Instance]:
    """Harness requests for (context, continuation) pairs."""
    return [Instance("loglikelihood", {}, pair, n) for n, pair in enumerate(pairs)]


def _text(rng: random.Random, words: int) -> str:
    return "".join(" " + rng.choice("klmnop") + rng.choice("aeiou") + rng.choice(["", "b", "st"]) for _ in range(words))


@pytest.fixture(scope="session")
def requests_by_shape() -> dict[str, list[Instance]]:
    """Name of the shape -> requests; contexts of 1 to 130 tokens, the model's limit being 160."""
    rng = random.Random(7)
    letters = [" A", " B", " C", " D"]
    stems = [_text(rng, rng.randint(1, 30)) for _ in range(9)]
    passage = _text(rng, 40)
    long = _text(rng, 46)
    shapes: dict[str, list[tuple[str, str]]] = {
        "letters": [(stem + "\nAnswer:", letter) for stem in stems for letter in letters],
        "several tokens": [(stem, " " + _text(rng, rng.randint(1, 5)).strip()) for stem in stems for _ in range(4)],
        "shared passage": [
            (passage + "\n" + _text(rng, 4) + "?", option)
            for _ in range(5)
            for option in [" A", " Bob", " Bobb", _text(rng, 3)]
        ],
        "past the limit": [(long, option) for option in letters] + [(long + long, option) for option in letters],
        "empty context": [("", " A"), ("", _text(rng, 4)), ("", " kakeki")],
        "repeated": [(stems[0], " A"), (stems[0], " A"), (stems[1], " ka"), (stems[0], " A")],
        "one prompt continues another": [(stems[0], " A"), (stems[0] + " A", " B"), (stems[0] + " A B", " C")],
    }
    shapes["mixed"] = [pair for pairs in list(shapes.values()) for pair in pairs]
    rng.shuffle(shapes["mixed"])
    return {name: instances(pairs) for name, pairs in shapes.items()}
