"""A generated text that remembers what its server or engine said of it."""

from __future__ import annotations


class Generated(str):
    """A model's output, usable as the string it is (in logs, filters and caches), with what else is known of it.

    Attributes:
        finish: why the generation ended: `stop`, `length` (the token budget), or "" where unknown.
        reasoning: the thought that a server returns in a field of its own (`reasoning_content`), "" where none.
    """

    __slots__ = ("finish", "reasoning")
    finish: str
    reasoning: str

    def __new__(cls, text: str, finish: str = "", reasoning: str = "") -> Generated:
        """Keep `finish` and `reasoning` beside the text."""
        made = super().__new__(cls, text)
        made.finish, made.reasoning = finish, reasoning
        return made

    def __reduce__(self) -> tuple[type[Generated], tuple[str, str, str]]:
        """Pickle (the harness's `--use_cache`) with both attributes."""
        return type(self), (str(self), self.finish, self.reasoning)
