"""Labels: which base model a run's model was tuned from, by which system, on which data, with which seed.

A labels file is a table, CSV or YAML (a list of mappings), with the column `run` and any of the others:

    run             the model's name in the report or in its results file, or a shell pattern (`*x2x_5000*`) that the
                    name or the path of a result file matches; the first matching row counts
    name            how the model is shown; the same for all seeds of an arm (arms that share all else are distinguished
                    by it)
    base            the model it was tuned from (`Gemma-2B`), by which rows of a table are put together
    system          what was done to it (`Alpaca`, `CrossIn x2x`): the row's name in a table
    arm             formulation of the data: `en2x`, `x2en`, `x2x` ... (the bars by data formulation)
    n_samples       cross-lingual samples in the mix (AC3 against data quantity)
    translation     yes or no: whether translation pairs were in the mix
    tag             anything else that sets arms apart, e.g. yes or no for an output-language tag
    seed            of the training run, a whole number; rows that differ in it alone are runs of one arm
    tokens, seconds, peak_memory_gb, trained_parameters
                    what the run cost: numbers, 0 or more (the table of efficiency)

A row without `seed` is an arm of one run without randomness in training (an untuned model). Without a labels file, the
names of this project's own mixes are parsed: `x2x_trans_5000` is arm x2x, 5000 samples, translation.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from crossin_metrics.errors import CrossinError
from crossin_metrics.records import csv_rows, read_yaml

COSTS = ("tokens", "seconds", "peak_memory_gb", "trained_parameters")
COLUMNS = ("run", "name", "base", "system", "arm", "n_samples", "translation", "tag", "seed", *COSTS)
_MIX = re.compile(r"(?<![a-z0-9])(en2x|x2en|x2x)(_trans|_T)?(?:_(\d+))?(?![a-z0-9])")
_YES, _NO = ("yes", "true", "1"), ("no", "false", "0")


@dataclass(frozen=True)
class Label:
    """What is known of one model; "" and None where it is not.

    Attributes:
        tokens, seconds, peak_memory_gb, trained_parameters: of its training, >= 0.
        named_apart: whether an arm of another name shares all else, so that the name is part of the key.
    """

    name: str = ""
    base: str = ""
    system: str = ""
    arm: str = ""
    n_samples: int | None = None
    translation: bool | None = None
    tag: str = ""
    seed: int | None = None
    tokens: float | None = None
    seconds: float | None = None
    peak_memory_gb: float | None = None
    trained_parameters: float | None = None
    named_apart: bool = False

    @property
    def arm_key(self) -> tuple[Any, ...]:
        """What the runs of one arm share; the name only if nothing else tells arms apart."""
        key = (self.base, self.system, self.arm, self.n_samples, self.translation, self.tag)
        named = self.named_apart or not any(part not in ("", None) for part in key)
        return (*key, self.name) if named else key


class Labels:
    """The rows of a labels file, each a pattern and its label, in the file's order."""

    def __init__(self, rows: Sequence[tuple[str, Label]] = ()) -> None:
        self.rows = _named_apart(rows)
        self._used: set[str] = set()

    def of(self, *names: str) -> Label:
        """The label of the first row that one of a run's names matches, else parsed from the first name."""
        row = self.row_of(*names)
        if row is None:
            return label_of_name(names[0])
        pattern, label = self.rows[row]
        self._used.add(pattern)
        return label

    def row_of(self, *names: str) -> int | None:
        """The first row that one of a run's names matches."""
        for row, (pattern, _) in enumerate(self.rows):
            if any(name == pattern or fnmatchcase(name, pattern) for name in names):
                return row
        return None

    def unused(self) -> list[str]:
        """Rows that no run matched, probably misspelt."""
        return [pattern for pattern, _ in self.rows if pattern not in self._used]

    @property
    def seeded(self) -> bool:
        """Whether any row names its training run's seed: then rows make up arms, and all of them are expected."""
        return any(label.seed is not None for _, label in self.rows)

    def arms(self) -> dict[tuple[Any, ...], list[Label]]:
        """Key of each arm -> its rows' labels, in the file's order; empty where no row has a seed."""
        found: dict[tuple[Any, ...], list[Label]] = {}
        for _, label in self.rows if self.seeded else ():
            found.setdefault(label.arm_key, []).append(label)
        return found

    def arm_names(self) -> dict[tuple[Any, ...], str]:
        """Key of each arm -> the name it is shown by, which no other arm has."""
        arms = self.arms()
        names = {key: _shared_name(labels) for key, labels in arms.items()}
        for name in {name for name in names.values() if list(names.values()).count(name) > 1}:
            clashing = [key for key in arms if names[key] == name]
            described = [_described(arms[key][0]) for key in clashing]
            for key, parts in zip(clashing, described, strict=True):
                own = [part for part in parts if not all(part in other for other in described)]
                names[key] = f"{name} ({', '.join(own) or f'arm {list(arms).index(key) + 1}'})"
        return names


def _named_apart(rows: Sequence[tuple[str, Label]]) -> list[tuple[str, Label]]:
    """The rows, their names part of the arm where two names have the same seed of what would else be one arm.

    Otherwise names may differ within an arm ("x2x, first run").
    """
    names: dict[tuple[Any, ...], dict[int | None, set[str]]] = {}
    for _, label in rows:
        names.setdefault(label.arm_key, {}).setdefault(label.seed, set()).add(label.name)
    clashing = {
        key
        for key, by_seed in names.items()
        if any(len(those) > 1 for those in by_seed.values())
        or (None in by_seed and len(set().union(*by_seed.values())) > 1)
    }
    return [(run, replace(label, named_apart=True) if label.arm_key in clashing else label) for run, label in rows]


def _shared_name(labels: Sequence[Label]) -> str:
    """The name that all rows of an arm have; else what was done."""
    first = labels[0]
    if first.name and all(label.name == first.name for label in labels):
        return first.name
    return first.system or first.arm or ", ".join(_described(first)) or first.name


def _described(label: Label) -> list[str]:
    parts = [label.base, label.system, label.arm]
    parts.append("" if label.n_samples is None else f"{label.n_samples:,} samples")
    parts.append({None: "", True: "translation", False: "no translation"}[label.translation])
    parts.append({"": "", "yes": "tag", "no": "no tag"}.get(label.tag, f"tag {label.tag}"))
    return [part for part in parts if part]


def label_of_name(name: str) -> Label:
    """What the name of a mix of this project says.

    >>> label_of_name("mistral-7b-x2x_trans_5000").n_samples
    5000
    """
    match = _MIX.search(name)
    if match is None:
        return Label()
    arm, translation, number = match.groups()
    return Label(
        base=name[: match.start()].strip("-_/ ."),
        arm=arm,
        n_samples=int(number) if number else None,
        translation=translation is not None,
    )


def read_labels(path: Path) -> Labels:
    """Read a labels file.

    Raises:
        CrossinError: it is missing or broken, has an unknown column, a row without `run`, a value of the wrong kind, or
            a seed without an arm.
    """
    rows = []
    for place, record in _yaml_rows(path) if path.suffix in (".yaml", ".yml") else csv_rows(path):
        unknown = [str(column) for column in record if column not in COLUMNS]
        if unknown:
            raise CrossinError(f"{place}: unknown column {', '.join(unknown)}; there are {', '.join(COLUMNS)}")
        if nested := next((key for key, value in record.items() if isinstance(value, (list, dict))), None):
            raise CrossinError(f"{place}: {nested} must be text or a number")
        values = {key: "" if value is None else str(value).strip() for key, value in record.items()}
        run = values.pop("run", "")
        if not run:
            raise CrossinError(f"{place}: `run` is missing: the model's name, or a pattern such as *x2x_5000*")
        rows.append((run, _label(values, place)))
    return Labels(rows)


def _label(values: dict[str, str], place: str) -> Label:
    translation = values.get("translation", "").lower()
    if translation not in ("", *_YES, *_NO):
        raise CrossinError(f"{place}: translation must be yes or no, not {translation!r}")
    tag = values.get("tag", "")
    parsed: dict[str, Any] = {
        **values,
        **{column: _number(values.get(column, ""), column, place) for column in ("n_samples", "seed", *COSTS)},
        "translation": translation in _YES if translation else None,
        "tag": {"true": "yes", "false": "no"}.get(tag.lower(), tag),
    }
    label = Label(**parsed)
    if label.seed is not None and label.arm_key == Label().arm_key:
        raise CrossinError(f"{place}: seed {label.seed} without an arm; fill in name, system or arm")
    return label


def _number(text: str, column: str, place: str) -> Any:
    """A whole number, or of costs any number; None for an empty cell."""
    if not text:
        return None
    if column not in COSTS:
        if not (text.isascii() and text.isdigit()):
            raise CrossinError(f"{place}: {column} must be a whole number, not {text!r}")
        return int(text[:18])
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number >= 0.0):
        raise CrossinError(f"{place}: {column} must be a number of 0 or more, not {text!r}")
    return number


def _yaml_rows(path: Path) -> list[tuple[str, dict[str, Any]]]:
    loaded = read_yaml(path)
    if not isinstance(loaded, list) or not all(isinstance(row, dict) for row in loaded):
        raise CrossinError(f"{path}: must be a list of mappings, each with `run` and what is known of it")
    # `translation: yes` is a truth value in YAML, and n_samples a number; both read as their text
    return [(f"{path}, row {i}", row) for i, row in enumerate(loaded, 1)]
