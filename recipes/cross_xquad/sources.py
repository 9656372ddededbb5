"""The questions of a build: XQuAD, or any extractive set whose languages share the questions' ids (MLQA).

English is the pivot and always needed: wrong options are written in English first.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from crossin_metrics.errors import CrossinError
from crossin_metrics.sets.xquad import Span, article_halves, load_xquad, read_squad

if TYPE_CHECKING:
    from recipes.cross_xquad.config import SetOptions

PIVOT = "en"


@dataclass(frozen=True, slots=True)
class SourceQuestion:
    """One question in all languages of the build: passage and span per language, positions in the source from 0."""

    id: str
    article: int
    passage: int
    contexts: Mapping[str, str]
    spans: Mapping[str, Span]


@dataclass(frozen=True)
class Source:
    """What a build starts from.

    Attributes:
        name: `hub:...@commit` or `file:...`.
        licence: of its texts.
        languages: ISO codes in the requested order, English among them.
        questions: those of the build.
        neighbours: all questions of their articles; checks compare with their human answers.
        left_out: id -> reason, for questions that a language lacks.
    """

    name: str
    licence: str
    languages: tuple[str, ...]
    questions: tuple[SourceQuestion, ...]
    neighbours: tuple[SourceQuestion, ...]
    left_out: Mapping[str, str]

    def sha256(self) -> str:
        """Hash of every text of the questions and their neighbours, in the build's languages."""
        digest = hashlib.sha256()
        chosen = {question.id for question in self.questions}
        for question in self.neighbours:
            texts = {
                code: [question.contexts[code], span.question, span.answer, span.start]
                for code, span in question.spans.items()
            }
            line = [question.id, question.id in chosen, question.article, question.passage, texts]
            digest.update(json.dumps(line, ensure_ascii=True, sort_keys=True).encode())
        return digest.hexdigest()


def load_source(options: SetOptions) -> Source:
    """Read the source and take the requested subset.

    Raises:
        CrossinError: a file that is missing, broken or not aligned with English; no question in all languages.
    """
    languages = tuple(options.languages)
    left_out: dict[str, str] = {}
    if options.source == "xquad":
        data = load_xquad(languages, data_dir=options.data_dir, revision=options.revision)
        halves = article_halves(data)
        questions = [
            SourceQuestion(
                question.id,
                passage.article,
                number,
                {code: passage.contexts[code].strip() for code in languages},
                {code: question.spans[code] for code in languages},
            )
            for number, passage in enumerate(data.passages)
            for question in passage.questions
            if options.articles in ("all", halves[passage.article])
        ]
        name, licence = data.source, "CC-BY-SA-4.0"
    else:
        assert options.data_dir is not None  # checked by the options
        assert options.source_licence is not None
        questions, left_out = _from_squad(Path(options.data_dir).expanduser(), options.file_pattern, languages)
        name, licence = f"file:{options.file_pattern}", options.source_licence
    for question in questions:
        for code, span in question.spans.items():
            try:
                f"{question.id}{question.contexts[code]}{span.question}".encode()
            except UnicodeEncodeError as error:
                raise CrossinError(
                    f"{name}, id {question.id!r}, language {code}: not valid Unicode ({error})"
                ) from error
    chosen = _subset(questions, options.passages, options.questions_per_passage)
    articles = {question.article for question in chosen}
    neighbours = tuple(question for question in questions if question.article in articles)
    return Source(name, licence, languages, tuple(chosen), neighbours, left_out)


def _from_squad(folder: Path, pattern: str, languages: tuple[str, ...]) -> tuple[list[SourceQuestion], dict[str, str]]:
    """Join one file per language on the questions' ids, in the order of the English file."""
    read: dict[str, dict[str, tuple[int, int, str, Span]]] = {}
    for code in languages:
        path = folder / pattern.replace("{lang}", code)
        by_id = read[code] = {}
        number = 0
        for article, passages in enumerate(read_squad(path)):
            for context, spans in passages:
                for identifier, span in spans:
                    if identifier in by_id:
                        raise CrossinError(f"{path}, id {identifier}: duplicate id; make ids unique")
                    by_id[identifier] = article, number, context.strip(), span
                number += 1
    questions, left_out = [], {}
    for identifier, (article, number, _, _) in read[PIVOT].items():
        absent = [code for code in languages if identifier not in read[code]]
        if absent:
            left_out[identifier] = f"not in {', '.join(absent)}"
            continue
        rows = {code: read[code][identifier] for code in languages}
        contexts = {code: row[2] for code, row in rows.items()}
        questions.append(SourceQuestion(identifier, article, number, contexts, {c: row[3] for c, row in rows.items()}))
    if not questions:
        raise CrossinError(
            f"{folder}: no question id is in all of {', '.join(languages)} ({len(left_out)} are in {PIVOT}); "
            "take all files from one version of the set, or choose fewer --languages"
        )
    return questions, left_out


def _subset(
    questions: list[SourceQuestion], passages: int | None, questions_per_passage: int | None
) -> list[SourceQuestion]:
    """The first passage of each article, then the second of each, ..., so that few passages are of many articles."""
    by_article: dict[int, dict[int, None]] = {}
    for question in questions:
        by_article.setdefault(question.article, {})[question.passage] = None
    rank = sorted((place, article, p) for article, found in by_article.items() for place, p in enumerate(found))
    if passages is not None and passages > len(rank):
        raise CrossinError(f"passages: {passages} requested, but the source has {len(rank)}")
    wanted = {number for _, _, number in rank[:passages]}
    count: Counter[int] = Counter()
    chosen = []
    for question in questions:
        count[question.passage] += 1
        few = questions_per_passage is None or count[question.passage] <= questions_per_passage
        if question.passage in wanted and few:
            chosen.append(question)
    return chosen
