"""Stages `distractors` and `parallel`: from a source's questions to items with options, by asking the model."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from recipes.cross_xquad import prompts
from recipes.cross_xquad.calls import Answer, Caller
from recipes.cross_xquad.items import N_CHOICES, Finding, Item, Version
from recipes.cross_xquad.prompts import WRONG, Feedback
from recipes.cross_xquad.sources import PIVOT, Source, SourceQuestion

MOST_CHARACTERS = 1000  # the longest answer of XQuAD has 190 characters in English
_LABELS = re.compile(r"\(?([A-D1-4])[).:]\s+")


@dataclass(frozen=True)
class Order:
    """One version to write.

    Attributes:
        question: the source's.
        gold: index of the right option.
        language: of the version.
        english: the English version to be parallel to; None for English itself.
        attempt: 0 for the first; part of the call's key.
        feedback: on the previous attempt.
    """

    question: SourceQuestion
    gold: int
    language: str
    english: Version | None = None
    attempt: int = 0
    feedback: Feedback | None = None


def gold_places(source: Source, seed: int) -> dict[str, int]:
    """Index of the right option per id: a quarter of the questions each, to within one, in random order.

    Drawn by SHA-256: the same on every machine and version.
    """

    def draw(identifier: str) -> str:
        return hashlib.sha256(f"{seed}|place|{identifier}".encode()).hexdigest()

    drawn = sorted((question.id for question in source.questions), key=draw)
    return {identifier: number % N_CHOICES for number, identifier in enumerate(drawn)}


def write(caller: Caller, orders: Sequence[Order], description: str) -> list[Version | Finding]:
    """Ask the model for versions; a finding `malformed` in place of one that could not be read.

    Raises:
        CrossinError: calls were not answered; see `Caller.ask`.
    """
    answers = caller.ask([(_prompt(order), order.attempt) for order in orders], description)
    return [_read(order, answer) for order, answer in zip(orders, answers, strict=True)]


def write_distractors(source: Source, caller: Caller, gold_seed: int) -> list[Item]:
    """Stage `distractors`: one item a question, in English."""
    places = gold_places(source, gold_seed)
    orders = [Order(question, places[question.id], PIVOT) for question in source.questions]
    items = []
    for order, made in zip(orders, write(caller, orders, "distractors"), strict=True):
        item = Item(order.question.id, order.question.article, order.question.passage, order.gold, {})
        items.append(_with_version(item, PIVOT, made))
    return items


def write_parallel(items: Sequence[Item], source: Source, caller: Caller) -> list[Item]:
    """Stage `parallel`: the other languages of every item that has its English version."""
    questions = {question.id: question for question in source.questions}
    others = [code for code in source.languages if code != PIVOT]
    # a language at a time: its instructions stay in the server's prefix cache
    orders = [
        Order(questions[item.id], item.gold, code, item.versions[PIVOT])
        for code in others
        for item in items
        if PIVOT in item.versions
    ]
    by_id = {item.id: item for item in items}
    for order, made in zip(orders, write(caller, orders, "parallel"), strict=True):
        by_id[order.question.id] = _with_version(by_id[order.question.id], order.language, made)
    return [in_order(by_id[item.id], source.languages) for item in items]


def _with_version(item: Item, language: str, made: Version | Finding) -> Item:
    if isinstance(made, Finding):
        return replace(item, findings=(*item.findings, made))
    return replace(item, versions={**item.versions, language: made})


def in_order(item: Item, languages: Sequence[str]) -> Item:
    """The item with its versions and findings in the order of the languages."""
    versions = {code: item.versions[code] for code in languages if code in item.versions}
    rank = {code: number for number, code in enumerate(languages)}
    findings = sorted(item.findings, key=lambda finding: rank.get(finding.language or "", -1))
    return replace(item, versions=versions, findings=tuple(findings))


def _prompt(order: Order) -> prompts.Prompt:
    question, language = order.question, order.language
    span = question.spans[language]
    if order.english is None:
        return prompts.distractors(question.contexts[language], span.question, span.answer, order.feedback)
    english = {
        "question": order.english.question,
        "right": order.english.choices[order.gold],
        "wrong": list(order.english.wrong(order.gold).values()),
    }
    target = {"passage": question.contexts[language], "question": span.question, "right": span.answer}
    return prompts.parallel(language, english, target, order.feedback)


def _read(order: Order, answer: Answer) -> Version | Finding:
    if answer.fields is None:
        return Finding("malformed", order.language, None, str(answer.problem))
    longest = max(map(len, answer.fields.values()))
    if longest > MOST_CHARACTERS:
        return Finding("malformed", order.language, None, f"an option of {longest:,} characters")
    wrong = _without_labels([" ".join(answer.fields[name].split()) for name in WRONG])
    span = order.question.spans[order.language]
    choices = [*wrong[: order.gold], span.answer, *wrong[order.gold :]]  # the right option is the human span, always
    return Version(order.question.contexts[order.language], span.question, tuple(choices))


def _without_labels(options: list[str]) -> list[str]:
    """Remove `A. ` or `(1) ` if all three options have such a label, each another; "C. S. Lewis" keeps his initials."""
    found = [_LABELS.match(option) for option in options]
    if not all(found) or len({match[1] for match in found if match}) < len(options):
        return options
    stripped = [option[match.end() :] for option, match in zip(options, found, strict=True) if match]
    return stripped if all(stripped) else options
