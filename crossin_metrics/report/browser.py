"""Data of the question browser: which questions to embed, their texts, and every entry's answers, compactly.

A page stays small by two caps, both stated on it: at most `max_questions` of each set (those first on which languages
disagree most over all entries), and at most `max_bytes` of text in all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from crossin_metrics.errors import CrossinError
from crossin_metrics.languages import log_language
from crossin_metrics.records import json_lines
from crossin_metrics.report.entries import Entry
from crossin_metrics.runs.run import Run
from crossin_metrics.runs.sample_logs import task_of
from crossin_metrics.runs.seaeval_logs import read_samples

MAX_QUESTIONS = 200
MAX_BYTES = 6_000_000
LONGEST = {"question": 1200, "context": 1500, "option": 300, "words": 240}  # characters shown of each
NO_ANSWER = "."
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"  # options of a question; more are shown as unread


@dataclass
class QuestionSet:
    """The questions that some entries share.

    Attributes:
        benchmark, languages, ids, gold: as in a run; only the questions embedded.
        n_all: questions there are.
        texts: id -> language -> {"q": question, "c": context, "o": options in the data's order}; may be empty.
        answers: entry's number -> prompt -> one character a question and language (question-major), "." for none.
        words: entry's number -> prompt -> {"question,language": the model's words}, generated answers only.
    """

    benchmark: str
    languages: tuple[str, ...]
    ids: list[str]
    gold: list[int]
    n_all: int
    texts: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    answers: dict[int, dict[str, str]] = field(default_factory=dict)
    words: dict[int, dict[str, dict[str, str]]] = field(default_factory=dict)
    text_left_out: int = 0


def question_sets(
    entries: Sequence[Entry],
    known_texts: Mapping[str, Mapping[str, Mapping[str, dict[str, Any]]]],
    *,
    max_questions: int = MAX_QUESTIONS,
    max_bytes: int = MAX_BYTES,
) -> list[QuestionSet]:
    """One set for each lot of entries that answered the same questions in the same languages.

    Args:
        entries: numbered by their place, as the page numbers them.
        known_texts: benchmark -> id -> language -> texts, of parallel sets given beside the runs.
        max_questions: embedded of each set.
        max_bytes: of texts and words in all sets together (UTF-8).
    """
    lots: dict[tuple[str, str, str], list[int]] = {}
    for number, entry in enumerate(entries):
        if entry.runs and entry.setup is not None:
            key = (entry.benchmark, entry.setup.questions, entry.setup.langs)
            lots.setdefault(key, []).append(number)
    found, left = [], max_bytes
    for (benchmark, _, _), numbers in lots.items():
        made, used = _set(benchmark, numbers, entries, known_texts.get(benchmark, {}), max_questions, left)
        left -= used
        found.append(made)
    return found


def _set(
    benchmark: str,
    numbers: list[int],
    entries: Sequence[Entry],
    known: Mapping[str, Mapping[str, dict[str, Any]]],
    max_questions: int,
    budget: int,
) -> tuple[QuestionSet, int]:
    runs = [run for number in numbers for run in entries[number].runs]
    first = runs[0]
    disagreement = sum(_distinct(run) for run in runs)
    chosen = np.argsort(-disagreement, kind="stable")[:max_questions]
    ids = [first.ids[i] for i in chosen]
    made = QuestionSet(benchmark, first.languages, ids, first.gold[chosen].tolist(), len(first.ids))
    wanted = {identifier: row for row, identifier in enumerate(ids)}
    used = 0
    texts: dict[str, dict[str, dict[str, Any]]] = {
        identifier: {code: known[identifier][code] for code in first.languages if code in known[identifier]}
        for identifier in ids
        if identifier in known
    }
    for number in numbers:
        entry = entries[number]
        made.answers[number] = {}
        for prompt, run in zip(entry.by_prompt, entry.runs, strict=True):
            rows = run.answers[chosen].ravel().tolist()
            made.answers[number][prompt] = "".join(
                NO_ANSWER if not 0 <= answer < len(_DIGITS) else _DIGITS[answer] for answer in rows
            )
            words: dict[str, str] = {}
            # Of one set the texts are read once; of generated answers every run's words are.
            if len(texts) < len(ids) or _generated(entry):
                _read_log(run, wanted, texts, words)
            if words:
                size = sum(len(text.encode()) for text in words.values())
                if used + size <= budget:
                    made.words.setdefault(number, {})[prompt] = words
                    used += size
                else:
                    made.text_left_out += 1
    for identifier in ids:
        by_language = texts.get(identifier)
        if by_language is None:
            continue
        size = sum(len(str(part).encode()) for part in by_language.values())
        if used + size > budget:
            made.text_left_out += 1
            continue
        used += size
        made.texts[identifier] = by_language
    return made, used


def _generated(entry: Entry) -> bool:
    """Whether answers were read out of words: this project's `gen` tasks, SeaEval's logs."""
    return entry.formulation.startswith("gen") or entry.source.endswith((".json", ".json.gz"))


def _distinct(run: Run) -> np.ndarray:
    """`[n_questions]`, how many different answers (None is one) a question got in its languages, above 1."""
    ordered = np.sort(run.answers, axis=1)
    return (np.diff(ordered, axis=1) != 0).sum(axis=1)


def _read_log(
    run: Run, wanted: Mapping[str, int], texts: dict[str, dict[str, dict[str, Any]]], words: dict[str, str]
) -> None:
    """Texts and words out of the sample logs of this project's tasks; other files have none that can be told."""
    for path in run.source_files:
        if path.name.endswith((".json", ".json.gz")):
            _read_seaeval(path, run, wanted, texts, words)
            continue
        if not path.name.startswith("samples_") or task_of(path) != run.task:
            continue
        try:
            for _, sample in json_lines(path):
                doc = sample.get("doc")
                if not isinstance(doc, dict) or str(doc.get("id")) not in wanted or "order" not in doc:
                    continue
                identifier, language = str(doc["id"]), log_language(str(doc["language"]))
                if language not in run.languages:
                    continue
                shown, order = [str(option) for option in doc["options"]], [int(k) for k in doc["order"]]
                options = [shown[order.index(k)] for k in range(len(order))]
                texts.setdefault(identifier, {})[language] = text_of(doc.get("question"), doc.get("context"), options)
                answer = _words(sample)
                if answer is not None:
                    column = run.languages.index(language)
                    words[f"{wanted[identifier]},{column}"] = clip(answer, "words")
        except (CrossinError, KeyError, TypeError, ValueError):
            continue  # the run was read whole before: a file changed since loses its texts, not the report


def _read_seaeval(
    path: Path,
    run: Run,
    wanted: Mapping[str, int],
    texts: dict[str, dict[str, dict[str, Any]]],
    words: dict[str, str],
) -> None:
    try:
        for sample in read_samples(path):
            if sample.id in wanted and sample.language in run.languages:
                text = text_of(sample.question, sample.context, sample.choices)
                texts.setdefault(sample.id, {})[sample.language] = text
                column = run.languages.index(sample.language)
                words[f"{wanted[sample.id]},{column}"] = clip(sample.prediction, "words")
    except CrossinError:
        return  # as below


def _words(sample: Mapping[str, Any]) -> str | None:
    value: Any = sample.get("resps")
    while isinstance(value, list) and value:
        value = value[0]
    pairs = sample.get("filtered_resps")
    likelihoods = isinstance(pairs, list) and bool(pairs) and isinstance(pairs[0], list)
    return value if isinstance(value, str) and not likelihoods else None


def text_of(question: Any, context: Any, options: Sequence[str]) -> dict[str, Any]:
    """One question in one language as the page holds it."""
    text: dict[str, Any] = {
        "q": clip(str(question or ""), "question"),
        "o": [clip(option, "option") for option in options],
    }
    if context:
        text["c"] = clip(str(context), "context")
    return text


def clip(text: str, kind: str) -> str:
    """A text with at most so many characters, an ellipsis where it was cut; lone surrogates are replaced."""
    text = text.encode("utf-8", "replace").decode("utf-8")
    return text if len(text) <= LONGEST[kind] else text[: LONGEST[kind] - 1] + "…"


def read_question_texts(given: Sequence[str]) -> dict[str, dict[str, dict[str, dict[str, Any]]]]:
    """Texts of parallel sets given as `FILE` or `BENCHMARK=FILE`, by benchmark, id and language.

    Raises:
        CrossinError: a file is missing or is no parallel set.
    """
    from crossin_metrics.sets.loading import load_file

    found: dict[str, dict[str, dict[str, dict[str, Any]]]] = {}
    for one in given:
        name, _, path = one.rpartition("=")
        if not Path(path).is_file():
            raise CrossinError(f"--questions {path}: no such file")
        data = load_file(path, name=name or None)
        found[data.name] = {
            identifier: {
                code: text_of(items[number].question, items[number].context, items[number].choices)
                for code, items in data.items.items()
            }
            for number, identifier in enumerate(data.ids)
        }
    return found
