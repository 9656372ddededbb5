"""From what a model generated for one row to its reading: thoughts set aside, cut outputs recognised."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from crossin_metrics.answers.generated import Generated
from crossin_metrics.answers.outputs import CUT, read_output
from crossin_metrics.answers.reading import Reading
from crossin_metrics.answers.thoughts import split_thought
from crossin_metrics.harness.options import TaskOptions
from crossin_metrics.languages import language_code

CountTokens = Callable[[str], int]


class Budget(NamedTuple):
    """When an output counts as cut: `max_gen_toks` and, where known, a counter of tokens."""

    tokens: int
    counter: CountTokens | None = None


def read_row(
    text: str, doc: Mapping[str, Any], options: TaskOptions, budget: Budget, opened: str = ""
) -> tuple[Reading, str]:
    """Read one output of a row; return the reading and why the generation ended (`stop`, `length`, "": unknown)."""
    finish = getattr(text, "finish", "")
    if not finish and budget.counter is not None and text:
        # Decoding drops special tokens and encoding again may merge others, so a full budget counts a little less.
        finish = "length" if budget.counter(text) >= budget.tokens - max(1, budget.tokens // 50) else "stop"
    stripped = options.think_end_token is not None and not isinstance(text, Generated)  # by the harness
    reading = read_output(
        str(text),
        doc["options"],
        doc["language"],
        marks=options.thought_marks,
        finish=finish,
        reasoning=getattr(text, "reasoning", ""),
        opened="" if stripped else opened,
        thinks=options.preset == "thinking",
    )
    return reading, finish


@lru_cache(maxsize=4)
def load_tokenizer(name: str) -> Any:
    """Return the tokenizer of a folder or hub name; None where it cannot be loaded."""
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError, ImportError):
        return None


def token_counter(tokenizer: str) -> CountTokens | None:
    """Return a counter of tokens from a tokenizer's folder or hub name; None where it cannot be loaded."""
    loaded = load_tokenizer(tokenizer)
    return None if loaded is None else lambda text: len(loaded.encode(text, add_special_tokens=False))


def continuation_tokens(tokenizer: Any, pairs: Sequence[tuple[str, str]]) -> list[int]:
    """Count the tokens of each continuation after its context, at least 1: those that a causal model is scored on."""
    contexts = list(dict.fromkeys(context for context, _ in pairs))
    lengths = dict(zip(contexts, map(len, tokenizer(contexts)["input_ids"]), strict=True))
    whole = tokenizer([context + continuation for context, continuation in pairs])["input_ids"]
    return [max(1, len(ids) - lengths[context]) for ids, (context, _) in zip(whole, pairs, strict=True)]


def languages_of(text: str, options: TaskOptions, reading: Reading) -> dict[str, str | None]:
    """Return the languages of an output's thought and answer (ISO codes; None: too short to tell)."""
    split = split_thought(text, options.thought_marks)
    thought = getattr(text, "reasoning", "") or split.thought or (split.answer if reading.rule == CUT else "")
    return {
        "thought_language": detect_language(thought),
        "answer_language": None if reading.rule == CUT else detect_language(split.answer),
    }


def written_languages(log: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the languages of thought and answer that a row's log holds ("": unknown); None if none were detected."""
    if "answer_language" not in log:
        return None
    return str(log.get("thought_language") or ""), str(log["answer_language"] or "")


_SHORTEST = 20  # letters; below it a language is a guess


def detect_language(text: str) -> str | None:
    """Return the code of a text's language (as in the tables of languages) by lingua; None if it is too short to tell.

    Raises:
        CrossinError: lingua is not installed.
    """
    if sum(letter.isalpha() for letter in text) < _SHORTEST:
        return None
    found = _detector().detect_language_of(text[:2000])
    return None if found is None else language_code(found.iso_code_639_1.name.lower())


@lru_cache(maxsize=1)
def _detector() -> Any:
    try:
        from lingua import LanguageDetectorBuilder
    except ImportError:
        from crossin_metrics.errors import CrossinError

        raise CrossinError("detect_languages needs lingua: pip install 'crossin[languages]'") from None
    return LanguageDetectorBuilder.from_all_languages().with_low_accuracy_mode().build()
