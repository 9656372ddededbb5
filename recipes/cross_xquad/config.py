"""The options of a build. Every YAML file in `recipes/configs/cross_xquad/` holds these and nothing else."""

# ruff: noqa: RUF009 - option returns a dataclass field

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from crossin_metrics.errors import CrossinError
from crossin_metrics.languages import language_codes
from recipes.common.options import check_types, option
from recipes.llm.endpoint import EndpointOptions

STAGES = ("distractors", "parallel", "check", "review", "release")


@dataclass
class SetOptions:
    """What to build, from what, and where."""

    output_dir: str = option("Folder to write. Rerun the same command to resume.")
    stages: list[str] = option("Stages to run, in order; earlier ones must be finished.", list(STAGES))
    source: Literal["xquad", "squad"] = option(
        "xquad: XQuAD, from data_dir or the hub; squad: files of SQuAD shape that share ids across languages (MLQA).",
        "xquad",
    )
    data_dir: str | None = option("Folder of the source's files; default: CROSSIN_DATA_DIR, or the hub.", None)
    revision: str | None = option("Commit or tag of the hub's google/xquad.", None)
    file_pattern: str = option("squad: file names; {lang} is the code.", "test-context-{lang}-question-{lang}.json")
    source_licence: str | None = option("squad: licence of its texts, as an SPDX name.", None)
    languages: list[str] = option("Languages of the set; must include English, the pivot.", ["en", "zh", "vi", "es"])
    articles: Literal["all", "train", "test"] = option("xquad: all articles, or one half of them.", "all")
    passages: int | None = option("Number of passages, from as many articles as possible; default all.", None)
    questions_per_passage: int | None = option("Number of questions of each passage; default all.", None)
    gold_seed: int = option("Seed of the right options' positions.", 0)
    calls_dir: str | None = option(
        "Folder of the model's replies, to share between builds; default output_dir/calls.", None
    )
    decisions_dir: str | None = option("Folder of the reviewers' decisions; default output_dir/decisions.", None)
    review_all: bool = option("Review every question, not only those with findings.", False)
    push_to_hub: str | None = option("release: data set repository to push to, such as lab/cross_xquad.", None)
    dry_run: bool = option("release: push nothing, print what would be pushed.", True)

    def __post_init__(self) -> None:
        check_types(self)
        self.languages = list(language_codes(self.languages))
        if "en" not in self.languages:
            raise CrossinError("languages: must include English (en): wrong options are written in English first")
        if len(self.languages) < 2:
            raise CrossinError("languages: a parallel set needs at least one language besides English")
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
                raise CrossinError(f"{name}: {value} must be at least 1")
        if self.source == "squad":
            if self.data_dir is None or self.source_licence is None:
                raise CrossinError("source squad needs data_dir and source_licence (for the release)")
            if "{lang}" not in self.file_pattern:
                raise CrossinError(f"file_pattern: {self.file_pattern!r} has no {{lang}} for the language's code")
            if self.articles != "all":
                raise CrossinError("articles: train and test are halves of XQuAD; source squad has none")


@dataclass(kw_only=True)
class ModelOptions(EndpointOptions):
    """The model that writes the wrong options."""

    licence: str = option("Licence of the model, for the card, such as Apache-2.0.")
    engine: Literal["endpoint", "vllm"] = option(
        "endpoint: any OpenAI-compatible server; vllm: the model in this process, without a server.", "endpoint"
    )
    answer_format: Literal["json_schema", "json"] = option(
        "Whether the server enforces a JSON schema, or only the prompt asks for JSON.", "json_schema"
    )
    max_characters: int = option(
        "Longest option that the schema allows (maxLength; not every server supports it); 0 for no limit. Small models "
        "may not stop without it.",
        0,
    )
    temperature: float = option("Sampling temperature of the first attempt; 0 is greedy.", 0.0)
    # 0 as well: a later attempt has another prompt, which says what was wrong. Above 0, vLLM 0.32 on a CPU crashes on a
    # seeded request with chunked prefill ("CPU Generator does not use offset").
    retry_temperature: float = option("Temperature of later attempts; their prompts differ, so 0 is fine.", 0.0)
    seed: int = option("Sampling seed; attempt a uses seed + a.", 0)
    max_tokens: int = option("Maximum number of tokens of a reply.", 512)
    max_model_len: int = option("vllm: maximum number of tokens of prompt and reply.", 8192)
    gpu_memory_utilization: float = option("vllm: share of the accelerator's memory.", 0.9)
    enforce_eager: bool = option("vllm: no compilation; starts faster, runs slower.", False)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("max_tokens", "max_model_len"):
            if getattr(self, name) < 1:
                raise CrossinError(f"{name}: {getattr(self, name)} must be at least 1")
        for name in ("temperature", "retry_temperature", "max_characters"):
            if getattr(self, name) < 0:
                raise CrossinError(f"{name}: {getattr(self, name)} must not be negative")
        if not self.licence.strip():
            raise CrossinError("licence: must name the model's licence; it is written into the card")


@dataclass
class CheckOptions:
    """Which findings send an item back to the model, and then to reviewers."""

    regenerate: int = option("Further attempts at an item with findings, before review.", 2)
    off_passage: Literal["review", "allow"] = option(
        "Whether an option outside the passage is a finding (the paper: from the passage as far as possible).",
        "review",
    )
    judge: bool = option("Ask the model whether a wrong option is right as well (English; one call per item).", False)
    back_translate: bool = option("Translate the options back into English and compare (one call per language).", False)
    back_translate_min: float = option("Minimum character similarity with the English option, 0 to 1.", 0.4)
    encoder: str | None = option(
        "Multilingual sentence encoder, such as sentence-transformers/LaBSE, to compare options.", None
    )
    encoder_min: float = option("Minimum cosine similarity with the English option.", 0.5)

    def __post_init__(self) -> None:
        check_types(self)
        if self.regenerate < 0:
            raise CrossinError(f"regenerate: {self.regenerate} must not be negative")
        if not 0 <= self.back_translate_min <= 1:
            raise CrossinError(f"back_translate_min: {self.back_translate_min} must be from 0 to 1")
