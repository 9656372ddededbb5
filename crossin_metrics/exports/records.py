"""What every export starts from: the scores of runs, with bootstrap errors, signatures and where the data came from."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from crossin_metrics.errors import CrossinError
from crossin_metrics.hub import HUB_ID
from crossin_metrics.runs.run import Run
from crossin_metrics.runs.signature import signature_of
from crossin_metrics.scores.catalogue import SCORES, check_keys
from crossin_metrics.scores.definitions import score_questions
from crossin_metrics.scores.over_prompts import over_prompts
from crossin_metrics.scores.uncertainty import bootstrap, score_intervals, standard_errors, unit_of
from crossin_metrics.sets.catalogue import SETS
from crossin_metrics.signature import signature_fields, signature_line

EXPORTED = tuple(key for key, score in SCORES.items() if score.kind == "score")
_DATE = re.compile(r"_(\d{4}-\d\d-\d\d)T[\d.:-]+\.jsonl")


@dataclass(frozen=True)
class Record:
    """The scores of one benchmark for one model.

    Attributes:
        benchmark: stable name: the task, with `_norm` or the filter where the run has one; `[a-z0-9_]+`.
        model: hub id, `owner/name`.
        runs: the runs behind it: one, or one a prompt (see :mod:`crossin_metrics.scores.over_prompts`).
        signature: what makes the scores comparable; of several prompts `prompt:mean(p1,p2,...)`, as in the report.
        scores: key -> score; errors: bootstrap standard errors; intervals: of 95%, as `crossin score` prints. The
            latter two are empty for several prompts, and without resamples.
        unit: what was resampled: `questions`, or `passages` where questions share them.
        n_questions, n_languages, s: of the runs; s is the subset size of consistency and ac3.
        n_resamples: of the bootstrap.
        date: ISO 8601 date of the run or None.
        dataset: hub id of the data or None; config: its configuration; revision: commit or None.
    """

    benchmark: str
    model: str
    runs: tuple[Run, ...]
    signature: str
    scores: dict[str, float]
    errors: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    unit: str
    n_questions: int
    n_languages: int
    n_resamples: int
    date: str | None
    dataset: str | None
    config: str
    revision: str | None

    @property
    def s(self) -> int:
        """Size of the language subsets of `consistency` and `ac3`."""
        return min(3, self.n_languages)

    def note(self, key: str) -> str:
        """One line on how a score was made: signature, number of questions, standard error."""
        parts = [self.signature, f"{self.n_questions} questions x {self.n_languages} languages"]
        if len(self.runs) > 1:
            parts.append(f"mean of {len(self.runs)} prompts")
        if math.isfinite(self.errors.get(key, math.nan)):
            parts.append(f"bootstrap SE over {self.unit} {self.errors[key]:.4f}")
        return "; ".join(parts)


def model_of(run: Run, given: str | None) -> str:
    """The hub id of a run's model.

    Raises:
        CrossinError: the id given, or the name in the runs, is not a hub id.
    """
    name = given if given is not None else str(run.settings.get("model_name") or run.model)
    if HUB_ID.fullmatch(name) and (given is not None or not Path(name).exists()):
        return name
    if given is not None:
        raise CrossinError(f"--model-id {given!r} is not a hub id; write owner/name")
    raise CrossinError(f"{run.name}: its model is called {name!r}, which is not a hub id; give --model-id owner/name")


def make_records(
    runs: Sequence[Run],
    *,
    model: str | None = None,
    dataset: str | None = None,
    keys: Sequence[str] | None = None,
    merge_prompts: bool = True,
    allow_partial: bool = False,
    n_resamples: int = 1000,
    seed: int | None = 0,
) -> list[Record]:
    """Score runs and gather what an export needs.

    Args:
        runs: from :func:`crossin_metrics.runs.run.read_predictions`.
        model: hub id of the model, of which all runs must be; None: as the runs say.
        dataset: hub id of the data; None: as the runs say, or the known hub set of that name.
        keys: scores wanted; None: all of `EXPORTED` that are defined.
        merge_prompts: whether runs that differ in nothing but the prompt become one record, the mean over prompts.
        allow_partial: whether runs of a part of their set (`--limit`, `--sample`, `articles`) are allowed.
        n_resamples, seed: of the bootstrap; 0 resamples: no errors and intervals.

    Raises:
        CrossinError: no model id, or one for runs of several models, a partial run, runs of one benchmark that differ
            in more than the prompt, an unknown or undefined key.
    """
    check_keys(keys or ())
    # The harness writes the slash of a model's name as two underscores; a table without the column names no model.
    models = {run.model.replace("/", "__"): run.model for run in runs if run.model}
    if model is not None and len(models) > 1:
        raise CrossinError(f"results of several models ({', '.join(models.values())}): choose one with --run GLOB")
    groups: dict[tuple[str, ...], list[Run]] = {}
    for run in runs:
        if not allow_partial:
            _refuse_partial(run)
        key = model_of(run, model), benchmark_of(run)
        groups.setdefault(key if merge_prompts else (*key, run.name), []).append(run)
    records = []
    for group in groups.values():
        _check_group(group)
        records.append(_record(group, model_of(group[0], model), dataset, keys, n_resamples, seed))
    return records


def benchmark_of(run: Run) -> str:
    """The stable name of a run's benchmark: `cross_mmlu`, `cross_mmlu_cf_norm` ..."""
    return re.sub(r"[^a-z0-9]+", "_", "_".join(part for part in (run.task, run.variant) if part).lower()).strip("_")


def _refuse_partial(run: Run) -> None:
    metadata = run.settings.get("metadata") or {}
    whole, half = metadata.get("n_questions"), metadata.get("articles")
    if half is not None:
        raise CrossinError(f"{run.name}: only the {half} half of the articles; export it anyway with --allow-partial")
    if isinstance(whole, int) and len(run.ids) < whole:
        raise CrossinError(
            f"{run.name}: only {len(run.ids)} of {whole} questions (--limit, --sample?); run all of them, or export it "
            "anyway with --allow-partial"
        )


def _check_group(runs: Sequence[Run]) -> None:
    seen: dict[str, Run] = {}
    for run in runs:
        if (other := seen.setdefault(run.prompt, run)) is not run:
            raise CrossinError(f"{other.name} and {run.name} are the same benchmark: choose one with --run GLOB")
        first, this = (_without_prompt(one) for one in (runs[0], run))
        if first != this:
            raise CrossinError(
                f"{runs[0].name} and {run.name} differ in more than the prompt ({first}; {this}): choose one with "
                "--run GLOB"
            )


def _without_prompt(run: Run) -> str:
    fields = signature_fields(signature_of(run))
    return signature_line({name: value for name, value in fields.items() if name != "prompt"})


def _record(
    runs: Sequence[Run], model: str, dataset: str | None, keys: Sequence[str] | None, n_resamples: int, seed: int | None
) -> Record:
    questions = [run.questions() for run in runs]
    scores = over_prompts([score_questions(one) for one in questions])
    defined = [key for key in keys or EXPORTED if key in scores]
    missing = [key for key in keys or () if key not in defined]
    if missing:
        raise CrossinError(f"{runs[0].name}: {', '.join(missing)} is undefined for this run; leave it out of --keys")
    errors: dict[str, float] = {}
    intervals: dict[str, tuple[float, float]] = {}
    if n_resamples and len(runs) == 1 and len(runs[0].ids) > 1:
        replicates = bootstrap(questions[0], n_resamples=n_resamples, seed=seed, keys=defined)
        errors = {key: value for key, value in standard_errors(replicates).items() if math.isfinite(value)}
        intervals = {key: ends for key, ends in score_intervals(replicates).items() if key in errors}
    first = runs[0]
    signature = signature_of(first)
    if len(runs) > 1:
        prompts = ",".join(sorted(run.prompt for run in runs))
        signature = signature_line(signature_fields(signature) | {"prompt": f"mean({prompts})"})
    place, config, revision = _data(first)
    return Record(
        benchmark=benchmark_of(first),
        model=model,
        runs=tuple(runs),
        signature=signature,
        scores={key: scores[key] for key in defined},
        errors=errors,
        intervals=intervals,
        unit=unit_of(questions[0]),
        n_questions=len(first.ids),
        n_languages=len(first.languages),
        n_resamples=n_resamples,
        date=_date(path for run in runs for path in run.source_files),
        dataset=dataset or place,
        config=config,
        revision=revision if dataset in (None, place) else None,
    )


def _data(run: Run) -> tuple[str | None, str, str | None]:
    """Hub id, configuration and commit of a run's data, where known."""
    metadata = run.settings.get("metadata") or {}
    name, source = str(metadata.get("set") or run.task), str(metadata.get("data_source") or "")
    match = re.fullmatch(r"hub:([^/]+/[^/@]+)(?:/([^@]+))?@(\w+)", source)
    if match:
        return match[1], match[2] or name, match[3]
    places = SETS[name].hub if name in SETS else ()
    return (places[0][0] if places else None), name, None


def _date(paths: Iterable[Path]) -> str | None:
    """The date of the newest harness log; other files have none."""
    return max((match[1] for path in paths if (match := _DATE.search(path.name))), default=None)
