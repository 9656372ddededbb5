"""What reviewers said, as read from files: the page's JSON, and the rules every kind of file obeys.

A mistake that a reviewer can mend (an unknown verdict, no initials, an edit that empties an option) is an error that
names the file and the line or id. What merely no longer fits (a question written anew since) is a remark.
"""

from __future__ import annotations

import json
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
    """One reviewer on one question, as a file has it.

    Attributes:
        id, sha256: the question and the content (`Item.sha256`) that the reviewer saw.
        verdict: one of `VERDICTS`; None where the reviewer took a verdict back or gave none yet.
        reviewer: initials, upper case.
        note: free text.
        edits: language -> index of the option in `Version.choices` -> its new text.
        at: when, ISO 8601 in UTC; empty where the file does not say.
        file, place: where it was said, `place` by row, task or id.
        languages: those that the reviewer had before them; empty where the file does not say.
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
        CrossinError: a field is missing or has another shape; the file and the question's id are named.
    """
    if raw.get("version") != VERSION:
        raise CrossinError(f"{path}: decisions of version {raw.get('version')!r}; this reads version {VERSION}")
    reviewer = initials(raw.get("reviewer"), str(path))
    entries = raw.get("decisions")
    if not isinstance(entries, list):
        raise CrossinError(f"{path}: no list of decisions in it; save the page's decisions again")
    out = []
    for number, entry in enumerate(entries, 1):
        if not isinstance(entry, dict) or not isinstance(entry.get("id"), str):
            raise CrossinError(f"{path}, decision {number}: no id; save the page's decisions again")
        where = f"{path}, id {entry['id']}"
        text = {name: entry.get(name, "") for name in ("sha256", "note", "at")}
        languages = entry.get("languages", [])
        if not all(isinstance(value, str) for value in (*text.values(), *languages)):
            raise CrossinError(f"{where}: sha256, note, at or languages is not text; save the page's decisions again")
        spoken = entry.get("verdict")
        out.append(
            ReviewEntry(
                id=entry["id"],
                verdict=None if spoken is None else verdict(spoken, where),
                reviewer=reviewer,
                file=str(path),
                place=f"id {entry['id']}",
                edits=_edits(entry.get("edits", {}), where),
                languages=tuple(languages),
                **text,
            )
        )
    return out


def read_json(path: Path, text: str) -> Any:
    """Parse a file's text.

    Raises:
        CrossinError: not JSON; the line is named.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise CrossinError(
            f"{path}, line {error.lineno}: not JSON ({error.msg}); the file may be cut short, save it again"
        ) from error
    except (RecursionError, ValueError) as error:  # nesting, or a number, that no file of decisions has
        raise CrossinError(f"{path}: not a file of decisions ({type(error).__name__}); take it out") from error


def initials(value: Any, where: str) -> str:
    """Check a reviewer's initials; returns them in upper case.

    Raises:
        CrossinError: none, longer than 16 characters, or other characters than letters, digits, `.`, `-` and `_`.
    """
    name = value.strip() if isinstance(value, str) else ""
    if not _INITIALS.fullmatch(name):
        raise CrossinError(
            f"{where}: reviewer {value!r}; give initials of 1 to 16 letters or digits, so that we know who decided"
        )
    return name.upper()


def verdict(value: Any, where: str) -> str:
    """Check a verdict; returns it in lower case.

    Raises:
        CrossinError: not one of `VERDICTS`.
    """
    word = value.strip().lower() if isinstance(value, str) else value
    if word not in VERDICTS:
        raise CrossinError(f"{where}: verdict {value!r}; use {', '.join(VERDICTS)}, or leave it empty")
    return str(word)


def decided_before(item: Item) -> str:
    """What an earlier round decided, as a line for reviewers; empty where none did."""
    made = item.decision
    if made is None:
        return ""
    what = "decided before" if made.sha256 == item.sha256() else "an earlier content was decided"
    return f"{what}: {made.verdict} by {made.reviewer}" + (f" ({made.note})" if made.note else "")


def wrong_options(n_choices: int, gold: int) -> list[int]:
    """Indices of the wrong options in their order: what the table and Label Studio number from 1."""
    return [index for index in range(n_choices) if index != gold]


def checked_edits(said: ReviewEntry, item: Item) -> dict[str, dict[int, str]]:
    """Return the edits that change something, languages and options in the item's order.

    Raises:
        CrossinError: an edit of the right option, of a language or option that the question does not have, one that
            leaves an option empty or makes it equal to another option of its language.
    """
    changed: dict[str, dict[int, str]] = {}
    for language in said.edits:
        if language not in item.versions:
            raise CrossinError(f"{said.where}: an edit in {language}, which this question does not have")
    for language, version in item.versions.items():
        options = list(version.choices)
        for index, text in sorted(said.edits.get(language, {}).items()):
            where = f"{said.where}, language {language}"
            if not 0 <= index < len(options):
                raise CrossinError(f"{where}: an edit of option {index} (from 0); there are {len(options)}")
            new = text.strip()
            if new == version.choices[index].strip():
                continue
            if index == item.gold:
                raise CrossinError(f"{where}: an edit of the right option; it comes from the source, reject the item")
            if not new or not _encodable(new):
                raise CrossinError(f"{where}: option {index} (from 0) would be empty or no valid text; give it words")
            options[index] = new
            changed.setdefault(language, {})[index] = new
        if language in changed:
            folded = [option.strip().casefold() for option in options]
            for index in changed[language]:
                if folded.count(folded[index]) > 1:
                    raise CrossinError(
                        f"{said.where}, language {language}: {options[index]!r} would stand twice among the options"
                    )
    return changed


def _edits(raw: Any, where: str) -> dict[str, dict[int, str]]:
    try:
        edits = {language: {int(index): text for index, text in by.items()} for language, by in raw.items()}
    except (AttributeError, TypeError, ValueError) as error:
        raise CrossinError(f"{where}: edits are not language > option > text; save the decisions again") from error
    if not all(isinstance(text, str) for by in edits.values() for text in by.values()):
        raise CrossinError(f"{where}: an edit is not text; save the decisions again")
    return edits


def _encodable(text: str) -> bool:
    """False for half of a surrogate pair, which no file can hold."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
