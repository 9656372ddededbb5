"""Guessers without a model: each looks at one question in one language and scores its options.

Ties between options are broken by SHA-256 of id, language and option, so that a rule without a preference guesses, and
guesses the same on every machine.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crossin_metrics.sets.answer_kinds import KINDS, kind
from crossin_metrics.sets.parallel_set import Item, ParallelMCQ
from crossin_metrics.shortcuts.texts import closest_sentence, fold, share_in, tokens


@dataclass(frozen=True)
class Rule:
    """A guesser: its name, its description, whether it reads the passage, and its scores of an item's options."""

    name: str
    says: str
    reads_passage: bool
    scores: Callable[[Item], Sequence[float]]


def _in_passage(item: Item) -> list[float]:
    passage = fold(item.context or "")
    return [float(fold(choice) in passage) for choice in item.choices]


def _in_sentence(item: Item) -> list[float]:
    sentence = closest_sentence(item.context or "", item.question)
    return [share_in(choice, sentence) for choice in item.choices]


RULES: tuple[Rule, ...] = (
    Rule("longest", "the option with most characters", False, lambda item: [len(c) for c in item.choices]),
    Rule("shortest", "the option with fewest characters", False, lambda item: [-len(c) for c in item.choices]),
    Rule(
        "question_overlap",
        "the option most of whose tokens are in the question",
        False,
        lambda item: [share_in(c, item.question) for c in item.choices],
    ),
    Rule("in_passage", "an option found word for word in the passage", True, _in_passage),
    Rule(
        "passage_sentence",
        "the option most of whose tokens are in the sentence closest to the question",
        True,
        _in_sentence,
    ),
)

# Learned rules (see `learned`): name -> (its description, its features of every item's options).
LEARNED: dict[str, tuple[str, Callable[[Sequence[Item]], list[list[list[float]]]]]] = {
    "kind": (
        "the kind of option (number, date, name, phrase) that is right most often; cross-validated",
        lambda items: [[_one_hot(kind(c)) for c in item.choices] for item in items],
    ),
    "options_only": (
        "linear classifier of length, its rank, kind, overlap between options; cross-validated",
        lambda items: [_features(item.choices) for item in items],
    ),
    "answer_type": (
        "linear classifier of the question's words times the option's kind, length and overlap with the question "
        "(when: a date, who: a name); cross-validated",
        lambda items: _answer_types(items),
    ),
}
QUESTION_WORDS = 24  # the tokens that most questions have: question words are among them in any language
PLACE = "place"
PLACE_SAYS = "the place (A, B ...) that is right most often; cross-validated"


def picks(rule: Rule, data: ParallelMCQ, language: str, numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The option that a rule picks for each of the questions `numbers`, in that order."""
    items = data.items[language]
    found = [best(rule.scores(items[n]), f"{rule.name}\x1f{data.ids[n]}\x1f{language}") for n in numbers.tolist()]
    return np.array(found, dtype=np.int64)


def best(scores: Sequence[float], key: str) -> int:
    """Index of the highest score; of equal ones that with the lowest SHA-256 of key and index."""
    high = max(scores)
    ties = [i for i, score in enumerate(scores) if score == high]
    return ties[0] if len(ties) == 1 else min(ties, key=lambda i: hashlib.sha256(f"{key}\x1f{i}".encode()).digest())


def feature_array(rows: Sequence[Sequence[Sequence[float]]]) -> npt.NDArray[np.float64]:
    """Features `[n_questions, most options, n_features]`, zeros after a question's last option."""
    most = max(map(len, rows))
    out = np.zeros((len(rows), most, len(rows[0][0])))
    for number, row in enumerate(rows):
        out[number, : len(row)] = row
    return out


def _one_hot(name: str) -> list[float]:
    return [float(name == one) for one in KINDS]


def _answer_types(items: Sequence[Item]) -> list[list[list[float]]]:
    """Per option: kind, log length, share of its tokens in the question; each alone and for each question word."""
    asked = [set(tokens(item.question)) for item in items]
    counts = Counter(word for words in asked for word in words)
    frequent = sorted(counts, key=lambda word: (-counts[word], word))[:QUESTION_WORDS]
    out = []
    for item, words in zip(items, asked, strict=True):
        present = np.array([1.0, *(float(word in words) for word in frequent)])
        own = [[*_one_hot(kind(c)), float(np.log(len(c))), share_in(c, item.question)] for c in item.choices]
        out.append([np.outer(present, row).ravel().tolist() for row in own])
    return out


def _features(choices: Sequence[str]) -> list[list[float]]:
    """Per option: length, log length, being longest or shortest, rank, number of words, kind, being the only one of its
    kind, share of its tokens in other options, share of its characters that are digits, capital at the beginning."""
    lengths = [len(choice) for choice in choices]
    kinds = [kind(choice) for choice in choices]
    words = [set(tokens(choice)) for choice in choices]
    out = []
    for number, choice in enumerate(choices):
        others = set().union(*words[:number], *words[number + 1 :])
        rank = sum(length < lengths[number] for length in lengths) / max(1, len(choices) - 1)
        out.append(
            [
                float(lengths[number]),
                float(np.log(lengths[number])),
                float(lengths[number] == max(lengths) and lengths.count(max(lengths)) == 1),
                float(lengths[number] == min(lengths) and lengths.count(min(lengths)) == 1),
                rank,
                float(len(tokens(choice))),
                *_one_hot(kinds[number]),
                float(kinds.count(kinds[number]) == 1),
                len(words[number] & others) / len(words[number]) if words[number] else 0.0,
                sum(c.isdigit() for c in choice) / len(choice),
                float(choice[0].isupper()),
            ]
        )
    return out
