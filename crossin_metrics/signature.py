"""Signatures: one line that makes a score comparable, as sacrebleu's do. The one maker and reader of such lines.

    crossin|task:cross_mmlu|data:a16d7f1f992a|langs:en,es,vi,zh|answers:letter|prompt:p1|shots:0|chat:no|s:3|v:0.1.0

`data` is the set's hash, `answers` the formulation (`cf-mean`: options ranked by the mean over tokens), `s` the subset
size of consistency, `v` the version of this package. `order` (permuted options), `unanswered`, `generation` (token
budget, sampling, thinking), `mode`, and `questions` (a part of the set) appear where they differ from the default.
"""

from __future__ import annotations

from collections.abc import Mapping

UNSTATED = "unstated"  # value of a field that a file without a signature does not give


def signature_line(fields: Mapping[str, object]) -> str:
    """Return the line with these fields, in their order; line ends and bars in a value become blanks and slashes.

    >>> signature_line({"task": "cross_mmlu", "shots": 0})
    'crossin|task:cross_mmlu|shots:0'
    """
    return "|".join(["crossin", *(f"{name}:{_field(value)}" for name, value in fields.items())])


def signature_fields(line: str | None) -> dict[str, str]:
    """Return the fields of a line; empty if it is not a signature.

    >>> signature_fields("crossin|task:cross_mmlu|shots:0")
    {'task': 'cross_mmlu', 'shots': '0'}
    """
    head, *parts = (line or "").split("|")
    return dict(part.partition(":")[::2] for part in parts) if head == "crossin" else {}


def has_parts(line: str, parts: str) -> bool:
    """Whether a signature has these parts, separated by spaces, such as `answers:cf-mean langs:en,es`."""
    return {*parts.split()} <= {*line.split("|")}


def _field(value: object) -> str:
    """The value on one line: a line end would leave the code span around it, a bar would start another field."""
    shown = (c if c.isprintable() else " " for c in str(value).replace("|", "/"))
    return " ".join("".join(shown).split())
