"""Text and data inside HTML pages: escaping, line breaks, the content security policy."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

from markupsafe import Markup, escape


def embedded_json(value: Any) -> str:
    """JSON that can stand inside a script element: nothing in it can end the element or open a comment."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def breakable(text: str) -> Markup:
    """The escaped text, with places to break a line after underscores and slashes."""
    escaped = str(escape(text))
    return Markup(escaped.replace("_", "_<wbr>").replace("/", "/<wbr>"))  # neither occurs in an entity


def content_policy(script: str) -> str:
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    return f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; img-src data:"
