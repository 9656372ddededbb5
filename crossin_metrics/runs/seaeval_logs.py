"""SeaEval's prediction logs (`<model>/<set>/<mode>_p<N>.json`, arXiv 2309.04766), as rows of runs.

A log is one JSON array. Of the parallel sets each element is a question: `id`, then per language (by its English name)
an object `{question, choices, answer, model_prediction}` and for some sets `context` and `model_input`. The answer is
one of the choices; :func:`crossin_metrics.answers.read_answer` reads the prediction. The files
`<mode>_p<N>_score.json` beside the logs are SeaEval's own scores and are not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from crossin_metrics.errors import DAMAGE, CrossinError, located
from crossin_metrics.languages import log_language
from crossin_metrics.records import read_json
from crossin_metrics.runs.tables import AnswerRow, RunKey

_NAME = re.compile(r"(?P<mode>.+)_p(?P<prompt>\d+)\.json(\.gz)?")
_LABEL = re.compile(r"\(([A-Z])\)\s*")


class Sample(NamedTuple):
    """One question in one language.

    Attributes:
        id, language: the question's id; the language's code.
        question: the question itself; context: its passage or "".
        choices: the options as shown, without labels `(A) ` if each has its own.
        gold: index of the correct one.
        prediction: the model's output.
        place: file and element, for messages.
    """

    id: str
    language: str
    context: str
    question: str
    choices: tuple[str, ...]
    gold: int
    prediction: str
    place: str


def find_logs(folder: Path) -> list[Path]:
    """The files below a folder that have the name of a SeaEval log, sorted."""
    return sorted(path for path in folder.rglob("*_p*.json*") if _NAME.fullmatch(path.name))


def run_key(path: Path) -> RunKey:
    """The run of a log: set and model from its folders, mode and prompt from its name."""
    match, folder = _NAME.fullmatch(path.name), path.absolute().parent
    if match is None:
        return RunKey(path.name.split(".")[0])
    return RunKey(folder.name, folder.parent.name, match["mode"], f"p{match['prompt']}")


def is_parallel(path: Path) -> bool:
    """Whether a file is the log of a parallel set, judging by its first question.

    Raises:
        CrossinError: not JSON.
    """
    loaded = read_json(path)
    return isinstance(loaded, list) and bool(loaded) and isinstance(loaded[0], dict) and bool(_objects(loaded[0]))


def read_seaeval_log(path: Path) -> Iterator[tuple[RunKey, AnswerRow]]:
    """Rows of a log with the run they belong to.

    Raises:
        CrossinError: as :func:`read_samples`.
    """
    from crossin_metrics.answers import read_answer

    key = run_key(path)
    for sample in read_samples(path):
        try:
            answer = read_answer(sample.prediction, sample.choices, sample.language)
        except DAMAGE as error:
            raise located(sample.place, error) from error
        answer = -1 if answer is None else answer
        yield (
            key,
            AnswerRow(sample.id, sample.language, answer, sample.gold, len(sample.choices), place=sample.place),
        )


def read_samples(path: Path) -> Iterator[Sample]:
    """The samples of a log, question by question.

    Raises:
        CrossinError: not a JSON array, not of a parallel set, or an invalid question; with file, question and language.
    """
    loaded = read_json(path)
    if not isinstance(loaded, list):
        raise CrossinError(f"{path}: expected a JSON array of questions, found {type(loaded).__name__}")
    if not loaded:
        raise CrossinError(f"{path}: an empty list; was the run that wrote it stopped?")
    for number, question in enumerate(loaded):
        where = f"{path}: question {number}"
        if not isinstance(question, dict):
            raise CrossinError(f"{where}: expected a JSON object, found {type(question).__name__}")
        objects = _objects(question)
        if not objects:
            raise CrossinError(_no_log(path, question, where))
        identifier = question.get("id")
        if not isinstance(identifier, str | int) or isinstance(identifier, bool) or identifier == "":
            raise CrossinError(f"{where}: no id; questions are matched between runs by their ids")
        for name, value in objects.items():
            at = f"{where}, id {str(identifier)!r}, {name}"
            try:
                yield _sample(str(identifier), log_language(name), value, at)
            except DAMAGE as error:
                raise located(at, error) from error


def _objects(question: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What a question holds per language."""
    return {name: value for name, value in question.items() if isinstance(value, dict) and "model_prediction" in value}


def _no_log(path: Path, question: Mapping[str, Any], where: str) -> str:
    has = ", ".join(map(str, list(question)[:8]))
    if "model_prediction" in question:
        return f"{path}: a SeaEval log, but of a monolingual set, not a parallel one (a question has {has})"
    if any(isinstance(value, dict) and {"question", "choices"} <= set(value) for value in question.values()):
        return f"{where}: no model_prediction in any language; is this a data set, or a log that was cut off?"
    return (
        f"{path}: a JSON array, but not a SeaEval log (a question has {has}); write a prediction table as JSON Lines, "
        "one object a line"
    )


def _sample(identifier: str, language: str, value: Mapping[str, Any], place: str) -> Sample:
    missing = [name for name in ("question", "choices", "answer") if name not in value]
    if missing:
        raise CrossinError(f"{', '.join(missing)} missing")
    listed = value["choices"]
    if not isinstance(listed, list) or len(listed) < 2 or not all(isinstance(choice, str) for choice in listed):
        raise CrossinError(f"choices must be a list of at least two strings, not {str(listed)[:80]!r}")
    given = [choice.strip() for choice in listed]
    answer, prediction = str(value["answer"]).strip(), value["model_prediction"]
    choices = _without_labels(given)
    # The answer is written as its option, with the label; some sets omit the label.
    found = [i for i, texts in enumerate(zip(given, choices, strict=True)) if answer in texts]
    if len(found) != 1:
        matching = "several" if found else "none"
        raise CrossinError(f"answer {answer[:80]!r} is {matching} of the choices")
    if not isinstance(prediction, str) and prediction is not None:
        raise CrossinError(f"model_prediction must be a string, not {type(prediction).__name__}")
    context = value.get("context") or ""
    return Sample(
        identifier,
        language,
        str(context),
        str(value["question"]),
        tuple(choices),
        found[0],
        prediction or "",
        place,
    )


def _without_labels(choices: list[str]) -> list[str]:
    labels = [_LABEL.match(choice) for choice in choices]
    if all(m is not None and m[1] == chr(ord("A") + i) for i, m in enumerate(labels)):
        return [choice[m.end() :] for choice, m in zip(choices, labels, strict=True) if m is not None]
    return choices
