"""XQuAD (Artetxe et al., arXiv 1910.11856): the same passages, questions and answer spans in up to 12 languages.

240 passages (5 of each of 48 Wikipedia articles), 1,190 questions, translated from SQuAD 1.1 by people; CC BY-SA 4.0.
Read from raw JSON files `xquad.<language>.json` (SQuAD format) or from the hub (`google/xquad`).
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

from crossin_metrics.errors import CrossinError
from crossin_metrics.hub import hub_records
from crossin_metrics.languages import language_codes
from crossin_metrics.records import Record, read_json
from crossin_metrics.sets.catalogue import DATA_DIR_VARIABLE, XQUAD_LANGUAGES

HUB_REPO, HUB_SPLIT = "google/xquad", "validation"
_PASSAGES_AN_ARTICLE = 5  # arXiv 1910.11856, section 3; the hub's flat rows carry no titles

_REFETCH = "the file is not as published, fetch it again"

Half = Literal["train", "test"]


@dataclass(frozen=True, slots=True)
class Span:
    """One question in one language; `start` is the answer's character offset in the passage."""

    question: str
    answer: str
    start: int


@dataclass(frozen=True, slots=True)
class Question:
    """One question: its id and its span per language."""

    id: str
    spans: dict[str, Span]


@dataclass(frozen=True, slots=True)
class Passage:
    """One passage: its article's position (from 0), its text per language, and its questions in their order."""

    article: int
    contexts: dict[str, str]
    questions: tuple[Question, ...]


@dataclass(frozen=True, slots=True)
class XQuAD:
    """Aligned XQuAD data: ISO codes in alphabetical order, passages in their order, and where they came from."""

    languages: tuple[str, ...]
    passages: tuple[Passage, ...]
    source: str


# One language as read: articles > passages > (context, [(id, span)])
Flat = list[list[tuple[str, list[tuple[str, Span]]]]]


def load_xquad(
    languages: Sequence[str] | None = None, *, data_dir: str | Path | None = None, revision: str | None = None
) -> XQuAD:
    """Load XQuAD and check that its languages are aligned.

    Args:
        languages: codes or English names; None: every language of the folder, or all 12 of the hub.
        data_dir: the folder with the `xquad.<language>.json` files, or with a sub-folder `xquad/` of them; None:
            `CROSSIN_DATA_DIR`, or else the hub.
        revision: a branch, tag or commit of the hub's repository.

    Raises:
        CrossinError: file not found, not JSON or not in SQuAD format, an answer that is not in its passage, or files
            whose passages or question ids differ.
    """
    codes = None if languages is None else tuple(sorted(language_codes(languages)))
    for code in codes or ():
        if code not in XQUAD_LANGUAGES:
            raise CrossinError(f"XQuAD has no language {code}; it has {', '.join(XQUAD_LANGUAGES)}")
    folder = data_dir if data_dir is not None else os.environ.get(DATA_DIR_VARIABLE) or None
    read: dict[str, tuple[str, Flat]] = {}
    if folder is not None:
        files = find_files(Path(folder).expanduser())
        for code in codes or tuple(files):
            if code not in files:
                raise CrossinError(
                    f"{folder}: xquad.{code}.json not found; found {', '.join(files)}; add it or leave {code} out"
                )
            read[code] = str(files[code]), read_squad(files[code])
        source = "file:xquad"
    else:
        for code in codes or XQUAD_LANGUAGES:
            rows, source = hub_records([(HUB_REPO, f"xquad.{code}")], HUB_SPLIT, revision)
            read[code] = f"hub:{HUB_REPO}/xquad.{code}", _from_hub(list(rows))
        source = f"hub:{HUB_REPO}@{source.rpartition('@')[2]}"
    return _align(read, source)


def find_files(folder: Path) -> dict[str, Path]:
    """Return language -> `xquad.<language>.json` of a folder or its sub-folder `xquad/`, by language."""
    if not folder.is_dir():
        raise CrossinError(f"{folder}: no such folder; it must hold the files xquad.<language>.json")
    for place in (folder, folder / "xquad"):
        found = {code: path for code in XQUAD_LANGUAGES if (path := place / f"xquad.{code}.json").exists()}
        if found:
            return found
    there = ", ".join(sorted(path.name for path in folder.iterdir())[:20]) or "nothing"
    raise CrossinError(f"{folder}: no xquad.<language>.json in it or in xquad/; found: {there}")


def article_halves(data: XQuAD) -> tuple[Half, ...]:
    """Split the articles into halves for training and testing: `train` or `test` per article.

    Sorted by the SHA-256 of their first question's id, the first half of the articles (24 of 48) is `train`, whatever
    their order and the languages.
    """
    first: dict[int, str] = {}
    for passage in data.passages:
        first.setdefault(passage.article, passage.questions[0].id)
    order = sorted(first, key=lambda article: hashlib.sha256(f"article|{first[article]}".encode()).hexdigest())
    train = set(order[: (len(order) + 1) // 2])
    return tuple("train" if article in train else "test" for article in sorted(first))


def read_squad(path: Path) -> Flat:
    """Read one language's file in SQuAD format (XQuAD, MLQA ...), with the first answer of each question.

    Raises:
        CrossinError: not found, not JSON, another format, or an answer that is not in its passage; with file and id.
    """
    raw = read_json(path)
    try:
        return [
            [
                (
                    passage["context"],
                    [
                        (str(qa["id"]), _span(passage["context"], qa["question"], qa["answers"][0], at))
                        for qa in passage["qas"]
                        if (at := f"{path}, id {qa['id']}")
                    ],
                )
                for passage in article["paragraphs"]
            ]
            for article in raw["data"]
        ]
    except CrossinError:
        raise
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise CrossinError(
            f"{path}: not in SQuAD format ({type(error).__name__}: {error}); it needs data > paragraphs > "
            "{context, qas > {id, question, answers > {text, answer_start}}}"
        ) from error


def _from_hub(rows: Sequence[Record]) -> Flat:
    """Restore passages (runs of equal contexts) and articles (five passages each) from the hub's flat rows."""
    passages = []
    for context, run in groupby(rows, key=lambda row: row.value["context"]):
        spans = []
        for row in run:
            value: dict[str, Any] = row.value
            at = f"{row.where}, id {value['id']}"
            answer = {key: value["answers"][key][0] for key in ("text", "answer_start")}
            spans.append((str(value["id"]), _span(context, value["question"], answer, at)))
        passages.append((context, spans))
    if len(passages) % _PASSAGES_AN_ARTICLE:
        raise CrossinError(
            f"{rows[0].where.partition(',')[0]}: {len(passages)} passages do not make articles of "
            f"{_PASSAGES_AN_ARTICLE}; use the raw JSON files of XQuAD by data_dir"
        )
    return [passages[start : start + _PASSAGES_AN_ARTICLE] for start in range(0, len(passages), _PASSAGES_AN_ARTICLE)]


def _span(context: str, question: str, answer: dict[str, Any], at: str) -> Span:
    raw = answer["text"]
    text, start = raw.strip(), int(answer["answer_start"]) + len(raw) - len(raw.lstrip())
    if not text or not question.strip():
        raise CrossinError(f"{at}: empty question or answer; {_REFETCH}")
    if context[start : start + len(text)] != text:
        start = context.find(text)
    if start < 0:
        raise CrossinError(f"{at}: the answer {text!r} is not in its passage; {_REFETCH}")
    return Span(question.strip(), text, start)


def _align(read: dict[str, tuple[str, Flat]], source: str) -> XQuAD:
    """Join the languages on the question's id, after checking that all have the same articles, passages and ids."""
    languages = tuple(sorted(read))
    lead = "en" if "en" in read else languages[0]
    place, articles = read[lead]
    for code in languages:
        _check_same_shape(place, articles, *read[code])
    passages = []
    for number, article in enumerate(articles):
        for inner, (_, spans) in enumerate(article):
            texts = {code: read[code][1][number][inner] for code in languages}
            questions = tuple(
                Question(identifier, {code: texts[code][1][position][1] for code in languages})
                for position, (identifier, _) in enumerate(spans)
            )
            passages.append(Passage(number, {code: texts[code][0] for code in languages}, questions))
    ids = Counter(question.id for passage in passages for question in passage.questions)
    if not ids:
        raise CrossinError(f"{place}: no questions in it")
    identifier, count = ids.most_common(1)[0]
    if count > 1:
        raise CrossinError(f"{place}, id {identifier}: duplicate id; {_REFETCH}")
    return XQuAD(languages, tuple(passages), source)


def _check_same_shape(place: str, articles: Flat, other_place: str, others: Flat) -> None:
    def refuse(where: str, here: str, there: str) -> None:
        raise CrossinError(
            f"{other_place}{where}: {here}, but {there} in {place}; use one version of XQuAD for all languages"
        )

    if len(articles) != len(others):
        refuse("", f"{len(others)} articles", str(len(articles)))
    for number, (article, other) in enumerate(zip(articles, others, strict=True)):
        if len(article) != len(other):
            refuse(f", article {number} (from 0)", f"{len(other)} passages", str(len(article)))
        for inner, ((_, spans), (_, other_spans)) in enumerate(zip(article, other, strict=True)):
            where = f", article {number}, passage {inner} (from 0)"
            if len(spans) != len(other_spans):
                refuse(where, f"{len(other_spans)} questions", str(len(spans)))
            for (identifier, _), (other_identifier, _) in zip(spans, other_spans, strict=True):
                if identifier != other_identifier:
                    refuse(where, f"id {other_identifier}", f"id {identifier}")
