"""The review in Label Studio: tasks to import, the labelling interface, and reading its JSON export back.

Formats: https://labelstud.io/guide/task_format and https://labelstud.io/guide/export (the export "JSON", not
"JSON-MIN"). Tested with Label Studio 1.23.2. Tasks have no predictions: a verdict shown beforehand would sway people.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

from crossin_metrics.errors import CrossinError
from crossin_metrics.languages import LANGUAGES
from recipes.cross_xquad.items import Item
from recipes.cross_xquad.review.decisions import VERDICTS, ReviewEntry, decided_before, initials, verdict
from recipes.cross_xquad.review.table import findings_text

_NOTHING = "–"  # Label Studio shows an empty field as "undefined"
_HINTS = {
    "accept": "right in every language, with the new options if any",
    "reject": "the question leaves the set",
    "redo": "the model rewrites it",
}


def tasks(items: Sequence[Item]) -> list[dict[str, Any]]:
    """One task per question, to import as JSON: every field that `labelling_config` names, as plain text."""
    languages, n_wrong = _shape(items)
    out = []
    for item in items:
        data = {"id": item.id, "sha256": item.sha256()}
        lines = [decided_before(item), findings_text(item.findings, None, item.gold)]
        data["findings"] = "\n".join(filter(None, lines)) or _NOTHING
        for language in languages:
            name = _name(language)
            version = item.versions.get(language)
            data[f"{name}_findings"] = findings_text(item.findings, language, item.gold) or _NOTHING
            data[f"{name}_question"] = version.question if version else _NOTHING
            data[f"{name}_passage"] = version.context if version else _NOTHING
            data[f"{name}_right"] = version.choices[item.gold] if version else _NOTHING
            wrong = list(version.wrong(item.gold).values()) if version else []
            for number, text in zip_longest(range(1, n_wrong + 1), wrong, fillvalue=_NOTHING):
                data[f"{name}_wrong_{number}"] = text
        out.append({"data": data})
    return out


def labelling_config(items: Sequence[Item]) -> str:
    """The labelling interface as XML, for the project's settings (Labeling interface, Code)."""
    languages, n_wrong = _shape(items)
    view = ET.Element("View")
    ET.SubElement(view, "Header", value="Findings on the question")
    _text(view, "findings")
    if languages:
        first = f"{_name(languages[0])}_question"
        attributes = {"name": "verdict", "toName": first, "choice": "single-radio", "required": "true"}
        choices = ET.SubElement(view, "Choices", {**attributes, "showInLine": "true"})
        for word in VERDICTS:
            ET.SubElement(choices, "Choice", value=word, hint=_HINTS[word])
        _text_area(view, "reviewer", first, "1", "your initials (once is enough)")
        _text_area(view, "note", first, "2", "note")
    side = ET.SubElement(view, "View", style="display: flex; flex-wrap: wrap; gap: 1em")
    for language in languages:
        name, row = _name(language), LANGUAGES.get(language)
        direction = row.direction if row else "ltr"
        column = ET.SubElement(side, "View", style=f"flex: 1 1 20em; direction: {direction}")
        ET.SubElement(column, "Header", value=row.english if row else language)
        _text(column, f"{name}_question")
        ET.SubElement(column, "Header", value="Right", size="5")
        _text(column, f"{name}_right")
        for number in range(1, n_wrong + 1):
            ET.SubElement(column, "Header", value=f"Wrong {number}", size="5")
            wrong = f"{name}_wrong_{number}"
            _text(column, wrong)
            _text_area(column, f"{name}_new_{number}", wrong, "1", "instead")
        ET.SubElement(column, "Header", value="Findings", size="5")
        _text(column, f"{name}_findings")
        ET.SubElement(column, "Header", value="Passage", size="5")
        _text(column, f"{name}_passage")
    ET.indent(view)
    return ET.tostring(view, encoding="unicode") + "\n"


def read_export(path: Path, raw: Sequence[Any], known: Mapping[str, Item]) -> list[ReviewEntry]:
    """Read Label Studio's JSON export; skipped (cancelled) annotations count as none.

    Initials come from the field of that name; if it is empty, from the user's other annotations, else they are
    `LS<user>`.

    Args:
        path: for messages.
        raw: the list that the file holds.
        known: hash of the content -> question; edits of other contents are left out.

    Raises:
        CrossinError: another export format, a foreign task, or a bad verdict.
    """
    found: list[tuple[Any, str | None, ReviewEntry]] = []  # user, typed initials, entry
    for number, task in enumerate(raw, 1):
        where = f"{path}, task {number}"
        if not isinstance(task, dict) or not isinstance(task.get("data"), dict):
            raise CrossinError(f"{where}: not Label Studio's JSON export; export the project as “JSON” (not JSON-MIN)")
        data = task["data"]
        if not isinstance(data.get("id"), str) or not isinstance(data.get("sha256"), str):
            raise CrossinError(f"{where}: no id and sha256 in its data; not a task of review/label_studio.json")
        place = f"task {number}, id {data['id']}"
        where = f"{path}, {place}"
        annotations = task.get("annotations", [])
        if not isinstance(annotations, list):
            raise CrossinError(f"{where}: annotations must be a list; export the project as “JSON” again")
        for annotation in annotations:
            try:
                if annotation.get("was_cancelled"):
                    continue
                values = {one["from_name"]: _value(one) for one in annotation["result"]}
            except (AttributeError, KeyError, TypeError) as error:
                raise CrossinError(f"{where}: broken annotation ({type(error).__name__}: {error})") from error
            item = known.get(data["sha256"])
            typed = initials(values["reviewer"], where) if values.get("reviewer") else None
            entry = ReviewEntry(
                id=data["id"],
                sha256=data["sha256"],
                verdict=verdict(values["verdict"], where) if values.get("verdict") else None,
                reviewer=typed or _user(annotation.get("completed_by")),
                file=str(path),
                place=place,
                note=values.get("note", ""),
                edits=_edits(values, item) if item else {},
                at=str(annotation.get("updated_at") or annotation.get("created_at") or ""),
            )
            found.append((annotation.get("completed_by"), typed, entry))
    return [replace(one, reviewer=typed or _once(user, found) or one.reviewer) for user, typed, one in found]


def _shape(items: Iterable[Item]) -> tuple[list[str], int]:
    """All languages, in the order of the items, and the most wrong options of any."""
    languages: dict[str, None] = {}
    n_wrong = 0
    for item in items:
        for language, version in item.versions.items():
            languages[language] = None
            n_wrong = max(n_wrong, len(version.choices) - 1)
    return list(languages), n_wrong


def _name(language: str) -> str:
    return re.sub(r"\W", "_", language)  # the characters of a variable in the interface


def _text(parent: ET.Element, name: str) -> None:
    ET.SubElement(parent, "Text", name=name, value=f"${name}", valueType="text", selectionEnabled="false")


def _text_area(parent: ET.Element, name: str, to: str, rows: str, placeholder: str) -> None:
    ET.SubElement(parent, "TextArea", name=name, toName=to, maxSubmissions="1", rows=rows, placeholder=placeholder)


def _value(result: Mapping[str, Any]) -> str:
    """The value of one control: a choice, or a text area's lines."""
    value = result["value"]
    words = value.get("choices", value.get("text", ""))
    return (words if isinstance(words, str) else "\n".join(map(str, words))).strip()


def _edits(values: Mapping[str, str], item: Item) -> dict[str, dict[int, str]]:
    edits: dict[str, dict[int, str]] = {}
    for language, version in item.versions.items():
        for number, index in enumerate(version.wrong(item.gold), 1):
            text = values.get(f"{_name(language)}_new_{number}")
            if text:
                edits.setdefault(language, {})[index] = text
    return edits


def _once(user: Any, found: Sequence[tuple[Any, str | None, ReviewEntry]]) -> str | None:
    """The initials that a user gave on other tasks, if they are always the same."""
    names = {typed for other, typed, _ in found if typed and other == user}
    return names.pop() if len(names) == 1 else None


def _user(user: Any) -> str:
    """`LS` and the id of an annotation's user, which Label Studio gives as a number or a record."""
    number = user.get("id") if isinstance(user, dict) else user
    return "LS" if number is None else f"LS{number}"
