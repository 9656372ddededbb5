"""The options of a task: `metadata` of its YAML, overridden by `--metadata '{"prompt": "p3", ...}'`."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crossin_metrics.errors import CrossinError, closest
from crossin_metrics.harness.prompts import DEFAULT_PROMPT, Prompt, prompt_id, resolve_prompt
from crossin_metrics.languages import language_codes
from crossin_metrics.sets.catalogue import FORMULATIONS, SETS

PERMUTATIONS = ("none", "question", "row")
UNANSWERED = ("none", "random")
LIKELIHOODS = ("sum", "mean")
GENERATION_PRESETS = ("plain", "thinking")


@dataclasses.dataclass(frozen=True)
class TaskOptions:
    """What a task shows and how it counts.

    Attributes:
        task: the harness's task name.
        set: name of the parallel set, as :func:`crossin_metrics.sets.loading.load_parallel` takes it.
        formulation: `letter`, `cf` or `gen`.
        languages: ISO codes, in the order shown; None: all of the set.
        prompt: p1 ... p5, native, or a prompt file (see :mod:`crossin_metrics.harness.prompts`).
        data_dir: a local folder with the set; None: `CROSSIN_DATA_DIR`, the package, the hub.
        data_revision: hub revision of the data; None: the newest.
        articles: `train` or `test` half of the articles (`cross_xquad_spans` only); None: both.
        distractors: `drawn` for version 1 of `cross_xquad_spans`; None: the newest.
        permute: order of the options: the set's (`none`), one seeded order per question, the same in all languages
            (`question`), or one per row (`row`).
        permute_seed: seed of these orders.
        sample: ask only so many questions, drawn from each group in proportion; the same for every model. None: all.
        sample_seed: of that draw.
        likelihood: what a `cf` task ranks options by: the `sum` of their log-probabilities, or the `mean` over tokens
            (of the whole sentence, where a blank is filled in); default: the set's.
        unanswered: how a row without an answer counts: as no answer (`none`), or as a seeded pick among all options
            (`random`); the reference scorer breaks ties of its text match between the tied options only.
        bootstrap: bootstrap replicates over questions, for standard errors; 0: none.
        score_seed: of the bootstrap and of random picks.
        preset: `plain` or `thinking` (see :mod:`crossin_metrics.harness.generation`); default `thinking` if thinking is
            turned on or `think_end_token` given, else `plain`.
        enable_thinking: of the model's chat template; None: the template's default.
        reasoning_effort: as the template or the API names it, such as `low`.
        chat_template_args: more arguments of the chat template.
        think_end_token: the harness's model argument: the mark after which the answer begins.
        thought_marks: more marks of thoughts, pairs `[opening, closing]`.
        repeats: outputs a row; the answer is the one that most of them give.
        detect_languages: log the language of each thought and answer (lingua).
        again: ask each row again: names of other prompts, or `order-<seed>` for another order of the options (one a
            question); scores are of the first asking, `asked_again` and its like of all.
    """

    task: str
    set: str
    formulation: str = "letter"
    languages: tuple[str, ...] | None = None
    prompt: str = DEFAULT_PROMPT
    data_dir: str | None = None
    data_revision: str | None = None
    articles: str | None = None
    distractors: str | None = None
    permute: str = "none"
    permute_seed: int = 0
    sample: int | None = None
    sample_seed: int = 0
    likelihood: str = ""
    unanswered: str = "none"
    bootstrap: int = 1000
    score_seed: int = 0
    preset: str = ""
    enable_thinking: bool | None = None
    reasoning_effort: str | None = None
    chat_template_args: dict[str, Any] | None = None
    think_end_token: str | None = None
    thought_marks: tuple[tuple[str, str], ...] = ()
    repeats: int = 1
    detect_languages: bool = False
    again: tuple[str, ...] = ()

    @classmethod
    def from_metadata(cls, task: str, metadata: Mapping[str, Any]) -> TaskOptions:
        """Read the options from a task's metadata; keys of the harness are ignored.

        Raises:
            CrossinError: an invalid value, or a key that looks like a misspelt option.
        """
        known = {field.name for field in dataclasses.fields(cls)} - {"task"}
        values = {key: value for key, value in metadata.items() if key in known}
        for key in metadata:
            close = closest(str(key), known, cutoff=0.8)
            if key not in known and close and key not in _HARNESS_KEYS:
                raise CrossinError(f"{task}: unknown metadata key {key!r}; did you mean {close!r}?")
        if values.get("languages") is not None:
            try:
                values["languages"] = language_codes(values["languages"])
            except (CrossinError, TypeError) as error:
                raise CrossinError(f"{task}: metadata languages must be codes, like ['en', 'zh']: {error}") from None
        for key in ("permute_seed", "sample", "sample_seed", "bootstrap", "score_seed", "repeats"):
            if key in values:
                values[key] = _whole_number(task, key, values[key])
        for key in (
            "data_dir",
            "data_revision",
            "articles",
            "distractors",
            "prompt",
            "reasoning_effort",
            "think_end_token",
        ):
            if values.get(key) is not None:
                values[key] = str(values[key])
        for key in ("enable_thinking", "detect_languages"):
            if key in values:
                values[key] = _yes_or_no(task, key, values[key])
        values["again"] = _names(task, "again", values.get("again") or ())
        values["thought_marks"] = _marks(task, values.get("thought_marks") or ())
        thinks = values.get("enable_thinking") or values.get("think_end_token") is not None
        values["preset"] = values.get("preset") or ("thinking" if thinks else "plain")
        entry = SETS.get(str(values.get("set"))) if values.get("formulation") == "cf" else None
        values["likelihood"] = values.get("likelihood") or (entry.likelihood if entry else "sum")
        options = cls(task=task, **values)
        for key, allowed in (
            ("formulation", FORMULATIONS),
            ("permute", PERMUTATIONS),
            ("unanswered", UNANSWERED),
            ("likelihood", LIKELIHOODS),
            ("preset", GENERATION_PRESETS),
        ):
            value = getattr(options, key)
            if value not in allowed:
                raise CrossinError(f"{task}: metadata {key} must be one of {', '.join(allowed)}, not {value!r}")
        if options.likelihood != "sum" and options.formulation != "cf":
            raise CrossinError(f"{task}: metadata likelihood is for the _cf tasks: a letter is one token")
        if options.unanswered != "none" and options.formulation != "gen":
            raise CrossinError(f"{task}: metadata unanswered is for _gen tasks only: likelihoods always give an answer")
        if options.repeats < 1 or (options.repeats > 1 and options.formulation != "gen"):
            raise CrossinError(f"{task}: metadata repeats is for the _gen tasks, from 1, not {options.repeats}")
        if options.chat_template_args is not None and not isinstance(options.chat_template_args, dict):
            raise CrossinError(f"{task}: metadata chat_template_args must be an object")
        _no_chat_api(task, options.formulation, metadata.get("base_url"))
        if options.data_dir is not None and not Path(options.data_dir).expanduser().exists():
            raise CrossinError(f"{task}: metadata data_dir: no such folder: {options.data_dir}")
        options.askings()  # reports an unknown prompt now, not at the first row
        return options

    def askings(self) -> dict[str, TaskOptions]:
        """The options of each asking of a row: "" for the first, then by the names in `again`.

        Raises:
            CrossinError: an unknown prompt, the same one twice, or an order where options are not shown.
        """
        found = {"": self}
        for name in self.again:
            order = re.fullmatch(r"order-(\d+)", name)
            if order and self.formulation == "cf":
                raise CrossinError(f"{self.task}: metadata again {name!r}: _cf tasks show no options to reorder")
            other = {"permute": "question", "permute_seed": int(order[1])} if order else {"prompt": name}
            found[name] = dataclasses.replace(self, **other)
        asked = [(one.prompt_id, one.permute, one.permute_seed) for one in found.values()]
        if len(set(asked)) < len(self.again) + 1:
            raise CrossinError(
                f"{self.task}: metadata again {', '.join(self.again)}: name each other prompt or order once, and not "
                f"{self.prompt} itself"
            )
        return found

    @property
    def wording(self) -> dict[str, Prompt] | Prompt:
        """The prompt, or a prompt per language."""
        return resolve_prompt(self.prompt)

    @property
    def prompt_id(self) -> str:
        """The prompt's name for signatures."""
        return prompt_id(self.wording)


# Keys that are not options but resemble one. The harness merges `--model_args` into every task's metadata, hence the
# names `data_revision` and `score_seed`, which no model argument has.
_HARNESS_KEYS = {"revision", "seed", "version", "data_source", "data_hash", "n_questions"}


def _yes_or_no(task: str, key: str, value: Any) -> bool | None:
    known = {"true": True, "on": True, "false": False, "off": False, "none": None}
    if str(value).lower() not in known:
        raise CrossinError(f"{task}: metadata {key} must be true or false, not {value!r}")
    return known[str(value).lower()]


def _names(task: str, key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)) or not all(isinstance(name, str) for name in value):
        raise CrossinError(f'{task}: metadata {key} must be a list of names, like ["p2", "p3"], not {value!r}')
    return tuple(value)


def _marks(task: str, value: Any) -> tuple[tuple[str, str], ...]:
    try:
        marks = tuple((str(opening), str(closing)) for opening, closing in value)
    except (TypeError, ValueError):
        marks = (("", ""),)
    if not all(closing for _, closing in marks):
        raise CrossinError(f'{task}: metadata thought_marks must be pairs, like [["<plan>", "</plan>"]], not {value!r}')
    return marks


def _no_chat_api(task: str, formulation: str, base_url: Any) -> None:
    """A chat API gives no likelihoods of a continuation; say so before any request."""
    if formulation != "gen" and str(base_url or "").rstrip("/").endswith("/chat/completions"):
        name = task if formulation == "letter" else task.removesuffix(f"_{formulation}")
        raise CrossinError(
            f"{task} needs likelihoods, which a chat API does not give: use --tasks {name}_gen, or --tasks {name} with "
            "--model crossin-api, where the API returns top_logprobs"
        )


def _whole_number(task: str, key: str, value: Any) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = -1
    if number < 0 or isinstance(value, bool) or (isinstance(value, float) and number != value):
        raise CrossinError(f"{task}: metadata {key} must be a whole number >= 0, not {value!r}")
    return number
