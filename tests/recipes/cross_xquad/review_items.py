"""Items to review, written for these tests: English, Spanish and Arabic, with findings; and hostile ones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recipes.cross_xquad.items import Finding, Item, Version

PAYLOAD = "</script><script>document.title='owned'</script><img src=x onerror=document.title='owned'>"
LANGUAGES = ("en", "es", "ar")
_WORDS = {
    "en": ("The bridge of {n} arches was built in {y} by Ana Ruiz.", "Who built the bridge?", "Ana Ruiz", "Tom Lee"),
    "es": (
        "El puente de {n} arcos lo construyó Ana Ruiz en {y}.",
        "¿Quién construyó el puente?",
        "Ana Ruiz",
        "Tom Lee",
    ),
    "ar": ("بنت آنا رويز الجسر ذا {n} أقواس عام {y}.", "من بنى الجسر؟", "آنا رويز", "توم لي"),
}


def make_items(n: int = 4, languages: tuple[str, ...] = LANGUAGES) -> list[Item]:
    """`n` questions, the right option at place `number % 4`; the second has no Arabic version."""
    items = []
    for number in range(n):
        versions = {}
        for code in languages:
            passage, question, right, wrong = _WORDS[code]
            values = {"n": number + 3, "y": 1900 + number}
            choices = [wrong, str(values["y"]), str(values["n"])]
            choices.insert(number % 4, right)
            versions[code] = Version(passage.format(**values), f"{question} ({number})", tuple(choices))
        wrong_place = 0 if number % 4 else 1
        findings = [Finding("not_in_passage", "en", wrong_place, "'Tom Lee' is not in the passage")]
        if number == 1 and "ar" in versions:
            del versions["ar"]
            findings.append(Finding("malformed", "ar", None, "the reply was cut off"))
        items.append(Item(f"q{number}", 0, number, number % 4, versions, tuple(findings), attempts=number + 1))
    return items


def hostile_item(identifier: str = "hostile") -> Item:
    """Script, formulas, separators, direction overrides and control characters in every field."""
    nasty = (PAYLOAD, '=HYPERLINK("http://evil.example","x")', "\u202ereversed\u202c \u2028\u2029\x00\x07", "<!--")
    versions = {
        "en": Version(f"{PAYLOAD} & {nasty[1]}\n+1+1", "-2+3+cmd|' /C calc'!A0", nasty),
        "ar": Version(f"نص {PAYLOAD}", "@SUM(1)؟", (f"نعم {PAYLOAD}", "\t=1", "＝1", 'a"b;c,d')),
    }
    findings = (Finding("is_right", "en", 1, PAYLOAD), Finding("duplicate", None, None, f"=1 {PAYLOAD}"))
    return Item(identifier, 0, 0, 0, versions, findings)


def write_decisions(folder: Path, reviewer: str, entries: list[Mapping[str, Any]], name: str = "") -> Path:
    """A file as the page saves it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (name or f"decisions-{reviewer}.json")
    raw = {"format": "cross_xquad_decisions", "version": 1, "reviewer": reviewer, "decisions": entries}
    path.write_text(json.dumps(raw, ensure_ascii=False), encoding="utf-8")
    return path


def entry(item: Item, verdict: str | None, at: str = "2026-01-01T00:00:00.000Z", **more: Any) -> dict[str, Any]:
    """One decision as the page saves it."""
    return {"id": item.id, "sha256": item.sha256(), "verdict": verdict, "note": "", "edits": {}, "at": at, **more}
