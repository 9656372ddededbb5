"""The review page: one HTML file, see :mod:`crossin_metrics.html`."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from crossin_metrics import html
from crossin_metrics.languages import LANGUAGES
from recipes.cross_xquad.checks.base import REASONS
from recipes.cross_xquad.items import Decision, Item
from recipes.cross_xquad.review.decisions import FORMAT, VERSION


def render_page(items: Sequence[Item], *, title: str) -> str:
    """The page as text; nothing in it depends on time or machine."""
    return html.render_page(
        Path(__file__).with_name("templates"),
        "review.html.j2",
        style="review.css",
        scripts=("state.js", "drawing.js", "actions.js"),
        data=page_data(items),
        title=title,
        n_items=len(items),
    )


def page_data(items: Sequence[Item]) -> dict[str, Any]:
    """What the script needs; each passage appears once per language, and questions point to it.

    `review` is a hash of the contents, so that what a browser stored for another review is not mixed in.
    """
    languages = _languages(items)
    numbers: dict[str, dict[str, int]] = {code: {} for code in languages}
    rows = []
    for item in items:
        versions = {
            code: [numbers[code].setdefault(v.context, len(numbers[code])), v.question, list(v.choices)]
            for code, v in item.versions.items()
        }
        findings = [[one.code, one.language, one.choice, one.detail] for one in item.findings]
        row: dict[str, Any] = {"id": item.id, "sha": item.sha256(), "gold": item.gold, "attempts": item.attempts}
        row |= {"v": versions, "f": findings}
        if item.decision is not None:
            row["before"] = _before(item, item.decision)
        rows.append(row)
    contents = "\n".join(str(row["sha"]) for row in rows)
    return {
        "format": FORMAT,
        "version": VERSION,
        "review": hashlib.sha256(contents.encode()).hexdigest()[:16],
        "languages": {code: _language(code) for code in languages},
        "reasons": REASONS,
        "passages": {code: list(numbers[code]) for code in languages},
        "items": rows,
    }


def _languages(items: Sequence[Item]) -> list[str]:
    """English first; then in the items' order, with languages whose version is missing."""
    found = dict.fromkeys(code for item in items for code in item.versions)
    found |= dict.fromkeys(one.language for item in items for one in item.findings if one.language is not None)
    return sorted(found, key=lambda code: code != "en")


def _before(item: Item, made: Decision) -> dict[str, Any]:
    """The decision of an earlier round; `current` if it was on this very content."""
    before = {"verdict": made.verdict, "reviewer": made.reviewer, "note": made.note, "edits": made.edits}
    return {**before, "current": made.sha256 == item.sha256()}


def _language(code: str) -> list[Any]:
    """English name, own name, direction, whether words have spaces between them."""
    row = LANGUAGES.get(code)
    if row is None:
        return [code, "", "auto", True]
    return [row.english, row.native, row.direction, row.spaced]
