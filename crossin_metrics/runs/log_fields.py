"""Where id, language and gold option are in the sample logs of tasks that belong to no known family."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crossin_metrics.errors import CrossinError
from crossin_metrics.runs.harness_families import letter_index


@dataclass(frozen=True)
class LogFields:
    """Where id, language and gold option are in the logs of tasks that belong to no family.

    Attributes:
        id_field: dotted path in a logged row (`doc.link`; several joined with "+": `doc.link+doc.question_number`).
        language_from: regular expression to search in the task's name; its first group, or the group `language`,
            is the language; the name without it is the run's task.
        gold_field: dotted path of the gold option (index from 0, or letter); else the harness's own `target`.
    """

    id_field: str | None = None
    language_from: str | None = None
    gold_field: str | None = None

    def pattern(self) -> re.Pattern[str] | None:
        """The compiled expression.

        Raises:
            CrossinError: it does not compile, has no group, or `id_field` is missing.
        """
        if (self.id_field is None) != (self.language_from is None):
            raise CrossinError("--id-field and --language-from go together: give both")
        if self.language_from is None:
            return None
        try:
            pattern = re.compile(self.language_from)
        except re.error as error:
            raise CrossinError(f"--language-from {self.language_from!r} is not a regular expression: {error}") from None
        if pattern.groups == 0:
            raise CrossinError(
                f"--language-from {self.language_from!r} needs a group around the language: 'name_(\\w+)'"
            )
        return pattern


def field_value(sample: Mapping[str, Any], path: str, flag: str) -> Any:
    """The value at a dotted path of a logged row.

    Raises:
        CrossinError: a part of the path is missing, or the value is a list or an object.
    """
    value: Any = sample
    for name in path.split("."):
        if not isinstance(value, Mapping) or value.get(name) is None:
            has = ", ".join(map(str, value)) if isinstance(value, Mapping) else type(value).__name__
            raise CrossinError(f"{flag} {path}: {name!r} not found (there is {has})")
        value = value[name]
    if isinstance(value, (Mapping, list)):
        raise CrossinError(f"{flag} {path} is a {type(value).__name__}, not a single value")
    return value


def option_index(value: Any, sample: Mapping[str, Any]) -> int | None:
    """The option that a gold field names: by its text, by an index or by a letter; a number in JSON is an index.

    Raises:
        CrossinError: the text of one option is the index or letter of another one.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    text = str(value).strip()
    index = int(text) if re.fullmatch("[0-9]{1,9}", text) else letter_index(text)
    arguments = sample.get("arguments")
    calls = arguments.values() if isinstance(arguments, Mapping) else ()
    texts = [str(call.get("arg_1", "")).strip() for call in calls if isinstance(call, Mapping)]
    if texts.count(text) != 1:
        return index
    if index is not None and index < len(texts) and index != texts.index(text):
        raise CrossinError(
            f"the gold option {text!r} is the text of option {texts.index(text)} and the "
            f"{'index' if text.isdigit() else 'letter'} of option {index}; name a field with a whole number with "
            "--gold-field, or write a prediction table"
        )
    return texts.index(text)
