"""From a whole output of a generation to its reading: cut outputs recognised, repeats joined."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import combinations

from crossin_metrics.answers.reading import Reading, explain_answer
from crossin_metrics.answers.thoughts import MARKS

CUT = "cut"  # the rule of a row whose thought did not end, or whose token budget ended before an answer


def opening_mark(prompt: object, marks: Iterable[tuple[str, str]] = ()) -> str:
    """Return the opening mark of a thought with which a rendered prompt ends ("" if none): the template's `<think>`."""
    end = prompt.rstrip().lower() if isinstance(prompt, str) else ""
    return next((opening for opening, _ in (*marks, *MARKS) if opening and end.endswith(opening.lower())), "")


def read_output(
    text: str,
    choices: Sequence[str],
    language: str | None = None,
    *,
    marks: Iterable[tuple[str, str]] = (),
    finish: str = "",
    reasoning: str = "",
    opened: str = "",
    thinks: bool = False,
) -> Reading:
    """Read one output; what is cut has no answer.

    Args:
        text: the output.
        choices, language, marks: as for :func:`crossin_metrics.answers.reading.explain_answer`.
        finish: why the generation ended: `length` (its token budget), anything else, or "" where unknown.
        reasoning: the thought that a server returned in a field of its own.
        opened: the opening mark with which the prompt ended, if the output still has its thought.
        thinks: whether the model thinks. An output that its budget ended is then cut unless its thought ended, since
            all that it wrote may be thought; else it is cut unless it names an answer above its last line.
    """
    reading = explain_answer(opened + text if opened and not reasoning else text, choices, language, marks)
    thought = reading.thought + len(reasoning)
    unfinished = reading.answer is None or reading.rule == "last_line"  # "...\nA" may begin a list of options
    if finish == "length" and (unfinished or (thinks and not thought)):
        return Reading(None, CUT, thought or len(text))
    return reading._replace(thought=thought)


def majority(answers: Sequence[int | None]) -> tuple[int | None, float]:
    """Return the option most often picked (the first met of equals) and the share of pairs that agree, in [0, 1].

    No answer agrees with nothing and is never the majority. One output alone agrees with itself (1.0).
    """
    counts = Counter(answer for answer in answers if answer is not None)
    pairs = list(combinations(answers, 2))
    agreeing = sum(a == b and a is not None for a, b in pairs)
    return (counts.most_common(1)[0][0] if counts else None), (agreeing / len(pairs) if pairs else 1.0)
