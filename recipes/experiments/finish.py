"""Finishes an experiment: labels of its runs, predictions, a manifest and one report."""

from __future__ import annotations

import csv
import gzip
import io
import subprocess
from pathlib import Path
from typing import Any

from crossin_metrics.errors import CrossinError
from crossin_metrics.files import atomic_path, read_json, write_json, write_text
from crossin_metrics.text_tables import csv_cell, csv_text
from recipes.common.provenance import REPO
from recipes.experiments.config import ExperimentOptions
from recipes.experiments.plan import ALIGNED, PYTHON, Plan, Run, model_of
from recipes.experiments.records import Records, Stage

LABELS, PREDICTIONS, MANIFEST, REPORT = "labels.csv", "predictions.csv.gz", "experiment.json", "report"
PREDICTION_COLUMNS = (
    *("task", "model", "mode", "prompt", "variant"),
    *("id", "language", "answer", "gold", "n_choices", "group", "signature"),
)
_COLUMNS = (
    "run",
    "name",
    "base",
    "system",
    "arm",
    "n_samples",
    "translation",
    "seed",
    "tag",
    "tokens",
    "seconds",
    "peak_memory_gb",
    "trained_parameters",
)


def finish(options: ExperimentOptions, plan: Plan, records: Records, failed: dict[str, str]) -> list[str]:
    """Write labels, manifest, predictions and report into the experiment's folder.

    Returns:
        Runs without a complete evaluation under the present options, as `<arm>/<seed>`; the report lists them as
        missing.

    Raises:
        CrossinError: nothing was evaluated, or the report failed.
    """
    found = {run.name: answered(run, records) for run in plan.runs}
    evaluated = [str(stage.outputs[0].parent) for stages in found.values() for stage in stages]
    whole = {run.name for run in plan.runs if len(found[run.name]) == len(evaluations(run))}
    missing = [run.name for run in plan.runs if run.name not in whole]
    write_text(records.folder / LABELS, labels(options, plan))
    write_json(records.folder / MANIFEST, manifest(options, plan, records, failed))
    if not evaluated:
        raise CrossinError("nothing to report: no run was evaluated; see the failures above")
    write_predictions(records.folder / PREDICTIONS, [run for run in plan.runs if run.name in whole])
    command = [PYTHON, "-m", "crossin_metrics.cli", "report", *evaluated]
    command += ["--out", str(records.folder / REPORT), "--labels", str(records.folder / LABELS)]
    command += ["--title", options.title or options.name]
    if options.baseline is not None:
        command += ["--baseline", options.baseline]
    for pair in options.compare:
        command += ["--compare", pair]
    if options.keys:
        command += ["--keys", ",".join(options.keys)]
    if options.planned is not None:
        command += ["--planned", options.planned]
        command += ["--planned-in", options.planned_in] if options.planned_in is not None else []
    finished = subprocess.run(
        command, cwd=REPO, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    if finished.returncode:
        lines = finished.stderr.strip().splitlines() or ["no output"]
        raise CrossinError(f"the report failed: {lines[-1]}")
    return missing


def labels(options: ExperimentOptions, plan: Plan) -> str:
    """The table of runs that `crossin report --labels` reads, including missing ones."""
    rows: list[list[Any]] = [list(_COLUMNS)]
    for run in plan.runs:
        value = options.arms[run.arm]
        label: dict[str, Any] = {"name": run.arm, "system": run.arm, **options.label, **value.get("label", {})}
        row = {key: _yes_or_no(label.get(key, "")) for key in _COLUMNS}
        tuned = value.get("tune", True)  # an untuned model has no seed
        row |= {"run": f"*{model_name(run)}*", "seed": run.seed if tuned else "", **costs(run)}
        rows.append([row.get(column, "") for column in _COLUMNS])
    return csv_text(rows)


def _yes_or_no(value: Any) -> Any:
    """YAML reads yes and no as booleans; the labels need the words."""
    return ("yes" if value else "no") if isinstance(value, bool) else value


def model_name(run: Run) -> str:
    """The run's name in the table of predictions; between stars, a pattern of its result files."""
    return f"arms/{run.arm}/seed{run.seed}/"


def evaluations(run: Run) -> list[Stage]:
    """The evaluation stages of a run."""
    return [stage for stage in run.stages if stage.kind == "eval"]


def answered(run: Run, records: Records) -> list[Stage]:
    """The finished evaluations of a run; none where a stage before them was not done, or with other options."""
    found = evaluations(run)
    ready = all(records.holds(stage) for stage in run.stages if stage not in found)
    return [stage for stage in found if ready and records.holds(stage)]


def trainings(run: Run) -> list[dict[str, Any]]:
    """The manifests of a run's trainings: on a mix, and of an alignment."""
    found = (read_json(folder / "manifest.json") for folder in (run.folder, run.folder / ALIGNED))
    return [facts for facts in found if facts is not None]


def costs(run: Run) -> dict[str, Any]:
    """Tokens seen and seconds of a run's trainings, peak memory (GB), trained parameters; empty if untrained."""
    facts = trainings(run)
    if not facts:
        return {}
    memory = [sum(one["peak_memory_bytes"].get("gpu") or one["peak_memory_bytes"]["resident"]) for one in facts]
    return {
        "tokens": sum(one["tokens_seen"] for one in facts),
        "seconds": round(sum(one["seconds"] for one in facts), 2),
        "peak_memory_gb": round(max(memory) / 1e9, 2),
        "trained_parameters": facts[-1]["parameters"]["trained"],
    }


def manifest(options: ExperimentOptions, plan: Plan, records: Records, failed: dict[str, str]) -> dict[str, Any]:
    """Options, versions, data hashes, and per run the stages' seconds and hashes, tokens and peak memory."""
    from recipes.common.provenance import git_commit, hardware, versions

    base = model_of(options, next(iter(options.arms)))
    runs = {}
    for run in plan.runs:
        stages = {}
        for stage in run.stages:
            record = records.read(stage)
            if record is not None:
                files = {**record["inputs"]["files"], **record["outputs"]}
                stages[stage.kind if stage.kind != "eval" else stage.name.rpartition("/")[2]] = {
                    "seconds": record["seconds"],
                    "sha256": {name.rpartition("/")[2]: digest for name, digest in files.items()},
                }
        trained = trainings(run)
        facts = trained[-1] if trained else {}
        short: dict[str, Any] = {
            key: facts[key] for key in ("git_commit", "steps", "tokens_seen", "first_loss", "last_loss") if key in facts
        }
        parts = {name: one["rows"] for part in trained for name, one in part["mix"].get("parts", {}).items()}
        if parts:
            short["rows"] = parts
        runs[run.name] = {"stages": stages, **short, **costs(run)}
    chosen = {
        key: getattr(options, key)
        for key in ("name", "title", "seeds", "arms", "data", "mix_config", "mix", "train_config", "train", "launcher")
    }
    chosen |= {
        key: value
        for key in ("align_config", "align", "keys", "planned", "planned_in")
        if (value := getattr(options, key))
    }
    chosen |= {key: getattr(options, key) for key in ("merge", "evaluate", "label", "baseline", "compare", "jobs")}
    return {
        "format": 1,
        "experiment": chosen,
        "model": base if not Path(base).is_absolute() else Path(base).name,
        "versions": versions(),
        "git_commit": git_commit(),
        "hardware": hardware(),
        "data": {stage.name: record["outputs"] for stage in plan.data if (record := records.read(stage)) is not None},
        "runs": runs,
        "failed": failed,
    }


def write_predictions(path: Path, runs: list[Run]) -> None:
    """Write the answers of all runs as one prediction table: ids, choice indices, signatures, no texts.

    Raises:
        CrossinError: a sample log is missing or invalid, or the file cannot be written.
    """
    # neither name nor time in the header, so that equal answers give equal bytes
    with (
        atomic_path(path) as temporary,
        temporary.open("wb") as raw,
        gzip.GzipFile("", "wb", compresslevel=9, fileobj=raw, mtime=0) as packed,
    ):
        file = io.TextIOWrapper(packed, encoding="utf-8", newline="")
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(PREDICTION_COLUMNS)
        for run in runs:
            _write_run(writer, run)
        file.flush()


def _write_run(writer: Any, run: Run) -> None:
    from crossin_metrics.runs.run import read_predictions
    from crossin_metrics.runs.signature import signature_of

    names = [stage.name.rpartition("/eval-")[2] for stage in evaluations(run)]
    answers = [(name, one) for name in names for one in read_predictions([run.folder / "eval" / name])]
    asked = [task for task, _ in {(one.task, name) for name, one in answers}]  # once an evaluation
    for name, one in answers:
        # two evaluations of one task differ in nothing else that tells rows apart
        mode = one.mode or (name if asked.count(one.task) > 1 else "")
        start, signature = [one.task, model_name(run), mode, one.prompt, one.variant], signature_of(one)
        for k, identifier in enumerate(one.ids):
            n_choices, gold = "" if one.n_choices is None else int(one.n_choices[k]), int(one.gold[k])
            for language, answer in zip(one.languages, one.answers[k].tolist(), strict=True):
                facts = [identifier, language, answer, gold, n_choices, one.groups[k], signature]
                writer.writerow(map(csv_cell, [*start, *facts]))
