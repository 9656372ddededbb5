"""The dataset card and the hub's benchmark file of a release."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
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
    facts, counts = provenance["facts"], provenance["counts"]
    names = ", ".join(LANGUAGES[code].english for code in data.languages)
    parts = [
        f"---\n{_front_matter(data, facts)}---",
        "# Cross-XQuAD, rebuilt",
        f"{len(data)} reading-comprehension questions with a passage and four options, the same in {names}. Options "
        "have the same order in every language, so answers can be compared across languages. Made by the "
        "procedure of *CrossIn: An Efficient Instruction Tuning Approach for Cross-Lingual Knowledge Alignment* "
        "([arXiv 2404.11932](https://arxiv.org/abs/2404.11932)) with other models and checks; **not the set of that "
        "paper**: do not compare scores on the two.",
        _usage(data.languages),
        "The set is for evaluation: there is only a `test` split. Do not train on its articles; `provenance.json` "
        "lists each question's article.",
        "## Licence",
        _licence(facts),
        "## How it was made",
        _made(facts),
        _stages(facts["stages"]),
        "## Selection",
        "\n".join(
            ["| questions | |", "|---:|---|", *(f"| {counts[key]:,} | {text} |" for key, text in COUNTED.items())]
        ),
        _findings(provenance["findings"]),
        _reviewers(provenance["reviewers"]),
        "## Shortcut baselines",
        verdict(report) + " All rules, languages and intervals: [artefacts.md](artefacts.md).",
        "## Limits",
        "A language model wrote the wrong options and their translations; passages, questions and right options are "
        "the source's. The checks find some mistakes, not all. Models that were trained on the source "
        "(SQuAD's passages are Wikipedia's) may know its answers.",
        "## Files",
        "\n".join(
            [
                "| file | SHA-256 |",
                "|---|---|",
                *(f"| {name} | `{digest}` |" for name, digest in sorted(hashes.items())),
            ]
        ),
        "Check them with `sha256sum -c SHA256SUMS`. "
        f"Hash of the content, as in the harness's signatures: `{data.hash}`.",
        "## Citation",
        _CITATION,
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _usage(languages: Sequence[str]) -> str:
    """How to load it: the harness's command (whose default languages are the paper's four) and the hub's library."""
    options: dict[str, Any] = {"data_dir": "THIS_FOLDER"}
    if list(languages) != ["en", "zh", "vi", "es"]:
        options["languages"] = list(languages)
    return (
        "```bash\n"
        f"lm_eval --tasks cross_xquad --model hf --model_args pretrained=MODEL --metadata '{json.dumps(options)}'\n"
        "```\n\n"
        "```python\n"
        'datasets.load_dataset("THIS_REPOSITORY")["test"]  # one row per question, in all languages\n'
        f'datasets.load_dataset("THIS_REPOSITORY", "{languages[0]}")["test"]  # one language, flat\n'
        "```\n\n"
        "A flat row has `id`, `context`, `question`, `choices`, the right one as `answer` (text), `gold` (index from "
        "0) and `target` (letter), and `input`: passage and question."
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


def _licence(facts: Mapping[str, Any]) -> str:
    licence = md(str(facts["source_licence"]))
    text = [f"**{licence}**, inherited from the source: passages, questions and right options are its texts."]
    if "-sa-" in facts["source_licence"].lower():
        text.append("It is a share-alike licence, so the whole set is under it.")
    if _is_xquad(facts):
        text.append(
            "The source is XQuAD (Artetxe, Ruder and Yogatama 2020, "
            "[arXiv 1910.11856](https://arxiv.org/abs/1910.11856); "
            "[google-deepmind/xquad](https://github.com/google-deepmind/xquad)), human translations of SQuAD 1.1 "
            "(Rajpurkar et al. 2016), whose passages come from Wikipedia. Changes: three wrong options were added to "
            "each question."
        )
    if facts.get("model_licence"):
        text.append(
            f"The model that wrote the wrong options is under {md(str(facts['model_licence']))}; see that licence "
            "for terms on its output."
        )
    return " ".join(text)


def _made(facts: Mapping[str, Any]) -> str:
    """Every fact that is not shown elsewhere, as a table of names and values."""
    left = {key: value for key, value in facts.items() if key not in ("stages", "languages")}
    rows = [f"| {_words(key)} | {_value(value)} |" for key, value in sorted(left.items())]
    return "\n".join(["| | |", "|---|---|", *rows])


def _stages(stages: Mapping[str, Any]) -> str:
    """Counts after every stage, from the stages' records; hashes stay in provenance.json."""
    lines = []
    for name in sorted(stages, key=lambda one: STAGES.index(one) if one in STAGES else len(STAGES)):
        counts = []
        for key, value in stages[name].items():
            if key not in ("inputs", "stage", "items_sha256") and value not in ({}, None, ""):
                shown = f"({_value(value)})" if isinstance(value, Mapping) else _value(value)
                counts.append(f"{_words(key)} {shown}")
        lines.append(f"- **{md(name)}**: {'; '.join(counts) or 'no counts'}")
    return "Counts after each stage:\n\n" + "\n".join(lines) if lines else ""


def _findings(findings: Mapping[str, Mapping[str, int]]) -> str:
    if not findings:
        return "No question has findings."
    rows = [
        f"| `{code}` | {', '.join(f'{fate} {n}' for fate, n in by.items())} | {md(REASONS.get(code, ''))} |"
        for code, by in findings.items()
    ]
    return "\n".join(
        ["Questions by finding in their last attempt:", "", "| finding | questions | |", "|---|---|---|", *rows]
    )


def _reviewers(reviewers: Mapping[str, int]) -> str:
    if not reviewers:
        return "Not reviewed yet."
    return "Reviewers, by initials: " + ", ".join(f"{md(name)} ({n})" for name, n in reviewers.items()) + "."


def _words(key: str) -> str:
    return md(key.removeprefix("n_").replace("_", " "))


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        parts = [
            f"{_words(str(key))} ({_value(one)})" if isinstance(one, Mapping) else f"{_words(str(key))}: {_value(one)}"
            for key, one in value.items()
        ]
        return ", ".join(parts) or "none"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_value(one) for one in value) or "none"
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    return md(str(value))


_CITATION = """```bibtex
@article{lin2024crossin,
  title   = {CrossIn: An Efficient Instruction Tuning Approach for Cross-Lingual Knowledge Alignment},
  author  = {Lin, Geyu and Wang, Bin and Liu, Zhengyuan and Chen, Nancy F.},
  journal = {arXiv preprint arXiv:2404.11932},
  year    = {2024}
}
@inproceedings{artetxe2020cross,
  title     = {On the Cross-lingual Transferability of Monolingual Representations},
  author    = {Artetxe, Mikel and Ruder, Sebastian and Yogatama, Dani},
  booktitle = {Proceedings of ACL},
  year      = {2020}
}
```"""
