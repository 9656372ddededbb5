"""One output: what is cut has no answer, and what a server said stays with the text."""

from __future__ import annotations

import pickle

import pytest

from crossin_metrics.answers.generated import Generated
from crossin_metrics.answers.outputs import CUT, read_output

OPTIONS = ["tea", "coffee", "milk", "water"]
SAID, LAST, NONE = "The answer is B.", "Let me see.\nB", "Let me see."


@pytest.mark.parametrize(
    ("text", "finish", "thinks", "thought", "answer"),
    [
        (SAID, "stop", True, False, 1),
        (SAID, "length", False, False, 1),  # said before the budget ended
        (SAID, "length", True, False, None),  # it may all be thought
        (SAID, "length", True, True, 1),
        (LAST, "stop", False, False, 1),
        (LAST, "length", False, False, None),  # a list of options may begin here
        (LAST, "length", True, True, None),
        (NONE, "length", False, False, None),
    ],
)
def test_what_its_budget_ended_has_no_answer_unless_it_is_sure(
    text: str, finish: str, thinks: bool, thought: bool, answer: int | None
) -> None:
    reasoning = "Coffee, then." if thought else ""
    reading = read_output(text, OPTIONS, "en", finish=finish, thinks=thinks, reasoning=reasoning)
    assert reading.answer == answer
    assert (reading.rule == CUT) == (answer is None)
    assert reading.thought == (len(reasoning) if thought or answer is not None else len(text))


def test_what_a_server_said_outlives_pickling() -> None:
    again = pickle.loads(pickle.dumps(Generated("B", "length", "Hm.")))
    assert (again, again.finish, again.reasoning) == ("B", "length", "Hm.")
