"""Reviewers' decisions: the review page's JSON, and the rules that hold for every kind of file.

A mistake that a reviewer can correct (an unknown verdict, no initials, an edit that empties an option) is an error that
names the file and the line or id. A decision that no longer fits (the question was rewritten since) is a remark.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crossin_metrics.errors import CrossinError
from recipes.cross_xquad.items import Item

FORMAT, VERSION = "cross_xquad_decisions", 1
VERDICTS = ("accept", "reject", "redo")
_INITIALS = re.compile(r"[^\W_][\w.\-]{0,15}")  # the page's script has the same rule


@dataclass(frozen=True)
class ReviewEntry:
    """One reviewer's decision on one question, as a file has it; every kind of file is read into these.

    Attributes:
        id, sha256: the question, and the content (`Item.sha256`) that the reviewer saw.
        verdict: one of `VERDICTS`; None if the reviewer took a verdict back or has given none yet.
        reviewer: initials, upper case.
        note: free text.
        edits: language -> index of the option in `Version.choices` -> its new text.
        at: when, ISO 8601 in UTC; empty if the file does not say.
        file, place: where it was read; `place` is a row, a task or an id.
        languages: those that the reviewer had on the screen; empty if the file does not say.
    """

    id: str
    sha256: str
    verdict: str | None
    reviewer: str
    file: str
    place: str
    note: str = ""
    edits: dict[str, dict[int, str]] = field(default_factory=dict)
    at: str = ""
    languages: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        """File and place, for messages."""
        return f"{self.file}, {self.place}"


def read_page(path: Path, raw: Mapping[str, Any]) -> list[ReviewEntry]:
    """Read what the review page saved.

    Raises:
        CrossinError: a field is missing or of the wrong type; names the file and the question's id.
    """
    if raw.get("version") != VERSION:
        raise CrossinError(f"{path}: decisions of version {raw.get('version')!r}; must be version {VERSION}")
    reviewer = initials(raw.get("reviewer"), str(path))
    entries = raw.get("decisions")
    if not isinstance(entries, list):
        raise CrossinError(f"{path}: no list of decisions; save the page's decisions again")
    out = []
    for number, entry in enumerate(entries, 1):
        if not isinstance(entry, dict) or not isinstance(entry.get("id"), str):
            raise CrossinError(f"{path}, decision {number}: no id; save the page's decisions again")
        place = f"id {entry['id']}"
        where = f"{path}, {place}"
        text = {name: entry.get(name, "") for name in ("sha256", "note", "at")}
        languages = entry.get("languages", [])
        if not all(isinstance(value, str) for value in (*text.values(), *languages)):
            raise CrossinError(f"{where}: sha256, note, at and languages must be text; save the page's decisions again")
        given = entry.get("verdict")
        out.append(
            ReviewEntry(
                id=entry["id"],
                verdict=None if given is None else verdict(given, where),
                reviewer=reviewer,
                file=str(path),
                place=place,
                edits=_edits(entry.get("edits", {}), where),
                languages=tuple(languages),
                **text,
            )
        )
    return out


def initials(value: Any, where: str) -> str:
    """Check a reviewer's initials; returns them in upper case.

    Raises:
        CrossinError: empty, longer than 16 characters, or characters other than letters, digits, `.`, `-` and `_`.
    """
    name = value.strip() if isinstance(value, str) else ""
    if not _INITIALS.fullmatch(name):
        raise CrossinError(f"{where}: reviewer {value!r}; initials must be 1 to 16 letters or digits")
    return name.upper()


def verdict(value: Any, where: str) -> str:
    """Check a verdict; returns it in lower case.

    Raises:
        CrossinError: not one of `VERDICTS`.
    """
    word = value.strip().lower() if isinstance(value, str) else value
    if word not in VERDICTS:
        raise CrossinError(f"{where}: verdict {value!r}; must be {', '.join(VERDICTS)} or empty")
    return str(word)


def decided_before(item: Item) -> str:
    """The decision of an earlier round, as a line for reviewers; empty if there was none."""
    made = item.decision
    if made is None:
        return ""
    what = "decided before" if made.sha256 == item.sha256() else "an earlier content was decided"
    return f"{what}: {made.verdict} by {made.reviewer}" + (f" ({made.note})" if made.note else "")


def checked_edits(entry: ReviewEntry, item: Item) -> dict[str, dict[int, str]]:
    """The edits that change something, languages and options in the item's order.

    Raises:
        CrossinError: an edit of the right option, of a language or option that the question does not have, or one that
            leaves an option empty or equal to another option of its language.
    """
    changed: dict[str, dict[int, str]] = {}
    unknown = set(entry.edits) - set(item.versions)
    if unknown:
        raise CrossinError(f"{entry.where}: edit in {', '.join(sorted(unknown))}, which this question does not have")
    for language, version in item.versions.items():
        where = f"{entry.where}, language {language}"
        options = list(version.choices)
        for index, text in sorted(entry.edits.get(language, {}).items()):
            if not 0 <= index < len(options):
                raise CrossinError(f"{where}: edit of option {index} (from 0); there are {len(options)}")
            new = text.strip()
            if new == version.choices[index].strip():
                continue
            if index == item.gold:
                raise CrossinError(f"{where}: edit of the right option; it comes from the source: reject the question")
            if not new or any("\ud800" <= c <= "\udfff" for c in new):
                raise CrossinError(f"{where}: option {index} (from 0) would be empty or invalid text")
            options[index] = new
            changed.setdefault(language, {})[index] = new
        folded = [option.strip().casefold() for option in options]
        for index in changed.get(language, {}):
            if folded.count(folded[index]) > 1:
                raise CrossinError(f"{where}: option {options[index]!r} would appear twice")
    return changed


def _edits(raw: Any, where: str) -> dict[str, dict[int, str]]:
    try:
        edits = {language: {int(index): text for index, text in by.items()} for language, by in raw.items()}
    except (AttributeError, TypeError, ValueError) as error:
        raise CrossinError(f"{where}: edits must be language > option > text; save the decisions again") from error
    if not all(isinstance(text, str) for by in edits.values() for text in by.values()):
        raise CrossinError(f"{where}: an edit is not text; save the decisions again")
    return edits
