"""Translators: `base.py` is the contract, its siblings the implementations, each imported only when it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recipes.translation.config import EngineOptions
    from recipes.translation.engines.base import Engine


def build_engine(options: EngineOptions) -> Engine:
    """The engine that the options name; nothing is loaded or reached before its `check`.

    Raises:
        CrossinError: an impossible combination, a missing package, or a model whose licence was not accepted.
    """
    if options.engine == "endpoint":
        from recipes.translation.engines.openai_endpoint import OpenAIEndpoint

        return OpenAIEndpoint(options)
    from recipes.translation.engines.seq2seq import Seq2SeqEngine

    return Seq2SeqEngine(options)
