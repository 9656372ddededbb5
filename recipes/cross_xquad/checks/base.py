"""What checks are given, and the reasons they may find."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from recipes.cross_xquad.items import Finding, Version
from recipes.cross_xquad.sources import SourceQuestion

CHECKS_VERSION = "1"  # of the checks on texts: with another version, items are checked again

# These and the findings' details are in the prompts of later attempts: with another word, those calls are made again.
REASONS: dict[str, str] = {
    "malformed": "The model's reply could not be read: no JSON, cut off, refused, or an option missing or empty.",
    "not_in_passage": "A wrong option is not taken from the passage.",
    "equals_answer": "A wrong option has the same words as the right one.",
    "overlaps_answer": "A wrong option contains the right one, is a part of it, or overlaps it in the passage.",
    "is_right": "A wrong option may be right as well.",
    "wrong_language": "An option is in another language, or was left untranslated.",
    "odd_type": "The right option can be told by its kind: one number among names, one date among numbers.",
    "odd_length": "One option is far longer or shorter than the three others.",
    "in_question": "A wrong option repeats words of the question, and nobody would choose it.",
    "duplicate": "Two wrong options say the same, or one contains the other.",
    "options_not_parallel": "An option does not say what the English one says.",
}


@dataclass(frozen=True)
class CheckInput:
    """One version to check.

    Attributes:
        question: the source's question.
        language: of `version`.
        english: the English version; `version` itself if that is English.
        version: what is checked.
        gold: index of the right option.
    """

    question: SourceQuestion
    language: str
    english: Version
    version: Version
    gold: int

    def finding(self, code: str, choice: int | None, detail: str) -> Finding:
        """A finding on this version."""
        return Finding(code, self.language, choice, detail)


ModelCheck = Callable[[Sequence[CheckInput]], list[list[Finding]]]  # findings of each input
