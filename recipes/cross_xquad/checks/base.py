"""The contract of a check by a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from recipes.cross_xquad.items import Finding, Version
from recipes.cross_xquad.sources import SourceQuestion

# (question, language, English version, version, gold) of each -> findings of each
ModelCheck = Callable[[Sequence["CheckInput"]], list[list[Finding]]]


@dataclass(frozen=True)
class CheckInput:
    """One version to be looked at."""

    question: SourceQuestion
    language: str
    english: Version
    version: Version
    gold: int
