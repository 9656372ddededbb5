"""Published scores as rows of the report: a table of base, system, benchmark, acc, consistency, ac3; or SeaEval's JSON.

They carry no questions: nothing is tested against them, and they are ranked only where signatures may be mixed.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from crossin_metrics.errors import DAMAGE, CrossinError, located, one_line
from crossin_metrics.languages import log_language
from crossin_metrics.records import csv_rows, read_json
from crossin_metrics.report.entries import Entry
from crossin_metrics.report.labels import label_of_name
from crossin_metrics.scores.catalogue import MAIN_SCORES
from crossin_metrics.scores.over_prompts import over_prompts

_COLUMNS = ("base", "system", "benchmark", *MAIN_SCORES)


def read_published(given: str) -> list[Entry]:
    """Read `FILE` or `BENCHMARK=FILE`: a CSV table (shares, or percent where a value is above 1), or SeaEval's scores.

    SeaEval's scores are a JSON object `model|mode|prompt` -> overall_acc, language_acc, consistency_3, AC3_3 ...; its
    benchmark is taken from the file's name (`cross_xquad_official.json`) unless given. Prompts are averaged.

    Raises:
        CrossinError: the file is missing, broken, lacks a column, or holds no number in [0, 1] or percent.
    """
    name, rest = named_file(given)
    path = Path(rest)
    if not path.is_file():
        raise CrossinError(f"--published {rest}: no such file")
    try:
        return _json(path, name) if path.suffix == ".json" else _table(path, name)
    except CrossinError:
        raise
    except DAMAGE as error:
        raise located(path, error) from error


def named_file(given: str) -> tuple[str, str]:
    """Name and path of `NAME=FILE`; no name for a `FILE`, whose path may hold "=", as names cannot."""
    name, _, path = given.partition("=")
    return ("", given) if not path or Path(given).is_file() else (name, path)


def _table(path: Path, benchmark: str) -> list[Entry]:
    rows = list(csv_rows(path))
    if not rows:
        raise CrossinError(f"{path}: no rows in it")
    missing = [column for column in _COLUMNS if column not in rows[0].value]
    if missing and not (missing == ["benchmark"] and benchmark):
        raise CrossinError(f"{path}, line 1: column {', '.join(missing)} missing; it needs {', '.join(_COLUMNS)}")
    numbers = [[_number(row[metric], f"{place}: {metric}") for metric in MAIN_SCORES] for place, row in rows]
    scale = 100.0 if any(value > 1.0 for values in numbers for value in values) else 1.0
    entries = []
    for (place, row), values in zip(rows, numbers, strict=True):
        scores = {metric: value / scale for metric, value in zip(MAIN_SCORES, values, strict=True)}
        if max(scores.values()) > 1.0:
            raise CrossinError(f"{place}: a score above {scale:g}")
        base, system = row["base"].strip(), row["system"].strip()
        entries.append(_entry(f"{base} {system}", row.get("benchmark") or benchmark, scores, path, base, system))
    return entries


def _json(path: Path, benchmark: str) -> list[Entry]:
    loaded = read_json(path)
    benchmark = benchmark or path.stem.removeprefix("official_").removesuffix("_official")
    runs: dict[tuple[str, str], dict[str, dict[str, float]]] = {}
    for key, values in loaded.items() if isinstance(loaded, dict) else ():
        if not isinstance(values, dict) or "overall_acc" not in values:
            raise CrossinError(f"{path}: {key!r} has no overall_acc; expected SeaEval's scores by model|mode|prompt")
        model, mode, prompt = [*key.split("|"), "", ""][:3]
        runs.setdefault((model, mode), {})[prompt or "as given"] = _seaeval(values, f"{path}: {key!r}")
    if not runs:
        raise CrossinError(f"{path}: no scores in it; expected an object of scores by model|mode|prompt")
    entries = []
    for (model, mode), by_prompt in runs.items():
        system = mode.replace("_", "-")
        entry = _entry(f"{model} {system}".strip(), benchmark, over_prompts(list(by_prompt.values())), path, "", "")
        entry.by_prompt = by_prompt
        entries.append(entry)
    return entries


def _seaeval(values: dict[str, Any], where: str) -> dict[str, float]:
    scores = {"acc": _number(values["overall_acc"], f"{where}: overall_acc")}
    for name, value in (values.get("language_acc") or {}).items():
        scores[f"acc_{log_language(str(name))}"] = _number(value, f"{where}: {name}")
    for key, value in values.items():
        for theirs, ours in (
            ("consistency_score_", "consistency_"),
            ("consistency_", "consistency_"),
            ("AC3_", "ac3_"),
        ):
            size = key.removeprefix(theirs)
            if key.startswith(theirs) and size.isdigit():
                scores[f"{ours}{size}"] = _number(value, f"{where}: {key}")
    for name in ("consistency", "ac3"):
        if f"{name}_3" in scores:
            scores[name] = scores[f"{name}_3"]
    return scores


def _number(value: Any, where: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not 0.0 <= number <= 100.0:
        raise CrossinError(f"{where}: {one_line(repr(value), 80)} must be a score in [0, 1] or percent")
    return number


def _entry(model: str, benchmark: str, scores: dict[str, float], path: Path, base: str, system: str) -> Entry:
    return Entry(
        model=model,
        benchmark=benchmark,
        setup=None,
        runs=(),
        scores=scores,
        signature=f"published: {path.name}",
        label=replace(label_of_name(system), base=base, system=system),
        kind="published",
        source=str(path),
    )
