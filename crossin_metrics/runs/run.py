"""Runs: the answers of one model to one parallel set with one prompt, joined on the questions' ids.

Shapes: `[n_questions, n_languages]`; an answer is an option index from 0, or -1 if the model's output names none.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from crossin_metrics.errors import CrossinError
from crossin_metrics.languages import log_language
from crossin_metrics.records import csv_columns, parse_json, text_lines
from crossin_metrics.runs.joining import (
    check_answers,
    complete,
    log_probabilities,
    logprob_notes,
    mismatch,
    option_orders,
)
from crossin_metrics.runs.log_fields import LogFields
from crossin_metrics.runs.sample_logs import can_read, read_sample_log, settings_of
from crossin_metrics.runs.seaeval_logs import find_logs, is_parallel, read_seaeval_log
from crossin_metrics.runs.tables import AnswerRow, RunKey, read_table
from crossin_metrics.scores.answer_matrix import AnswerMatrix, answer_matrix, shared_passages
from crossin_metrics.scores.readings import reading_scores


@dataclass(frozen=True)
class Run:
    """One run's answers, complete: every question in every language.

    Attributes:
        name: `task|model|mode|prompt|variant`, empty parts left out.
        task, model, mode, prompt, variant: its parts; variant is the harness's filter, or `norm` for length-normalised.
        languages: codes in alphabetical order; columns of the arrays.
        ids: question ids in sorted order; rows of the arrays.
        answers: `[n_questions, n_languages]`, option index or -1.
        gold: `[n_questions]`.
        n_choices: `[n_questions]`, or None if unknown.
        orders: `[n_questions, n_languages, max n_choices]`, the option shown at each letter position, -1 if a
            question has fewer; None if unknown: options then count as shown in their own order.
        logprobs: `[n_questions, n_languages, max n_choices]` in option order, -inf if a question has fewer
            options; None unless every row has them.
        source_files: the files read.
        settings: model, task version, shots ... from the results file beside a log.
        notes: sentences about questions left out and settings that differ.
        n_incomplete: questions left out because a language lacks them or (with `skip_mismatched`) they differ.
        rules: `[n_questions, n_languages]`, the rule that read each generated output; None where not all are known.
        thoughts: `[n_questions, n_languages]`, characters of thought; None as for `rules`.
        written: `[n_questions, n_languages, 2]`, languages of thought and answer, "" if unknown; None if not detected.
        self_agreement: `[n_questions, n_languages]`, share of pairs of a row's repeats with one answer; None as for
            `written`.
        groups: `[n_questions]`, passage, subject or relation; "" where unknown.
    """

    name: str
    task: str
    model: str
    mode: str
    prompt: str
    variant: str
    languages: tuple[str, ...]
    ids: tuple[str, ...]
    answers: NDArray[np.int64]
    gold: NDArray[np.int64]
    n_choices: NDArray[np.int64] | None
    orders: NDArray[np.int64] | None
    logprobs: NDArray[np.float64] | None
    source_files: tuple[Path, ...]
    settings: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    n_incomplete: int = 0
    rules: NDArray[np.str_] | None = None
    thoughts: NDArray[np.int64] | None = None
    written: NDArray[np.str_] | None = None
    self_agreement: NDArray[np.float64] | None = None
    groups: tuple[str, ...] = ()

    def by_group(self) -> dict[str, Run]:
        """Group -> the run's questions in it.

        Raises:
            CrossinError: some question has no group.
        """
        if not all(self.groups) or not self.groups:
            raise CrossinError(f"run {self.name}: its questions have no group; a table needs a column `group`")
        rows: dict[str, list[int]] = {}
        for number, group in enumerate(self.groups):
            rows.setdefault(group, []).append(number)
        arrays = (
            "answers",
            "gold",
            "n_choices",
            "orders",
            "logprobs",
            "rules",
            "thoughts",
            "written",
            "self_agreement",
        )
        known = [name for name in arrays if getattr(self, name) is not None]
        return {
            group: replace(
                self,
                ids=tuple(self.ids[i] for i in kept),
                groups=tuple(self.groups[i] for i in kept),
                **{name: getattr(self, name)[kept] for name in known},
            )
            for group, kept in rows.items()
        }

    def readings(self) -> dict[str, float]:
        """How generated outputs were read (:func:`reading_scores`); empty where the files do not say."""
        if self.rules is None or self.thoughts is None:
            return {}
        arrays = (self.answers, self.rules, self.thoughts, self.languages, self.written, self.self_agreement)
        return reading_scores(*arrays)

    def questions(self) -> AnswerMatrix:
        """The answers as the scoring and bootstrap functions take them."""
        return answer_matrix(
            self.answers,
            self.gold,
            self.languages,
            n_choices=self.n_choices,
            orders=self.orders,
            logprobs=self.logprobs,
            passages=shared_passages(self.ids, self.groups),
        )

    @property
    def positions(self) -> NDArray[np.int64]:
        """`[n_questions, n_languages]`, the letter position at which the picked option was shown, -1 for none."""
        return self._shown_at(self.answers)

    @property
    def gold_positions(self) -> NDArray[np.int64]:
        """`[n_questions, n_languages]`, the letter position at which the gold option was shown."""
        return self._shown_at(np.repeat(self.gold[:, None], len(self.languages), axis=1))

    def _shown_at(self, options: NDArray[np.int64]) -> NDArray[np.int64]:
        if self.orders is None:
            return options
        return np.where(options < 0, -1, (self.orders == options[:, :, None]).argmax(axis=2))


def read_predictions(
    paths: Iterable[str | Path],
    languages: Sequence[str] | None = None,
    *,
    fields: LogFields | None = None,
    skip_mismatched: bool = False,
    unanswered: str = "none",
    seed: int = 0,
    read_again: bool = False,
    warn: Callable[[str], None] | None = None,
    progress: Callable[[str], None] | None = None,
) -> list[Run]:
    """Read files of any supported format into runs, in the order in which they are first met.

    Args:
        paths: prediction tables, sample logs of the harness, SeaEval logs, or folders: every `samples_*.jsonl` and
            every SeaEval log below; those of unknown tasks are skipped.
        languages: codes or names to keep; default all that a run has. A question counts only if it has all of them.
        fields: where id, language and gold are in logs of unknown tasks.
        skip_mismatched: leave out, with a note, questions whose gold option or number of choices differs between
            languages (errors of machine-translated sets), instead of raising.
        unanswered: "none", or "random": an answer that cannot be read counts as a seeded random pick, the same for
            every system; the run's variant says so. (SeaEval's own scorer picks among the tied options where its text
            match ties.)
        seed: of those picks.
        read_again: read the answers of generation tasks out of the logged texts, whatever a sample log says they are.
        warn: called with a sentence for each file skipped. Notes on a run are in its `notes`.
        progress: called with a line now and then while long files are read.

    Raises:
        CrossinError: a file is missing, empty, damaged or of an unknown format; a duplicate row; gold or the number of
            choices differs between languages; no row in a language; no question is complete.
    """
    wanted = None if languages is None else [log_language(name) for name in languages]
    for code, count in Counter(wanted or ()).items():
        if count > 1:
            raise CrossinError(f"duplicate language {code}")
    cells: dict[RunKey, dict[str, dict[str, AnswerRow]]] = {}
    sources: dict[RunKey, dict[Path, None]] = {}
    logs: set[Path] = set()
    n_rows = 0
    for path, from_folder in _files(paths):
        kind, first = file_start(path)
        if from_folder and kind == "log" and not can_read(path, first, fields):
            if warn is not None:
                warn(f"{path}: skipped, unknown parallel task (see --id-field)")
            continue
        if from_folder and kind == "seaeval" and not is_parallel(path):
            if warn is not None:
                warn(f"{path}: skipped, not a log of a parallel set")
            continue
        if kind == "log":
            logs.add(path)
            rows = read_sample_log(path, fields, read_again=read_again)
        else:
            rows = read_seaeval_log(path) if kind == "seaeval" else read_table(path, kind)
        if unanswered == "random":
            rows = _picked_at_random(rows, seed)
        n_before = n_rows
        for key, row in rows:
            n_rows += 1
            if progress is not None and n_rows % 20_000 == 0:
                progress(f"{path.name}: {n_rows:,} rows read")
            sources.setdefault(key, {})[path] = None
            by_language = cells.setdefault(key, {}).setdefault(row.id, {})
            if row.language in by_language:
                raise CrossinError(
                    f"{row.place}: duplicate row of id {row.id!r}, language {row.language} in run {key.name}, first at "
                    f"{by_language[row.language].place}; give a run once, and distinguish runs by the columns model, "
                    "mode and prompt of a table, or by folder, shots and chat template of a log; a language's regions "
                    "(zh-CN, zh-TW) count as one language"
                )
            by_language[row.language] = row
        if n_rows == n_before:
            raise CrossinError(f"{path}: no rows; was the run that wrote it stopped?")
    if not cells:
        raise CrossinError("no rows of a parallel task in these files")
    return [
        _assemble(
            key,
            questions,
            wanted,
            tuple(sources[key]),
            [path for path in sources[key] if path in logs],
            skip_mismatched=skip_mismatched,
        )
        for key, questions in cells.items()
    ]


class FileStart(NamedTuple):
    """What a file is, by its content.

    Attributes:
        kind: "parquet", "csv" or "jsonl" for a table; "log" for the harness's sample logs, "seaeval" for SeaEval's.
        first: the first row of JSON Lines; the column names of CSV; else empty.
    """

    kind: str
    first: dict[str, Any]


def file_start(path: Path) -> FileStart:
    """Look at a file's first line.

    Raises:
        CrossinError: it is missing, empty, or of an unknown format.
    """
    if path.is_file():
        with path.open("rb") as raw:
            if raw.read(4) == b"PAR1":
                return FileStart("parquet", {})
    number, line = next(((n, line) for n, line in enumerate(text_lines(path), 1) if line.strip()), (0, ""))
    line = line.strip()
    if not line:
        raise CrossinError(f"{path}: empty file; was the run that wrote it stopped?")
    if line.startswith("["):
        return FileStart("seaeval", {})  # the only array that is read; its reader refuses others
    if not line.startswith("{"):
        try:
            return FileStart("csv", dict.fromkeys(map(str.casefold, csv_columns(line)[0])))
        except csv.Error:
            return FileStart("csv", {})
    if path.name.endswith("_score.json"):
        raise CrossinError(f"{path}: SeaEval's scores, not its samples; give {path.name[:-11]}.json beside it")
    if line == "{" or path.name.startswith("results_"):
        raise CrossinError(
            f"{path}: one JSON object over many lines, not rows; of a harness run give the samples_*.jsonl beside "
            "results_*.json (run with --log_samples)"
        )
    row = parse_json(line, f"{path}, line {number}")
    return FileStart("log" if "doc" in row else "jsonl", row)


def _files(paths: Iterable[str | Path]) -> Iterator[tuple[Path, bool]]:
    """The given files and the logs below given folders, and whether each is from a folder; none may come twice."""
    seen: set[Path] = set()
    for given in map(Path, paths):
        found = [given]
        if given.is_dir():
            found = sorted([*given.rglob("samples_*.jsonl"), *given.rglob("samples_*.jsonl.gz")])
            found += find_logs(given)
            if not found:
                raise CrossinError(
                    f"{given}: no samples_*.jsonl in this folder; run the harness with --log_samples, or name the "
                    "tables themselves"
                )
        for path in found:
            if path.resolve() in seen:
                raise CrossinError(f"{path}: given twice")
            seen.add(path.resolve())
            yield path, given.is_dir()


def _picked_at_random(rows: Iterable[tuple[RunKey, AnswerRow]], seed: int) -> Iterator[tuple[RunKey, AnswerRow]]:
    """The rows with a random pick for a missing answer, in runs whose variant says so."""
    from crossin_metrics.answers.reading import random_answer

    for key, row in rows:
        if row.answer < 0:
            if row.n_choices is None:
                raise CrossinError(
                    f"{row.place}: id {row.id!r}, language {row.language}: no answer, and an unknown number of "
                    "choices to pick from at random; add a column n_choices"
                )
            row = row._replace(answer=random_answer(row.id, row.language, row.n_choices, seed))
        variant = "+".join(part for part in (key.variant, f"unanswered:random-{seed}") if part)
        yield key._replace(variant=variant), row


def _assemble(
    key: RunKey,
    questions: dict[str, dict[str, AnswerRow]],
    wanted: Sequence[str] | None,
    sources: tuple[Path, ...],
    logs: Sequence[Path],
    *,
    skip_mismatched: bool,
) -> Run:
    present = sorted({language for by_language in questions.values() for language in by_language})
    unknown = [code for code in wanted or () if code not in present]
    if unknown:
        raise CrossinError(f"run {key.name}: no rows in {', '.join(unknown)}; it has {', '.join(present)}")
    languages = sorted(wanted) if wanted is not None else present
    ids, notes = complete(key, questions, languages)
    rows = [[questions[identifier][language] for language in languages] for identifier in ids]
    mismatches = {name: said for name, row in zip(ids, rows, strict=True) if (said := mismatch(row)) is not None}
    if mismatches:
        name, said = next(iter(mismatches.items()))
        if not skip_mismatched or len(mismatches) == len(ids):
            raise CrossinError(
                f"run {key.name}, id {name!r}: {said}; its rows are not translations of one question, or their "
                f"options are in another order ({len(mismatches)} such questions of {len(ids)}; "
                "--skip-mismatched leaves them out)"
            )
        notes.append(
            f"run {key.name}: {len(mismatches)} of {len(ids)} questions left out; the first: id {name!r}: {said}"
        )
        rows = [row for name, row in zip(ids, rows, strict=True) if name not in mismatches]
        ids = [name for name in ids if name not in mismatches]
    n_choices = [next((cell.n_choices for cell in row if cell.n_choices is not None), None) for row in rows]
    check_answers(rows, n_choices)
    notes += logprob_notes(key, rows)
    notes += [f"run {key.name}: only the {x} of each row counts" for x in key.variant.split("+") if x.endswith("draws")]
    answers = np.array([[cell.answer for cell in row] for row in rows], dtype=np.int64)
    settings, differing = _settings(logs) if logs else (_table_settings(key, rows), [])
    known = all(cell.rule is not None for row in rows for cell in row)
    return Run(
        key.name,
        *key,
        languages=tuple(languages),
        ids=tuple(ids),
        answers=answers,
        gold=np.array([row[0].gold for row in rows], dtype=np.int64),
        n_choices=None if None in n_choices else np.array(n_choices, dtype=np.int64),
        orders=option_orders(rows),
        logprobs=log_probabilities(rows),
        source_files=sources,
        settings=settings,
        notes=(*notes, *(f"run {key.name}: {text}" for text in differing)),
        n_incomplete=len(questions) - len(ids),
        rules=np.array([[cell.rule for cell in row] for row in rows]) if known else None,
        thoughts=np.array([[cell.thought for cell in row] for row in rows], dtype=np.int64) if known else None,
        written=np.array([[cell.written for cell in row] for row in rows])
        if known and all(cell.written is not None for row in rows for cell in row)
        else None,
        self_agreement=np.array([[cell.self_agreement for cell in row] for row in rows], dtype=np.float64)
        if known and all(cell.self_agreement is not None for row in rows for cell in row)
        else None,
        groups=tuple(row[0].group for row in rows),
    )


def _table_settings(key: RunKey, rows: Sequence[Sequence[AnswerRow]]) -> dict[str, Any]:
    """The signature that a table carries, if it does.

    Raises:
        CrossinError: rows of one run have different signatures.
    """
    first = rows[0][0]
    for cell in (cell for row in rows for cell in row if cell.signature != first.signature):
        raise CrossinError(
            f"run {key.name}: two signatures, {first.signature or 'none'} ({first.place}) and "
            f"{cell.signature or 'none'} ({cell.place}); tell runs apart by the columns model, mode, prompt and variant"
        )
    return {"signature": first.signature} if first.signature else {}


def _settings(logs: Sequence[Path]) -> tuple[dict[str, Any], list[str]]:
    """Settings that all logs of a run share, and a sentence for each that differs."""
    found = [settings_of(path) for path in logs]
    shared = {name: value for name, value in found[0].items() if all(other.get(name) == value for other in found)}
    differing = []
    for name in ("limit", "task_version", "chat_template", "system_instruction"):
        values = {str(settings.get(name)) for settings in found}
        if len(values) > 1:
            differing.append(
                f"its files were made with different {name.replace('_', ' ')}: {', '.join(sorted(values))}"
            )
    return shared, differing
