"""HTML pages that need no server, no network and no other file.

Text from models and data sets reaches a page in two ways only: through Jinja2 with autoescape, or inside one JSON block
from which the page's script makes text nodes. The content security policy allows that one script and no connection.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape


def render_page(
    folder: Path,
    template: str,
    *,
    style: str,
    scripts: Sequence[str] = (),
    data: Any = None,
    filters: Mapping[str, Callable[..., Any]] | None = None,
    inline_styles: bool = False,
    **context: Any,
) -> str:
    """Render a page.

    Args:
        folder: of the templates.
        template: file name of the page; it uses `policy`, `style`, `script` and `data`.
        style: file name of the style sheet.
        scripts: file names of the script's parts, joined into one function.
        data: embedded as JSON for the script.
        filters: for the template, besides `breakable`.
        inline_styles: whether elements have `style` attributes, which the policy must allow.
        context: what else the template uses.
    """
    sheet = (folder / style).read_text(encoding="utf-8")
    parts = "\n".join((folder / name).read_text(encoding="utf-8") for name in scripts)
    script = f'"use strict";\n(() => {{\n{parts}}})();\n' if scripts else ""
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"breakable": breakable, **(filters or {})}
    return environment.get_template(template).render(
        policy=content_policy(script, None if inline_styles else sheet),
        style=Markup(sheet),  # both are files of this project
        script=Markup(script),
        data=Markup(embedded_json(data)),
        **context,
    )


def embedded_json(value: Any) -> str:
    """JSON for a script element: nothing in it can end the element or open a comment.

    Raises:
        ValueError: a number in it is not finite.
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


UNBROKEN = 20  # characters of a name that stays on one line


def breakable(text: str) -> Markup:
    """The escaped text; a long one may break its line after slashes, and its long parts after underscores."""
    parts = [text] if len(text) <= UNBROKEN else text.split("/")
    escaped = [str(escape(part)) for part in parts]  # neither character occurs in an entity
    broken = [
        one.replace("_", "_<wbr>") if len(part) > UNBROKEN else one for part, one in zip(parts, escaped, strict=True)
    ]
    return Markup("/<wbr>".join(broken))


def content_policy(script: str, style: str | None) -> str:
    """The policy that allows this script and style (None: any inline style) and nothing else."""
    sources = f"script-src '{_source(script)}'; " if script else ""
    styles = "'unsafe-inline'" if style is None else f"'{_source(style)}'"
    return (
        f"default-src 'none'; {sources}style-src {styles}; img-src data:; base-uri 'none'; form-action 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )


def _source(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
