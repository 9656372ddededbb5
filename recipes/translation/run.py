"""Plan, send, judge: the whole translation, resumable at any point because replies are its only state.

Everything else is recomputed in each run from the source, the options and the store: a resumed run ends with the same
bytes as an uninterrupted one, and changing a gate sends no new request.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from crossin_metrics.languages import LANGUAGES
from recipes.common.text_checks import Finding, Gate, Pair, first_finding, likeness
from recipes.llm.replies import GOOD_FINISH, FormatError, Reply, Request, is_failed, read_reply
from recipes.llm.store import ReplyStore
from recipes.translation import masking
from recipes.translation.engines.base import ATTEMPTS, Engine, make_request
from recipes.translation.kinds import is_code, untranslatable
from recipes.translation.masking import make_pairs
from recipes.translation.rows import Row

CHUNK = 256  # rows judged together, so that neural gates can batch
# Of XQuAD's 1,190 questions and answers in 11 languages, no translation this long stands for sources this unlike.
COPIED_LETTERS = 12  # of English length
COPIED_LIKENESS = 0.2  # share of common words


@dataclass(frozen=True)
class Part:
    """One request of a row, and the masked text behind its sentinels."""

    masked: masking.Masked
    request: Request


@dataclass(frozen=True)
class Verdict:
    """The outcome of one row in one language.

    Attributes:
        fields: the translation, masked spans restored; None if there is none.
        finding: why it was not accepted; None if it was.
        attempt: number of the attempt.
        keys, replies: of its requests; the rejects file shows the raw replies.
        unanswered: the last error, where no reply is stored.
    """

    fields: dict[str, str] | None
    finding: Finding | None
    attempt: int
    keys: tuple[str, ...] = ()
    replies: tuple[str, ...] = ()
    unanswered: str | None = None

    @property
    def accepted(self) -> bool:
        """Whether there is a translation and no gate found anything."""
        return self.fields is not None and self.finding is None


@dataclass
class Translation:
    """One source, one engine, one store: the state that the steps below share.

    Attributes:
        errors: request key -> last error of this run, for requests that were given up.
        failed: request key -> reply of this run that is empty or was cut; not stored, so that the next run asks again.
        sources: (language, letters of a translation) -> the sources that it stands for, with a row of each.
        left_out: row id -> (kind, evidence), for rows that are not translated.
    """

    rows: Sequence[Row]
    engine: Engine
    store: ReplyStore
    source_language: str
    languages: Sequence[str]
    gates: Sequence[Gate]
    expensive_gates: Sequence[Any] = ()
    mask_numbers: str = "long"
    kinds: Sequence[str] = ()

    def __post_init__(self) -> None:
        self.errors: dict[str, str] = {}
        self.failed: dict[str, dict[str, Any]] = {}
        self.sources: dict[tuple[str, str], dict[str, str]] = {}
        self.left_out: dict[str, tuple[str, str]] = {}
        for row in self.rows:
            empty = next((name for name in ("instruction", "output") if not row.fields[name]), None)
            kind = ("empty_source", f"{empty} is empty") if empty else untranslatable(row.fields, self.kinds)
            if kind is not None:
                self.left_out[row.id] = kind

    # -- plan --------------------------------------------------------------------------------------------------------

    def work(self) -> Iterator[tuple[Row, str]]:
        """(row, language) of everything to translate, grouped by row."""
        for row in self.rows:
            if row.id not in self.left_out:
                for language in self.languages:
                    yield row, language

    def parts(self, row: Row, language: str, attempt: int) -> list[Part]:
        """The requests of a row in a language. A field that is code, or has no words (a bare number), needs none."""
        sentinel = self.engine.sentinel
        filled = {name: text for name, text in row.fields.items() if text and not is_code(text)}
        groups = [filled] if self.engine.joint else [{name: text} for name, text in filled.items()]
        parts = []
        for group in groups:
            masked = masking.mask(group, sentinel, self.mask_numbers)
            wordless = [name for name, text in masked.fields.items() if not masking.has_words(text, sentinel)]
            if wordless:
                worded = {name: text for name, text in group.items() if name not in wordless}
                masked = masking.mask(worded, sentinel, self.mask_numbers)
            if masked.fields:
                identity = {**self.engine.identity, "masking": masking.VERSION}
                request = make_request(identity, masked.fields, self.source_language, language, attempt)
                parts.append(Part(masked, request))
        return parts

    def missing(self, work: Iterable[tuple[Row, str]], attempt: int) -> Iterator[Request]:
        """The requests that are not in the store, each once even if rows share it."""
        seen: set[str] = set()
        for row, language in work:
            for part in self.parts(row, language, attempt):
                key = part.request.key
                if key not in seen and not self.is_stored(key):
                    seen.add(key)
                    yield part.request

    def count(self, work: Iterable[tuple[Row, str]], attempt: int) -> tuple[int, int]:
        """Number of distinct requests, and how many of them are not in the store."""
        keys = {part.request.key for row, language in work for part in self.parts(row, language, attempt)}
        return len(keys), sum(not self.is_stored(key) for key in keys)

    def is_stored(self, key: str) -> bool:
        """Whether the store has a whole reply to a request; versions before this one kept failed ones."""
        stored = self.store.get(key)
        return stored is not None and not is_failed(stored["text"], stored["finish_reason"])

    # -- send ---------------------------------------------------------------------------------------------------------

    def send(self, requests: Iterable[Request], progress: Any) -> None:
        """Send requests and store every reply the moment it arrives."""

        def accept(request: Request, reply: Reply) -> None:
            if reply.error is not None:
                self.errors[request.key] = reply.error
            else:
                value = {"text": reply.text, "finish_reason": reply.finish_reason}
                usage = {"prompt_tokens": reply.prompt_tokens, "completion_tokens": reply.completion_tokens}
                value |= {name: count for name, count in usage.items() if count is not None}  # type: ignore[misc]
                if is_failed(reply.text, reply.finish_reason):
                    self.failed[request.key] = value
                else:
                    self.store.add(request.key, value)
            self.engine.usage.count(reply)
            progress.update(1)

        self.engine.translate(requests, accept)

    # -- judge -------------------------------------------------------------------------------------------------------

    def read(self, row: Row, language: str, attempt: int) -> tuple[Verdict, list[Pair]]:
        """Read a row's replies and restore its masked spans; gates come after."""
        fields = dict(row.fields)  # fields that need no request stay as they are
        pairs: list[Pair] = []
        replies: list[str] = []
        finding: Finding | None = None
        parts = self.parts(row, language, attempt)
        keys = tuple(part.request.key for part in parts)
        for part in parts:
            stored = self.failed.get(part.request.key) or self.store.get(part.request.key)
            if stored is None:
                reason = self.errors.get(part.request.key, "not sent yet")
                return Verdict(None, None, attempt, keys, unanswered=reason), []
            replies.append(stored["text"])
            whole = "+".join(part.request.fields)
            try:
                if stored["finish_reason"] not in GOOD_FINISH:
                    finding = finding or Finding("finish_reason", whole, stored["finish_reason"])
                    continue
                translated = read_reply(part.request, stored["text"], self.engine.joint)
                blank = next((name for name, text in translated.items() if not text), None)
                if blank is not None:
                    finding = finding or Finding("empty", blank, "the translation is empty")
                    continue
                restored = masking.unmask(part.masked, translated)
            except FormatError as error:
                finding = finding or Finding("format", whole, str(error))
            except masking.MaskError as error:
                finding = finding or Finding("placeholders", whole, str(error))
            else:
                fields |= restored
                pairs += make_pairs(part.masked, translated, restored, row.fields, self.source_language, language)
        return Verdict(fields if finding is None else None, finding, attempt, keys, tuple(replies)), pairs

    def judge(self, work: Iterable[tuple[Row, str]], attempt: int) -> Iterator[tuple[Row, str, Verdict]]:
        """Verdicts on one attempt, in the order of `work`: cheap gates first, expensive ones in batches on the rest."""
        work = list(work)
        copies = self.copies(work, attempt)
        items = iter(work)
        while chunk := list(itertools.islice(items, CHUNK)):
            judged: list[tuple[Row, str, Verdict]] = []
            open_pairs: dict[int, list[Pair]] = {}
            for row, language in chunk:
                verdict, pairs = self.read(row, language, attempt)
                if verdict.accepted:
                    finding = copies.get((row.id, language)) or first_finding(self.gates, pairs)
                    if finding is not None:
                        verdict = dataclasses.replace(verdict, finding=finding)
                    elif pairs:
                        open_pairs[len(judged)] = pairs
                judged.append((row, language, verdict))
            for gate in self.expensive_gates:
                places = list(open_pairs)
                for place, finding in zip(places, gate([open_pairs[place] for place in places]), strict=True):
                    if finding is not None:
                        row, language, verdict = judged[place]
                        judged[place] = row, language, dataclasses.replace(verdict, finding=finding)
                        del open_pairs[place]
            yield from judged

    def copies(self, work: Iterable[tuple[Row, str]], attempt: int) -> dict[tuple[str, str], Finding]:
        """Findings of rows whose translation also stands for an unlike source: a refusal, or words of the model's."""
        judged: list[tuple[Row, str, Pair, str]] = []
        for row, language in work:
            for pair in self.read(row, language, attempt)[1]:
                text = "".join(filter(str.isalpha, pair.target.casefold()))
                if len(text) >= COPIED_LETTERS * LANGUAGES[language].length:
                    judged.append((row, language, pair, text))
                    self.sources.setdefault((language, text), {}).setdefault(pair.source, row.id)
        found: dict[tuple[str, str], Finding] = {}
        for row, language, pair, text in judged:
            for source, other in itertools.islice(self.sources[language, text].items(), 100):
                if source != pair.source and likeness(source, pair.source) < COPIED_LIKENESS:
                    found[row.id, language] = Finding("same_as_another", pair.field, f"the one of row {other}, too")
                    break
        return found

    # -- the whole ---------------------------------------------------------------------------------------------------

    def run(self, progress: Any) -> dict[tuple[str, str], Verdict]:
        """Request everything missing, judge it, request once more what failed, and judge that.

        Args:
            progress: called as `progress(description, total, done)`; returns a context manager with `update(n)`.

        Returns:
            (row id, language) -> the last verdict on what was not accepted at the first attempt. The rest was accepted
            at attempt 0 and is read from the store when written, so memory does not grow with it.
        """
        verdicts: dict[tuple[str, str], Verdict] = {}
        work: Sequence[tuple[Row, str]] = list(self.work())
        checked = False
        for attempt in range(ATTEMPTS):
            if not work:
                break
            total, absent = self.count(work, attempt)
            if absent:
                if not checked:
                    self.engine.check(self.source_language, self.languages)
                    checked = True
                name = "translate" if attempt == 0 else "second attempt"
                with progress(name, total, total - absent) as bar:
                    # one language at a time: one model in memory, or one prompt prefix in the server's cache
                    by_language = sorted(work, key=lambda item: self.languages.index(item[1]))
                    self.send(self.missing(by_language, attempt), bar)
            failed = []
            with progress("check", len(work), 0) as bar:
                for row, language, verdict in self.judge(work, attempt):
                    bar.update(1)
                    if not verdict.accepted or attempt > 0:
                        if verdict.unanswered is not None and attempt > 0:  # keep the first attempt's verdict
                            verdict = dataclasses.replace(verdicts[row.id, language], unanswered=verdict.unanswered)
                        verdicts[row.id, language] = verdict
                    if verdict.finding is not None and verdict.unanswered is None:
                        failed.append((row, language))
            work = failed
        return verdicts

    def verdict(self, row: Row, language: str, verdicts: dict[tuple[str, str], Verdict]) -> Verdict:
        """The final verdict on a row in a language."""
        known = verdicts.get((row.id, language))
        return known if known is not None else self.read(row, language, 0)[0]
