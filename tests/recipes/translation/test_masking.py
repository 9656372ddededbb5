"""Masking: what is replaced by marks, and that it comes back exactly."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recipes.translation import masking

MARK = "⟦{}⟧"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Run `ls -l` now.", "Run ⟦0⟧ now."),
        ("See https://example.org/a?b=1#c, please.", "See ⟦0⟧, please."),
        ("(see http://example.org/x)", "(see ⟦0⟧)"),
        ("Visit www.example.org/page.", "Visit ⟦0⟧."),
        ("Mail a.b+c@mail.example.org.", "Mail ⟦0⟧."),
        ("Dear {name}, you owe ${amount} and %s for {{item}}.", "Dear ⟦0⟧, you owe ⟦1⟧ and ⟦2⟧ for ⟦3⟧."),
        ("Dear [FIRST NAME], hello [1] and [link](http://e.org).", "Dear ⟦0⟧, hello [1] and [link](⟦1⟧)."),
        ('Click <a href="x">here</a> or <br/>, if 3 < 4 > 2.', "Click ⟦0⟧here⟦1⟧ or ⟦2⟧, if 3 < 4 > 2."),
        ("It cost $1,250.50 in 2020, or 3 dollars, up 5%.", "It cost $⟦0⟧ in ⟦1⟧, or 3 dollars, up ⟦2⟧."),
        ("In the 1990s, at 7:30, on version 3.11.2.", "In the 1990s, at ⟦0⟧, on version ⟦1⟧."),
        (r"Solve \(x^2 = 4\) and $$y = 1$$ for $5 each.", "Solve ⟦0⟧ and ⟦1⟧ for $5 each."),
        ("Before\n```python\nprint(1)\n```\nafter `x`.", "Before\n⟦0⟧\nafter ⟦1⟧."),
        ("A mark of ours: ⟦0⟧ and {x}", "A mark of ours: ⟦0⟧ and ⟦1⟧"),
        ("100% of 50 apples", "⟦0⟧ of 50 apples"),
        ("Just words, 12 of them.", "Just words, 12 of them."),
    ],
)
def test_what_is_masked(text: str, masked: str) -> None:
    result = masking.mask({"a": text}, MARK)
    assert result.fields == {"a": masked}
    assert masking.unmask(result, result.fields) == {"a": text}


@given(
    st.lists(
        st.sampled_from(["{x} ", "`c`", "⟦0⟧", "⟦ 3 ⟧", "1,234", "5", " word ", "\n", "```\ncode\n```\n", "a@b.org "])
    )
)
def test_unmasking_undoes_masking(pieces: list[str]) -> None:
    fields = {"a": "".join(pieces), "b": "".join(reversed(pieces))}
    for numbers in masking.NUMBERS:
        masked = masking.mask(fields, MARK, numbers)
        assert masking.unmask(masked, masked.fields) == fields


@given(st.text(), st.text())
def test_unmasking_undoes_masking_of_any_text(first: str, second: str) -> None:
    fields = {"a": first, "b": second}
    masked = masking.mask(fields, MARK, "all")
    assert masking.unmask(masked, masked.fields) == fields


def test_marks_may_move_within_a_field_and_gain_blanks() -> None:
    masked = masking.mask({"a": "Give {x} to {y}."}, MARK)
    assert masking.unmask(masked, {"a": "Para ⟦ 1 ⟧, dale ⟦0⟧."}) == {"a": "Para {y}, dale {x}."}


@pytest.mark.parametrize(
    ("a", "b"), [("⟦0⟧", "⟦2⟧ x"), ("⟦0⟧ ⟦1⟧ ⟦1⟧", "⟦2⟧"), ("⟦0⟧ ⟦1⟧ ⟦3⟧", "⟦2⟧"), ("⟦0⟧ ⟦2⟧", "⟦1⟧")]
)
def test_lost_doubled_invented_and_swapped_marks_are_refused(a: str, b: str) -> None:
    masked = masking.mask({"a": "{x} and {y}", "b": "{z}"}, MARK)
    with pytest.raises(masking.MaskError):
        masking.unmask(masked, {"a": a, "b": b})


def test_words_are_what_is_left_outside_the_marks() -> None:
    assert not masking.has_words("⟦0⟧ + 5 = ?", MARK)
    assert masking.has_words("⟦0⟧ 个", MARK)
