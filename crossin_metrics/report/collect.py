"""Find the runs in result folders; a file that cannot be used is named with the reason, and the others are read.

Read are the harness's `samples_*.jsonl` with the `results_*.json` beside them, SeaEval's logs, and prediction tables. A
results file without a sample log is shown with the scores it states: they cannot be tested or looked into.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from crossin_metrics.errors import DAMAGE, CrossinError, located, one_line
from crossin_metrics.report.labels import Labels
from crossin_metrics.runs.harness_families import find_family
from crossin_metrics.runs.run import FileStart, Run, file_start, read_predictions
from crossin_metrics.runs.sample_logs import can_read, settings_of, task_of
from crossin_metrics.runs.seaeval_logs import is_parallel
from crossin_metrics.runs.signature import asking_of, setup_of
from crossin_metrics.scores.catalogue import MAIN_SCORES
from crossin_metrics.scores.definitions import score_questions
from crossin_metrics.signature import signature_fields

MARKER = ".crossin-report.json"  # a file in each report, which lists its files
_TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d.:-]*\d")
_TABLES = (".jsonl", ".jsonl.gz", ".csv", ".csv.gz", ".tsv", ".parquet")
_ROUNDING = 1e-6  # how far a stated score may be from the one its samples give


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
    """What was found.

    Attributes:
        runs: complete runs, sorted by task, model, mode and prompt.
        stated: scores without samples.
        problems: (file, what is wrong with it and what was done), for people.
    """

    runs: list[Run] = field(default_factory=list)
    stated: list[Stated] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)

    def problem(self, path: Path, text: str) -> None:
        """Note, once, what is wrong with a file; its own name is not repeated."""
        noted = (str(path), one_line(re.sub(rf"^({re.escape(str(path))}[:,\s]+)+", "", text)))
        if noted not in self.problems:
            self.problems.append(noted)


def collect(
    paths: Iterable[str | Path],
    languages: Sequence[str] | None = None,
    *,
    labels: Labels | None = None,
    progress: Callable[[str], None] | None = None,
) -> Collection:
    """Read every results folder, sample log and prediction table.

    Runs to which `labels` gives different rows are different runs, whatever else they share.

    Raises:
        CrossinError: a path does not exist, or nothing at all could be read.
    """
    found = Collection()
    results: list[Path] = []
    groups: dict[tuple[Any, ...], list[Path]] = {}
    for path, named in _files(paths):
        if path.name.startswith("results_") and path.suffix == ".json":
            results.append(path)
        elif (key := _group_of(path, named, found)) is not None:
            groups.setdefault(key, []).append(path)
    for number, files in enumerate(groups.values(), 1):
        if progress is not None:
            progress(f"{number} of {len(groups)}: {files[0].name}")
        _read_group(files, found, languages, progress)
    _drop_duplicates(found, labels or Labels())
    _note_differences(found)
    for path in results:
        try:
            _read_results(path, found)
        except DAMAGE as error:
            found.problem(path, f"{located(path, error)}; left out")
    if not found.runs and not found.stated:
        reasons = "; ".join(f"{path}: {text}" for path, text in found.problems[:3])
        if not reasons and results:
            reasons = f"{results[0]}: name its folder, or the samples_*.jsonl beside it"
        reasons = reasons or "no samples_*.jsonl, results_*.json or prediction table there; run with --log_samples"
        raise CrossinError(f"nothing to report: no run could be read ({reasons})")
    return found


def _files(paths: Iterable[str | Path]) -> list[tuple[Path, bool]]:
    """Files, each once, and whether they were named themselves."""
    files: dict[Path, tuple[Path, bool]] = {}
    for given in map(Path, paths):
        if not given.exists():
            raise CrossinError(f"{given}: no such file or folder")
        if given.is_dir():
            below = sorted(path for path in given.rglob("*") if path.is_file() and not _no_result(path, given))
        else:
            below = [given]
        for path in below:
            files.setdefault(path.resolve(), (path, given.is_file()))
    return list(files.values())


def _no_result(path: Path, top: Path) -> bool:
    """Whether a file is part of an earlier report, or lies beside the eval/ of an experiment (its mix, its log)."""
    for folder in path.parents:
        if folder != top and top not in folder.parents:
            break
        if (folder / MARKER).is_file():
            return True
        trained = (folder / "mix").is_dir() or (folder / "adapter").is_dir()
        if trained and (folder / "eval").is_dir() and folder / "eval" not in path.parents:
            return True
    return False


def _group_of(path: Path, named: bool, found: Collection) -> tuple[Any, ...] | None:
    """A key of the files that are read together: the languages of one family of tasks; else each file by itself."""
    is_table = path.name.endswith(_TABLES)
    if not (named or is_table or path.suffix == ".json"):
        return None
    is_log = False
    try:
        start = file_start(path)
        is_log = start.kind == "log"
        if is_log and can_read(path, start.first):
            family = find_family(task_of(path))
            return (path,) if family is None else (path.parent, family[0].name)
    except DAMAGE as raised:
        error = located(path, raised)
        if named or is_log or path.name.startswith("samples_"):
            found.problem(path, f"{error}; left out")
        elif is_table:
            found.problem(path, f"{error}; skipped")
        return None
    if is_log:
        found.problem(path, "skipped: unknown parallel task (see `crossin score --id-field`)")
    elif named or _has_answers(path, start):
        return (path,)
    elif is_table:
        found.problem(path, "skipped: not a prediction table (columns id, language, answer, gold)")
    return None


def _has_answers(path: Path, start: FileStart) -> bool:
    """Whether a file that nobody named looks like a prediction table or a SeaEval log; any Parquet file does."""
    if start.kind != "seaeval":
        return start.kind == "parquet" or {"id", "language", "gold"} <= set(start.first)
    try:
        return is_parallel(path)
    except CrossinError:
        return False


def _read_group(
    files: list[Path],
    found: Collection,
    languages: Sequence[str] | None,
    progress: Callable[[str], None] | None = None,
) -> None:
    try:
        runs = read_predictions(files, languages, skip_mismatched=True, progress=progress)
    except DAMAGE as raised:
        error = raised if isinstance(raised, CrossinError) else located(files[0], raised)
        if len(files) == 1:
            found.problem(files[0], f"{error}; left out")
            return
        good = [path for path in files if _is_good(path, found)]  # a broken language must not take the others with it
        if len(good) == len(files):
            good = _newest(files, found)
        if len(good) == len(files):
            found.problem(files[0], f"{error}; the {len(files)} files read with it are left out")
        elif good:
            _read_group(good, found, languages, progress)
        return
    for run in runs:
        found.runs.append(run)
        for note in run.notes:
            found.problem(run.source_files[0], note)


def _is_good(path: Path, found: Collection) -> bool:
    try:
        read_predictions([path], skip_mismatched=True)
    except DAMAGE as error:
        found.problem(path, f"{located(path, error)}; left out")
        return False
    return True


def _newest(files: list[Path], found: Collection) -> list[Path]:
    """Of several logs of one task in one set-up the newest."""
    newest: dict[tuple[Any, ...], Path] = {}
    for path in sorted(files, key=_time_of):
        settings = settings_of(path)
        key = (task_of(path), settings.get("shots"), settings.get("chat_template"))
        if key in newest:
            found.problem(newest[key], f"the same task as {path.name}, written earlier; left out")
        newest[key] = path
    return list(newest.values())


def _drop_duplicates(found: Collection, labels: Labels) -> None:
    """Of runs that share everything keep the newest; those that differ in folder and answers are named apart."""
    kept: dict[tuple[Any, ...], list[tuple[Run, int | None]]] = {}  # identity -> runs and their rows of the labels file
    for run in sorted(found.runs, key=lambda run: _time_of(run.source_files[-1]), reverse=True):
        alike = kept.setdefault((run.model, run.variant, run.prompt, run.mode, setup_of(run)), [])
        row = labels.row_of(model_label(run), run.model, str(run.source_files[0]))
        for other, other_row in alike:
            same = np.array_equal(run.answers, other.answers)
            if row == other_row and (same or run.source_files[0].parent == other.source_files[0].parent):
                why = "the same answers" if same else "the same run, written earlier"
                found.problem(run.source_files[0], f"duplicate of {other.source_files[0]} ({why}); left out")
                break
        else:
            alike.append((run, row))
    names = _names_of_rows([pair for alike in kept.values() for pair in alike])
    found.runs = []
    for alike in kept.values():
        found.runs += [replace(run, model=names[run.model, row]) for run, row in alike if (run.model, row) in names]
        found.runs += _named_apart([(run, row) for run, row in alike if (run.model, row) not in names], found)
    found.runs.sort(key=lambda run: (run.task, run.model, run.mode, run.prompt, run.variant))


def _names_of_rows(runs: Sequence[tuple[Run, int | None]]) -> dict[tuple[str, int | None], str]:
    """(model, row of the labels file) -> a name from its folders, where a model has several rows: adapters of one base.

    All runs of a row get one name, so that its prompts stay together and those of two rows apart.
    """
    folders: dict[str, dict[int, list[Path]]] = {}
    for run, row in runs:
        if row is not None:
            folders.setdefault(run.model, {}).setdefault(row, []).append(run.source_files[0].absolute().parent)
    names: dict[tuple[str, int | None], str] = {}
    for model, rows in folders.items():
        if len(rows) > 1:
            places = differing_parts([Path(os.path.commonpath(own)) for own in rows.values()])
            names |= {(model, row): f"{model} ({place})" for row, place in zip(rows, places, strict=True)}
    return names


def _named_apart(alike: list[tuple[Run, int | None]], found: Collection) -> list[Run]:
    """Runs that share model, task and prompt, named by their folders."""
    if len(alike) < 2:
        return [run for run, _ in alike]
    labelled = len({row for _, row in alike}) == len(alike)  # the labels file tells them apart
    folders = differing_parts([run.source_files[0].absolute().parent for run, _ in alike])
    for (run, row), folder in zip(alike, folders, strict=True):
        if row is None or not labelled:
            found.problem(
                run.source_files[0],
                f"shares model, task and prompt with {len(alike) - 1} other runs whose answers differ; "
                f"named {folder!r} by its folder (a labels file gives better names)",
            )
    return [replace(run, model=f"{run.model} ({folder})") for (run, _), folder in zip(alike, folders, strict=True)]


def differing_parts(folders: Sequence[Path]) -> list[str]:
    """Each folder's path without what all of them begin and end with.

    >>> differing_parts([Path("arms/x2x/seed0/eval"), Path("arms/en2x/seed1/eval")])
    ['x2x, seed0', 'en2x, seed1']
    """
    parts = [list(folder.parts) for folder in folders]
    for end in (0, -1):
        while all(parts) and len({part[end] for part in parts}) == 1:
            for part in parts:
                del part[end]
    return [", ".join(part) or folder.name for part, folder in zip(parts, folders, strict=True)]


def _note_differences(found: Collection) -> None:
    """Note the runs that answered other questions, or another version of the task, than most."""
    by_task: dict[str, list[Run]] = {}
    for run in found.runs:
        by_task.setdefault(run.task, []).append(run)
    for task, runs in by_task.items():
        setups = [setup_of(run) for run in runs]
        for what, values in (
            ("questions", [setup.questions for setup in setups]),
            ("task version", [setup.version for setup in setups]),
            ("data", [setup.data for setup in setups]),
        ):
            common = max(dict.fromkeys(values), key=values.count)  # of equals the first
            for run, value in zip(runs, values, strict=True):
                limit = run.settings.get("limit")
                also = f"; limit {limit:g}" if isinstance(limit, (int, float)) else ""
                if value != common:
                    found.problem(
                        run.source_files[0],
                        f"{task}: other {what} than most runs ({value} against {common}{also}); not comparable",
                    )


def _time_of(path: Path) -> str:
    match = _TIME.search(path.name)
    return match[0] if match else ""


def _read_results(path: Path, found: Collection) -> None:
    """Check a results file against its samples, or take the scores it states where there are none."""
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        found.problem(path, f"truncated or not JSON ({error}); signatures and settings of its runs are unknown")
        return
    if not isinstance(loaded, dict) or not isinstance(loaded.get("results"), dict):
        found.problem(path, "holds no results of the harness; left out")
        return
    logs = {task_of(log): log for log in path.parent.glob(f"samples_*_{_time_of(path)}.jsonl*")}
    for task, values in loaded["results"].items():
        if not isinstance(values, dict) or (loaded.get("group_subtasks") or {}).get(task):
            continue  # a group's row is the harness's mean over its tasks
        scores, errors = _stated_scores(values)
        if task in logs:
            _compare(path, task, logs[task], scores, found)
        elif set(MAIN_SCORES) <= scores.keys():
            metadata = ((loaded.get("configs") or {}).get(task) or {}).get("metadata") or {}
            n = values.get("n_questions,none")
            stated = Stated(
                task=task,
                model=str(loaded.get("model_name") or path.parent.name),
                signature=str(metadata.get("signature") or ""),
                scores=scores,
                errors=errors,
                n_questions=int(n) if isinstance(n, (int, float)) else None,
                source=path,
            )
            found.stated.append(stated)
            found.problem(
                path,
                f"{task}: no sample log beside it; its stated scores are shown, unranked and untested "
                "(run the harness with --log_samples)",
            )
        else:
            found.problem(path, f"{task}: no cross-lingual scores and no sample log; skipped")


def _stated_scores(values: dict[str, Any]) -> tuple[dict[str, float], dict[str, float]]:
    """Scores and standard errors; the harness writes "N/A" where it has none."""
    numbers = {
        key.removesuffix(",none"): float(value)
        for key, value in values.items()
        if key.endswith(",none") and type(value) in (int, float) and math.isfinite(value)
    }
    errors = {key.removesuffix("_stderr"): value for key, value in numbers.items() if key.endswith("_stderr")}
    return {key: value for key, value in numbers.items() if not key.endswith("_stderr")}, errors


def _compare(path: Path, task: str, log: Path, scores: dict[str, float], found: Collection) -> None:
    """Note where the samples give another score than the harness stated."""
    for run in found.runs:
        if run.source_files != (log,) or "norm" in run.variant.split("+") or asking_of(run) or not scores:
            continue
        logged = signature_fields(run.settings.get("signature")).get("langs", "")
        if logged and {*logged.split(",")} != {*run.languages}:
            continue  # `--languages` has left some out
        computed = score_questions(run.questions())
        for name in MAIN_SCORES:
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
