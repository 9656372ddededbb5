"""A parallel multiple-choice set: the type, its hash, and writing it to a file."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from crossin_metrics.errors import CrossinError
from crossin_metrics.files import atomic_path
from crossin_metrics.languages import LANGUAGES, language_codes

BLANK = "____"  # marks the place of the answer in the questions of sets with `cloze` in the catalogue


@dataclass(frozen=True, slots=True)
class Item:
    """One question in one language: passage (or None), question, options without labels."""

    context: str | None
    question: str
    choices: tuple[str, ...]


@dataclass(frozen=True)
class ParallelMCQ:
    """A parallel multiple-choice set of n questions in L languages.

    Attributes:
        name: the set's name, as in `cross_mmlu`.
        languages: L ISO codes.
        ids: n question ids, unique.
        items: language -> n items, in the order of `ids`.
        gold: n indices of the right option (from 0), the same in every language.
        groups: n keys of passage, subject or relation; a question that shares none has its own key.
        source: where it came from: `hub:<repository>/<config>@<commit>`, `file:<file name>` or `packaged:<name>`.
        sampled_from: number of questions of the set, where these are a sample of it.

    Raises:
        CrossinError: on construction, where lengths, ids, indices or languages do not fit together.
    """

    name: str
    languages: tuple[str, ...]
    ids: tuple[str, ...]
    items: dict[str, tuple[Item, ...]]
    gold: tuple[int, ...]
    groups: tuple[str, ...]
    source: str
    sampled_from: int | None = None

    def __post_init__(self) -> None:
        if not self.ids:
            raise CrossinError(f"{self.name}: no questions")
        if len(set(self.ids)) < len(self.ids):
            raise CrossinError(f"{self.name}: question ids are not unique")
        if not self.languages or set(self.languages) != set(self.items):
            raise CrossinError(
                f"{self.name}: languages {self.languages} are not those of the items {tuple(self.items)}"
            )
        lengths = {len(self.ids), len(self.gold), len(self.groups), *map(len, self.items.values())}
        if len(lengths) > 1:
            raise CrossinError(f"{self.name}: ids, gold, groups and items differ in length")
        for number, (identifier, gold) in enumerate(zip(self.ids, self.gold, strict=True)):
            counts = {len(self.items[code][number].choices) for code in self.languages}
            if len(counts) > 1 or not 0 <= gold < max(counts):
                raise CrossinError(f"{self.name}, id {identifier}: gold index {gold} with {sorted(counts)} choices")

    def __len__(self) -> int:
        return len(self.ids)

    def select(self, languages: Sequence[str]) -> ParallelMCQ:
        """The same questions in some of the languages, in the order given.

        Raises:
            CrossinError: a language is unknown, named twice, or not in the set.
        """
        codes = language_codes(languages)
        for code in codes:
            if code not in self.items:
                raise CrossinError(f"{self.name}: no language {code}; it has {', '.join(self.languages)}")
        items = {code: self.items[code] for code in codes}
        return ParallelMCQ(self.name, codes, self.ids, items, self.gold, self.groups, self.source)

    def sample(self, n: int, seed: int = 0) -> ParallelMCQ:
        """Return n of the questions, each group in proportion; the same ones on every machine and in any languages.

        Raises:
            CrossinError: n is not between 1 and the number of questions.
        """
        if not 1 <= n <= len(self):
            raise CrossinError(f"{self.name}: cannot sample {n} of {len(self)} questions")
        drawn = {key: hashlib.sha256(f"{seed}|sample|{key}".encode()).digest() for key in self.ids}
        groups: dict[str, list[int]] = {}
        for number in sorted(range(len(self)), key=lambda number: drawn[self.ids[number]]):
            groups.setdefault(self.groups[number], []).append(number)
        # A question's place in its group, from 0 to 1: the n first of all groups are a share of each.
        place = {i: (rank + 0.5) / len(group) for group in groups.values() for rank, i in enumerate(group)}
        kept = sorted(sorted(place, key=lambda i: (place[i], drawn[self.ids[i]]))[:n])
        items = {code: tuple(column[i] for i in kept) for code, column in self.items.items()}
        ids, gold = tuple(self.ids[i] for i in kept), tuple(self.gold[i] for i in kept)
        groups_kept = tuple(self.groups[i] for i in kept)
        whole = self.sampled_from or len(self)
        return ParallelMCQ(self.name, self.languages, ids, items, gold, groups_kept, self.source, whole)

    @cached_property
    def hash(self) -> str:
        """12 hexadecimal digits of the SHA-256 of what a model can be shown: ids, texts, options, gold, by language.

        Depends on the languages (not on their order) and on the order of the questions; not on name, source, file
        format, key order or machine.
        """
        content = []
        for number, (identifier, gold) in enumerate(zip(self.ids, self.gold, strict=True)):
            row = {code: self.items[code][number] for code in self.languages}
            texts = {code: [item.context, item.question, *item.choices] for code, item in row.items()}
            content.append([identifier, gold, texts])
        canonical = json.dumps(content, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode("ascii")).hexdigest()[:12]


def write_parallel(data: ParallelMCQ, path: str | Path) -> None:
    """Write a set as `.jsonl`, `.jsonl.gz` or `.parquet`; reading it back gives the same hash.

    The file appears whole or not at all (temporary name, then renamed). Languages are keyed by their English names, as
    on the hub.

    Raises:
        CrossinError: an ending that is none of the three, or a folder that cannot be written to.
    """
    path = Path(path)
    rows: list[dict[str, Any]] = []
    for number, (identifier, gold) in enumerate(zip(data.ids, data.gold, strict=True)):
        row: dict[str, Any] = {"id": identifier}
        for code in data.languages:
            item = data.items[code][number]
            row[LANGUAGES[code].english] = {
                **({} if item.context is None else {"context": item.context}),
                "question": item.question,
                "choices": list(item.choices),
                "answer": item.choices[gold],
            }
        rows.append(row)
    if path.name.endswith((".jsonl", ".jsonl.gz")):
        content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode("utf-8")
        if path.name.endswith(".gz"):
            content = gzip.compress(content, mtime=0)  # the same bytes whenever it is written
    elif path.name.endswith(".parquet"):
        content = _parquet(rows)
    else:
        raise CrossinError(f"{path}: cannot be written; a parallel set ends in .jsonl, .jsonl.gz or .parquet")
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def _parquet(rows: list[dict[str, Any]]) -> bytes:
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), buffer)
    return buffer.getvalue()
