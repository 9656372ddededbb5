"""Real runs of the harness on small parallel tasks, one a language, written to disk as the harness writes them.

The tasks have the names, document fields, outputs and filters of the harness's own families; their sentences are ours.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

LETTERS = "ABCDEFGHIJ"
N_QUESTIONS = 12

_LETTER_CHOICE = 'doc_to_choice: ["A", "B", "C", "D"]'
_ACC = "metric_list:\n  - metric: acc\n    aggregation: mean\n    higher_is_better: true"
_EXACT = """\
filter_list:
  - name: "custom-extract"
    filter:
      - function: "regex"
        regex_pattern: 'answer is \\(?([ABCDEFGHIJ])\\)?'
      - function: "take_first"
generation_kwargs:
  until: ["</s>"]
  do_sample: false
metric_list:
  - metric: exact_match
    aggregation: mean
    higher_is_better: true
    ignore_case: true
    ignore_punctuation: true"""

# task -> (its output, target and metric as in the harness's template, documents)
TASKS = {
    "belebele": [
        "output_type: multiple_choice",
        'doc_to_text: "{{flores_passage}} {{question}} A: {{mc_answer1}} B: {{mc_answer2}} Answer:"',
        _LETTER_CHOICE,
        "doc_to_target: \"{{['1', '2', '3', '4'].index(correct_answer_num)}}\"",
        _ACC,
    ],
    "global_mmlu": [
        "output_type: multiple_choice",
        'doc_to_text: "{{question}} A. {{option_a}} B. {{option_b}} Answer:"',
        _LETTER_CHOICE,
        "doc_to_target: answer",
        _ACC,
    ],
    "xcopa": [
        "output_type: multiple_choice",
        'doc_to_text: "{{premise}} {{question}}:"',
        'doc_to_choice: "{{[choice1, choice2]}}"',
        "doc_to_target: label",
        _ACC,
    ],
    "mmlu_prox": [
        "output_type: generate_until",
        'doc_to_text: "{{question}} Answer:"',
        "doc_to_target: answer",
        _EXACT,
    ],
    "fruit": [
        "output_type: multiple_choice",
        'doc_to_text: "{{question}}"',
        'doc_to_choice: "{{options}}"',
        "doc_to_target: right",
        _ACC,
    ],
}


def document(family: str, language: str, i: int) -> dict[str, Any]:
    """The i-th question of a family in a language, with the fields the family's documents have."""
    gold, text = (i * 7) % 4, f"{family} {language} {i}"
    options = [f"{text} option {k}" for k in range(4)]
    if family == "belebele":  # two questions a passage, as there
        mc = {f"mc_answer{k + 1}": option for k, option in enumerate(options)}
        ids = {"link": f"https://example.org/{i // 2}", "question_number": i % 2 + 1}
        return {**ids, **mc, "flores_passage": text, "question": text, "correct_answer_num": str(gold + 1)}
    if family == "global_mmlu":
        named = {f"option_{letter}": option for letter, option in zip("abcd", options, strict=True)}
        return {"sample_id": f"astronomy/test/{i}", "question": text, **named, "answer": LETTERS[gold]}
    if family == "xcopa":
        pair = {"choice1": f"{text} yes", "choice2": f"{text} no"}
        return {"idx": i, "premise": text, "question": "cause", **pair, "label": i % 2}
    if family == "mmlu_prox":
        many = {f"option_{k}": f"{text} option {k}" if k < 6 else None for k in range(10)}
        return {"question_id": 70 + i, "category": "law", "question": text, **many, "answer": LETTERS[i % 6]}
    return {"number": i, "question": text, "options": options, "right": gold}


def run_harness(
    folder: Path, names: dict[str, list[str]], *, shots: int = 0, limit: int | None = None
) -> dict[str, Any]:
    """Evaluate tasks with the harness and let it write results and sample logs below `folder/out`.

    Args:
        folder: an empty folder.
        names: family -> tasks named as in the harness, each ending in or holding its language.
        shots, limit: the harness's own.

    Returns:
        The harness's results (`results`, `samples`, ...).
    """
    configs, data = folder / "configs", folder / "data"
    configs.mkdir(parents=True), data.mkdir()
    for family, tasks in names.items():
        for task in tasks:
            rows = [document(family, task, i) for i in range(N_QUESTIONS)]
            file = data / f"{task}.jsonl"
            file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
            lines = [f"task: {task}", "dataset_path: json", "test_split: test", "fewshot_split: test", *TASKS[family]]
            lines += ["dataset_kwargs:", "  data_files:", f"    test: {file}", "metadata:", "  version: 1.0"]
            (configs / f"{task}.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    wanted = [task for tasks in names.values() for task in tasks]
    return run_tasks(wanted, configs, folder / "out", num_fewshot=shots, limit=limit)


def run_tasks(tasks: list[str], configs: Path, out: Path, **settings: Any) -> dict[str, Any]:
    """Evaluate tasks of a folder of YAML files with the harness; it writes results and sample logs below `out`."""
    import datasets
    from lm_eval import simple_evaluate
    from lm_eval.api.model import LM
    from lm_eval.loggers import EvaluationTracker
    from lm_eval.tasks import TaskManager

    class HashModel(LM):
        """Likelihoods and words that depend on nothing but the text: a deterministic stand-in of no knowledge."""

        def loglikelihood(self, requests: Any, **kwargs: Any) -> list[tuple[float, bool]]:
            return [(-_unit("|".join(request.args)) * 5, False) for request in requests]

        def loglikelihood_rolling(self, requests: Any, **kwargs: Any) -> list[float]:
            raise NotImplementedError

        def generate_until(self, requests: Any, **kwargs: Any) -> list[str]:
            words = []
            for request in requests:
                pick = int(_unit(request.args[0]) * 8)
                words.append(f"So the answer is ({LETTERS[pick]})." if pick < 6 else "I would rather not say.")
            return words

    datasets.disable_progress_bars()
    tracker = EvaluationTracker(output_path=str(out))
    results = simple_evaluate(
        model=HashModel(),
        model_args="pretrained=lab/hash-1b",
        tasks=tasks,
        task_manager=TaskManager(
            include_path=str(configs), include_defaults=False, metadata=settings.get("metadata") or {}
        ),
        evaluation_tracker=tracker,
        bootstrap_iters=0,
        **settings,
    )
    samples = results.pop("samples")
    tracker.save_results_aggregated(results=results, samples=samples)
    for task, rows in samples.items():
        tracker.save_results_samples(task_name=task, samples=rows)
    return {**results, "samples": samples}


def _unit(text: str) -> float:
    """A number in [0, 1) that depends on the text alone."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big") / 2**48
