"""The options of a build. Every YAML file in `recipes/configs/cross_xquad/` holds these and nothing else."""

# ruff: noqa: RUF009 - option returns a dataclass field

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from crossin_metrics.errors import CrossinError
from crossin_metrics.sets.schema import unique_codes
from recipes.common.options import check_types, option
from recipes.llm.endpoint import EndpointOptions

STAGES = ("distractors", "parallel", "check", "review", "release")


@dataclass
class SetOptions:
    """What is built, from what, and where."""

    output_dir: str = option("Folder to write. The same command goes on where a stopped one was.")
    stages: list[str] = option("Stages to run, in their order; earlier ones must be finished.", list(STAGES))
    source: Literal["xquad", "squad"] = option(
        "xquad: XQuAD, from data_dir or the hub; squad: files of SQuAD shape that share ids across languages (MLQA).",
        "xquad",
    )
    data_dir: str | None = option("Folder of the source's files; default: CROSSIN_DATA_DIR, or the hub.", None)
    revision: str | None = option("Commit or tag of the hub's google/xquad.", None)
    file_pattern: str = option("squad: file names; {lang} is the code.", "test-context-{lang}-question-{lang}.json")
    source_licence: str | None = option("squad: licence of its texts, as an SPDX name.", None)
    languages: list[str] = option("Languages of the set; English, the pivot, among them.", ["en", "zh", "vi", "es"])
    articles: Literal["all", "train", "test"] = option("xquad: all articles, or one half of them.", "all")
    passages: int | None = option("Only so many passages, of as many articles as can be.", None)
    questions_per_passage: int | None = option("Only the first so many questions of a passage.", None)
    gold_seed: int = option("Seed of the right options' places.", 0)
    calls_dir: str | None = option(
        "Folder of the model's replies, to share between builds; default output_dir/calls.", None
    )
    decisions_dir: str | None = option("Folder of the reviewers' decisions; default output_dir/decisions.", None)
    review_all: bool = option("Show people every item, not only those with findings.", False)
    push_to_hub: str | None = option("release: data set repository to push to, as lab/cross_xquad.", None)
    dry_run: bool = option("release: push nothing, say what would be pushed.", True)

    def __post_init__(self) -> None:
        check_types(self)
        self.languages = list(unique_codes(self.languages))
        if "en" not in self.languages:
            raise CrossinError("languages: English (en) is needed: wrong options are written in English first")
        if len(self.languages) < 2:
            raise CrossinError("languages: a parallel set needs English and one more")
        self.stages = [name.strip() for given in self.stages for name in given.split(",") if name.strip()]
        for name in self.stages:
            if name not in STAGES:
                raise CrossinError(f"stages: unknown {name!r}; known, in their order: {', '.join(STAGES)}")
        if not self.stages:
            raise CrossinError(f"stages: name at least one of {', '.join(STAGES)}")
        self.stages = [name for name in STAGES if name in self.stages]
        for name in ("passages", "questions_per_passage"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise CrossinError(f"{name}: {value} must be 1 or more")
        if self.source == "squad":
            if self.data_dir is None or self.source_licence is None:
                raise CrossinError("source squad needs data_dir and source_licence (the release says it)")
            if "{lang}" not in self.file_pattern:
                raise CrossinError(f"file_pattern: {self.file_pattern!r} has no {{lang}} for the language's code")
            if self.articles != "all":
                raise CrossinError("articles: halves are of XQuAD only")


@dataclass(kw_only=True)
class ModelOptions(EndpointOptions):
    """Who writes the wrong options."""

    licence: str = option("Licence of that model, for the card, such as Apache-2.0.")
    engine: Literal["endpoint", "vllm"] = option(
        "endpoint: any OpenAI-compatible server; vllm: the model in this process, without a server.", "endpoint"
    )
    answer_format: Literal["json_schema", "json"] = option(
        "Replies kept to a JSON schema by the server, or by the prompt alone.", "json_schema"
    )
    max_characters: int = option(
        "Longest option that the schema allows; 0 for no bound. Small models may not end without; not every server "
        "knows it (maxLength).",
        0,
    )
    temperature: float = option("Sampling temperature of the first attempt; 0 is greedy.", 0.0)
    # 0 as well: a later attempt has another prompt, which says what was wrong. Above 0, vLLM 0.32 on a CPU dies of a
    # seeded request whose prompt it reads in pieces ("CPU Generator does not use offset").
    retry_temperature: float = option("Temperature of later attempts; their prompt differs, so 0 will do.", 0.0)
    seed: int = option("Sampling seed; attempt a uses seed + a.", 0)
    max_tokens: int = option("Most tokens of one reply.", 512)
    max_model_len: int = option("vllm: most tokens of prompt and reply.", 8192)
    gpu_memory_utilization: float = option("vllm: share of the accelerator's memory.", 0.9)
    enforce_eager: bool = option("vllm: no compilation; starts sooner, runs slower.", False)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("max_tokens", "max_model_len"):
            if getattr(self, name) < 1:
                raise CrossinError(f"{name}: {getattr(self, name)} must be 1 or more")
        for name in ("temperature", "retry_temperature", "max_characters"):
            if getattr(self, name) < 0:
                raise CrossinError(f"{name}: {getattr(self, name)} must not be negative")
        if not self.licence.strip():
            raise CrossinError("licence: name the model's licence; it is written into the card")


@dataclass
class CheckOptions:
    """What sends an item back to the model, and then to people."""

    regenerate: int = option("Further attempts at an item with findings, before people see it.", 2)
    off_passage: Literal["review", "allow"] = option(
        "An option that is not in the passage: a finding, or allowed (the paper: from the passage as far as possible).",
        "review",
    )
    judge: bool = option("Ask the model whether a wrong option is right as well (English; one call an item).", False)
    back_translate: bool = option("Ask the model for the options in English, and compare (a call a language).", False)
    back_translate_min: float = option("Least similarity of characters with the English option, 0 to 1.", 0.4)
    encoder: str | None = option(
        "Multilingual sentence encoder, as sentence-transformers/LaBSE, to compare options.", None
    )
    encoder_min: float = option("Least cosine similarity with the English option.", 0.5)

    def __post_init__(self) -> None:
        check_types(self)
        if self.regenerate < 0:
            raise CrossinError(f"regenerate: {self.regenerate} must not be negative")
        if not 0 <= self.back_translate_min <= 1:
            raise CrossinError(f"back_translate_min: {self.back_translate_min} must be from 0 to 1")
