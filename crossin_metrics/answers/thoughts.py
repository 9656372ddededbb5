"""Thoughts: what a model writes before it answers, and how each family of models marks it.

A thought is never read. What stands before the last closing mark is thought, even without an opening mark (many chat
templates supply it in the prompt). A thought that is opened and not closed was cut by the token budget: no answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

MARKS: tuple[tuple[str, str], ...] = (
    ("<think>", "</think>"),  # DeepSeek-R1, Qwen3, QwQ, GLM, MiniMax ...
    ("<thinking>", "</thinking>"),  # prompts in Claude's style
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<reflection>", "</reflection>"),
    ("<scratchpad>", "</scratchpad>"),
    ("<seed:think>", "</seed:think>"),  # Seed-OSS
    ("[THINK]", "[/THINK]"),  # Magistral
    ("◁think▷", "◁/think▷"),  # Kimi
    ("<|START_THINKING|>", "<|END_THINKING|>"),  # Command A Reasoning
    ("<|begin_of_thought|>", "<|end_of_thought|>"),  # Sky-T1
    ("<|inner_prefix|>", "<|inner_suffix|>"),  # Apertus
    ("<|channel>thought", "<channel|>"),  # Gemma 4
    ("<unused94>thought", "<unused95>"),  # MedGemma
    ("<|channel|>analysis<|message|>", "<|channel|>final<|message|>"),  # gpt-oss (harmony)
    ("<|channel|>commentary<|message|>", "<|channel|>final<|message|>"),
)
"""Opening and closing mark of a thought, by family. Upper and lower case count alike."""

# gpt-oss where special tokens were skipped: "analysisWe need ... assistantfinalB".
_BARE_OPENING = re.compile(r"\s*analysis(?=[A-Z\"'(]|.*assistant(?:final|commentary))", re.DOTALL)
_BARE_CLOSING = re.compile(r"assistantfinal")


class Split(NamedTuple):
    """A text without its thought.

    Attributes:
        answer: what follows the thought; empty where the thought was cut.
        thought: the thought, marks included; empty where there is none.
        cut: whether a thought was opened and not closed.
    """

    answer: str
    thought: str
    cut: bool


def split_thought(text: str, marks: Iterable[tuple[str, str]] = ()) -> Split:
    """Separate a generated text from its thought, in linear time.

    Args:
        text: the model's output, special tokens kept or skipped.
        marks: more pairs of opening and closing marks; an empty opening mark stands for one supplied by the prompt.
    """
    opening, closing = _patterns(tuple(marks))
    end = max((match.end() for match in closing.finditer(text)), default=0)
    bare = _BARE_OPENING.match(text)
    if bare is not None:
        end = max([end, *(match.end() for match in _BARE_CLOSING.finditer(text))])
        if end == 0:
            return Split("", text, True)
    reopened = opening.search(text, end)
    if reopened is not None:
        return Split("", text, True)
    return Split(text[end:], text[:end], False)


@lru_cache(maxsize=16)
def _patterns(marks: tuple[tuple[str, str], ...]) -> tuple[re.Pattern[str], re.Pattern[str]]:
    pairs = (*MARKS, *marks)
    return tuple(  # type: ignore[return-value]
        re.compile("|".join(re.escape(mark) for mark in dict.fromkeys(side) if mark), re.IGNORECASE)
        for side in zip(*pairs, strict=True)
    )
