"""Every experiment's YAML is read as it will be, down to each run's mix and training options, without any network."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from recipes.common.options import parse
from recipes.experiments.config import ExperimentOptions

CONFIGS = Path(__file__).resolve().parents[3] / "recipes" / "configs" / "experiments"
FILES = sorted(CONFIGS.glob("*.yaml"))
FULL = [path for path in FILES if not path.stem.startswith("mini")]
NAMES = {"mistral": "Mistral-7B-v0.1", "gemma": "Gemma-2B", "llama3": "Llama-3-8B"}


def read(path: Path, folder: Path, *flags: str) -> ExperimentOptions:
    arguments = ["--config", str(path), "--output_dir", str(folder / "x"), *flags]
    (options,) = parse(ExperimentOptions, arguments, prog="t", description="")
    return options


def header(path: Path) -> str:
    lines = path.read_text(encoding="utf-8").splitlines()
    return " ".join(line[1:].strip() for line in lines[: lines.index("")])


def test_the_papers_experiments_and_open_questions_are_there() -> None:
    names = {path.stem for path in FILES}
    both = {f"{kind}_{model}" for kind in ("formulation", "translation", "quantity", "ratio") for model in NAMES}
    both = {name for name in both if not name.endswith("llama3")}
    single = {"noise_mistral", "unseen_mistral", "adapters_mistral", "rivals_mistral", "mini"}
    assert {f"table3_{model}" for model in NAMES} | both | single <= names


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_run_can_be_read(path: Path, tmp_path: Path) -> None:
    from recipes.experiments.plan import check_options, make_plan

    options = read(path, tmp_path)
    check_options(options)  # into MixConfig and the three tuning dataclasses
    plan = make_plan(options)
    assert len(plan.runs) == sum(len(options.seeds_of(arm)) for arm in options.arms)
    assert options.name == path.stem
    said = header(path)
    assert "Prerequisites:" in said
    assert f"--config recipes/configs/experiments/{path.name}" in said
    assert "Cost:" in said
    override = said.split("Override:")[1].split("Cost:")[0].split("...")[1].split(",")[0].split()
    override = [word for word in override if not word.startswith("(")]
    assert vars(read(path, tmp_path, *override)) != vars(options)


@pytest.mark.parametrize("path", FULL, ids=lambda path: path.stem)
def test_full_scale_arms_are_merged_labelled_and_compared(path: Path, tmp_path: Path) -> None:
    options = read(path, tmp_path)
    assert options.merge  # the paper's whole modules; vLLM serves no such adapter
    assert options.seeds == [0, 1, 2]
    assert options.label["base"] == NAMES[path.stem.rpartition("_")[2]]
    assert options.arms["untuned"] == {"tune": False, "label": {"system": "untuned"}}
    assert options.baseline is not None
    assert options.compare
    assert options.evaluate["letter"]["tasks"] == "cross_xquad,cross_mmlu,cross_logiqa"
    assert {one["model"] for one in options.evaluate.values()} == {"crossin-vllm"}
    labels = [tuple(sorted(value["label"].items())) for value in options.arms.values()]
    assert len(set(labels)) == len(labels), "two arms would be one in the report"


@pytest.mark.parametrize("model", NAMES)
def test_table3_has_the_published_rows(model: str, shared: Path, tmp_path: Path) -> None:
    options = read(CONFIGS / f"table3_{model}.yaml", tmp_path)
    ours = {value["label"]["system"] for value in options.arms.values()}
    with (shared / "reference" / "paper_table3.csv").open(encoding="utf-8") as file:
        published = {row["system"] for row in csv.DictReader(file) if row["base"] in ("Gemma-2B", "Mistral-7B-v0.1")}
    assert published <= ours
    for system in published - {"Alpaca", "Platypus"}:
        assert f"{system}_T" in ours  # each with translation pairs, too
    prompts = [one["metadata"]["prompt"] for one in options.evaluate.values() if "metadata" in one]
    assert prompts == ["p1", "p2", "p3", "p4", "p5"]


def test_arms_with_as_many_rows_have_as_many_rows(tmp_path: Path) -> None:
    for model in ("mistral", "gemma"):
        options = read(CONFIGS / f"ratio_{model}.yaml", tmp_path)
        for arm, value in options.arms.items():
            if value.get("tune", True):
                mix: dict[str, Any] = value["mix"]
                assert mix["n_base"] + mix.get("n_samples", 0) == 20000, arm


def test_no_mix_of_unseen_languages_has_them(tmp_path: Path) -> None:
    from recipes.experiments.plan import mix_options
    from recipes.mixes.config import MixConfig
    from recipes.mixes.plan import pair_weights

    options = read(CONFIGS / "unseen_mistral.yaml", tmp_path)
    for arm, value in options.arms.items():
        unseen = re.fullmatch(r"no (\w\w)", str(value["label"].get("tag", "")))
        if unseen:
            pairs = pair_weights(MixConfig(**mix_options(options, arm, 0)))
            assert not any(unseen[1] in pair for pair in pairs), arm
    pairs = pair_weights(MixConfig(**mix_options(options, "held_out_zh_vi", 0)))
    assert not {("zh", "vi"), ("vi", "zh")} & set(pairs)


def test_the_table_of_experiments_names_every_file() -> None:
    text = (CONFIGS / "README.md").read_text(encoding="utf-8")
    for path in FILES:
        assert f"`{path.stem}`" in text, path.stem


def test_yaml_has_no_key_twice() -> None:
    for path in FILES:
        assert isinstance(yaml.safe_load(path.read_text(encoding="utf-8")), dict)
