"""The options of a task: `metadata` of its YAML, overridden by `--metadata '{"prompt": "p3", ...}'`."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crossin_metrics.errors import CrossinError
from crossin_metrics.harness.prompts import DEFAULT_PROMPT, Prompt, prompt_id, resolve_prompt
from crossin_metrics.languages import language_codes
from crossin_metrics.sets.catalogue import FORMULATIONS

PERMUTATIONS = ("none", "question", "row")
UNANSWERED = ("none", "random")


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
        permute: order of the options: the set's (`none`), one seeded order per question, the same in all languages
            (`question`), or one per row (`row`).
        permute_seed: seed of these orders.
        unanswered: how a row without an answer counts: as no answer (`none`), or as a seeded random pick (`random`), as
            in the benchmark's reference scorer.
        bootstrap: bootstrap replicates over questions, for standard errors; 0: none.
        score_seed: of the bootstrap and of random picks.
    """

    task: str
    set: str
    formulation: str = "letter"
    languages: tuple[str, ...] | None = None
    prompt: str = DEFAULT_PROMPT
    data_dir: str | None = None
    data_revision: str | None = None
    articles: str | None = None
    permute: str = "none"
    permute_seed: int = 0
    unanswered: str = "none"
    bootstrap: int = 1000
    score_seed: int = 0

    @classmethod
    def from_metadata(cls, task: str, metadata: Mapping[str, Any]) -> TaskOptions:
        """Read the options from a task's metadata; keys of the harness are ignored.

        Raises:
            CrossinError: an invalid value, or a key that looks like a misspelt option.
        """
        known = {field.name for field in dataclasses.fields(cls)} - {"task"}
        values = {key: value for key, value in metadata.items() if key in known}
        for key in metadata:
            close = difflib.get_close_matches(str(key), known, n=1, cutoff=0.8)
            if key not in known and close and key not in _HARNESS_KEYS:
                raise CrossinError(f"{task}: unknown metadata key {key!r}; did you mean {close[0]!r}?")
        if values.get("languages") is not None:
            try:
                values["languages"] = language_codes(values["languages"])
            except (CrossinError, TypeError) as error:
                raise CrossinError(f"{task}: metadata languages must be codes, like ['en', 'zh']: {error}") from None
        for key in ("permute_seed", "bootstrap", "score_seed"):
            if key in values:
                values[key] = _whole_number(task, key, values[key])
        for key in ("data_dir", "data_revision", "articles", "prompt"):
            if values.get(key) is not None:
                values[key] = str(values[key])
        options = cls(task=task, **values)
        for key, allowed in (("formulation", FORMULATIONS), ("permute", PERMUTATIONS), ("unanswered", UNANSWERED)):
            value = getattr(options, key)
            if value not in allowed:
                raise CrossinError(f"{task}: metadata {key} must be one of {', '.join(allowed)}, not {value!r}")
        if options.unanswered != "none" and options.formulation != "gen":
            raise CrossinError(f"{task}: metadata unanswered is for _gen tasks only: likelihoods always give an answer")
        if options.data_dir is not None and not Path(options.data_dir).expanduser().exists():
            raise CrossinError(f"{task}: metadata data_dir: no such folder: {options.data_dir}")
        options.wording  # noqa: B018  (report an unknown prompt now, not at the first row)
        return options

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


def _whole_number(task: str, key: str, value: Any) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = -1
    if number < 0 or isinstance(value, bool) or (isinstance(value, float) and number != value):
        raise CrossinError(f"{task}: metadata {key} must be a whole number >= 0, not {value!r}")
    return number
