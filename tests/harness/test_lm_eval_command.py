"""The harness's own command on a real model and real rows; scores equal to a recomputation from its sample log.

Where `../shared` is absent the packaged `crossin_mini` takes the place of the real sets, and the run says so.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from crossin_metrics.demo_model import demo_model
from crossin_metrics.errors import CrossinError

BIN = Path(sys.executable).parent
LIMIT = 16  # rows a task: four questions in four languages


def _run(command: list[str], **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "", **variables}
    environment.pop("CROSSIN_DATA_DIR", None)
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=900)


def _lm_eval(
    model: Path, tasks: str, out: Path, *extra: str, launcher: tuple[str, ...] = (), dtype: str = "float32"
) -> dict[str, Any]:
    """Run the command; return the results file's content with the samples of each task under `samples`."""
    start = [*launcher, "-m", "lm_eval"] if launcher else [str(BIN / "lm_eval")]
    arguments = ["--tasks", tasks, "--model", "hf", "--model_args", f"pretrained={model},dtype={dtype}"]
    done = _run([*start, *arguments, "--output_path", str(out), "--log_samples", *extra])
    assert done.returncode == 0, done.stderr[-3000:]
    (results,) = out.rglob("results_*.json")
    content = json.loads(results.read_text(encoding="utf-8"))
    content["samples"] = {}
    for path in out.rglob("samples_*.jsonl"):
        task = path.name.removeprefix("samples_").rsplit("_", 1)[0]
        content["samples"][task] = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    content["stdout"] = done.stdout
    return content


def _recompute(samples: list[dict[str, Any]], size: int = 3) -> dict[str, float]:
    """Accuracy, consistency and AC3 from logged likelihoods alone, by enumerating subsets in plain Python."""
    answers: dict[str, dict[str, int]] = {}
    gold: dict[str, int] = {}
    for sample in samples:
        doc = sample["doc"]
        likelihoods = [float(pair[0]) for pair in sample["filtered_resps"]]
        by_option = {option: likelihoods[position] for position, option in enumerate(doc["order"])}
        best = max(sorted(by_option), key=lambda option: by_option[option])
        answers.setdefault(doc["id"], {})[doc["language"]] = best
        gold[doc["id"]] = doc["gold"]
    languages = sorted({language for row in answers.values() for language in row})
    whole = {key: row for key, row in answers.items() if len(row) == len(languages)}
    accuracy = {code: sum(row[code] == gold[key] for key, row in whole.items()) / len(whole) for code in languages}
    agree = [
        sum(len({row[code] for code in subset}) == 1 for row in whole.values()) / len(whole)
        for subset in combinations(languages, size)
    ]
    acc, consistency = sum(accuracy.values()) / len(languages), sum(agree) / len(agree)
    ac3 = 2 * acc * consistency / (acc + consistency) if acc + consistency else 0.0
    return {"acc": acc, "consistency": consistency, "ac3": ac3, **{f"acc_{c}": a for c, a in accuracy.items()}}


@pytest.fixture(scope="module")
def model() -> Path:
    try:
        return demo_model()
    except CrossinError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def real_sets(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[str]]:
    """Tasks to run and the `--metadata` arguments that point them at real data."""
    data = repo.parent / "shared" / "data"
    if not data.is_dir():
        warnings.warn("no ../shared: crossin_mini takes the place of the real sets", stacklevel=1)
        return "crossin_mini,crossin_mini_cf", []
    folder = tmp_path_factory.mktemp("sets")
    for name in ("cross_mmlu", "cross_logiqa"):
        (folder / f"{name}.jsonl").symlink_to(data / "seaeval" / f"{name}.jsonl")
    (folder / "xquad").symlink_to(data / "xquad")
    return "cross_mmlu,cross_logiqa,cross_xquad_spans", ["--metadata", json.dumps({"data_dir": str(folder)})]


@pytest.fixture(scope="module")
def one_process(
    model: Path, real_sets: tuple[str, list[str]], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    tasks, metadata = real_sets
    out = tmp_path_factory.mktemp("one")
    return _lm_eval(model, tasks, out, "--limit", str(LIMIT), "--batch_size", "4", *metadata)


@pytest.mark.slow
def test_scores_equal_a_recomputation_from_the_sample_log(one_process: dict[str, Any]) -> None:
    assert one_process["samples"]
    for task, samples in one_process["samples"].items():
        assert len(samples) == LIMIT
        results = one_process["results"][task]
        values = {"answer", "acc", *(("answer_norm", "acc_norm") if task.endswith("_cf") else ())}
        assert values == set(samples[0]["metrics"]) <= set(samples[0])
        assert not {"consistency", "ac3", "n_questions"} & set(samples[0])
        for key, value in _recompute(samples).items():
            assert results[f"{key},none"] == pytest.approx(value, abs=1e-12), (task, key)
        assert results["n_questions,none"] == LIMIT // 4
        for key in ("acc", "consistency", "ac3"):
            assert isinstance(results[f"{key}_stderr,none"], float)
            assert f"|{key} " in one_process["stdout"]
        assert one_process["configs"][task]["metadata"]["signature"].startswith(f"crossin|task:{task}|data:")


@pytest.mark.slow
def test_crossin_score_agrees_with_the_harness(one_process: dict[str, Any], tmp_path: Path) -> None:
    for task, samples in one_process["samples"].items():
        path = tmp_path / f"samples_{task}_2026-01-01T00-00-00.000000.jsonl"
        path.write_text("".join(json.dumps(sample) + "\n" for sample in samples), encoding="utf-8")
        done = _run([str(BIN / "crossin"), "score", str(path), "--json"])
        assert done.returncode == 0, done.stderr
        scores = json.loads(done.stdout)
        runs = scores if "acc" not in scores else {"": scores}
        first = next(iter(runs.values()))
        for key in ("acc", "consistency", "ac3", "fleiss_kappa", "rankc", "letter_bias", "baseline_constant_ac3"):
            if f"{key},none" in one_process["results"][task]:
                assert first[key] == pytest.approx(one_process["results"][task][f"{key},none"], abs=1e-9), (task, key)


@pytest.mark.slow
def test_two_processes_give_the_scores_of_one(
    model: Path, real_sets: tuple[str, list[str]], one_process: dict[str, Any], tmp_path: Path
) -> None:
    tasks, metadata = real_sets
    task = tasks.split(",")[0]
    launcher = (str(BIN / "accelerate"), "launch", "--cpu", "--num_processes", "2", "--num_machines", "1")
    launcher += ("--mixed_precision", "no", "--dynamo_backend", "no")
    two = _lm_eval(model, task, tmp_path, "--limit", str(LIMIT), "--batch_size", "4", *metadata, launcher=launcher)
    assert two["n-samples"][task] == one_process["n-samples"][task]
    for key, value in one_process["results"][task].items():
        if key.startswith(("kappa_p", "rankc")):  # these read the likelihoods, equal up to the batch's padding
            assert two["results"][task][key] == pytest.approx(value, abs=1e-3), key
        else:
            assert two["results"][task][key] == value, key
    rows = [{(s["doc"]["id"], s["doc"]["language"]) for s in run["samples"][task]} for run in (one_process, two)]
    assert rows[0] == rows[1]
    assert len(rows[0]) == LIMIT


@pytest.mark.slow
def test_cache_chat_and_shots(tmp_path: Path) -> None:
    try:
        chat_model = demo_model("smollm2-135m-instruct")
    except CrossinError as error:
        pytest.skip(str(error))
    extra = [
        "--limit",
        "8",
        "--batch_size",
        "4",
        "--apply_chat_template",
        "--fewshot_as_multiturn",
        "--num_fewshot",
        "2",
    ]
    extra += ["--use_cache", str(tmp_path / "cache")]
    runs = [_lm_eval(chat_model, "crossin_mini", tmp_path / str(n), *extra) for n in range(2)]
    assert runs[0]["results"] == runs[1]["results"]
    signature = runs[0]["configs"]["crossin_mini"]["metadata"]["signature"]
    assert "|shots:2|chat:yes|" in signature
    prompt = runs[0]["samples"]["crossin_mini"][1]["arguments"]["gen_args_0"]["arg_0"]
    assert prompt.count("<|im_start|>user") == 3
    assert prompt.endswith("<|im_start|>assistant\n")


@pytest.mark.parametrize(
    ("task", "metadata", "parts"),
    [
        ("cross_mmlu", {}, ["cross_mmlu", "data_dir", "CROSSIN_DATA_DIR"]),
        ("crossin_mini", {"prompt": "p7"}, ["unknown prompt 'p7'", "p1, p2, p3, p4, p5, native"]),
    ],
)
def test_mistakes_are_one_line(task: str, metadata: dict[str, str], parts: list[str], tmp_path: Path) -> None:
    command = [str(BIN / "lm_eval"), "--tasks", task, "--model", "dummy", "--output_path", str(tmp_path / "out")]
    done = _run([*command, "--metadata", json.dumps(metadata)], HF_HOME=str(tmp_path / "hub"))
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("crossin: ")
    assert all(part in last for part in parts), last
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
