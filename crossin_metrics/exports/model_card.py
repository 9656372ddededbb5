"""A model card's section and `model-index` with the scores, merged into a README without touching the rest of it.

The section between two markers is replaced. In the metadata block only `model-index` changes, and in it only results
of the same benchmarks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from crossin_metrics.errors import DAMAGE, CrossinError
from crossin_metrics.exports.records import Record
from crossin_metrics.scores.catalogue import describe
from crossin_metrics.text_tables import markdown_table, md_code

BEGIN = "<!-- crossin:begin -->"
END = "<!-- crossin:end -->"
_BLOCK = re.compile(r"\s*---[ \t]*\n(.*?\n|)---[ \t]*(?:\n|\Z)", re.DOTALL)
_TASK_TYPE, _TASK_NAME = "multiple-choice", "Cross-lingual multiple choice"


def model_card(records: Sequence[Record], existing: str = "") -> str:
    """A README with the scores of one model in it.

    Args:
        records: of one model.
        existing: the README as it is; "" for none.

    Returns:
        The whole README: doing it twice gives the same as doing it once.

    Raises:
        CrossinError: records of several models, broken metadata in the README, or one marker without the other.
    """
    models = list(dict.fromkeys(record.model for record in records))
    if len(models) != 1:
        raise CrossinError(f"results of {len(models)} models ({', '.join(models)}): export one, with --run GLOB")
    block, body = _split(existing)
    return f"---\n{_with_index(block, records, models[0])}---\n{_with_section(body, section(records))}"


def section(records: Sequence[Record]) -> str:
    """The section: a table of scores with standard errors, and the signatures that make them comparable."""
    keys = list(dict.fromkeys(key for record in records for key in record.scores))
    head = ["Benchmark", *(describe(key).title for key in keys), "Questions", "Languages"]
    rows = []
    for record in records:
        cells = [record.benchmark]
        for key in keys:
            value, error = record.scores.get(key), record.errors.get(key)
            shown = "" if value is None else f"{value:.4f}" + ("" if error is None else f" ± {error:.4f}")
            cells.append(shown)
        rows.append([*cells, record.n_questions, ", ".join(record.runs[0].languages)])
    errors = "± is the bootstrap standard error over questions. " if any(record.errors for record in records) else ""
    lines = [BEGIN, "## Cross-lingual consistency", "", *markdown_table(head, rows), "", errors + _meanings(keys), ""]
    lines += [f"- {md_code(record.signature)}{_prompts(record)}" for record in records]
    return "\n".join([*lines, END])


def _meanings(keys: Sequence[str]) -> str:
    return " ".join(f"{describe(key).title}: {describe(key).description}." for key in keys)


def _prompts(record: Record) -> str:
    return f" (mean of {len(record.runs)} prompts)" if len(record.runs) > 1 else ""


def _split(readme: str) -> tuple[str, str]:
    """The text of the metadata block, "" where there is none, and the text below it."""
    match = _BLOCK.match(readme)
    return (match[1], readme[match.end() :]) if match else ("", readme)


def _with_index(block: str, records: Sequence[Record], model: str) -> str:
    """The metadata block with its model-index merged, the other lines as they are."""
    import yaml

    try:
        metadata = yaml.safe_load(block) or {}
    except (yaml.YAMLError, *DAMAGE) as error:
        raise CrossinError(
            f"the README's metadata block is not valid YAML ({str(error).splitlines()[0]}); fix it"
        ) from None
    if not isinstance(metadata, dict):
        raise CrossinError("the README's metadata block is not a mapping; fix it")
    wanted = metadata | {"model-index": _merged_index(metadata.get("model-index"), records, model)}
    lines, inside = [], False
    for line in block.splitlines():
        # A top-level key ends the one before it; a list's items may stand at the margin too.
        if line[:1] not in (" ", "\t", "-", "#", ""):
            inside = line.startswith("model-index:")
        if not inside:
            lines.append(line)
    index = yaml.safe_dump({"model-index": wanted["model-index"]}, sort_keys=False, allow_unicode=True, width=1000)
    spliced = "".join(f"{line}\n" for line in lines) + index
    if yaml.safe_load(spliced) == wanted:
        return spliced
    return yaml.safe_dump(wanted, sort_keys=False, allow_unicode=True, width=1000)


def _with_section(body: str, text: str) -> str:
    begin, end = body.count(BEGIN), body.count(END)
    if begin == end == 0:
        before = body.rstrip("\n")
        return f"{before}\n\n{text}\n" if before else f"\n{text}\n"
    if begin != 1 or end != 1 or body.index(BEGIN) > body.index(END):
        raise CrossinError(f"the README needs the markers {BEGIN} and {END} once each, in this order, or neither")
    return body[: body.index(BEGIN)] + text + body[body.index(END) + len(END) :]


def _merged_index(existing: Any, records: Sequence[Record], model: str) -> list[dict[str, Any]]:
    """The model-index: others' results as they are, ours new. Of several models the first is this one."""
    from huggingface_hub import EvalResult
    from huggingface_hub.repocard_data import eval_results_to_model_index

    ours = [
        EvalResult(
            task_type=_TASK_TYPE,
            task_name=_TASK_NAME,
            dataset_type=record.dataset or record.config,
            dataset_name=record.benchmark,
            dataset_config=record.benchmark,  # the hub's library tells data sets apart by this, not by their name
            dataset_split="test",
            dataset_revision=record.revision,
            metric_type="accuracy" if key == "acc" else key,
            metric_name=f"{describe(key).title} (s={record.s})"
            if key in ("consistency", "ac3")
            else describe(key).title,
            metric_value=round(value, 6),
        )
        for record in records
        for key, value in record.scores.items()
    ]
    (made,) = eval_results_to_model_index(model.split("/")[1], ours)
    if existing is None:
        return [made]
    try:
        first = existing[0]
        kept = [result for result in first["results"] if _identity(result) not in map(_identity, made["results"])]
        return [{**first, "results": [*kept, *made["results"]]}, *existing[1:]]
    except (LookupError, TypeError, AttributeError) as error:
        raise CrossinError(f"the README's model-index is malformed ({error!r}); fix it") from None


def _identity(result: Any) -> tuple[Any, ...]:
    """What tells our results from others' and from one another: task and benchmark."""
    return result["task"]["type"], result["dataset"].get("name"), result["dataset"].get("config")
