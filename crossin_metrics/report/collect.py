"""What folders of results hold: runs, and for each file that could not be used, why; the rest is always read.

Read are the harness's `samples_*.jsonl` with the `results_*.json` beside them, and prediction tables. A results file
without a sample log is shown with the scores it states: nothing can be tested or looked into there.
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from crossin_metrics.errors import CrossinError
from crossin_metrics.records import json_lines, text_lines
from crossin_metrics.report.labels import Labels
from crossin_metrics.runs.harness_families import find_family
from crossin_metrics.runs.run import Run, file_kind, read_predictions
from crossin_metrics.runs.sample_logs import can_read, settings_of, task_of
from crossin_metrics.runs.seaeval_logs import is_parallel
from crossin_metrics.runs.signature import setup_of
from crossin_metrics.scores.definitions import score_questions

MARKER = ".crossin-report.json"  # a file in each report, which lists its files
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT[\d.:-]+)\.json")
_TABLES = (".jsonl", ".jsonl.gz", ".csv", ".csv.gz", ".parquet")
_SCORES = ("acc", "consistency", "ac3")
_ROUNDING = 1e-6  # what the harness states and what its samples give may differ by


@dataclass(frozen=True)
class Stated:
    """Scores that a results file states, without the samples they came from."""

    task: str
    model: str
    signature: str
    scores: dict[str, float]
    errors: dict[str, float]
    n_questions: int | None
    source: Path


@dataclass
class Collection:
    """All that was found.

    Attributes:
        runs: complete runs, in the order of their files.
        stated: scores without samples.
        problems: (file, what is wrong with it and what was done), for people.
        notes: what a reader should know of the runs that were used.
    """

    runs: list[Run] = field(default_factory=list)
    stated: list[Stated] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def problem(self, path: Path | str, text: str) -> None:
        """Note what is wrong with a file; its own name is not repeated."""
        self.problems.append((str(path), re.sub(rf"^{re.escape(str(path))}(?=[:\s])[:\s]*", "", text)))


def collect(
    paths: Iterable[str | Path],
    languages: Sequence[str] | None = None,
    *,
    labels: Labels | None = None,
    progress: Callable[[str], None] | None = None,
) -> Collection:
    """Read every results folder, sample log and prediction table.

    Runs that `labels` gives different rows are different runs, whatever else they share.

    Raises:
        CrossinError: a path does not exist, or nothing at all could be read.
    """
    found = Collection()
    results: list[Path] = []
    lots: dict[tuple[Any, ...], list[Path]] = {}
    for path, named in _files(paths):
        name = path.name
        if name.startswith("results_") and name.endswith(".json"):
            results.append(path)
        elif (lot := _lot(path, named, found)) is not None:
            lots.setdefault(lot, []).append(path)
    for number, files in enumerate(lots.values(), 1):
        if progress is not None:
            progress(f"{number} of {len(lots)}: {files[0].name}")
        _read_lot(files, found, languages)
    _drop_duplicates(found, labels or Labels())
    for path in results:
        _read_results(path, found)
    if not found.runs and not found.stated:
        said = "; ".join(f"{path}: {text}" for path, text in found.problems[:3])
        raise CrossinError(f"nothing to report: no readable run in what was given{f' ({said})' if said else ''}")
    return found


def _files(paths: Iterable[str | Path]) -> list[tuple[Path, bool]]:
    """Files with whether they were named themselves; each once."""
    files: dict[Path, tuple[Path, bool]] = {}
    for given in map(Path, paths):
        if not given.exists():
            raise CrossinError(f"{given}: no such file or folder")
        below = [given]
        if given.is_dir():
            below = sorted(path for path in given.rglob("*") if path.is_file() and not _no_result(path, given))
        for path in below:
            files.setdefault(path.resolve(), (path, given.is_file()))
    return list(files.values())


def _no_result(path: Path, top: Path) -> bool:
    """Whether a file is part of an earlier report, or stands beside the eval/ of an experiment (its mix, its log)."""
    for folder in path.parents:
        if folder != top and top not in folder.parents:
            break
        if (folder / MARKER).is_file():
            return True
        trained = (folder / "mix").is_dir() or (folder / "adapter").is_dir()
        if trained and (folder / "eval").is_dir() and folder / "eval" not in path.parents:
            return True
    return False


def _lot(path: Path, named: bool, found: Collection) -> tuple[Any, ...] | None:
    """Which files are read together: the languages of one family of tasks; else each file by itself."""
    name = path.name
    if not named and not (name.endswith(_TABLES) or name.endswith(".json")):
        return None
    try:
        kind = file_kind(path)
    except CrossinError as error:
        if named or name.startswith("samples_"):
            found.problem(path, f"{error}; left out")
        elif name.endswith(_TABLES):
            found.problem(path, f"{error}; passed over")
        return None
    if kind == "log":
        try:
            known = can_read(path)
        except CrossinError as error:
            found.problem(path, f"{error}; left out")
            return None
        if not known:
            found.problem(path, "passed over: its task is no parallel task known here (`crossin score --id-field`)")
            return None
        family = find_family(task_of(path))
        return (path,) if family is None else (path.parent, family[0].name)
    if not named and not _has_answers(path, kind):
        if not name.endswith(".json"):
            found.problem(path, "passed over: no prediction table (columns id, language, answer, gold)")
        return None
    return (path,)


def _has_answers(path: Path, kind: str) -> bool:
    """Whether a file that nobody named looks like a prediction table or a SeaEval log; any Parquet file does."""
    try:
        if kind == "seaeval":
            return is_parallel(path)
        columns: Iterable[str] = ("id", "language", "gold")
        if kind == "jsonl":
            columns = next(json_lines(path)).value.keys()
        elif kind == "csv":
            columns = next(csv.reader(text_lines(path)))
        return {"id", "language", "gold"} <= set(columns)
    except (CrossinError, csv.Error):
        return False


def _read_lot(files: list[Path], found: Collection, languages: Sequence[str] | None) -> None:
    try:
        runs = read_predictions(files, languages, skip_mismatched=True)
    except CrossinError as error:
        if len(files) == 1:
            found.problem(files[0], f"{error}; left out")
            return
        good = []
        for path in files:  # a broken language must not take the others with it
            try:
                read_predictions([path], skip_mismatched=True)
                good.append(path)
            except CrossinError as broken:
                found.problem(path, f"{broken}; left out")
        if len(good) == len(files):
            good = _newest(files, found)
        if len(good) == len(files):
            found.problem(files[0], f"{error}; the {len(files)} files read with it are left out")
        elif good:
            _read_lot(good, found, languages)
        return
    for run in runs:
        found.runs.append(run)
        for note in run.notes:
            found.problem(run.source_files[0], note)


def _newest(files: list[Path], found: Collection) -> list[Path]:
    """Of logs of one task in one set-up the newest."""
    newest: dict[tuple[Any, ...], Path] = {}
    for path in sorted(files, key=lambda path: _time_of(path)):
        settings = settings_of(path)
        key = (task_of(path), settings.get("shots"), settings.get("chat_template"))
        if key in newest:
            found.problem(newest[key], f"the same task as {path.name}, written earlier; left out")
        newest[key] = path
    return list(newest.values())


def _drop_duplicates(found: Collection, labels: Labels) -> None:
    """Of runs that nothing tells apart keep the newest; those that differ in folder and answers are named apart."""
    kept: list[Run] = []
    by_identity: dict[tuple[Any, ...], list[int]] = {}
    rows: list[int | None] = []
    for run in sorted(found.runs, key=lambda run: _written(run), reverse=True):
        identity = (run.model, run.variant, run.prompt, run.mode, setup_of(run))
        row = labels.row_of(model_label(run), run.model, str(run.source_files[0]))
        for index in by_identity.get(identity, []):
            other = kept[index]
            same = np.array_equal(run.answers, other.answers)
            if row != rows[index]:
                continue
            if same or run.source_files[0].parent == other.source_files[0].parent:
                why = "the same answers" if same else "the same run, written earlier"
                found.problem(run.source_files[0], f"duplicate of {other.source_files[0]} ({why}); left out")
                break
        else:
            by_identity.setdefault(identity, []).append(len(kept))
            kept.append(run)
            rows.append(row)
    for indices in by_identity.values():
        if len(indices) > 1:
            folders = differing_parts([kept[index].source_files[0].absolute().parent for index in indices])
            for index, folder in zip(indices, folders, strict=True):
                kept[index] = replace(kept[index], model=f"{kept[index].model} ({folder})")
                if rows[index] is not None and len({rows[i] for i in indices}) == len(indices):
                    continue  # the labels tell them apart
                found.problem(
                    kept[index].source_files[0],
                    f"shares model, task and prompt with {len(indices) - 1} other runs whose answers differ; "
                    f"named {folder!r} by its folder (a labels file gives better names)",
                )
    found.runs = sorted(kept, key=lambda run: (run.task, run.model, run.mode, run.prompt, run.variant))
    _note_limits(found)


def differing_parts(folders: Sequence[Path]) -> list[str]:
    """Each folder's path without what all of them begin and end with.

    >>> differing_parts([Path("arms/x2x/seed0/eval"), Path("arms/en2x/seed1/eval")])
    ['x2x, seed0', 'en2x, seed1']
    """
    parts = [folder.parts for folder in folders]
    shortest = min(map(len, parts))
    start = next((i for i in range(shortest) if len({part[i] for part in parts}) > 1), shortest)
    shortest -= start
    end = next((i for i in range(shortest) if len({part[-1 - i] for part in parts}) > 1), shortest)
    return [
        ", ".join(part[start : len(part) - end]) or folder.name for part, folder in zip(parts, folders, strict=True)
    ]


def _note_limits(found: Collection) -> None:
    """Say which runs of a task answered other questions, or another version of it, than most."""
    by_task: dict[str, list[Run]] = {}
    for run in found.runs:
        by_task.setdefault(run.task, []).append(run)
    for task, runs in by_task.items():
        for what, values in (
            ("questions", [setup_of(run).questions for run in runs]),
            ("task version", [setup_of(run).version for run in runs]),
            ("data", [setup_of(run).data for run in runs]),
        ):
            common = max(set(values), key=values.count)
            for run, value in zip(runs, values, strict=True):
                if value != common:
                    limit = run.settings.get("limit")
                    found.problem(
                        run.source_files[0],
                        f"{task}: other {what} than most runs ({value} against {common}"
                        f"{f'; limit {limit:g}' if isinstance(limit, (int, float)) else ''}); ranked apart",
                    )


def _written(run: Run) -> str:
    return _time_of(run.source_files[-1])


def _time_of(path: Path) -> str:
    match = re.search(r"\d{4}-\d\d-\d\dT[\d.:-]+", path.name)
    return match[0] if match else ""


def _read_results(path: Path, found: Collection) -> None:
    """Check a results file against its samples, or take the scores it states where there are none."""
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        found.problem(path, f"half-written or no JSON ({error}); signatures and settings of its runs are unknown")
        return
    if not isinstance(loaded, dict) or not isinstance(loaded.get("results"), dict):
        found.problem(path, "no results of the harness in it; left out")
        return
    time = match[1] if (match := _TIME.search(path.name)) else ""
    logs = {task_of(log): log for log in path.parent.glob(f"samples_*_{time}.jsonl*")}
    for task, values in loaded["results"].items():
        if not isinstance(values, dict) or (loaded.get("group_subtasks") or {}).get(task):
            continue  # a group's row is the harness's mean over its tasks
        scores, errors = _stated_scores(values)
        if task in logs:
            _compare(path, task, logs[task], scores, found)
        elif set(_SCORES) <= scores.keys():
            metadata = ((loaded.get("configs") or {}).get(task) or {}).get("metadata") or {}
            signature = str(metadata.get("signature") or "")
            n = values.get("n_questions,none")
            found.stated.append(
                Stated(
                    task=task,
                    model=str(loaded.get("model_name") or path.parent.name),
                    signature=signature,
                    scores=scores,
                    errors=errors,
                    n_questions=int(n) if isinstance(n, (int, float)) else None,
                    source=path,
                )
            )
            found.problem(
                path,
                f"{task}: no sample log beside it; its stated scores are shown, unranked and untested "
                "(run the harness with --log_samples)",
            )
        else:
            found.problem(path, f"{task}: no cross-lingual scores and no sample log; passed over")


def _stated_scores(values: dict[str, Any]) -> tuple[dict[str, float], dict[str, float]]:
    """Scores and standard errors; the harness writes "N/A" where it has none."""
    scores: dict[str, float] = {}
    errors: dict[str, float] = {}
    for key, value in values.items():
        name, _, variant = key.partition(",")
        if variant != "none" or isinstance(value, bool) or not isinstance(value, (int, float)):
            continue
        if not math.isfinite(value) or name.endswith("_stderr_stderr"):
            continue
        if name.endswith("_stderr"):
            errors[name.removesuffix("_stderr")] = float(value)
        else:
            scores[name] = float(value)
    return scores, errors


def _compare(path: Path, task: str, log: Path, scores: dict[str, float], found: Collection) -> None:
    """Say where the samples give another score than the harness stated."""
    for run in found.runs:
        if run.source_files != (log,) or "norm" in run.variant.split("+") or not scores:
            continue
        computed = score_questions(run.questions())
        for name in _SCORES:
            if name in scores and name in computed and abs(scores[name] - computed[name]) > _ROUNDING:
                found.problem(
                    path,
                    f"{task}: states {name} {scores[name]:.4f}, its samples give {computed[name]:.4f}; the samples "
                    "count (was the log edited, or made with other options?)",
                )


def model_label(run: Run) -> str:
    """The model as its results file names it, with its adapter; the folder's name where nothing else is known."""
    name = str(run.settings.get("model_name") or run.model)
    adapter = (run.settings.get("metadata") or {}).get("peft")
    suffix = run.model[run.model.rindex(" (") :] if run.model.endswith(")") and " (" in run.model else ""
    return (f"{name}+{adapter}" if adapter else name) + suffix
