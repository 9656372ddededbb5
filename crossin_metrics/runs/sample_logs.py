"""The harness's sample logs (`samples_<task>_<time>.jsonl`, written by `--log_samples`), as rows of runs.

Reads the logs of this project's tasks (all languages in one file) and of the parallel tasks that the harness already
has (one file a language; see `harness_families`). Other tasks need a :class:`LogFields`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from crossin_metrics.answers.outputs import majority, opening_mark, read_output
from crossin_metrics.answers.reading import Reading
from crossin_metrics.errors import DAMAGE, CrossinError, located
from crossin_metrics.files import read_json
from crossin_metrics.languages import log_language
from crossin_metrics.records import json_lines
from crossin_metrics.runs.harness_families import FAMILIES, Family, find_family, gold_index, letter_index, question_id
from crossin_metrics.runs.log_fields import LogFields, field_value, option_index
from crossin_metrics.runs.tables import AnswerRow, RunKey
from crossin_metrics.signature import signature_fields

_NAME = re.compile(r"samples_(?P<task>.+)_(?P<time>\d{4}-\d\d-\d\dT[\d.:-]+)\.jsonl(\.gz)?")
# Variant of a run -> keys of a logged row of our tasks that may hold the option picked. Version 0.1 logged it under
# the names of scores, -1 where there was no answer.
_PICKED = {"": ("answer", "consistency"), "norm": ("answer_norm", "consistency_norm")}


def task_of(path: Path) -> str:
    """The task of a log, from the name that the harness gives its files."""
    match = _NAME.fullmatch(path.name)
    return match["task"] if match else path.name.split(".")[0].removeprefix("samples_")


_results = lru_cache(maxsize=64)(read_json)


def settings_of(path: Path) -> dict[str, Any]:
    """The run's settings in the results file beside a log: model, task version, shots, limit, chat template ...

    Without that file only `model` is known, the harness's folder name for the model.

    Raises:
        CrossinError: the results file is damaged.
    """
    try:
        return _settings(path)
    except DAMAGE as error:
        raise located(f"the results file beside {path}", error) from error


def _settings(path: Path) -> dict[str, Any]:
    match = _NAME.fullmatch(path.name)
    found = sorted(path.parent.glob(f"*_{match['time']}.json")) if match else []
    results = (_results(found[0]) if found else None) or {}
    task, config = task_of(path), results.get("config") or {}
    made = (results.get("configs") or {}).get(task) or {}
    metadata = made.get("metadata") or {}
    info = {
        "model_name": results.get("model_name"),
        "task_version": (results.get("versions") or {}).get(task),
        "shots": (results.get("n-shot") or {}).get(task),
        "limit": config.get("limit"),
        "chat_template": results.get("chat_template_sha"),
        "system_instruction": results.get("system_instruction_sha"),
        "signature": metadata.get("signature"),
        "metadata": metadata or None,
        "generation_kwargs": made.get("generation_kwargs") or None,
        "lm_eval_version": results.get("lm_eval_version"),
        "backend": config.get("model"),
        "backend_version": results.get("transformers_version") if config.get("model") == "hf" else None,
        "model_dtype": config.get("model_dtype"),
        "model_num_parameters": config.get("model_num_parameters"),
        "model_sha": config.get("model_sha"),
    }
    if info["shots"] and info["chat_template"] and results.get("fewshot_as_multiturn") is False:
        info["shots_as"] = "one turn"
    settings = {name: value for name, value in info.items() if value is not None}
    settings["model"] = results.get("model_name_sanitized") or path.absolute().parent.name
    return settings


def _mode(settings: Mapping[str, Any]) -> str:
    """What else distinguishes runs in one folder: "5-shot", "chat", "5-shot+chat" or ""."""
    shots, chat = settings.get("shots"), settings.get("chat_template")
    return "+".join([*([f"{shots}-shot"] if shots else []), *(["chat"] if chat else [])])


def read_sample_log(
    path: Path, fields: LogFields | None = None, *, read_again: bool = False
) -> Iterator[tuple[RunKey, AnswerRow]]:
    """Rows of one sample log, each with the run it belongs to.

    Args:
        path: the log.
        fields: of tasks that belong to no family.
        read_again: read the answers of generation tasks out of the logged texts, whatever the log says they are.

    Raises:
        CrossinError: a line is damaged, the task is unknown, or a field is missing; with file and line.
    """
    fields = fields or LogFields()
    pattern = fields.pattern()
    settings, task = settings_of(path), task_of(path)
    log = RunKey(task, str(settings["model"]), _mode(settings))
    options, family = _signed_options(settings), find_family(task)
    named = pattern.search(task) if pattern is not None else None
    for place, sample in json_lines(path):
        try:
            doc = sample.get("doc")
            if not isinstance(doc, dict) or "filtered_resps" not in sample:
                raise CrossinError("not a row of a sample log (doc or filtered_resps missing)")
            if _is_own(doc):
                yield from _own_rows(sample, doc, log, options, place, settings if read_again else None)
            elif named is not None:
                yield _named_row(sample, log, fields, named, place)
            elif family is not None:
                yield _family_row(sample, doc, log, *family, place, read_again)
            elif pattern is not None:
                raise CrossinError(f"--language-from {pattern.pattern!r} does not match the task's name {task!r}")
            else:
                raise CrossinError(
                    f"unknown parallel task {task!r} (known: {', '.join(dict.fromkeys(one.name for one in FAMILIES))});"
                    " say which field is the question's id and where the language is in the task's name, for example "
                    "--id-field doc.id --language-from '^mytask_([a-z]+)$'"
                )
        except DAMAGE as error:
            raise located(place, error) from error


def can_read(path: Path, first: Mapping[str, Any], fields: LogFields | None = None) -> bool:
    """Whether :func:`read_sample_log` knows the log's task, from its name and its first row."""
    task, pattern = task_of(path), (fields or LogFields()).pattern()
    if find_family(task) is not None or (pattern is not None and pattern.search(task)):
        return True
    doc = first.get("doc")
    return isinstance(doc, dict) and _is_own(doc)


def _is_own(doc: Mapping[str, Any]) -> bool:
    """Whether a document is from one of this project's tasks."""
    return "order" in doc and "formulation" in doc


def _own_rows(
    sample: Mapping[str, Any],
    doc: Mapping[str, Any],
    log: RunKey,
    options: str,
    place: str,
    settings: Mapping[str, Any] | None = None,
) -> Iterator[tuple[RunKey, AnswerRow]]:
    """One row for each variant, of this project's tasks: the answer as logged, or read again with `settings`."""
    try:
        identifier, language = str(doc["id"]), log_language(str(doc["language"]))
        gold, order = int(doc["gold"]), tuple(int(option) for option in doc["order"])
        shown = [str(option) for option in doc["options"]]
    except CrossinError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise CrossinError(f"the document's id, language, gold, order or options are invalid ({error!r})") from None
    where, n_choices = f"id {identifier!r}, language {language}", len(order)
    if sorted(order) != list(range(n_choices)) or len(shown) != n_choices or not 0 <= gold < n_choices:
        raise CrossinError(f"{where}: order {list(order)}, {len(shown)} options and gold {gold} do not match")
    likelihoods = _likelihoods(sample["filtered_resps"])
    if likelihoods is not None and len(likelihoods) != n_choices:
        raise CrossinError(f"{where}: {len(likelihoods)} likelihoods for {n_choices} options")
    scored = doc.get("choices") or shown  # with a filled-in blank, option and rest of the sentence
    positions = [order.index(k) for k in range(n_choices)]
    for variant, keys in _PICKED.items():
        logprobs, rule, thought = None, sample.get("rule"), int(sample.get("thought") or 0)
        if likelihoods is not None:  # "norm" is per character of what is scored, as the harness's acc_norm
            logprobs = tuple(likelihoods[p] / (max(1, len(scored[p])) if variant else 1) for p in positions)
            if not variant and "logprobs" in sample and max(logprobs) > -math.inf:
                logprobs = logged_numbers(sample["logprobs"], n_choices, where)
        key = next((key for key in keys if key in sample), None)
        if variant and key is None:
            continue
        if logprobs is not None and max(logprobs) == -math.inf:
            answer = -1
        elif likelihoods is None and not variant and (key is None or settings is not None):
            position, reading = _reread(sample, shown, language, settings or {})
            rule, thought = reading.rule, reading.thought
            answer = -1 if position is None else order[position]
        elif key is not None:
            answer = _picked(sample[key], n_choices, f"{where}: {key}")
        else:  # version 0.1 logged no pick of tasks with one language
            assert logprobs is not None
            answer = logprobs.index(max(logprobs))
        run = log._replace(prompt=str(doc.get("prompt") or ""), variant=_variant(sample, _asked(doc, options), variant))
        row = AnswerRow(identifier, language, answer, gold, n_choices, order, logprobs, place, rule, thought)
        agreement = None if sample.get("self_agreement") is None else float(sample["self_agreement"])
        row = row._replace(written=_written(sample), self_agreement=agreement)
        yield run, row._replace(group=str(doc.get("group") or ""))


def _written(sample: Mapping[str, Any]) -> tuple[str, str] | None:
    """Languages of thought and answer, if the log has them."""
    if "answer_language" not in sample:
        return None
    return str(sample.get("thought_language") or ""), str(sample["answer_language"] or "")


def _asked(doc: Mapping[str, Any], options: str) -> str:
    """The signed options of a row, with the order of options in which it is asked again, if it is another."""
    again = re.fullmatch(r"order-(\d+)", str(doc.get("again") or ""))
    if again is None:
        return options
    kept = [part for part in options.split("+") if part and not part.startswith("order:")]
    return "+".join([f"order:question-{again[1]}", *kept])


def _reread(
    sample: Mapping[str, Any], shown: list[str], language: str, settings: Mapping[str, Any]
) -> tuple[int | None, Reading]:
    """The position picked by most outputs of a row, and the reading of the first that picks it."""
    metadata = settings.get("metadata") or {}
    marks = tuple(tuple(pair) for pair in metadata.get("thought_marks") or ())
    stripped = metadata.get("think_end_token") is not None  # the harness took the thoughts away
    arguments = sample.get("arguments")
    request = arguments.get("gen_args_0") if isinstance(arguments, Mapping) else (arguments or [None])[0]
    prompt = request.get("arg_0") if isinstance(request, Mapping) else (request or [None])[0]
    readings = [
        read_output(
            text,
            shown,
            language,
            marks=marks,
            finish=str(sample.get("finish") or ""),
            opened="" if stripped else opening_mark(prompt, marks),
            thinks=bool(metadata.get("preset") == "thinking" or metadata.get("enable_thinking") or stripped),
        )
        for text in _texts(sample)
    ]
    position, _ = majority([reading.answer for reading in readings])
    return position, next(reading for reading in readings if reading.answer == position)


def _texts(sample: Mapping[str, Any]) -> list[str]:
    """All outputs of a row, before any filter."""
    found = sample.get("resps") or sample["filtered_resps"]
    while isinstance(found, list) and found and isinstance(found[0], list):
        found = found[0]
    return [str(text) for text in found] if isinstance(found, list) and found else [_generated(found)]


def logged_numbers(values: Any, n_choices: int, where: str) -> tuple[float, ...]:
    """What options were ranked by, in the set's order, where it is not the sum of log-probabilities."""
    numbers = [value for value in values if isinstance(value, int | float)] if isinstance(values, list) else []
    if len(numbers) != n_choices or not all(math.isfinite(value) for value in numbers):
        raise CrossinError(f"{where}: logprobs must be {n_choices} numbers, not {str(values)[:60]}")
    return tuple(map(float, numbers))


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
    log: RunKey,
    family: Family,
    match: re.Match[str],
    place: str,
    again: bool,
) -> tuple[RunKey, AnswerRow]:
    groups = match.groupdict()
    identifier = question_id(doc, family, groups.get("subject"))
    options = [str(doc[name]) for name in family.options if doc.get(name) is not None]
    prompt = f"p{groups['prompt']}" if groups.get("prompt") else ""
    language, gold = log_language(groups["language"]), gold_index(doc, family)
    if again and len(options) > 1 and _likelihoods(sample["filtered_resps"]) is None:
        position, reading = _reread(sample, options, language, {})
        answer = -1 if position is None else position
        row = AnswerRow(
            identifier, language, answer, gold, len(options), None, None, place, reading.rule, reading.thought
        )
    else:
        row = _checked_row(sample, identifier, language, gold, options, place)
    return log._replace(task=family.name, prompt=prompt, variant=_variant(sample, _draws(sample))), row


def _named_row(
    sample: Mapping[str, Any], log: RunKey, fields: LogFields, match: re.Match[str], place: str
) -> tuple[RunKey, AnswerRow]:
    """The row of a task that `fields` describe."""
    group: str | int = "language" if "language" in match.re.groupindex else 1
    if not match[group]:
        raise CrossinError(f"--language-from {match.re.pattern!r} finds no language in {log.task!r}")
    start, end = match.span(group)
    task = re.sub(r"_{2,}", "_", log.task[:start] + log.task[end:]).strip("_") or log.task
    identifier = "#".join(str(field_value(sample, part, "--id-field")) for part in str(fields.id_field).split("+"))
    if fields.gold_field is not None:
        value = field_value(sample, fields.gold_field, "--gold-field")
    else:
        value = str(sample.get("target", ""))
    gold = option_index(value, sample)
    if gold is None or gold < 0:
        raise CrossinError(
            f"the gold option {value!r} must be an option's text, index (0, 1, ...) or letter; name its field with "
            "--gold-field"
        )
    row = _checked_row(sample, identifier, log_language(match[group]), gold, [], place)
    return log._replace(task=task, variant=_variant(sample, _draws(sample))), row


def _checked_row(
    sample: Mapping[str, Any], identifier: str, language: str, gold: int, options: list[str], place: str
) -> AnswerRow:
    """The row with its answer, checked against the harness's own `acc` or `exact_match`."""
    where = f"id {identifier!r}, language {language}"
    responses = sample["filtered_resps"]
    logprobs = _likelihoods(responses)
    n_choices: int | None
    if logprobs is not None:
        if "acc_mutual_info" in sample:  # the harness appends the unconditional likelihoods of every option
            logprobs = _likelihoods(responses[: len(responses) // 2]) or logprobs
        n_choices = len(logprobs)
        answer = logprobs.index(max(logprobs))  # first of equals, as numpy.argmax
        correct = sample.get("acc")
        if logprobs[answer] == -math.inf:
            answer, correct = -1, None  # numpy.argmax would find a "best" option all the same
    else:
        n_choices = len(options) or None
        answer = _letter_answer(responses, options)
        if n_choices is not None and answer >= n_choices:
            answer = -1
        correct = sample.get("exact_match")
    if n_choices is not None and gold >= n_choices:
        raise CrossinError(f"{where}: gold {gold} is not among the {n_choices} choices")
    if correct in (0, 1) and bool(correct) != (answer == gold):
        raise CrossinError(
            f"{where}: the log calls the answer {'right' if correct else 'wrong'}, but option {answer} was picked and "
            f"{gold} is gold: the gold option is read from the wrong field; name it with --gold-field"
        )
    return AnswerRow(identifier, language, answer, gold, n_choices, None, logprobs, place)


def _likelihoods(responses: Any) -> tuple[float, ...] | None:
    """Log-likelihoods of (logprob, is_greedy) pairs, which the harness writes as strings; None for generated text.

    All -inf where they are no numbers (NaN, +inf, or none finite): such a row has no answer.
    """
    if not isinstance(responses, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in responses):
        return None
    try:
        values = tuple(float(pair[0]) for pair in responses)
    except (TypeError, ValueError):
        return None
    if not values:
        return None
    broken = any(math.isnan(value) for value in values) or not math.isfinite(max(values))
    return (-math.inf,) * len(values) if broken else values


def _letter_answer(responses: Any, options: list[str]) -> int:
    """The option that a generated, filtered answer names, or -1."""
    text = _generated(responses)
    index = letter_index(text)
    if index is None and options and text.strip() != "[invalid]":  # the harness's regex filter without a match
        from crossin_metrics.answers import read_answer

        index = read_answer(text, options)
    return -1 if index is None else index


def _generated(responses: Any) -> str:
    """The first response's text; filters leave a string, or a list of several samples."""
    while isinstance(responses, list):
        responses = responses[0] if responses else ""
    return str(responses)


def _variant(sample: Mapping[str, Any], *own: str) -> str:
    """The row's filter, unless it is the harness's default, and this project's own variants."""
    name = str(sample.get("filter", "none"))
    return "+".join(part for part in ("" if name == "none" else name, *own) if part)


def _draws(sample: Mapping[str, Any]) -> str:
    """Says that only the first of a row's generated texts counts; "" if there is one."""
    texts = sample["filtered_resps"]
    texts = texts[0] if isinstance(texts, list) and len(texts) == 1 else texts
    several = isinstance(texts, list) and len(texts) > 1 and _likelihoods(sample["filtered_resps"]) is None
    return f"first of {len(texts)} draws" if several else ""


def _signed_options(settings: Mapping[str, Any]) -> str:
    """Permuted options and the treatment of unread answers, from our signature; "" for the defaults."""
    fields = signature_fields(settings.get("signature"))
    return "+".join(f"{name}:{fields[name]}" for name in ("order", "unanswered") if name in fields)
