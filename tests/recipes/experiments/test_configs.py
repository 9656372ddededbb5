"""Every experiment of the project is parsed down to each run's mix and training options, without a network."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from recipes.common.options import parse
from recipes.common.provenance import REPO
from recipes.experiments.config import ExperimentOptions
from recipes.experiments.plan import check_options, make_plan, mix_options

CONFIGS = REPO / "recipes" / "configs" / "experiments"
FILES = sorted(CONFIGS.glob("*.yaml"))
SMALL = ("mini", "known_facts", "invented_facts")  # two CPU cores
FULL = [path for path in FILES if path.stem not in SMALL]
NAMES = {"mistral": "Mistral-7B-v0.1", "gemma": "Gemma-2B", "llama3": "Llama-3-8B"}


def read(name: str, *flags: str) -> ExperimentOptions:
    arguments = ["--config", str(CONFIGS / f"{name}.yaml"), *flags]
    return parse(ExperimentOptions, arguments, prog="t", description="")[0]


def header(path: Path) -> str:
    lines = path.read_text(encoding="utf-8").splitlines()
    return " ".join(line[1:].strip() for line in lines[: lines.index("")])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_arm_is_valid_and_the_header_is_true(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CROSSIN_DATA_DIR", raising=False)
    options = read(path.stem)
    check_options(options)
    plan = make_plan(options)
    assert len(plan.runs) == sum(len(options.seeds_of(arm)) for arm in options.arms)
    assert options.name == "_".join(filter(None, (path.stem, options.model)))
    text = header(path)
    for word in ("Prerequisites:", "Launch:", "Cost:", f"--config recipes/configs/experiments/{path.name}"):
        assert word in text
    override = text.split("Override:")[1].split("Cost:")[0].split("...")[1].split(",")[0].split()
    override = [word for word in override if not word.startswith("(")]
    assert vars(read(path.stem, *override)) != vars(options)


@pytest.mark.parametrize("path", FULL, ids=lambda path: path.stem)
def test_full_scale_arms_are_merged_labelled_and_compared(path: Path) -> None:
    models = yaml.safe_load(path.read_text(encoding="utf-8"))["models"]
    assert set(models) == (set(NAMES) if path.stem == "table3" else {"mistral", "gemma"})
    for model in models:
        options = read(path.stem, "--model", model)
        assert options.merge  # vLLM cannot serve the paper's adapters with whole modules
        assert options.seeds == [0, 1, 2]
        assert options.label["base"] == NAMES[model]
        assert options.name == f"{path.stem}_{model}"
        assert options.arms["untuned"] == {"tune": False, "label": {"system": "untuned"}}
        assert options.baseline is not None
        assert options.compare
        assert options.evaluate["letter"]["tasks"] == "cross_xquad,cross_mmlu,cross_logiqa"
        assert {one["model"] for one in options.evaluate.values()} == {"crossin-vllm"}
        labels = [tuple(sorted(value["label"].items())) for value in options.arms.values()]
        assert len(set(labels)) == len(labels), "the report would merge two arms"


def test_table3_has_the_published_rows(shared: Path) -> None:
    options = read("table3")
    ours = {value["label"]["system"] for value in options.arms.values()}
    with (shared / "reference" / "paper_table3.csv").open(encoding="utf-8") as file:
        published = {row["system"] for row in csv.DictReader(file) if row["base"] in ("Gemma-2B", "Mistral-7B-v0.1")}
    assert published <= ours
    for system in published - {"Alpaca", "Platypus"}:
        assert f"{system}_T" in ours  # each also with translation pairs
    prompts = [one["metadata"]["prompt"] for one in options.evaluate.values() if "metadata" in one]
    assert prompts == ["p1", "p2", "p3", "p4", "p5"]


def test_arms_of_the_ratio_experiment_have_equally_many_rows() -> None:
    for arm, value in read("ratio").arms.items():
        if value.get("tune", True):
            mix: dict[str, Any] = value["mix"]
            assert mix["n_base"] + mix.get("n_samples", 0) == 20000, arm


def test_no_mix_contains_its_unseen_language() -> None:
    from recipes.mixes.config import MixConfig
    from recipes.mixes.plan import pair_weights

    options = read("unseen")
    for arm, value in options.arms.items():
        unseen = re.fullmatch(r"no (\w\w)", str(value["label"].get("tag", "")))
        if unseen:
            pairs = pair_weights(MixConfig(**mix_options(options, arm, 0)))
            assert not any(unseen[1] in pair for pair in pairs), arm
    pairs = pair_weights(MixConfig(**mix_options(options, "held_out_zh_vi", 0)))
    assert not {("zh", "vi"), ("vi", "zh")} & set(pairs)


def test_the_committed_results_come_from_mini() -> None:
    """recipes/results/mini/experiment.json holds the options that its runs were made with."""
    options = read("mini")
    committed = json.loads((REPO / "recipes/results/mini/experiment.json").read_text(encoding="utf-8"))["experiment"]
    committed["evaluate"]["spans"]["metadata"]["distractors"] = "drawn"  # since then there is a version 2 of the set
    for key in set(committed) - {"jobs"}:
        assert getattr(options, key) == committed[key], key


def test_the_readme_lists_every_experiment_and_model() -> None:
    text = (CONFIGS / "README.md").read_text(encoding="utf-8")
    for path in FILES:
        assert f"`{path.stem}`" in text, path.stem
    assert "--config recipes/configs/experiments/table3.yaml --model gemma" in text
