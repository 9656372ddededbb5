"""Mix methods: how a sample's language pair is drawn. A new method is one function here and a YAML that names it.

A method takes each language's weight and returns the weight of each (instruction language, answer language) pair. The
first line of its docstring is shown by `build_mix.py --help`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

PIVOT = "en"
"""The language of the base set, and the fixed side of en2x and x2en."""

Pairs = Callable[[Mapping[str, float]], dict[tuple[str, str], float]]


class Method(NamedTuple):
    """A mix method; see `mix_method`."""

    pairs: Pairs
    same_language: bool | None
    alternate: str | None


METHODS: dict[str, Method] = {}


def mix_method(same_language: bool | None, alternate: str | None = None) -> Callable[[Pairs], Pairs]:
    """Register a function as the method of its name.

    Args:
        same_language: whether pairs in one language stay where `same_language_pairs` is not set; None: they always do.
        alternate: samples are plain text for continued pre-training, whose languages alternate by `sentence` or
            `document`; None: samples are instructions and answers.
    """

    def register(pairs: Pairs) -> Pairs:
        METHODS[pairs.__name__] = Method(pairs, same_language, alternate)
        return pairs

    return register


def describe_methods() -> str:
    """One line for `--help`."""
    lines = {name: str(method.pairs.__doc__).split("\n")[0] for name, method in METHODS.items()}
    return "Languages of instruction and answer. " + " ".join(f"{name}: {line}" for name, line in lines.items())


@mix_method(same_language=True)
def x2x(weights: Mapping[str, float]) -> dict[tuple[str, str], float]:
    """Instruction and answer language drawn independently."""
    return {(a, b): weights[a] * weights[b] for a in weights for b in weights}


@mix_method(same_language=False)  # as in the released code
def en2x(weights: Mapping[str, float]) -> dict[tuple[str, str], float]:
    """Instruction English, answer in another language."""
    return {(PIVOT, code): weight for code, weight in weights.items()}


@mix_method(same_language=False)
def x2en(weights: Mapping[str, float]) -> dict[tuple[str, str], float]:
    """Instruction in another language, answer English."""
    return {(code, PIVOT): weight for code, weight in weights.items()}


@mix_method(same_language=None)
def same_language(weights: Mapping[str, float]) -> dict[tuple[str, str], float]:
    """Instruction and answer in one language."""
    return {(code, code): weight for code, weight in weights.items()}


@mix_method(same_language=None)
def more_english(weights: Mapping[str, float]) -> dict[tuple[str, str], float]:
    """Both English."""
    return {(PIVOT, PIVOT): 1.0}


@mix_method(same_language=None)
def seed_only(weights: Mapping[str, float]) -> dict[tuple[str, str], float]:
    """Every seed row in every language, no base."""
    return same_language(weights)


@mix_method(same_language=True)
def base_only(weights: Mapping[str, float]) -> dict[tuple[str, str], float]:
    """The base set alone; its translation pairs, if any, draw their languages as x2x does."""
    return x2x(weights)


@mix_method(same_language=False, alternate="sentence")
def pretrain(weights: Mapping[str, float]) -> dict[tuple[str, str], float]:
    """Plain text in two languages, alternating by sentence, with loss on all tokens."""
    return x2x(weights)


@mix_method(same_language=False, alternate="document")
def pretrain_documents(weights: Mapping[str, float]) -> dict[tuple[str, str], float]:
    """The same, alternating by document."""
    return x2x(weights)
