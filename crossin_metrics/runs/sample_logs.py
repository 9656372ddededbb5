"""The harness's sample logs (`samples_<task>_<time>.jsonl`, written by `--log_samples`), as rows of runs.

Read are the logs of this project's tasks (all languages in one file) and of the parallel tasks the harness already
has (one file a language; see `parallel_logs`). Other tasks are read when told where id and language stand.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from crossin_metrics.errors import CrossinError
from crossin_metrics.languages import log_language
from crossin_metrics.records import json_lines
from crossin_metrics.runs.harness_families import FAMILIES, Family, find_family, gold_index, letter_index, question_id
from crossin_metrics.runs.tables import Row, RunKey
from crossin_metrics.signature import signature_fields

_NAME = re.compile(r"samples_(?P<task>.+)_(?P<time>\d{4}-\d\d-\d\dT[\d.:-]+)\.jsonl(\.gz)?")
# Variant of a run -> keys of a logged row of our tasks that may hold the option picked. Version 0.1 logged it under
# the names of scores, -1 where there was no answer.
_PICKED = {"": ("answer", "consistency"), "norm": ("answer_norm", "consistency_norm")}


@dataclass(frozen=True)
class LogFields:
    """Where to look in the logs of tasks that no family knows.

    Attributes:
        id_field: dotted path in a logged row (`doc.link`; several joined with "+": `doc.link+doc.question_number`).
        language_from: regular expression searched in the task's name; its first group, or the group `language`, is
            the language; the name without it is the run's task.
        gold_field: dotted path of the gold option (index from 0, or letter); else the harness's own `target`.
    """

    id_field: str | None = None
    language_from: str | None = None
    gold_field: str | None = None

    def pattern(self) -> re.Pattern[str] | None:
        """The compiled expression.

        Raises:
            CrossinError: it does not compile, has no group, or comes without id_field.
        """
        if (self.id_field is None) != (self.language_from is None):
            raise CrossinError("--id-field and --language-from go together: give both")
        if self.language_from is None:
            return None
        try:
            pattern = re.compile(self.language_from)
        except re.error as error:
            raise CrossinError(f"--language-from {self.language_from!r} is no regular expression: {error}") from None
        if pattern.groups == 0:
            raise CrossinError(
                f"--language-from {self.language_from!r} needs a group around the language: 'name_(\\w+)'"
            )
        return pattern


def task_of(path: Path) -> str:
    """The task whose rows a log holds, from the name the harness gives its files."""
    match = _NAME.fullmatch(path.name)
    return match["task"] if match else path.name.split(".")[0].removeprefix("samples_")


@lru_cache(maxsize=64)
def _results(path: Path) -> dict[str, Any]:
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # only labels are read from here: a missing or broken results file does not stop the scoring
    return loaded if isinstance(loaded, dict) else {}


def settings_of(path: Path) -> dict[str, Any]:
    """What the results file beside a log says of the run: model, task version, shots, limit, chat template ...

    Empty where there is none. `model` is the harness's folder name for the model, in either case.
    """
    match = _NAME.fullmatch(path.name)
    found = sorted(path.parent.glob(f"*_{match['time']}.json")) if match else []
    results = _results(found[0]) if found else {}
    task, config = task_of(path), results.get("config") or {}
    info = {
        "model_name": results.get("model_name"),
        "task_version": (results.get("versions") or {}).get(task),
        "shots": (results.get("n-shot") or {}).get(task),
        "limit": config.get("limit"),
        "chat_template": results.get("chat_template_sha"),
        "system_instruction": results.get("system_instruction_sha"),
        "signature": (((results.get("configs") or {}).get(task) or {}).get("metadata") or {}).get("signature"),
        "metadata": ((results.get("configs") or {}).get(task) or {}).get("metadata"),
        "lm_eval_version": results.get("lm_eval_version"),
        "backend": config.get("model"),
        "backend_version": results.get("transformers_version") if config.get("model") == "hf" else None,
        "model_dtype": config.get("model_dtype"),
        "model_num_parameters": config.get("model_num_parameters"),
        "model_sha": config.get("model_sha"),
    }
    settings = {name: value for name, value in info.items() if value is not None}
    settings["model"] = results.get("model_name_sanitized") or path.absolute().parent.name
    return settings


def _mode(settings: Mapping[str, Any]) -> str:
    """What besides the model sets runs apart in one folder: "5-shot", "chat", "5-shot+chat"; "" for neither."""
    shots, chat = settings.get("shots"), settings.get("chat_template")
    return "+".join([*([f"{shots}-shot"] if shots else []), *(["chat"] if chat else [])])


def read_sample_log(path: Path, fields: LogFields | None = None) -> Iterator[tuple[RunKey, Row]]:
    """Rows of one sample log, each with the run it belongs to.

    Raises:
        CrossinError: a line is broken, the task is unknown, or a field is missing; with file, line and remedy.
    """
    fields = fields or LogFields()
    pattern = fields.pattern()
    settings, task = settings_of(path), task_of(path)
    model, mode, options = str(settings["model"]), _mode(settings), _signed_options(settings)
    for place, sample in json_lines(path):
        try:
            doc = sample.get("doc")
            if not isinstance(doc, dict) or "filtered_resps" not in sample:
                raise CrossinError("no row of a sample log (doc or filtered_resps missing); was the file edited?")
            told = pattern is not None and pattern.search(task) is not None
            known = find_family(task)
            if _is_own(doc):
                yield from _own_rows(sample, doc, task, (model, mode), options, place)
            elif pattern is not None and (told or known is None):
                yield _told_row(sample, task, (model, mode), fields, pattern, place)
            else:
                if known is None:
                    raise CrossinError(
                        f"task {task!r} is none of the parallel tasks known ({_known_families()}); say which field is "
                        "the question's id and where the language stands in the task's name, for example "
                        "--id-field doc.id --language-from '^mytask_([a-z]+)$'"
                    )
                yield _family_row(sample, doc, *known, (model, mode), place)
        except CrossinError as error:
            raise CrossinError(f"{place}: {error}") from None


def can_read(path: Path, fields: LogFields | None = None) -> bool:
    """Whether the log is of a task known here or told by `fields`; its first row is looked at."""
    task, pattern = task_of(path), (fields or LogFields()).pattern()
    if find_family(task) is not None or (pattern is not None and pattern.search(task)):
        return True
    first = next(json_lines(path), None)
    return first is not None and isinstance(first.value.get("doc"), dict) and _is_own(first.value["doc"])


def _is_own(doc: Mapping[str, Any]) -> bool:
    """Whether a document is one of this project's tasks'."""
    return "order" in doc and "formulation" in doc


def _known_families() -> str:
    return ", ".join(dict.fromkeys(family.name for family in FAMILIES))


def _own_rows(
    sample: Mapping[str, Any], doc: Mapping[str, Any], task: str, model: tuple[str, str], options: str, place: str
) -> Iterator[tuple[RunKey, Row]]:
    """A row of this project's tasks: one row a variant, the option picked being what the log says."""
    try:
        identifier, language = str(doc["id"]), log_language(str(doc["language"]))
        gold, order = int(doc["gold"]), tuple(int(option) for option in doc["order"])
        shown = [str(option) for option in doc["options"]]
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, CrossinError):
            raise
        raise CrossinError(
            f"the document's id, language, gold, order or options are missing or broken ({error!r})"
        ) from None
    where, n_choices = f"id {identifier!r}, language {language}", len(order)
    if sorted(order) != list(range(n_choices)) or len(shown) != n_choices or not 0 <= gold < n_choices:
        raise CrossinError(f"{where}: order {list(order)}, {len(shown)} options and gold {gold} do not go together")
    likelihoods = _likelihoods(sample["filtered_resps"])
    if likelihoods is not None and len(likelihoods) != n_choices:
        raise CrossinError(f"{where}: {len(likelihoods)} likelihoods for {n_choices} options")
    prompt = str(doc.get("prompt") or "")
    for variant, keys in _PICKED.items():
        logprobs = None
        if likelihoods is not None:
            # "norm" is per character of the option's text, as the harness's acc_norm
            lengths = [max(1, len(text)) if variant else 1 for text in shown]
            logprobs = tuple(likelihoods[order.index(k)] / lengths[order.index(k)] for k in range(n_choices))
        key = next((key for key in keys if key in sample), None)
        if key is not None:
            answer = _picked(sample[key], n_choices, f"{where}: {key}")
        elif variant:
            continue
        else:  # version 0.1 with one language: no consistency to log
            answer = _own_answer(sample, doc, shown, order, language, logprobs)
        run = RunKey(task, *model, prompt, _variant(sample, options, variant))
        yield run, Row(identifier, language, answer, gold, n_choices, order, logprobs, place)


def _own_answer(
    sample: Mapping[str, Any],
    doc: Mapping[str, Any],
    shown: list[str],
    order: Sequence[int],
    language: str,
    logprobs: tuple[float, ...] | None,
) -> int:
    if logprobs is not None:
        return max(range(len(logprobs)), key=logprobs.__getitem__)
    from crossin_metrics.answers import read_answer

    position = read_answer(_generated(sample["filtered_resps"]), shown, language)
    return -1 if position is None else order[position]


def _picked(value: Any, n_choices: int, where: str) -> int:
    try:
        answer = -1 if value is None else int(value)
    except (TypeError, ValueError):
        raise CrossinError(f"{where} must be an option index, not {value!r}") from None
    if not -1 <= answer < n_choices:
        raise CrossinError(f"{where} {answer} is not among the {n_choices} choices")
    return answer


def _family_row(
    sample: Mapping[str, Any],
    doc: Mapping[str, Any],
    family: Family,
    match: re.Match[str],
    model: tuple[str, str],
    place: str,
) -> tuple[RunKey, Row]:
    groups = match.groupdict()
    language = log_language(groups["language"])
    identifier = question_id(doc, family, groups.get("subject"))
    options = [str(doc[name]) for name in family.options if doc.get(name) is not None]
    prompt = f"p{groups['prompt']}" if groups.get("prompt") else ""
    run = RunKey(family.name, *model, prompt, _variant(sample))
    row = _judged_row(sample, identifier, language, gold_index(doc, family), options, place)
    return run, row


def _told_row(
    sample: Mapping[str, Any],
    task: str,
    model: tuple[str, str],
    fields: LogFields,
    pattern: re.Pattern[str],
    place: str,
) -> tuple[RunKey, Row]:
    match = pattern.search(task)
    if match is None:
        raise CrossinError(f"--language-from {pattern.pattern!r} does not match the task's name {task!r}")
    group: str | int = "language" if "language" in pattern.groupindex else 1
    if not match[group]:
        raise CrossinError(f"--language-from {pattern.pattern!r} finds no language in {task!r}")
    start, end = match.span(group)
    rest = re.sub(r"_{2,}", "_", task[:start] + task[end:]).strip("_") or task
    identifier = "#".join(str(_field(sample, part, "--id-field")) for part in str(fields.id_field).split("+"))
    if fields.gold_field is not None:
        value = _field(sample, fields.gold_field, "--gold-field")
        gold = letter_index(value) if isinstance(value, str) and not value.strip().isdigit() else int(value)
    else:
        gold = _target(sample)
    if gold is None or gold < 0:
        raise CrossinError("the gold option cannot be told from the log's target; name its field with --gold-field")
    row = _judged_row(sample, identifier, log_language(match[group]), gold, [], place)
    return RunKey(rest, *model, "", _variant(sample)), row


def _field(sample: Mapping[str, Any], path: str, flag: str) -> Any:
    value: Any = sample
    for name in path.split("."):
        if not isinstance(value, Mapping) or value.get(name) is None:
            has = ", ".join(map(str, value)) if isinstance(value, Mapping) else type(value).__name__
            raise CrossinError(f"{flag} {path}: no {name!r} here (there is {has})")
        value = value[name]
    if isinstance(value, (Mapping, list)):
        raise CrossinError(f"{flag} {path} is a {type(value).__name__}, no single value")
    return value


def _target(sample: Mapping[str, Any]) -> int | None:
    """The gold index out of the harness's `target`: an option's text, an index, or a letter."""
    target = str(sample.get("target", "")).strip()
    if target.isdigit():
        return int(target)
    arguments = sample.get("arguments")
    if isinstance(arguments, Mapping):
        texts = [str(call.get("arg_1", "")).strip() for call in arguments.values() if isinstance(call, Mapping)]
        if texts.count(target) == 1:
            return texts.index(target)
    return letter_index(target)


def _judged_row(
    sample: Mapping[str, Any], identifier: str, language: str, gold: int, options: list[str], place: str
) -> Row:
    """The row with its answer, checked against the verdict the harness logged."""
    where = f"id {identifier!r}, language {language}"
    responses = sample["filtered_resps"]
    logprobs = _likelihoods(responses)
    n_choices: int | None
    if logprobs is not None:
        if "acc_mutual_info" in sample:  # the harness appends the unconditional likelihoods of every option
            logprobs = logprobs[: len(logprobs) // 2]
        n_choices = len(logprobs)
        answer = max(range(n_choices), key=logprobs.__getitem__)  # first of equals, as numpy.argmax
        verdict = sample.get("acc")
    else:
        n_choices = len(options) or None
        answer = _letter_answer(responses, options)
        if n_choices is not None and answer >= n_choices:
            answer = -1  # a letter no option has is no answer
        verdict = sample.get("exact_match")
    if n_choices is not None and gold >= n_choices:
        raise CrossinError(f"{where}: gold {gold} is not among the {n_choices} choices")
    if verdict in (0, 1) and bool(verdict) != (answer == gold):
        raise CrossinError(
            f"{where}: the log calls the answer {'right' if verdict else 'wrong'}, but option {answer} was picked and "
            f"{gold} is gold: the gold option is read from the wrong field; name it with --gold-field"
        )
    return Row(identifier, language, answer, gold, n_choices, None, logprobs, place)


def _likelihoods(responses: Any) -> tuple[float, ...] | None:
    """Log-likelihoods of (logprob, is_greedy) pairs, which the harness writes as strings; None for generated text."""
    if not isinstance(responses, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in responses):
        return None
    try:
        values = tuple(float(pair[0]) for pair in responses)
    except (TypeError, ValueError):
        return None
    if not values or not all(value < math.inf for value in values) or max(values) == -math.inf:
        raise CrossinError(
            f"log-likelihoods {list(values)}: not a number, or none finite; the model's output was broken"
        )
    return values


def _letter_answer(responses: Any, options: list[str]) -> int:
    """The option a generated, filtered answer names, or -1."""
    text = _generated(responses)
    index = letter_index(text)
    if index is None and options and text.strip() != "[invalid]":  # the harness's regex filter where nothing matched
        from crossin_metrics.answers import read_answer

        index = read_answer(text, options)
    return -1 if index is None else index


def _generated(responses: Any) -> str:
    """The first response's text; filters leave a string, or a list of them where several were drawn."""
    while isinstance(responses, list):
        responses = responses[0] if responses else ""
    return str(responses)


def _variant(sample: Mapping[str, Any], *own: str) -> str:
    """The filter a row went through, and this project's own variants; the harness's default filter is not named."""
    name = str(sample.get("filter", "none"))
    return "+".join(part for part in ("" if name == "none" else name, *own) if part)


def _signed_options(settings: Mapping[str, Any]) -> str:
    """What a signature of this project says of permuted options and unread answers; "" for the defaults."""
    fields = signature_fields(settings.get("signature"))
    return "+".join(f"{name}:{fields[name]}" for name in ("order", "unanswered") if name in fields)
