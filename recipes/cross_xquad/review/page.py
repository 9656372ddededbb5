"""The review page: one HTML file that needs no server, no network and no other file.

Texts of the data set and of the model reach it inside one JSON block whose `<` are escaped; the script makes text nodes
of them. The content security policy allows this one script and style, no connection, and no string ever parsed as HTML.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from crossin_metrics.errors import CrossinError
from crossin_metrics.languages import LANGUAGES
from recipes.cross_xquad.items import Decision, Item
from recipes.cross_xquad.review.decisions import FORMAT, VERSION

_TEMPLATES = Path(__file__).with_name("templates")
_SCRIPTS = ("state.js", "drawing.js", "actions.js")
_RIGHT_TO_LEFT = {"Arabic", "Hebrew"}
_WITHOUT_SPACES = {"Han", "Thai"}  # scripts in which words touch, so that an option may start anywhere


def render_page(items: Sequence[Item], *, title: str) -> str:
    """The page as text; nothing in it depends on time or machine.

    Raises:
        CrossinError: Jinja2 is not installed.
    """
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
        from markupsafe import Markup

        from crossin_metrics.html import embedded_json
    except ImportError as error:
        raise CrossinError(f"the review page needs {error.name}: pip install 'crossin[report]'") from error
    style = (_TEMPLATES / "review.css").read_text(encoding="utf-8")
    parts = "\n".join((_TEMPLATES / name).read_text(encoding="utf-8") for name in _SCRIPTS)
    script = f'"use strict";\n(() => {{\n{parts}}})();\n'
    policy = (
        f"default-src 'none'; script-src '{_source(script)}'; style-src '{_source(style)}'; base-uri 'none'; "
        "form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )
    environment = Environment(loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined)
    return environment.get_template("review.html.j2").render(
        title=title,
        n_items=len(items),
        policy=policy,
        style=Markup(style),  # both are made of files of this project
        script=Markup(script),
        data=Markup(embedded_json(page_data(items))),
    )


def page_data(items: Sequence[Item]) -> dict[str, Any]:
    """What the script needs; each passage stands once a language, questions point to it.

    `review` names these very contents, so that what a browser kept for another review is not mixed in.
    """
    from recipes.cross_xquad.checks.within import REASONS

    languages = _languages(items)
    numbers: dict[str, dict[str, int]] = {code: {} for code in languages}
    rows = []
    for item in items:
        versions = {
            code: [numbers[code].setdefault(v.context, len(numbers[code])), v.question, list(v.choices)]
            for code, v in item.versions.items()
        }
        findings = [[one.code, one.language, one.choice, one.detail] for one in item.findings]
        row = {"id": item.id, "sha": item.sha256(), "gold": item.gold, "v": versions, "f": findings}
        row["attempts"] = item.attempts
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
    """English first, which most reviewers read; then as the items have them, absent versions included."""
    found = dict.fromkeys(code for item in items for code in item.versions)
    found |= dict.fromkeys(one.language for item in items for one in item.findings if one.language is not None)
    return sorted(found, key=lambda code: code != "en")


def _before(item: Item, made: Decision) -> dict[str, Any]:
    """What an earlier round decided; `current` where it was on this very content."""
    before = {"verdict": made.verdict, "reviewer": made.reviewer, "note": made.note, "edits": made.edits}
    return {**before, "current": made.sha256 == item.sha256()}


def _language(code: str) -> list[Any]:
    """English name, own name, direction, whether words have spaces between them."""
    row = LANGUAGES.get(code)
    if row is None:
        return [code, "", "auto", True]
    direction = "rtl" if row.script in _RIGHT_TO_LEFT else "ltr"
    return [row.english, row.native, direction, row.script not in _WITHOUT_SPACES]


def _source(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
