"""The dataset card and the hub's benchmark file of a release."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from crossin_metrics.languages import LANGUAGES
from crossin_metrics.sets.parallel_set import ParallelMCQ
from crossin_metrics.shortcuts.render import verdict
from crossin_metrics.shortcuts.report import Report
from crossin_metrics.text_tables import md
from recipes.cross_xquad.checks.base import REASONS
from recipes.cross_xquad.config import STAGES

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
# SPDX names whose lower case is an id of the hub; others become `other` with their name.
_HUB_LICENCES = (
    "apache-2.0", "mit", "cc0-1.0", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-4.0",
)  # fmt: skip
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
COUNTED = {  # keys of a release's counts
    "released": "in the set",
    "by_people": "of these accepted by a reviewer",
    "edited": "of these with edited wording",
    "waiting": "with findings, not yet decided: not in the set",
    "rejected": "rejected by a reviewer",
    "redo": "sent back by a reviewer: not in the set",
    "incomplete": "accepted, but without a version in some language: not in the set",
}


def eval_yaml(languages: Sequence[str], n_questions: int) -> str:
    """The hub's `eval.yaml`: one task per language, each a leaderboard.

    The hub checks the file on upload. Its list of evaluation frameworks has no lm-evaluation-harness; `inspect-ai` is
    on it and can run the flat configs (https://huggingface.co/docs/hub/eval-results).
    """
    import yaml

    tasks = [
        {
            "id": f"cross_xquad_{code}",
            "config": code,
            "split": "test",
            "field_spec": {"input": "input", "target": "target", "choices": "choices"},
            "solvers": [{"name": "multiple_choice"}],
            "scorers": [{"name": "choice"}],
        }
        for code in languages
    ]
    names = ", ".join(LANGUAGES[code].english for code in languages)
    content = {
        "name": "Cross-XQuAD, rebuilt",
        "description": f"{n_questions} four-option reading questions, the same in {names}. Accuracy in one language; "
        "consistency across languages is measured by lm_eval --tasks cross_xquad.",
        "evaluation_framework": "inspect-ai",
        "tasks": tasks,
    }
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=1000)


def card(data: ParallelMCQ, provenance: Mapping[str, Any], hashes: Mapping[str, str], report: Report) -> str:
    """README.md: metadata for the hub, and what a user must know."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    facts = provenance["facts"]
    options: dict[str, Any] = {"data_dir": "THIS_FOLDER"}
    if list(data.languages) != ["en", "zh", "vi", "es"]:  # the task's default: the paper's four
        options["languages"] = list(data.languages)
    templates = FileSystemLoader(Path(__file__).with_name("templates"))
    environment = Environment(loader=templates, undefined=StrictUndefined, keep_trailing_newline=True)
    environment.filters |= {"md": md, "words": _words, "shown": _shown}
    return environment.get_template("README.md.j2").render(
        data=data,
        **provenance,
        front_matter=_front_matter(data, facts),
        names=", ".join(LANGUAGES[code].english for code in data.languages),
        metadata=json.dumps(options),
        is_xquad=_is_xquad(facts),
        stages=_stages(facts["stages"]),
        counted=COUNTED,
        reasons=REASONS,
        verdict=verdict(report),
        hashes=hashes,
    )


def _front_matter(data: ParallelMCQ, facts: Mapping[str, Any]) -> str:
    import yaml

    licence = facts["source_licence"].lower()
    own = {"license": licence}
    if licence not in _HUB_LICENCES:
        name = re.sub(r"[^a-z0-9.]+", "-", licence).strip("-")  # the hub takes no other signs
        own = {"license": "other", "license_name": name or "see-below"}
    configs: list[dict[str, Any]] = [
        {"config_name": "all", "default": True, "data_files": [{"split": "test", "path": "data/all/test.parquet"}]}
    ]
    configs += [
        {"config_name": code, "data_files": [{"split": "test", "path": f"data/{code}/test.parquet"}]}
        for code in data.languages
    ]
    content = {
        "pretty_name": "Cross-XQuAD, rebuilt",
        "language": list(data.languages),
        **own,
        "multilinguality": ["multilingual"],
        "task_categories": ["question-answering", "multiple-choice"],
        "size_categories": [next((name for most, name in _SIZES if len(data) < most), "n>1M")],
        "annotations_creators": ["machine-generated"],
        "language_creators": ["found", "machine-generated"],
        "source_datasets": ["extended|xquad"] if _is_xquad(facts) else [],
        "tags": ["cross-lingual", "consistency", "reading-comprehension", "parallel", "crossin"],
        "configs": configs,
    }
    return yaml.safe_dump(
        {key: value for key, value in content.items() if value}, sort_keys=False, allow_unicode=True, width=1000
    )


def _is_xquad(facts: Mapping[str, Any]) -> bool:
    return "xquad" in str(facts["source"]).lower()


def _stages(stages: Mapping[str, Any]) -> dict[str, str]:
    """Counts after every stage, from the stages' records; hashes stay in provenance.json."""
    lines = {}
    for name in sorted(stages, key=lambda one: STAGES.index(one) if one in STAGES else len(STAGES)):
        counts = []
        for key, value in stages[name].items():
            if key not in ("inputs", "stage", "items_sha256") and value not in ({}, None, ""):
                shown = f"({_shown(value)})" if isinstance(value, Mapping) else _shown(value)
                counts.append(f"{_words(key)} {shown}")
        lines[name] = "; ".join(counts) or "no counts"
    return lines


def _words(key: str) -> str:
    return md(key.removeprefix("n_").replace("_", " "))


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        parts = [
            f"{_words(str(key))} ({_shown(one)})" if isinstance(one, Mapping) else f"{_words(str(key))}: {_shown(one)}"
            for key, one in value.items()
        ]
        return ", ".join(parts) or "none"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_shown(one) for one in value) or "none"
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    return md(str(value))
