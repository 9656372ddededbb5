"""Rows of a run as instance-level records of Every Eval Ever: one a question and language.

Accuracy is their mean. What the model was shown and wrote comes from the harness's sample logs; other files hold
answers only.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from crossin_metrics.errors import CrossinError
from crossin_metrics.exports.records import Record
from crossin_metrics.records import json_lines
from crossin_metrics.runs.run import Run
from crossin_metrics.runs.signature import is_row_of

_Sample = Mapping[str, Any]


def samples_jsonl(record: Record, *, schema_version: str, evaluation_id: str, result_id: str) -> str:
    """JSON Lines for `<uuid>_samples.jsonl`.

    Args:
        record: of one run.
        schema_version: of the format.
        evaluation_id, result_id: of the aggregate file and its accuracy, to which the rows belong.
    """
    run, logged = record.runs[0], _logged(record.runs[0])
    lines = []
    for k, identifier in enumerate(run.ids):
        for m, language in enumerate(run.languages):
            answer, gold = int(run.answers[k, m]), int(run.gold[k])
            shown = _shown(logged.get((identifier, language), {}), answer, gold)
            text = json.dumps([shown["input"]["raw"], shown["input"]["reference"]], sort_keys=True)
            row = {
                "schema_version": schema_version,
                "evaluation_id": evaluation_id,
                "model_id": record.model,
                "evaluation_name": record.benchmark,
                "evaluation_result_id": result_id,
                "sample_id": f"{identifier}/{language}",
                "sample_hash": hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest() if logged else None,
                "interaction_type": "single_turn",
                **shown,
                "evaluation": {"score": float(answer == gold), "is_correct": answer == gold},
                "metadata": {
                    "question_id": identifier,
                    "language": language,
                    "gold": str(gold),
                    "answer": "none" if answer < 0 else str(answer),
                },
            }
            lines.append(json.dumps(row, allow_nan=False) + "\n")
    return "".join(lines)


def _shown(sample: _Sample, answer: int, gold: int) -> dict[str, Any]:
    """Input, output and how the answer was read; options are named by index where no log has their texts."""
    doc = sample.get("doc") or {}
    order, options = doc.get("order") or [], doc.get("options") or []
    choices = [""] * len(order)
    for position, option in enumerate(order):
        choices[option] = str(options[position])
    arguments = (sample.get("arguments") or {}).get("gen_args_0") or {}
    text = _generated(sample)
    named = [choices[option] if 0 <= option < len(choices) else str(option) for option in (answer, gold)]
    picked = "" if answer < 0 else named[0]
    return {
        "input": {
            "raw": str(arguments.get("arg_0") or ""),
            "reference": [named[1]],
            "choices": choices or None,
        },
        "output": {"raw": [picked if text is None else text]},
        "answer_attribution": [
            {
                "turn_idx": 0,
                "source": "output.raw",
                "extracted_value": picked,
                "extraction_method": str(sample.get("rule") or "as logged")
                if text is not None
                else "highest log-likelihood"
                if sample
                else "as given",
                "is_terminal": True,
            }
        ],
    }


def _generated(sample: _Sample) -> str | None:
    """The text of the first response; None if it is likelihoods or unknown."""
    first = next(iter(sample.get("resps") or ()), None)
    first = next(iter(first), None) if isinstance(first, list) else first
    return first if isinstance(first, str) else None


def _logged(run: Run) -> dict[tuple[str, str], _Sample]:
    """(question, language) -> the row of the harness's log, of this project's tasks."""
    return {
        (str(sample["doc"]["id"]), str(sample["doc"]["language"])): sample
        for path in run.source_files
        if path.name.startswith("samples_")
        for sample in _rows(path)
        if is_row_of(run, sample["doc"])
    }


def _rows(path: Any) -> Iterator[_Sample]:
    try:
        for record in json_lines(path):
            doc = record.value.get("doc")
            if isinstance(doc, dict) and {"id", "language", "order", "options"} <= set(doc):
                yield record.value
    except CrossinError:
        return  # the file that was scored has been moved or changed since
