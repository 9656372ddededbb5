"""The options of a translation. Every YAML file in `recipes/configs/translate/` holds these and nothing else."""

# ruff: noqa: RUF009 - option returns a dataclass field

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from crossin_metrics.errors import CrossinError
from crossin_metrics.languages import language_code
from recipes.common.options import check_minimum, check_types, language_codes, option
from recipes.common.text_checks import GATES
from recipes.llm.endpoint import EndpointOptions
from recipes.translation.kinds import KINDS


@dataclass
class SourceOptions:
    """What is translated, into what, and where it is written."""

    source: str = option("English rows: packaged:<name>, a hub id, or a .json, .jsonl(.gz) or .parquet file.")
    output_dir: str = option("Folder to write; a later run resumes from its replies/ folder.")
    source_language: str = option("Language of the source.", "en")
    languages: list[str] = option("Languages to translate into.", ["zh", "vi", "es"])
    source_fields: list[str] = option("Their field names, as `output=answer`; dotted for nested ones.", [])
    source_config: str | None = option("Configuration of a hub set.", None)
    source_split: str = option("Split of a hub set.", "train")
    source_revision: str | None = option("Commit or tag of a hub set.", None)
    source_licence: str | None = option("Licence of the source's texts, where neither set nor rows give it.", None)
    limit: int | None = option("Read only this many rows.", None)
    dry_run: bool = option("Count rows, requests and tokens; send nothing and write nothing.", False)

    def __post_init__(self) -> None:
        check_types(self)
        self.source_language = language_code(self.source_language)
        self.languages = language_codes(self.languages)
        if self.source_language in self.languages:
            raise CrossinError(f"languages: {self.source_language} is the source's language")
        check_minimum(self, 1, "limit")


@dataclass(kw_only=True)
class EngineOptions(EndpointOptions):
    """The translator."""

    licence: str = option("Licence of that model, for every row's provenance, such as Apache-2.0.")
    engine: Literal["endpoint", "transformers", "ctranslate2"] = option(
        "endpoint: any OpenAI-compatible server; transformers, ctranslate2: a local sequence-to-sequence model.",
        "endpoint",
    )
    temperature: float = option("Sampling temperature of the first attempt; 0 is greedy.", 0.0)
    retry_temperature: float = option("Temperature of the second attempt, after a failed gate.", 0.7)
    seed: int = option("Sampling seed; the second attempt uses seed + 1.", 0)
    max_tokens: int = option("Tokens of a reply at most, thoughts included.", 4096)

    answer_format: Literal["json_schema", "json", "fields"] = option(
        "endpoint: all fields in one JSON object, enforced by the server (json_schema) or by the prompt alone "
        "(json); or one request per field (fields).",
        "json_schema",
    )

    tokenizer: str | None = option("local: tokenizer id or folder, if not the model's own.", None)
    batch_size: int = option("local: sentences in a batch.", 32)
    num_beams: int = option("local: beams of the first attempt; the second samples.", 4)
    max_source_tokens: int = option("local: a longer sentence is set aside, never cut.", 256)
    device: str = option("local: cpu, cuda, cuda:1 or auto.", "auto")
    dtype: str = option("local: float32, bfloat16, float16; ctranslate2 also int8.", "float32")
    accept_non_commercial: bool = option("local: allow models for non-commercial use only (NLLB).", False)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_minimum(self, 1, "batch_size", "num_beams", "max_source_tokens", "max_tokens")
        check_minimum(self, 0, "temperature")
        if not self.licence.strip():
            raise CrossinError("licence: must name the model's licence, which is written into every row")


@dataclass
class GateOptions:
    """What is not translated, and which translations are not accepted."""

    mask_numbers: Literal["none", "long", "all"] = option(
        "Numbers replaced by marks; long: three digits or more, decimals, times and percentages.", "long"
    )
    kinds: list[str] = option("Kinds of rows that are not translated.", list(KINDS))
    gates: list[str] = option("Checks of a translation, besides those made while reading the reply.", list(GATES))
    labse_model: str | None = option("Sentence encoder for a similarity gate, as sentence-transformers/LaBSE.", None)
    labse_min: float = option("Minimum cosine similarity of source and translation.", 0.6)
    metricx_model: str | None = option("MetricX quality estimator, as google/metricx-24-hybrid-large-v2p6.", None)
    metricx_tokenizer: str = option("Its tokenizer.", "google/mt5-large")
    metricx_max: float = option("Highest error score accepted, 0 (best) to 25.", 5.0)

    def __post_init__(self) -> None:
        check_types(self)
        for field, known in (("kinds", KINDS), ("gates", GATES)):
            for name in getattr(self, field):
                if name not in known:
                    raise CrossinError(f"{field}: unknown {name!r}; known: {', '.join(known)}")
