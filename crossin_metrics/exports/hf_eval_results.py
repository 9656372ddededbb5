"""The hub's evaluation results: `.eval_results/<benchmark>.yaml` of a model repository.

One value a task id, so a benchmark has an id for each score: `cross_mmlu_acc`, `cross_mmlu_consistency`,
`cross_mmlu_ac3` ... The ids stay as they are; notes say how a value was made. Values are shares in [0, 1].
The hub shows results of data sets on its list of benchmarks, which have an `eval.yaml` with these ids
(:func:`benchmark_yaml`). Format: https://huggingface.co/docs/hub/eval-results
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crossin_metrics.errors import CrossinError
from crossin_metrics.exports.records import Record
from crossin_metrics.scores.catalogue import describe


def eval_results(
    records: Sequence[Record], *, source_url: str | None = None, source_name: str | None = None
) -> dict[str, str]:
    """The files of one model: path in its repository -> YAML text.

    Args:
        records: of one model, no benchmark twice.
        source_url, source_name: link to logs or a paper; a name needs a URL.

    Raises:
        CrossinError: records of several models, a benchmark twice, no data set, or a name without a URL.
    """
    import yaml
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

    models = list(dict.fromkeys(record.model for record in records))
    if len(models) > 1:
        raise CrossinError(f"results of several models ({', '.join(models)}): export one at a time with --run GLOB")
    if source_name is not None and source_url is None:
        raise CrossinError("--source-name needs --source-url")
    files: dict[str, str] = {}
    for record in records:
        path = f".eval_results/{record.benchmark}.yaml"
        if path in files:
            raise CrossinError(f"benchmark {record.benchmark} twice: choose one run with --run GLOB")
        if record.dataset is None:
            raise CrossinError(f"{record.runs[0].name}: unknown hub data set; give --dataset-id owner/name")
        entries = [
            EvalResultEntry(
                dataset_id=record.dataset,
                task_id=task_id(record.benchmark, key),
                value=round(value, 6),
                dataset_revision=record.revision,
                date=record.date,
                source_url=source_url,
                source_name=source_name,
                notes=record.note(key),
            )
            for key, value in record.scores.items()
        ]
        files[path] = yaml.safe_dump(
            eval_result_entries_to_yaml(entries), sort_keys=False, allow_unicode=True, width=1000
        )
    return files


def task_id(benchmark: str, key: str) -> str:
    """The id under which a score of a benchmark is published: `cross_mmlu_ac3`."""
    return f"{benchmark}_{key}"


def benchmark_yaml(records: Sequence[Record]) -> str:
    """The `eval.yaml` that the data set's repository needs for these task ids to be a benchmark on the hub.

    The hub validates the file at push and takes `evaluation_framework` from a list of its own, without the harness; the
    form of its documentation names `inspect-ai`, and the description says what made the scores.
    List: https://github.com/huggingface/huggingface.js/blob/main/packages/tasks/src/eval.ts
    """
    import yaml

    tasks: list[dict[str, Any]] = [
        {"id": task_id(record.benchmark, key), "config": record.config, "split": "test"}
        for record in records
        for key in record.scores
    ]
    names = dict.fromkeys(key for record in records for key in record.scores)
    said = "; ".join(f"{key}: {describe(key).description}" for key in names)
    text = {
        "name": "Cross-lingual consistency",
        "description": "Parallel multiple-choice questions in several languages; scores of lm-evaluation-harness "
        f"with the tasks of crossin. {said}.",
        "evaluation_framework": "inspect-ai",
        "tasks": tasks,
    }
    return yaml.safe_dump(text, sort_keys=False, allow_unicode=True, width=1000)
