"""Data of the question browser: which questions to embed, their texts, and every entry's answers, compactly.

Two caps keep a page small, both stated on it: at most `max_questions` of each set (those on which languages disagree
most over all entries), and at most `max_bytes` of text in all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from crossin_metrics.errors import CrossinError
from crossin_metrics.languages import log_language
from crossin_metrics.records import json_lines
from crossin_metrics.report.entries import Entry
from crossin_metrics.report.published import named_file
from crossin_metrics.runs.repeats import floor_of, reasons_of, suspects_of
from crossin_metrics.runs.run import Run
from crossin_metrics.runs.sample_logs import task_of
from crossin_metrics.runs.seaeval_logs import read_samples
from crossin_metrics.runs.signature import is_row_of
from crossin_metrics.scores.agreement import option_probabilities
from crossin_metrics.scores.causes.disagreements import AGREE, reason_shares

MAX_QUESTIONS = 200
MAX_BYTES = 6_000_000
LONGEST = {"question": 1200, "context": 1500, "option": 300, "response": 240}  # characters shown of each
NO_ANSWER = "."
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"  # an option's character; options after these are shown as no answer
_SEAEVAL = (".json", ".json.gz")

Text = dict[str, Any]  # a question in one language: {"q": question, "c": context, "o": options in the data's order}
Texts = Mapping[str, Mapping[str, Text]]  # id -> language -> text


@dataclass
class QuestionSet:
    """The questions that some entries share.

    Attributes:
        benchmark, languages, ids, gold: as in a run; only the questions embedded.
        n_all: questions there are.
        texts: id -> language -> text; may be empty.
        answers: entry's number -> prompt -> one character a question and language (question-major), "." for none.
        responses: entry's number -> prompt -> {"question,language": the model's response}, generated answers only.
        n_options: most options of a question with likelihoods.
        chances: entry's number -> prompt -> two digits an option, question-major: its probability among the options in
            percent, 99 at most.
        reasons: entry's number -> prompt -> one character a question and language pair (question-major), a digit of
            `REASONS`, "." where the two agree.
        shares: entry's number -> `[n_pairs][n_reasons]`, of all its questions, means over its prompts.
        floors: entry's number -> agreement within and across languages when asked with different prompts, and their
            ratio; of several prompts only.
        suspects: question's number -> `[language, models that fail, models right in most other languages]`, where most
            models fail in one language only.
        n_left_out: texts, responses and probabilities that `max_bytes` left out.
    """

    benchmark: str
    languages: tuple[str, ...]
    ids: list[str]
    gold: list[int]
    n_all: int
    texts: dict[str, dict[str, Text]] = field(default_factory=dict)
    answers: dict[int, dict[str, str]] = field(default_factory=dict)
    responses: dict[int, dict[str, dict[str, str]]] = field(default_factory=dict)
    n_options: int = 0
    chances: dict[int, dict[str, str]] = field(default_factory=dict)
    reasons: dict[int, dict[str, str]] = field(default_factory=dict)
    shares: dict[int, list[list[float]]] = field(default_factory=dict)
    floors: dict[int, list[float]] = field(default_factory=dict)
    suspects: dict[int, list[list[int]]] = field(default_factory=dict)
    n_left_out: int = 0


def question_sets(
    entries: Sequence[Entry],
    known_texts: Mapping[str, Texts],
    *,
    max_questions: int = MAX_QUESTIONS,
    max_bytes: int = MAX_BYTES,
) -> list[QuestionSet]:
    """One set for each group of entries that answered the same questions in the same languages.

    Args:
        entries: numbered by their place, as the page numbers them.
        known_texts: benchmark -> texts, of parallel sets given beside the runs.
        max_questions: embedded of each set.
        max_bytes: of texts and responses in all sets together (UTF-8).
    """
    groups: dict[tuple[str, str, str], list[int]] = {}
    for number, entry in enumerate(entries):
        if entry.runs and entry.setup is not None:
            groups.setdefault((entry.benchmark, entry.setup.questions, entry.setup.langs), []).append(number)
    found, left = [], max_bytes
    for (benchmark, _, _), numbers in groups.items():
        members = {number: entries[number] for number in numbers}
        made, used = _set(benchmark, members, known_texts.get(benchmark, {}), max_questions, left)
        left -= used
        found.append(made)
    return found


def _set(
    benchmark: str, entries: Mapping[int, Entry], known: Texts, max_questions: int, budget: int
) -> tuple[QuestionSet, int]:
    runs = [run for entry in entries.values() for run in entry.runs]
    first = runs[0]
    suspects = _suspects(runs)
    changes = sum(_n_changes(run) for run in runs)
    order = np.argsort(-changes, kind="stable").tolist()
    kept = set(sorted(order, key=lambda i: first.ids[i] not in suspects)[:max_questions])
    chosen = np.array([i for i in order if i in kept], dtype=np.intp)
    ids = [first.ids[i] for i in chosen]
    made = QuestionSet(benchmark, first.languages, ids, first.gold[chosen].tolist(), len(first.ids))
    made.suspects = {number: suspects[identifier] for number, identifier in enumerate(ids) if identifier in suspects}
    texts = {
        identifier: {code: known[identifier][code] for code in first.languages if code in known[identifier]}
        for identifier in ids
        if identifier in known
    }
    used = 0

    def fits(parts: Iterator[str]) -> bool:
        nonlocal used
        size = sum(len(part.encode()) for part in parts)
        if used + size > budget:
            made.n_left_out += 1
            return False
        used += size
        return True

    for number, entry in entries.items():
        made.answers[number] = {}
        for prompt, run in zip(entry.by_prompt, entry.runs, strict=True):
            made.answers[number][prompt] = "".join(
                _DIGITS[answer] if 0 <= answer < len(_DIGITS) else NO_ANSWER for answer in run.answers[chosen].ravel()
            )
            generated = entry.formulation.startswith("gen") or entry.source.endswith(_SEAEVAL)
            # Texts of one set are read once; of generated answers every run's responses are read.
            if len(texts) == len(ids) and not generated:
                continue
            responses = {}
            for identifier, language, text, response in _logged(run, set(ids)):
                texts.setdefault(identifier, {})[language] = text
                if response is not None:
                    place = f"{ids.index(identifier)},{run.languages.index(language)}"
                    responses[place] = clip(response, "response")
            if responses and fits(iter(responses.values())):
                made.responses.setdefault(number, {})[prompt] = responses
    for identifier in ids:
        if identifier in texts and fits(str(text) for text in texts[identifier].values()):
            made.texts[identifier] = texts[identifier]
    made.n_options = max((run.logprobs.shape[2] for run in runs if run.logprobs is not None), default=0)
    for number, entry in entries.items():
        for prompt, run in zip(entry.by_prompt, entry.runs, strict=True):
            if run.logprobs is None:
                continue
            chances = _chances(run.logprobs[chosen], run.answers[chosen] >= 0, made.n_options)
            if fits(iter([chances])):
                made.chances.setdefault(number, {})[prompt] = chances
    if len(first.languages) > 1:
        for number, entry in entries.items():
            reasons = [reasons_of(run, entry.runs) for run in entry.runs]
            made.shares[number] = np.mean([reason_shares(one) for one in reasons], axis=0).round(4).tolist()
            if len(entry.runs) > 1:
                floor = floor_of(entry.runs, n_resamples=2, seed=0).estimate
                made.floors[number] = [
                    round(floor[key], 4) for key in ("asked_again", "asked_across", "language_ratio") if key in floor
                ]
            for prompt, one in zip(entry.by_prompt, reasons, strict=True):
                codes = "".join(NO_ANSWER if code == AGREE else str(code) for code in one[:, chosen].T.ravel().tolist())
                if fits(iter([codes])):
                    made.reasons.setdefault(number, {})[prompt] = codes
    return made, used


def _suspects(runs: Sequence[Run]) -> dict[str, list[list[int]]]:
    """Question's id -> what is odd; of three models and more in three languages and more."""
    found: dict[str, list[list[int]]] = {}
    try:
        listed = suspects_of(runs)
    except CrossinError:  # too few models or languages
        return found
    for _, suspects in listed.values():
        for identifier, one in suspects:
            found.setdefault(identifier, []).append([one.language, one.wrong, one.models])
    return found


def _chances(logprobs: Any, answered: Any, n_options: int) -> str:
    """Two characters an option: its probability in percent, 99 at most; `..` in a row that is not answered.

    `logprobs`: `[n_questions, n_languages, n_options]`; `answered`: boolean, without the last axis.
    """
    shares = option_probabilities(logprobs, np.full(len(logprobs), logprobs.shape[2]), answered)
    shares = np.pad(np.round(100 * shares).clip(max=99).astype(int), ((0, 0), (0, 0), (0, n_options - shares.shape[2])))
    rows = zip(answered.ravel(), shares.reshape(-1, n_options), strict=True)
    return "".join("".join(f"{value:02d}" for value in row) if known else ".." * n_options for known, row in rows)


def _n_changes(run: Run) -> Any:
    """`[n_questions]`, how many different answers (None is one) a question got in its languages, above 1."""
    return (np.diff(np.sort(run.answers, axis=1), axis=1) != 0).sum(axis=1)


def _logged(run: Run, ids: set[str]) -> Iterator[tuple[str, str, Text, str | None]]:
    """Id, language, text and response of the run's logged rows; other files than logs have none.

    The run was read whole before: if a file has changed since, its texts are missing, but not the report.
    """
    for path in run.source_files:
        try:
            if path.name.endswith(_SEAEVAL):
                for row in read_samples(path):
                    if row.id in ids and row.language in run.languages:
                        yield row.id, row.language, text_of(row.question, row.context, row.choices), row.prediction
            elif path.name.startswith("samples_") and task_of(path) == run.task:
                for _, sample in json_lines(path):
                    doc = sample.get("doc")
                    if not isinstance(doc, dict) or str(doc.get("id")) not in ids or "order" not in doc:
                        continue
                    if not is_row_of(run, doc):
                        continue
                    language = log_language(str(doc["language"]))
                    if language in run.languages:
                        by_option = dict(zip(map(int, doc["order"]), map(str, doc["options"]), strict=True))
                        options = [by_option[k] for k in range(len(by_option))]
                        text = text_of(doc.get("question"), doc.get("context"), options)
                        yield str(doc["id"]), language, text, _response(sample)
        except (CrossinError, KeyError, TypeError, ValueError):
            continue


def _response(sample: Mapping[str, Any]) -> str | None:
    """The text the model generated; None for likelihoods."""
    value, filtered = sample.get("resps"), sample.get("filtered_resps")
    if isinstance(filtered, list) and filtered and isinstance(filtered[0], list):
        return None
    while isinstance(value, list) and value:
        value = value[0]
    return value if isinstance(value, str) else None


def text_of(question: Any, context: Any, options: Sequence[str]) -> Text:
    """One question in one language as the page holds it."""
    text = {"q": clip(str(question or ""), "question"), "o": [clip(option, "option") for option in options]}
    return text | ({"c": clip(str(context), "context")} if context else {})


def clip(text: str, kind: str) -> str:
    """A text cut to the length shown, with an ellipsis; lone surrogates are replaced."""
    text = text.encode("utf-8", "replace").decode("utf-8")
    return text if len(text) <= LONGEST[kind] else text[: LONGEST[kind] - 1] + "…"


def read_question_texts(given: Sequence[str]) -> dict[str, dict[str, dict[str, Text]]]:
    """Texts of parallel sets given as `FILE` or `BENCHMARK=FILE`, by benchmark, id and language.

    Raises:
        CrossinError: a file is missing or not a parallel set.
    """
    from crossin_metrics.sets.loading import load_file

    found: dict[str, dict[str, dict[str, Text]]] = {}
    for one in given:
        name, path = named_file(one)
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
