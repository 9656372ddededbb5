"""`cross_xquad_spans`: four-option reading comprehension from XQuAD, without one generated word.

The options of a question are its own answer and three answers to *other* questions on the same passage or, where these
are of another kind (a date among names), on the same article, the same ones in every language. So every text is a human
translation, and what is right in one language is right in all.

Version 1 (`distractors="drawn"`) took the passage's own answers whatever their kind: question words then told the right
one in 37 to 41% of cases, now in 28 to 32%. The price: some wrong options are not in the passage.
"""

from __future__ import annotations

import hashlib
import logging
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from crossin_metrics.errors import CrossinError
from crossin_metrics.languages import language_codes
from crossin_metrics.sets.answer_kinds import kind
from crossin_metrics.sets.catalogue import SetEntry
from crossin_metrics.sets.parallel_set import Item, ParallelMCQ
from crossin_metrics.sets.xquad import Passage, Question, article_halves, find_files, load_xquad

logger = logging.getLogger(__name__)

NAME = "cross_xquad_spans"
N_DISTRACTORS = 3  # four options, as in Cross-XQuAD (arXiv 2404.11932)
# What speaks against a distractor: being of another kind than the answer (in all languages 1, in half of them 0.5), on
# another passage, in the question. Of the weights tried these give shallow rules least, by `crossin artefacts`: without
# the second, options that are not in the passage give themselves away; the third at 1 makes the right option the one
# that shares most words with the question.
_OTHER_PASSAGE, _IN_QUESTION = 0.9, 0.3
_FIRST_TRIED = 9  # candidates of lowest cost, before all


@dataclass(frozen=True, slots=True)
class SpansReport:
    """How the set was built.

    Attributes:
        n_total: questions of the articles selected.
        n_kept: those with three distractors.
        distractors_on_passage: number of distractors from the question's own passage (0-3) -> number of questions kept.
        left_out: id of a question left out -> reason.
        decided_over: languages whose texts decided which options go together, whichever languages were then selected.
    """

    n_total: int
    n_kept: int
    distractors_on_passage: dict[int, int]
    left_out: dict[str, str]
    decided_over: tuple[str, ...]

    @property
    def reasons(self) -> dict[str, int]:
        """Reason -> number of questions left out for it."""
        return dict(Counter(self.left_out.values()))


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A question with its normalised texts and its span, one per language."""

    question: Question
    passage: int
    answers: tuple[str, ...]
    asks: tuple[str, ...]
    ranges: tuple[tuple[int, int], ...]


def cross_xquad_spans(
    *,
    languages: Sequence[str] | None = None,
    data_dir: str | Path | None = None,
    revision: str | None = None,
    seed: int = 0,
    articles: str | None = None,
    distractors: str = "kind",
) -> tuple[ParallelMCQ, SpansReport]:
    """Build the set from XQuAD.

    Options are chosen over all languages of the folder (or hub), not only those selected, so that a question is the
    same whichever languages are evaluated. With fewer than the 12 files the choice can differ; `source` and the set's
    hash show that. Two answers are never options of one question if in any language one contains the other (after
    `normalise`) or their spans in the passage overlap. If two questions of an article have the same text in any
    language, the answer to one is not an option of the other. `seed` draws the place of the right option; each place
    holds a quarter of the right options, to within one, in the whole set and in each half.

    Args:
        languages: codes or English names, in the order wanted; None: all.
        data_dir: see `load_xquad`.
        revision: of the hub's repository.
        seed: of distractors and places, drawn by SHA-256, so the same on every machine and Python version.
        articles: `train` or `test` for one half of the articles (see `article_halves`), None for all. A question's
            options are the same in its half as in the whole.
        distractors: `kind`, or `drawn` for version 1 of the set.

    Returns:
        The set, questions in XQuAD's order (those of one passage are adjacent), and the report.

    Raises:
        CrossinError: as `load_xquad`; an unknown value of `articles` or `distractors`; a language XQuAD does not have.
    """
    if articles not in (None, "train", "test"):
        raise CrossinError(f"articles must be 'train' or 'test' (default: all), not {articles!r}")
    if distractors not in ("kind", "drawn"):
        raise CrossinError(f"distractors must be 'kind' or 'drawn' (version 1), not {distractors!r}")
    wanted = None if languages is None else language_codes(languages)
    data = load_xquad(data_dir=data_dir, revision=revision)
    wanted = wanted or data.languages
    for code in wanted:
        if code not in data.languages:
            raise CrossinError(f"XQuAD: no language {code}; found {', '.join(data.languages)}")

    chosen: dict[str, tuple[Question, ...]] = {}  # id -> the distractors' questions, in drawn order
    on_passage: dict[str, int] = {}
    for passages in _by_article(data.passages):
        for identifier, (found, own) in _distractors(passages, data.languages, seed, distractors).items():
            chosen[identifier], on_passage[identifier] = found, own

    halves = article_halves(data)
    half_of = {q.id: halves[p.article] for p in data.passages for q in p.questions}
    places = _places([i for i in chosen if half_of[i] == "train"], [i for i in chosen if half_of[i] == "test"], seed)

    items: dict[str, list[Item]] = {code: [] for code in wanted}
    ids: list[str] = []
    groups: list[str] = []
    left_out: dict[str, str] = {}
    for passage in data.passages:
        if articles is not None and halves[passage.article] != articles:
            continue
        kept = [question for question in passage.questions if question.id in chosen]
        for question in passage.questions:
            if question.id not in chosen:
                left_out[question.id] = "fewer than three distractors that go together on the article"
                continue
            options = list(chosen[question.id])
            options.insert(places[question.id], question)
            for code in wanted:
                choices = tuple(option.spans[code].answer for option in options)
                items[code].append(Item(passage.contexts[code].strip(), question.spans[code].question, choices))
            ids.append(question.id)
            groups.append(kept[0].id)
    source = f"{data.source}|over:{','.join(data.languages)}|seed:{seed}|articles:{articles or 'all'}"
    source += "" if distractors == "drawn" else f"|distractors:{distractors}"
    built = ParallelMCQ(
        NAME,
        wanted,
        tuple(ids),
        {code: tuple(column) for code, column in items.items()},
        tuple(places[identifier] for identifier in ids),
        tuple(groups),
        source,
    )
    counts = Counter(on_passage[identifier] for identifier in ids)
    shares = {number: counts[number] for number in range(N_DISTRACTORS, -1, -1)}
    return built, SpansReport(len(ids) + len(left_out), len(ids), shares, left_out, data.languages)


def build(
    entry: SetEntry,
    *,
    languages: Sequence[str] | None = None,
    data_dir: str | Path | None = None,
    revision: str | None = None,
    articles: str | None = None,
    distractors: str = "kind",
) -> ParallelMCQ:
    """Build the set, with a warning if questions are left out; see :func:`cross_xquad_spans`."""
    data, report = cross_xquad_spans(
        languages=languages, data_dir=data_dir, revision=revision, articles=articles, distractors=distractors
    )
    for reason, count in report.reasons.items():
        logger.warning("%s: %d of %d questions left out: %s", NAME, count, report.n_total, reason)
    return data


def data_files(entry: SetEntry, folder: Path) -> tuple[Path, ...]:
    """The XQuAD files the set is built from; raises CrossinError if the folder has none."""
    return tuple(find_files(folder).values())


def normalise(text: str, language: str = "") -> str:
    """Fold what makes no difference between options: NFKC, case, digits, punctuation, space, English articles.

    >>> normalise("The “Broncos”, Ｎｏ. ١", "en") == normalise("broncos no 1", "en")
    True
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    if language == "en":  # as SQuAD's own answer normalisation does; "the Broncos" is in "Denver Broncos"
        folded = re.sub(r"\b(a|an|the)\b", " ", folded)
    digits = (str(unicodedata.decimal(c, c)) for c in folded)
    return "".join(c for c in digits if not c.isspace() and unicodedata.category(c)[0] != "P")


def _by_article(passages: Sequence[Passage]) -> list[list[Passage]]:
    articles: dict[int, list[Passage]] = {}
    for passage in passages:
        articles.setdefault(passage.article, []).append(passage)
    return list(articles.values())


def _distractors(
    passages: Sequence[Passage], languages: Sequence[str], seed: int, by: str
) -> dict[str, tuple[tuple[Question, ...], int]]:
    """For each question of one article that has them: three distractors and how many are from its own passage."""
    candidates = [
        _Candidate(
            question,
            number,
            tuple(normalise(question.spans[code].answer, code) for code in languages),
            tuple(normalise(question.spans[code].question, code) for code in languages),
            tuple((span.start, span.start + len(span.answer)) for span in (question.spans[code] for code in languages)),
        )
        for number, passage in enumerate(passages)
        for question in passage.questions
    ]
    together = [[_go_together(a, b) for b in candidates] for a in candidates]
    result = {}
    for position, asked in enumerate(candidates):
        # What another question with the same words (in some language) is answered by may be right here too.
        right = [position, *(o for o, other in enumerate(candidates) if o != position and _ask_the_same(asked, other))]
        fit = [other for other in range(len(candidates)) if all(together[other][answer] for answer in right)]
        fit.sort(key=lambda other: _draw(seed, "distractor", asked.question.id, candidates[other].question.id))
        if by == "kind":
            found = _cheapest_set([(_cost(candidates[other], asked, languages), other) for other in fit], together)
        else:
            own = [other for other in fit if candidates[other].passage == asked.passage]
            rest = [other for other in fit if candidates[other].passage != asked.passage]
            found = _first_set(own, rest, together)
        if found is not None:
            found.sort(key=lambda other: _draw(seed, "order", asked.question.id, candidates[other].question.id))
            n_own = sum(candidates[other].passage == asked.passage for other in found)
            result[asked.question.id] = tuple(candidates[other].question for other in found), n_own
    return result


def _cost(other: _Candidate, asked: _Candidate, languages: Sequence[str]) -> float:
    """How badly another question's answer fits as a distractor of the question asked, from 0 (well)."""
    kinds = [[kind(one.question.spans[code].answer) for code in languages] for one in (other, asked)]
    differs = sum(a != b for a, b in zip(*kinds, strict=True)) / len(languages)
    in_question = any(answer in question for answer, question in zip(other.answers, asked.asks, strict=True))
    return round(differs + _OTHER_PASSAGE * (other.passage != asked.passage) + _IN_QUESTION * in_question, 9)


def _cheapest_set(costs: Sequence[tuple[float, int]], together: Sequence[Sequence[bool]]) -> list[int] | None:
    """The three of least cost that all go together; of equal ones the first in the order given."""
    ordered = sorted(costs, key=lambda one: one[0])
    for tried in (ordered[:_FIRST_TRIED], ordered):
        for chosen in sorted(combinations(tried, N_DISTRACTORS), key=lambda three: round(sum(c for c, _ in three), 9)):
            found = [other for _, other in chosen]
            if all(together[a][b] for a, b in combinations(found, 2)):
                return found
    return None


def _first_set(own: Sequence[int], rest: Sequence[int], together: Sequence[Sequence[bool]]) -> list[int] | None:
    """The first three in drawn order that all go together, with as many as can be from the own passage."""
    for n_own in range(N_DISTRACTORS, -1, -1):
        for left in combinations(own, n_own):
            if not all(together[a][b] for a, b in combinations(left, 2)):
                continue
            fit = [other for other in rest if all(together[other][a] for a in left)]
            for right in combinations(fit, N_DISTRACTORS - n_own):
                if all(together[a][b] for a, b in combinations(right, 2)):
                    return [*left, *right]
    return None


def _go_together(a: _Candidate, b: _Candidate) -> bool:
    """Whether two answers may be options of one question; false for an answer and itself."""
    if any(x in y or y in x for x, y in zip(a.answers, b.answers, strict=True)):
        return False
    if a.passage != b.passage:
        return True
    return not any(x[0] < y[1] and y[0] < x[1] for x, y in zip(a.ranges, b.ranges, strict=True))


def _ask_the_same(a: _Candidate, b: _Candidate) -> bool:
    return any(x == y for x, y in zip(a.asks, b.asks, strict=True))


def _places(train: Sequence[str], test: Sequence[str], seed: int) -> dict[str, int]:
    """Places 0-3 of the right option, dealt out in drawn order through one half and on through the other."""
    drawn = [
        *sorted(train, key=lambda i: _draw(seed, "place", i)),
        *sorted(test, key=lambda i: _draw(seed, "place", i)),
    ]
    return {identifier: number % (N_DISTRACTORS + 1) for number, identifier in enumerate(drawn)}


def _draw(seed: int, *parts: str) -> str:
    """A number to sort by, drawn by SHA-256: Python's own random generator has changed between versions."""
    return hashlib.sha256("|".join((str(seed), *parts)).encode("utf-8")).hexdigest()
