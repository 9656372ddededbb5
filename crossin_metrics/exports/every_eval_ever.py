"""Records of Every Eval Ever (schema 0.3.0, https://github.com/evaleval/every_eval_ever), written from the samples.

Two files a run, at `data/<benchmark>/<developer>/<model>/` as its datastore wants them: `<uuid>.json` with the scores
and `<uuid>_samples.jsonl` with the rows. The same answers give the same names and the same `evaluation_id`. Bounds and
the bootstrap are stated for every score, which a conversion of the harness's results file cannot do.
"""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Sequence
from typing import Any

from crossin_metrics import __version__
from crossin_metrics.errors import CrossinError
from crossin_metrics.exports.eval_samples import samples_jsonl
from crossin_metrics.exports.records import Record
from crossin_metrics.scores.catalogue import describe
from crossin_metrics.scores.uncertainty import DEFAULT_LEVEL, ROUGH, ROUGH_SAID, interval_method

SCHEMA_VERSION = "0.3.0"
RELATIONSHIPS = ("first_party", "third_party", "collaborative", "other")
_LOCAL = ("hf", "vllm", "crossin-hf", "crossin-vllm", "sglang", "gguf")


def eval_records(
    records: Sequence[Record], *, organization: str, relationship: str = "other", now: float | None = None
) -> dict[str, str]:
    """The files of the datastore: path -> JSON text.

    Args:
        records: one a run; a mean over several prompts is refused.
        organization: who evaluated.
        relationship: of the evaluator to the model's makers, one of `RELATIONSHIPS`.
        now: seconds since the epoch at which the record is made; None: the clock's.

    Raises:
        CrossinError: a record of several prompts, a bad relationship.
    """
    if relationship not in RELATIONSHIPS:
        raise CrossinError(f"--relationship {relationship!r}: must be one of {', '.join(RELATIONSHIPS)}")
    made = time.time() if now is None else now
    files = {}
    for record in records:
        if len(record.runs) > 1:
            raise CrossinError(f"{record.benchmark}: a mean over prompts is not a single evaluation; export its runs")
        content = _content(record, organization, relationship, made)
        developer, name = record.model.split("/")
        path = f"data/{record.benchmark}/{developer}/{name}/{_uuid(record)}"
        if "acc" in record.scores:
            rows = samples_jsonl(
                record,
                schema_version=SCHEMA_VERSION,
                evaluation_id=content["evaluation_id"],
                result_id=f"{record.benchmark}_acc",
            )
            files[f"{path}_samples.jsonl"] = rows
            content["detailed_evaluation_results"] = {
                "format": "jsonl",
                "file_path": f"{path}_samples.jsonl",
                "hash_algorithm": "sha256",
                "checksum": hashlib.sha256(rows.encode()).hexdigest(),
                "total_rows": rows.count("\n"),
            }
        files[f"{path}.json"] = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    return files


def _uuid(record: Record) -> str:
    """A version-4 UUID that depends only on the answers, so that exporting twice makes no duplicate."""
    run = record.runs[0]
    digest = hashlib.sha256(f"{record.model}\x1f{record.signature}\x1f{run.name}\x1f{record.date}".encode())
    digest.update("\x1f".join(run.ids).encode())
    digest.update(run.answers.astype("<i8").tobytes())
    return str(uuid.UUID(bytes=digest.digest()[:16], version=4))


def _content(record: Record, organization: str, relationship: str, made: float) -> dict[str, Any]:
    run = record.runs[0]
    settings = run.settings
    backend = str(settings.get("backend") or "")
    local = backend in _LOCAL
    model: dict[str, Any] = {
        "name": record.model.split("/")[1],
        "id": record.model,
        "developer": record.model.split("/")[0],
        "additional_details": {
            "deployment_type": "self_deployed" if local else "unknown",
            "model_availability": "open_weights" if local else "unknown",
        },
    }
    for name in ("model_dtype", "model_sha", "model_num_parameters"):
        if settings.get(name):
            model["additional_details"][name] = str(settings[name])
    if backend:
        model["inference_engine"] = {"name": backend, "version": str(settings.get("backend_version") or "unknown")}
    harness = settings.get("lm_eval_version")
    content: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "evaluation_id": f"{record.benchmark}/{record.model}/{_uuid(record)}",
        "retrieved_timestamp": str(made),
        "source_metadata": {
            "source_name": "crossin",
            "source_type": "evaluation_run",
            "source_organization_name": organization,
            "evaluator_relationship": relationship,
        },
        "eval_library": {
            "name": "lm_eval" if harness else "crossin",
            "version": str(harness) if harness else __version__,
            "additional_details": {"crossin_version": __version__, "signature": record.signature},
        },
        "model_info": model,
        "evaluation_results": [_result(record, key) for key in record.scores],
    }
    if record.date is not None:
        content["evaluation_timestamp"] = record.date
    return content


def _result(record: Record, key: str) -> dict[str, Any]:
    metric, run = describe(key), record.runs[0]
    of_subsets = key in ("consistency", "ac3", "consistent_correct")
    details = {
        "n_questions": str(record.n_questions),
        "n_languages": str(record.n_languages),
        "languages": ",".join(run.languages),
        "n_unanswered": str(int((run.answers < 0).sum())),
    }
    source: dict[str, Any] = {"dataset_name": record.config, "source_type": "other"}
    if record.dataset is not None:
        source = {
            "dataset_name": record.config,
            "source_type": "hf_dataset",
            "hf_repo": record.dataset,
            "hf_split": "test",
            "samples_number": record.n_questions * record.n_languages,
        }
        if record.revision is not None:
            source["additional_details"] = {"revision": record.revision}
    result: dict[str, Any] = {
        "evaluation_result_id": f"{record.benchmark}_{key}",
        "evaluation_name": record.benchmark,
        "source_data": source,
        "metric_config": {
            "evaluation_description": metric.description,
            "metric_id": "accuracy" if key == "acc" else f"crossin.{key}",
            "metric_name": metric.title,
            "metric_kind": "accuracy" if key == "acc" else key,
            "metric_unit": "proportion" if metric.low == 0.0 else "points",
            "lower_is_better": metric.higher_is_better is False,
            "score_type": "continuous",
            "min_score": metric.low,
            "max_score": metric.high,
        },
        "score_details": {"score": record.scores[key], "details": details},
        "generation_config": _generation(record),
    }
    if of_subsets:
        result["metric_config"]["metric_parameters"] = {"s": record.s}
    if key in record.errors:
        result["score_details"]["uncertainty"] = uncertainty = {
            "standard_error": {"value": record.errors[key], "method": "bootstrap"},
            "num_samples": record.n_questions,
            "num_bootstrap_samples": record.n_resamples,
        }
        if key in record.intervals:
            low, high = record.intervals[key]
            method = interval_method(key) + (f" ({ROUGH_SAID})" if key in ROUGH else "")
            uncertainty["confidence_interval"] = {
                "lower": low,
                "upper": high,
                "confidence_level": DEFAULT_LEVEL,
                "method": f"{method} over {record.unit}",
            }
    return result


def _generation(record: Record) -> dict[str, Any]:
    """How the model was asked: the signature, shots and template, and of generated answers how they were sampled."""
    settings = record.runs[0].settings
    kwargs = dict(settings.get("generation_kwargs") or {})
    metadata = settings.get("metadata") or {}
    found = {
        "temperature": kwargs.pop("temperature", None),
        "top_p": kwargs.pop("top_p", None),
        "top_k": kwargs.pop("top_k", None),
        "max_tokens": kwargs.pop("max_gen_toks", None),
        "reasoning": metadata.get("enable_thinking"),
    }
    numbers = {name: value for name, value in found.items() if isinstance(value, (int, float))}
    said = {name: settings[name] for name in ("shots", "chat_template", "system_instruction") if name in settings}
    details = {name: value if isinstance(value, str) else json.dumps(value) for name, value in (said | kwargs).items()}
    arguments = {"generation_args": numbers} if numbers else {}
    return {**arguments, "additional_details": {"signature": record.signature, **details}}
