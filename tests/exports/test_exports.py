"""Exports: the hub's evaluation results, Every Eval Ever, model cards, read back by the hub's own library."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from crossin_metrics.errors import CrossinError
from crossin_metrics.exports.every_eval_ever import eval_records
from crossin_metrics.exports.hf_eval_results import benchmark_yaml, eval_results
from crossin_metrics.exports.model_card import BEGIN, END, model_card
from crossin_metrics.exports.records import EXPORTED, Record, make_records
from crossin_metrics.runs.run import Run
from crossin_metrics.scores.definitions import score_questions
from crossin_metrics.scores.uncertainty import ROUGH, bootstrap, score_intervals, standard_errors

SIGNATURE = "crossin|task:cross_mmlu|data:abc|langs:en,es,vi,zh|answers:letter|prompt:{}|shots:0|chat:no|s:3|v:0.1.0"


def make_run(seed: int = 0, n: int = 40, *, prompt: str = "p1", task: str = "cross_mmlu", **settings: Any) -> Run:
    rng = np.random.default_rng(seed)
    gold = rng.integers(0, 4, n)
    answers = np.where(rng.random((n, 4)) < 0.6, gold[:, None], rng.integers(-1, 4, (n, 4)))
    known = {
        "model_name": "lab/lion-7b",
        "signature": SIGNATURE.format(prompt).replace("cross_mmlu", task),
        "lm_eval_version": "0.4.13",
        "backend": "hf",
        "backend_version": "5.19.0",
        "metadata": {"set": task, "n_questions": n, "data_source": f"hub:SeaEval/SeaEval_datasets/{task}@0a1b2c"},
    }
    return Run(
        name=f"{task}|lab__lion-7b|{prompt}",
        task=task,
        model="lab__lion-7b",
        mode="",
        prompt=prompt,
        variant="",
        languages=("en", "es", "vi", "zh"),
        ids=tuple(f"q{i:03d}" for i in range(n)),
        answers=answers.astype(np.int64),
        gold=gold.astype(np.int64),
        n_choices=np.full(n, 4),
        orders=None,
        logprobs=None,
        source_files=(Path(f"samples_{task}_2026-10-05T12-00-00.123.jsonl"),),
        settings=known | settings,
    )


def records(*runs: Run, **more: Any) -> list[Record]:
    return make_records(runs or [make_run()], **({"keys": ("acc", "consistency", "ac3"), "n_resamples": 200} | more))


# -- what every export starts from ------------------------------------------------------------------------------------


def test_scores_errors_and_provenance() -> None:
    run = make_run()
    (record,) = make_records([run], n_resamples=200, seed=3)
    scores = score_questions(run.questions())
    assert record.scores == {key: scores[key] for key in EXPORTED if key in scores}
    replicates = bootstrap(run.questions(), n_resamples=200, seed=3, keys=record.scores)
    assert record.errors == standard_errors(replicates)
    assert record.intervals == score_intervals(replicates)
    assert (record.model, record.benchmark, record.date) == ("lab/lion-7b", "cross_mmlu", "2026-10-05")
    place = (record.dataset, record.config, record.revision)
    assert place == ("SeaEval/SeaEval_datasets", "cross_mmlu", "0a1b2c")
    assert record.signature == SIGNATURE.format("p1")


def test_prompts_become_their_mean_and_ac3_fits_the_exported_pair() -> None:
    runs = [make_run(i, prompt=f"p{i}") for i in (1, 2, 3)]
    runs = [replace(run, gold=runs[0].gold) for run in runs]
    (record,) = records(*runs)
    for key in ("acc", "consistency"):
        assert record.scores[key] == np.mean([score_questions(run.questions())[key] for run in runs])
    acc, consistency = record.scores["acc"], record.scores["consistency"]
    assert record.scores["ac3"] == pytest.approx(2 * acc * consistency / (acc + consistency))
    assert record.errors == {}
    assert "prompt:mean(p1,p2,p3)" in record.signature
    assert "mean of 3 prompts" in record.note("acc")
    assert len(records(*runs, merge_prompts=False)) == 3


def test_what_is_refused() -> None:
    run = make_run()
    partial = make_run(metadata={"n_questions": 150})
    for runs, more, message in (
        (
            [make_run(model_name="/home/me/checkpoint")],
            {},
            "'/home/me/checkpoint', which is not a hub id; give --model-id",
        ),
        ([run], {"model": "lion"}, "--model-id 'lion' is not a hub id"),
        ([partial], {}, r"only 40 of 150 questions \(--limit, --sample\?\).*--allow-partial"),
        ([run, make_run(1)], {}, "are the same benchmark"),
        (
            [run, make_run(1, prompt="p2", signature=SIGNATURE.format("p2").replace("abc", "abd"))],
            {},
            "more than the pr",
        ),
        ([run], {"keys": ["acx"]}, "unknown score 'acx'; did you mean 'acc'"),
        ([run], {"keys": ["excess_consistency"]}, "printed by `crossin score` only, for one run"),
        ([run], {"keys": ["rankc"]}, "rankc is undefined for this run"),
    ):
        with pytest.raises(CrossinError, match=message):
            records(*runs, **more)
    assert records(partial, allow_partial=True)[0].n_questions == 40
    half = make_run()
    half.settings["metadata"] = {"articles": "test"}
    with pytest.raises(CrossinError, match="only the test half of the articles"):
        records(half)


def test_an_id_names_one_model() -> None:
    """Runs of two models have different prompts here: neither a mean over both nor two records of one model."""
    run, other = make_run(), replace(make_run(1, prompt="p2"), model="lab__whale", gold=make_run().gold)
    for merge in (True, False):
        with pytest.raises(CrossinError, match=r"models \(lab__lion-7b, lab__whale\): choose one with --run GLOB"):
            records(run, other, model="lab/lion-7b", merge_prompts=merge)
    for same in ("lab/lion-7b", ""):  # as a table writes it, or without a column for it
        (record,) = records(run, replace(other, model=same), model="lab/lion-7b")
        assert len(record.runs) == 2


def test_stable_names_of_variants() -> None:
    run = make_run(task="cross_mmlu_cf")
    found = records(run, replace(run, variant="norm", name=f"{run.name}|norm"))
    assert [record.benchmark for record in found] == ["cross_mmlu_cf", "cross_mmlu_cf_norm"]
    local = records(make_run(metadata={"set": "mine"}, task="mine"))[0]
    assert (local.dataset, local.revision) == (None, None)


# -- the hub's evaluation results -------------------------------------------------------------------------------------


def test_eval_results_are_the_hubs_own() -> None:
    from huggingface_hub import EvalResultEntry
    from huggingface_hub._eval_results import parse_eval_result_entries

    found = records(make_run(), make_run(1, task="cross_logiqa"))
    files = eval_results(found, source_url="https://example.org/logs", source_name="Logs")
    assert list(files) == [".eval_results/cross_mmlu.yaml", ".eval_results/cross_logiqa.yaml"]
    entries = parse_eval_result_entries(yaml.safe_load(files[".eval_results/cross_mmlu.yaml"]))
    record = found[0]
    assert entries == [
        EvalResultEntry(
            dataset_id="SeaEval/SeaEval_datasets",
            task_id=f"cross_mmlu_{key}",
            value=round(record.scores[key], 6),
            dataset_revision="0a1b2c",
            date="2026-10-05",
            source_url="https://example.org/logs",
            source_name="Logs",
            notes=record.note(key),
        )
        for key in ("acc", "consistency", "ac3")
    ]
    assert all(entry.notes.startswith(record.signature) for entry in entries)
    assert all(f"{record.errors[key]:.4f}" in record.note(key) for key in record.scores)


def test_the_data_sets_eval_yaml_names_every_task_id() -> None:
    found = records(make_run(), make_run(1, task="cross_logiqa"))
    described = yaml.safe_load(benchmark_yaml(found))
    published = [entry["dataset"]["task_id"] for text in eval_results(found).values() for entry in yaml.safe_load(text)]
    assert [task["id"] for task in described["tasks"]] == published
    assert described["tasks"][3] == {"id": "cross_logiqa_acc", "config": "cross_logiqa", "split": "test"}


def test_eval_results_refused() -> None:
    with pytest.raises(CrossinError, match="unknown hub data set; give --dataset-id"):
        eval_results(records(make_run(metadata={"set": "mine"}, task="mine")))
    with pytest.raises(CrossinError, match=r"several models \(lab/lion-7b, lab/whale\)"):
        eval_results(records(make_run(), make_run(1, model_name="lab/whale")))
    with pytest.raises(CrossinError, match="--source-name needs --source-url"):
        eval_results(records(), source_name="Logs")
    (known,) = records(make_run(metadata={"set": "mine"}, task="mine"), dataset="lab/mine")
    assert known.dataset == "lab/mine"


# -- Every Eval Ever --------------------------------------------------------------------------------------------------


def eee(*runs: Run, **more: Any) -> dict[str, Any]:
    found = make_records(runs or [make_run()], n_resamples=200, merge_prompts=False)
    files = eval_records(found, **({"organization": "Our lab", "now": 1790000000.5} | more))
    return {
        path: json.loads(text, parse_constant=lambda x: pytest.fail(f"bare {x}"))
        for path, text in files.items()
        if path.endswith(".json")
    }


def test_an_eval_record_holds_scores_bounds_and_errors() -> None:
    ((path, content),) = eee().items()
    *folders, name = path.split("/")
    assert folders == ["data", "cross_mmlu", "lab", "lion-7b"]
    assert uuid.UUID(name.removesuffix(".json")).version == 4
    assert content["evaluation_id"] == f"cross_mmlu/lab/lion-7b/{name.removesuffix('.json')}"
    assert content["retrieved_timestamp"] == "1790000000.5"
    assert content["model_info"]["inference_engine"] == {"name": "hf", "version": "5.19.0"}
    assert content["eval_library"]["name"] == "lm_eval"
    assert all(
        isinstance(value, str) and value.strip() for value in content["model_info"]["additional_details"].values()
    )
    (record,) = make_records([make_run()], n_resamples=200)
    results = {result["evaluation_result_id"]: result for result in content["evaluation_results"]}
    assert list(results) == [f"cross_mmlu_{key}" for key in record.scores]
    assert {"fleiss_kappa", "kappa_p", "letter_bias"} <= set(record.scores)
    for key, value in record.scores.items():
        result = results[f"cross_mmlu_{key}"]
        metric, score = result["metric_config"], result["score_details"]
        assert (metric["min_score"], metric["max_score"]) == (-1.0 if "kappa" in key else 0.0, 1.0)
        assert metric["lower_is_better"] == (key == "letter_bias")
        assert metric["min_score"] <= score["score"] == value <= metric["max_score"]
        assert all(isinstance(value, str) and value.strip() for value in score["details"].values())
        uncertainty = score["uncertainty"]
        assert uncertainty["standard_error"] == {"value": record.errors[key], "method": "bootstrap"}
        interval = uncertainty["confidence_interval"]
        assert (interval["lower"], interval["upper"]) == record.intervals[key]
        assert interval["method"].endswith("over questions")
        assert ("rough" in interval["method"]) == (key in ROUGH)
        assert result["source_data"]["hf_repo"] == "SeaEval/SeaEval_datasets"
        assert result["generation_config"]["additional_details"]["signature"] == record.signature


def test_the_same_answers_have_the_same_file_and_others_another() -> None:
    first = make_run()
    other = replace(first, answers=first.answers.copy())
    other.answers[0, 0] = (other.answers[0, 0] + 2) % 4
    assert set(eee(first)) == set(eee(first, now=1.0))
    assert set(eee(first)) != set(eee(other))
    assert len(eee(make_run(1, prompt="p1"), make_run(1, prompt="p2"))) == 2


def test_a_run_of_one_question_has_no_errors_rather_than_bad_ones() -> None:
    ((_, content),) = eee(make_run(n=1)).items()
    assert all("uncertainty" not in result["score_details"] for result in content["evaluation_results"])


def test_eval_records_refused() -> None:
    with pytest.raises(CrossinError, match="--relationship 'friend': must be one of first_party"):
        eee(relationship="friend")
    runs = [make_run(i, prompt=f"p{i}") for i in (1, 2)]
    with pytest.raises(CrossinError, match="a mean over prompts is not a single evaluation"):
        eval_records(records(*runs), organization="x")


def test_records_fit_the_schema() -> None:
    """Against the JSON Schemas of the every_eval_ever package (Python 3.12), or of a folder: CROSSIN_EEE_SCHEMAS."""
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    path = os.environ.get("CROSSIN_EEE_SCHEMAS")
    if path is None:
        package = pytest.importorskip(
            "every_eval_ever", reason="no schema: every_eval_ever is not installed, CROSSIN_EEE_SCHEMAS is not set"
        )
        path = str(Path(package.__file__).parent / "schemas")
    names = ("eval.schema.json", "instance_level_eval.schema.json")
    aggregate, row = (json.loads((Path(path) / name).read_text(encoding="utf-8")) for name in names)
    assert aggregate["version"] == row["version"] == "0.3.0"
    sampled = {"temperature": 0.6, "top_p": 0.9, "max_gen_toks": 64, "until": ["x"], "do_sample": True}
    many = [make_run(generation_kwargs=sampled), make_run(1, n=1, task="t", backend=None, lm_eval_version=None)]
    for name, text in eval_records(make_records(many, n_resamples=20), organization="x").items():
        schema = aggregate if name.endswith(".json") else row
        for line in [text] if schema is aggregate else text.splitlines():
            assert [error.message for error in jsonschema.Draft7Validator(schema).iter_errors(json.loads(line))] == []


LOGGED = {
    "doc": {"id": "q0", "language": "en", "order": [1, 0], "options": ["tea", "milk"], "gold": 0},
    "arguments": {"gen_args_0": {"arg_0": "What is white?\nAnswer:", "arg_1": " A"}},
    "resps": [[["-1.0", "False"]], [["-2.0", "False"]]],
    "filtered_resps": [["-1.0", "False"], ["-2.0", "False"]],
}


def test_every_row_is_in_the_samples(tmp_path: Path) -> None:
    log = tmp_path / "samples_cross_mmlu_2026-10-05T12-00-00.123.jsonl"
    spoken = LOGGED | {"resps": [["B) milk"]], "rule": "letter", "doc": LOGGED["doc"] | {"language": "zh"}}  # type: ignore[operator]
    log.write_text("".join(json.dumps(one) + "\n" for one in (LOGGED, spoken)), encoding="utf-8")
    run = make_run(n=2)
    run = replace(run, ids=("q0", "q1"), source_files=(log,), n_choices=np.full(2, 2))
    run.answers[:], run.gold[:] = 1, 1
    run.answers[0] = [0, -1, 1, 0]
    made = [make_records([run], n_resamples=20) for _ in range(2)]
    first, second = (eval_records(one, organization="x", now=now) for one, now in zip(made, (1.0, 2.0), strict=True))
    (name,) = (path for path in first if path.endswith("_samples.jsonl"))
    content, later = (json.loads(files[name.replace("_samples.jsonl", ".json")]) for files in (first, second))
    assert content["evaluation_id"] == later["evaluation_id"]
    assert first[name] == second[name]
    detailed = content["detailed_evaluation_results"]
    assert (detailed["file_path"], detailed["total_rows"]) == (name, 8)
    assert detailed["checksum"] == hashlib.sha256(first[name].encode()).hexdigest()
    rows = [json.loads(line) for line in first[name].splitlines()]
    assert {row["evaluation_id"] for row in rows} == {content["evaluation_id"]}
    assert {row["evaluation_result_id"] for row in rows} == {"cross_mmlu_acc"}
    (accuracy,) = (one for one in content["evaluation_results"] if one["evaluation_result_id"] == "cross_mmlu_acc")
    assert np.mean([row["evaluation"]["score"] for row in rows]) == accuracy["score_details"]["score"]
    english, spanish, _, chinese, other = rows[:5]
    assert english["input"] == {
        "raw": "What is white?\nAnswer:",
        "reference": ["tea"],
        "choices": ["milk", "tea"],
    }
    assert english["output"] == {"raw": ["milk"]}
    assert english["answer_attribution"][0]["extraction_method"] == "highest log-likelihood"
    assert spanish["metadata"] == {"question_id": "q0", "language": "es", "gold": "1", "answer": "none"}
    assert spanish["answer_attribution"][0]["extracted_value"] == ""
    assert chinese["output"] == {"raw": ["B) milk"]}
    assert chinese["answer_attribution"][0]["extraction_method"] == "letter"
    assert other["sample_id"] == "q1/en"
    assert other["input"] == {"raw": "", "reference": ["1"], "choices": None}


def test_generation_settings_are_stated() -> None:
    kwargs = {"temperature": 0.6, "top_p": 0.9, "max_gen_toks": 64, "until": ["x"]}
    ((_, content),) = eee(make_run(generation_kwargs=kwargs, shots=5)).items()
    for result in content["evaluation_results"]:
        config = result["generation_config"]
        assert config["generation_args"] == {"temperature": 0.6, "top_p": 0.9, "max_tokens": 64}
        assert config["additional_details"] == {"signature": SIGNATURE.format("p1"), "shots": "5", "until": '["x"]'}
    ((_, content),) = eee().items()
    assert "generation_args" not in content["evaluation_results"][0]["generation_config"]


# Names that the hub accepts in an eval.yaml: huggingface.js, packages/tasks/src/eval.ts, 2026.
FRAMEWORKS = {"inspect-ai", "math-arena", "mteb", "olmocr-bench", "harbor", "swe-bench", "nemo-evaluator"}


def test_the_hub_accepts_the_frameworks_name() -> None:
    assert yaml.safe_load(benchmark_yaml(records()))["evaluation_framework"] in FRAMEWORKS


# -- model cards ------------------------------------------------------------------------------------------------------

README = """---
# our own order and comments
license: mit
model-index:
- name: lion
  results:
  - task: {type: text-generation}
    dataset: {name: Other, type: x/other}
    metrics:
    - {type: accuracy, value: 0.5, name: other}
tags:
- lion  # roars
---
# Lion

Words before.
"""


def test_a_model_card_from_nothing() -> None:
    from huggingface_hub import ModelCard

    (record,) = records()
    card = ModelCard(model_card([record]))
    assert card.data.model_name == "lion-7b"
    values = {result.metric_type: result.metric_value for result in card.data.eval_results or ()}
    wanted = {"accuracy": "acc", "consistency": "consistency", "ac3": "ac3"}
    assert values == {metric: round(record.scores[key], 6) for metric, key in wanted.items()}
    for key in record.scores:
        assert f"{record.scores[key]:.4f} ± {record.errors[key]:.4f}" in card.text
    assert f"`{record.signature}`" in card.text


def test_a_card_of_several_prompts_states_no_errors() -> None:
    text = model_card(records(*(make_run(i, prompt=f"p{i}") for i in (1, 2, 3))))
    assert "±" not in text
    assert "(mean of 3 prompts)" in text


def test_merging_leaves_the_rest_of_the_readme_alone() -> None:
    from huggingface_hub import ModelCard

    found = records(make_run(), make_run(1, task="cross_mmlu_gen"))
    once = model_card(found, README)
    assert model_card(found, once) == once
    card = ModelCard(once)
    assert "# our own order and comments\nlicense: mit" in once
    assert "- lion  # roars" in once
    assert "# Lion\n\nWords before.\n" in once
    assert card.data.model_name == "lion"
    results = card.data.eval_results or []
    assert [(r.dataset_name, r.metric_value) for r in results[:1]] == [("Other", 0.5)]
    assert [r.dataset_name for r in results[1:]] == ["cross_mmlu"] * 3 + ["cross_mmlu_gen"] * 3
    newer = records(make_run(7), make_run(1, task="cross_logiqa"))
    twice = model_card(newer, once + "\nWords after.\n")
    assert twice.endswith(f"{END}\n\nWords after.\n")
    assert twice.count(BEGIN) == 1
    results = ModelCard(twice).data.eval_results or []
    names = ["Other", *["cross_mmlu_gen"] * 3, *["cross_mmlu"] * 3, *["cross_logiqa"] * 3]
    assert [r.dataset_name for r in results] == names
    values = {r.metric_type: r.metric_value for r in results if r.dataset_name == "cross_mmlu"}
    assert values["ac3"] == round(newer[0].scores["ac3"], 6)
    assert yaml.safe_load(twice.split("---")[1])["tags"] == ["lion"]


def test_readmes_that_cannot_be_merged() -> None:
    found = records()
    for text, message in (
        ("---\nlicense: [mit\n---\n", "metadata block is not valid YAML"),
        ("---\n- a list\n---\n", "metadata block is not a mapping"),
        ("---\nmodel-index: 3\n---\n", "model-index is malformed"),
        ("---\nmodel-index:\n- name: x\n---\n", "model-index is malformed"),
        (f"text {END} and {BEGIN}\n", "needs the markers"),
        (f"text {BEGIN}\n", "needs the markers"),
    ):
        with pytest.raises(CrossinError, match=message):
            model_card(found, text)
    with pytest.raises(CrossinError, match="results of 2 models"):
        model_card(records(make_run(), make_run(1, model_name="lab/whale")))
