"""The options of a translation. Every YAML file in `recipes/configs/translate/` holds these and nothing else."""

# ruff: noqa: RUF009 - _option returns a dataclass field

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from crossin_metrics.errors import CrossinError
from crossin_metrics.languages import language_code
from recipes.parsing import check_types
from recipes.translation.gates import GATES
from recipes.translation.kinds import KINDS

ENGINES = ("endpoint", "transformers", "ctranslate2")


def _option(help: str, default: Any = dataclasses.MISSING) -> Any:
    text = help.replace("%", "%%")  # argparse formats help with %
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata={"help": text})
    return field(default=default, metadata={"help": text})


@dataclass
class SourceOptions:
    """What is translated, into what, and where it is written."""

    source: str = _option("English rows: packaged:<name>, a hub id, or a .json, .jsonl(.gz) or .parquet file.")
    output_dir: str = _option("Folder to write; its replies/ folder is what a later run goes on from.")
    source_language: str = _option("Language of the source.", "en")
    languages: list[str] = _option("Languages to translate into.", ["zh", "vi", "es"])
    source_fields: list[str] = _option("Their field names, as `output=answer`; dotted for nested ones.", [])
    source_config: str | None = _option("Configuration of a hub set.", None)
    source_split: str = _option("Split of a hub set.", "train")
    source_revision: str | None = _option("Commit or tag of a hub set.", None)
    source_licence: str | None = _option("Licence of the source's texts, if neither set nor rows say it.", None)
    limit: int | None = _option("Read only the first so many rows.", None)
    dry_run: bool = _option("Count rows, requests and tokens; ask nothing and write nothing.", False)

    def __post_init__(self) -> None:
        check_types(self)
        self.source_language = language_code(self.source_language)
        self.languages = [language_code(name) for name in self.languages]
        if not self.languages or len(set(self.languages)) < len(self.languages):
            raise CrossinError(f"languages: {self.languages} must be one or more different languages")
        if self.source_language in self.languages:
            raise CrossinError(f"languages: {self.source_language} is the source's language already")
        if self.limit is not None and self.limit < 1:
            raise CrossinError(f"limit: {self.limit} must be 1 or more")


@dataclass
class EngineOptions:
    """Who translates."""

    model: str = _option("Model id: as the server names it, a hub id, or a folder; {lang} stands for the target.")
    licence: str = _option("Licence of that model, for every row's provenance, such as Apache-2.0.")
    engine: Literal["endpoint", "transformers", "ctranslate2"] = _option(
        "endpoint: any OpenAI-compatible server; transformers, ctranslate2: a local sequence-to-sequence model.",
        "endpoint",
    )
    temperature: float = _option("Sampling temperature of the first attempt; 0 is greedy.", 0.0)
    retry_temperature: float = _option("Temperature of the second attempt, after a failed gate.", 0.7)
    seed: int = _option("Sampling seed; the second attempt uses seed + 1.", 0)
    max_tokens: int = _option("Most tokens of one reply. The bound sent is lower for short texts.", 4096)

    base_url: str = _option("endpoint: address of the server.", "http://127.0.0.1:8000/v1")
    api: Literal["chat", "completions"] = _option("endpoint: which interface; completions for base models.", "chat")
    answer_format: Literal["json_schema", "json", "fields"] = _option(
        "endpoint: all fields in one JSON object, kept to a schema by the server (json_schema) or by the prompt alone "
        "(json); or one request a field (fields).",
        "json_schema",
    )
    api_key_env: str = _option("endpoint: environment variable that holds the access token.", "OPENAI_API_KEY")
    concurrency: int = _option("endpoint: requests in flight.", 64)
    requests_per_minute: int = _option("endpoint: at most so many; 0 for no limit.", 0)
    tokens_per_minute: int = _option("endpoint: at most so many, estimated from the text; 0 for no limit.", 0)
    request_timeout: float = _option("endpoint: seconds for one reply.", 300.0)
    max_tries: int = _option("endpoint: tries of one request that meets errors, with growing pauses.", 8)
    backoff_seconds: float = _option("endpoint: first pause; it doubles, with jitter. Retry-After wins.", 1.0)
    backoff_max_seconds: float = _option("endpoint: longest pause.", 60.0)
    patience_seconds: float = _option("endpoint: how long a server may be away during a run, as for a restart.", 300.0)
    extra_body: str = _option(
        "endpoint: JSON object added to every request, as chat_template_kwargs; null takes a field out.", "{}"
    )

    tokenizer: str | None = _option("local: tokenizer id or folder, where it is not the model's own.", None)
    batch_size: int = _option("local: sentences in a batch.", 32)
    num_beams: int = _option("local: beams of the first attempt; the second samples.", 4)
    max_source_tokens: int = _option("local: a longer sentence is set aside, never cut.", 256)
    device: str = _option("local: cpu, cuda, cuda:1 or auto.", "auto")
    dtype: str = _option("local: float32, bfloat16, float16; ctranslate2 also int8.", "float32")
    accept_non_commercial: bool = _option("local: allow models for non-commercial use only (NLLB).", False)

    def __post_init__(self) -> None:
        check_types(self)
        self.extra()
        for name in ("concurrency", "max_tries", "batch_size", "num_beams", "max_source_tokens", "max_tokens"):
            if getattr(self, name) < 1:
                raise CrossinError(f"{name}: {getattr(self, name)} must be 1 or more")
        for name in ("requests_per_minute", "tokens_per_minute", "backoff_seconds", "patience_seconds", "temperature"):
            if getattr(self, name) < 0:
                raise CrossinError(f"{name}: {getattr(self, name)} must not be negative")
        address = urlsplit(self.base_url)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise CrossinError(f"base_url: {self.base_url!r} is no address; expected such as http://127.0.0.1:8000/v1")
        if address.username or address.password or address.query:
            raise CrossinError("base_url: holds a secret; put it into the environment variable that api_key_env names")
        if not self.licence.strip():
            raise CrossinError("licence: name the model's licence; it is written into every row")

    def extra(self) -> dict[str, Any]:
        """`extra_body` as an object."""
        try:
            value = json.loads(self.extra_body)
        except json.JSONDecodeError as error:
            raise CrossinError(f"extra_body: not JSON ({error.msg}, column {error.colno})") from None
        if not isinstance(value, dict):
            raise CrossinError("extra_body: must be a JSON object")
        return value


@dataclass
class GateOptions:
    """What is not sent, and what is not accepted."""

    mask_numbers: Literal["none", "long", "all"] = _option(
        "Numbers replaced by marks: long takes three digits and more, decimals, times and percentages.", "long"
    )
    kinds: list[str] = _option("Kinds of rows that are not translated.", list(KINDS))
    gates: list[str] = _option("Checks of a translation, besides those on reading the reply.", list(GATES))
    labse_model: str | None = _option("Sentence encoder for a similarity gate, as sentence-transformers/LaBSE.", None)
    labse_min: float = _option("Least cosine similarity of source and translation.", 0.6)
    metricx_model: str | None = _option("MetricX quality estimator, as google/metricx-24-hybrid-large-v2p6.", None)
    metricx_tokenizer: str = _option("Its tokenizer.", "google/mt5-large")
    metricx_max: float = _option("Highest error score accepted, 0 (best) to 25.", 5.0)

    def __post_init__(self) -> None:
        check_types(self)
        for option, known in (("kinds", KINDS), ("gates", GATES)):
            for name in getattr(self, option):
                if name not in known:
                    raise CrossinError(f"{option}: unknown {name!r}; known: {', '.join(known)}")
