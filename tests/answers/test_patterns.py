"""Patterns of words: each word is matched whole, the longest first."""

from __future__ import annotations

import re

import pytest

from crossin_metrics.answers.cues import CUES, Cue
from crossin_metrics.answers.patterns import any_word, normalised, split_words


@pytest.mark.parametrize("field", [name for name in Cue._fields if name not in ("words", "labels")])
def test_every_plain_word_is_matched_whole(field: str) -> None:
    """Not its beginning, where that is a word, too."""
    words = {word for cue in CUES.values() for word in split_words(normalised(getattr(cue, field)))}
    plain = {word.replace(r"\s", " ") for word in words if not re.search(r"[\[\](){}*+?.]|\\[^s]", word)}
    pattern = re.compile(any_word(field))
    for word in plain:
        found = pattern.match(word)
        assert found is not None, word
        assert found[0] == word or found[0] not in plain
    assert len(plain) > 2
