"""What the stages of a build pass on: one item per question, in all its languages, as JSON Lines.

A build's folder holds `config.yaml`, `calls/` (every reply of the model, see `recipes.llm.store`), one
`<stage>/items.jsonl` per finished stage, `review/` (page, table), `decisions/` (of the reviewers) and `release/`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from crossin_metrics.errors import DAMAGE, CrossinError, one_line
from crossin_metrics.files import write_jsonl
from crossin_metrics.records import parse_json

N_CHOICES = 4  # Cross-XQuAD: the answer and three wrong options (arXiv 2404.11932)


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Attributes:
        code: the reason, one of `recipes.cross_xquad.checks.base.REASONS`, e.g. `not_in_passage`.
        language: where it was found; None for the item as a whole.
        choice: index of the option in `Version.choices`; None for the version as a whole.
        detail: one sentence for the reviewer, naming what was compared with what.
    """

    code: str
    language: str | None
    choice: int | None
    detail: str


@dataclass(frozen=True)
class Version:
    """An item in one language; `choices[i]` means the same thing in every language."""

    context: str
    question: str
    choices: tuple[str, ...]

    def wrong(self, gold: int) -> dict[int, str]:
        """Index -> text of the wrong options, in their order."""
        return {index: text for index, text in enumerate(self.choices) if index != gold}


@dataclass(frozen=True)
class Decision:
    """What a person decided.

    Attributes:
        verdict: `accept` (as it is, or with `edits`), `reject` (the question leaves the set) or `redo` (the model
            rewrites it).
        reviewer: initials.
        note: free text.
        edits: language -> index of the option -> its new text. The right option may not be edited.
        sha256: `Item.sha256()` of what the person saw; a decision on another content is not applied.
    """

    verdict: str
    reviewer: str
    note: str = ""
    edits: dict[str, dict[int, str]] = field(default_factory=dict)
    sha256: str = ""


@dataclass(frozen=True)
class Item:
    """One question of the set.

    Attributes:
        id: the source's id.
        article, passage: positions in the source, from 0.
        gold: index of the right option, the same in every language.
        versions: language -> version. A language that the model could not write is absent, with a finding.
        findings: of the last attempt; an item with any goes to review, never straight into the set.
        attempts: number of attempts by the model.
        decision: None until a person has decided.
    """

    id: str
    article: int
    passage: int
    gold: int
    versions: dict[str, Version]
    findings: tuple[Finding, ...] = ()
    attempts: int = 1
    decision: Decision | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain lists and dicts; `from_json` reads them back."""
        return asdict(self)

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Item:
        """Read what `to_json` wrote.

        Raises:
            KeyError, TypeError, ValueError: a field is missing or has another shape.
        """
        versions = {
            code: Version(str(v["context"]), str(v["question"]), tuple(map(str, v["choices"])))
            for code, v in raw["versions"].items()
        }
        decision = raw.get("decision")
        if decision is not None:
            edits = {lang: {int(k): str(t) for k, t in by.items()} for lang, by in decision["edits"].items()}
            decision = Decision(**{**decision, "edits": edits})
        findings = tuple(Finding(**one) for one in raw["findings"])
        numbers = {name: int(raw[name]) for name in ("article", "passage", "gold", "attempts")}
        return cls(id=str(raw["id"]), versions=versions, findings=findings, decision=decision, **numbers)

    def sha256(self) -> str:
        """Hash of what a reviewer sees: versions and gold, not findings or decisions."""
        seen = json.dumps([self.id, self.gold, asdict(self)["versions"]], ensure_ascii=False, sort_keys=True)
        return hashlib.sha256(seen.encode()).hexdigest()


def accepted(items: Iterable[Item]) -> list[Item]:
    """The items that belong into the set: accepted by a person, or without findings and not decided against."""
    return [
        item
        for item in items
        if (item.decision.verdict == "accept" if item.decision is not None else not item.findings)
    ]


def write_items(path: Path, items: Iterable[Item]) -> None:
    """Write one item a line; the file appears whole or not at all.

    Raises:
        CrossinError: the file cannot be written; an older one is then unchanged.
    """
    write_jsonl(path, (item.to_json() for item in items))  # languages keep their order


def read_items(path: Path) -> list[Item]:
    """Read a file that `write_items` wrote.

    Raises:
        CrossinError: missing, unreadable, or a damaged line (file and line are named).
    """
    out: list[Item] = []
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise CrossinError(f"cannot read {path}: {error}; run the previous stage again") from error
    for number, line in enumerate(lines, 1):
        if line:
            try:
                out.append(Item.from_json(parse_json(line, "the item")))
            except DAMAGE as error:
                reason = f"{type(error).__name__}: {one_line(error, 200)}"
                raise CrossinError(f"{path}, line {number}: not an item ({reason})") from error
    return out
