"""Split a text into sentences for models that translate one at a time, and reassemble it.

sentencex (Wikimedia's splitter for its own machine translation service; MIT, no dependencies) keeps every character, so
line breaks, list marks and spaces stay in place. Such models drop everything after the first sentence of a paragraph.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from crossin_metrics.errors import CrossinError
from crossin_metrics.languages import LANGUAGES
from recipes.translation.masking import has_words

_LIST_MARK = re.compile(r"\s*(?:[-*•–]+|#+|>|\(?\d{1,3}[.):]|\(?[A-Za-z][.)])\s+")


@dataclass(frozen=True)
class Layout:
    """A text as literal pieces (str) and sentences (int, an index into `sentences`)."""

    pieces: tuple[str | int, ...]
    sentences: tuple[str, ...]

    def fill(self, translated: Sequence[str], target: str) -> str:
        """The text with its sentences replaced; spaces between sentences are removed if the target language has none.

        Args:
            translated: one text for each of `sentences`.
            target: the target language's code.
        """
        if len(translated) != len(self.sentences):
            raise ValueError(f"{len(translated)} translations for {len(self.sentences)} sentences")
        out: list[str] = []
        for position, piece in enumerate(self.pieces):
            if isinstance(piece, int):
                out.append(translated[piece].strip())
                continue
            between = 0 < position < len(self.pieces) - 1 and piece and not piece.strip(" ")
            neighbours = self.pieces[position - 1 : position + 2 : 2]
            if between and not LANGUAGES[target].spaced and all(isinstance(piece, int) for piece in neighbours):
                continue
            out.append(piece)
        return "".join(out)


def lay_out(text: str, source: str, sentinel: str) -> Layout:
    """Split a masked text; line breaks, list marks, spaces and pieces without words stay literal.

    Raises:
        CrossinError: sentencex is not installed.
    """
    try:
        from sentencex import segment
    except ImportError as error:
        raise CrossinError("splitting into sentences needs sentencex: pip install 'crossin[translate]'") from error

    pieces: list[str | int] = []
    sentences: list[str] = []

    def literal(piece: str) -> None:
        if piece:
            pieces.append(piece)

    for line in text.splitlines(keepends=True):
        body = line.rstrip("\r\n")
        mark = _LIST_MARK.match(body)
        start = mark.end() if mark else 0
        literal(body[:start])
        for part in segment(source, body[start:]) if body[start:].strip() else [body[start:]]:
            sentence = part.strip()
            if not has_words(sentence, sentinel):
                literal(part)
                continue
            before = part.index(sentence)
            literal(part[:before])
            pieces.append(len(sentences))
            sentences.append(sentence)
            literal(part[before + len(sentence) :])
        literal(line[len(body) :])
    return Layout(tuple(pieces), tuple(sentences))
