"""An experiment's options: what is refused, what the small version is, and what stages come of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crossin_metrics.errors import CrossinError
from recipes.experiments.config import ExperimentOptions
from recipes.experiments.plan import align_options, check_options, make_plan, mix_options, train_options


def options(**changes: Any) -> ExperimentOptions:
    fields: dict[str, Any] = {
        "name": "tiny",
        "arms": {"untuned": {"tune": False}, "base": {"mix": {"variant": "base_only", "n_samples": 0}}, "x2x": {}},
        "evaluate": {"mini": {"tasks": "crossin_mini", "batch_size": 4}},
        "mix_config": "recipes/configs/mix/mini_x2x.yaml",
        "mix": {"n_samples": 8},
        "train_config": "recipes/configs/mini_x2x.yaml",
        "seeds": [3, 4],
        "small": {"seeds": [0], "arms": ["base", "x2x"], "mix": {"n_samples": 2}, "evaluate": {"limit": 4}},
    }
    return ExperimentOptions(**{**fields, **changes})


def arms(**changes: Any) -> dict[str, Any]:
    return {"arms": {"base": {}, "x2x": {}, **changes}}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"only": ["x2e"]}, "only: unknown arm 'x2e'; did you mean 'x2x'"),
        ({"only": ["x2x/9"]}, "only: x2x/9: arm x2x has the seeds 3, 4"),
        ({"only": ["untuned/3"]}, "arm untuned has the seeds 0"),
        ({"baseline": "bse"}, "baseline: unknown arm 'bse'; did you mean 'base'"),
        ({"compare": ["x2x=bas"]}, "compare: unknown arm 'bas'"),
        ({"compare": ["x2x"]}, "'x2x' must be arm=arm"),
        ({"keys": ["transfer"], "planned": "x2x=bas"}, "planned: unknown arm 'bas'"),
        ({"planned": "x2x=untuned"}, "planned: name the primary score"),
        ({"planned_in": "answers:cf"}, "planned_in: name the comparison"),
        ({"keys": ["baseline_random_acc"]}, "'baseline_random_acc' must be a score"),
        ({"keys": ["trasnfer"]}, "trasnfer"),
        ({"seeds": []}, "seeds: [] must be one or more"),
        ({"seeds": [1, 1]}, "duplicate seed in [1, 1]"),
        ({"seeds": [-1]}, "0 or more"),
        ({"name": "../x"}, "name: '../x' must consist of"),
        ({"jobs": 0}, "jobs: 0 must be at least 1"),
        ({"evaluate": {}}, "evaluate: name at least one"),
        ({"evaluate": {"a": {"task": "x"}}}, "evaluate: a: needs at least tasks"),
        ({"evaluate": {"a": {"tasks": "x", "modle": "hf"}}}, "unknown key 'modle'; did you mean 'model'"),
        (
            {"evaluate": {"a": {"tasks": "x", "model_args": "dtype=float32"}}},
            "evaluate: a: model_args: 'dtype=float32' ",
        ),
        ({"evaluate": {"a": {"tasks": "x", "metadata": "{}"}}}, "evaluate: a: metadata: '{}' must be"),
        ({"evaluate": {"a": {"tasks": "x", "model": "hff"}}}, "evaluate: a: model: 'hff' must be"),
        ({"evaluate": {"a": {"tasks": "x", "limit": "many"}}}, "evaluate: a: limit: 'many' must be"),
        ({"train": {"seed": 3}}, "train: seed is set by the experiment"),
        (arms(new={"align": {"eval_tasks": "x"}}), "arms: new: align: eval_tasks is set by the experiment"),
        (arms(new={"mix": {}, "align": {"start_adapter": "x"}}), "align: start_adapter: the arm starts from"),
        ({"data": {"recip": "x"}}, "data: unknown key 'recip'; did you mean 'recipe'"),
        ({"label": {"sytem": "x"}}, "label: unknown key 'sytem'; did you mean 'system'"),
        (arms(new={"mixx": {}}), "arms: new: unknown key 'mixx'; did you mean 'mix'"),
        (arms(new={"mix": 3}), "arms: new: mix must be a mapping"),
        (arms(new={"tune": "no"}), "arms: new: tune must be true or false"),
        (arms(new={"tune": False, "mix": {}}), "an untuned arm can only have a label"),
        (arms(new={"align": {}}), "arms: new: align_config is missing"),
        (arms(new={"align": 1}), "arms: new: align must be a mapping"),
        (arms(new=7), "arms: new: 7 must be a mapping"),
        ({"arms": {}}, "arms: name at least one"),
        ({"mix_config": None}, "arms: base: mix_config is missing"),
        ({"smoke": True, "small": {}}, "smoke: this experiment has no `small` options"),
        ({"smoke": True, "small": {"arms": ["x"]}}, "small: arms: unknown arm 'x'"),
        ({"smoke": True, "small": {"jobs": 2}}, "small: 'jobs' must be"),
    ],
)
def test_mistakes_are_said(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(CrossinError) as caught:
        options(**changes)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"evaluate": {"a": {"tasks": "cros_mmlu"}}}, "evaluate: a: eval_tasks: unknown task 'cros_mmlu'"),
        (
            {"evaluate": {"a": {"tasks": "crossin_mini", "metadata": {"langauges": ["en"]}}}},
            "evaluate: a: crossin_mini: unknown metadata key 'langauges'; did you mean 'languages'",
        ),
        (
            {"mix_config": "recipes/configs/mix/none.yaml"},
            "cannot read the configuration recipes/configs/mix/none.yaml",
        ),
        ({"data": {"recipe": "recipes/none.py", "outputs": ["a"]}}, "data: recipe recipes/none.py not found"),
        ({"data": {"recipe": "recipes/seeds/xquad.py"}}, "data: outputs is missing"),
    ],
)
def test_mistakes_that_show_when_stages_are_laid_out(changes: dict[str, Any], says: str, tmp_path: Path) -> None:
    with pytest.raises(CrossinError) as caught:
        make_plan(options(output_dir=str(tmp_path), **changes))
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (arms(x2x={"mix": {"varient": "x2x"}}), "arms: x2x: .*unknown option 'varient'; did you mean 'variant'"),
        (arms(x2x={"mix": {"n_samples": -1}}), "arms: x2x: n_samples: -1"),
        (arms(x2x={"train": {"lerning_rate": 1}}), "arms: x2x: .*unknown option 'lerning_rate'; did you mean"),
    ],
)
def test_every_arm_is_read_by_its_recipes_first(changes: dict[str, Any], says: str, tmp_path: Path) -> None:
    with pytest.raises(CrossinError, match=says):
        check_options(options(output_dir=str(tmp_path), **changes))


def test_the_grid_seed_by_seed(tmp_path: Path) -> None:
    plan = make_plan(options(output_dir=str(tmp_path)))
    assert [run.name for run in plan.runs] == ["untuned/0", "base/3", "x2x/3", "base/4", "x2x/4"]
    assert [stage.kind for stage in plan.runs[1].stages] == ["mix", "train", "eval"]
    assert [stage.kind for stage in plan.runs[0].stages] == ["eval"]
    merged = make_plan(options(output_dir=str(tmp_path), merge=True)).runs[1]
    assert [stage.kind for stage in merged.stages] == ["mix", "train", "merge", "eval"]
    assert f'"pretrained": "{merged.folder / "merged"}"' in " ".join(merged.stages[-1].command)


def test_options_win_in_their_order(tmp_path: Path) -> None:
    own = options(output_dir=str(tmp_path), mix={"n_samples": 8, "base_set": "{data}/b.jsonl"}, train={"lora_r": 4})
    mix = mix_options(own, "base", 3)
    assert (mix["variant"], mix["n_samples"], mix["seed"]) == ("base_only", 0, 3)
    assert mix["base_set"] == f"{tmp_path}/data/b.jsonl"
    assert mix["languages"] == ["en", "zh", "vi", "es"]  # of the configuration file
    train = train_options(own, "x2x", 4)
    assert (train["lora_r"], train["seed"], train["merge"], train["eval_tasks"]) == (4, 4, False, None)
    assert train["mix"] == str(tmp_path / "arms/x2x/seed4/mix")


def test_local_sets_count_among_a_mix_stages_files(tmp_path: Path) -> None:
    folder = tmp_path / "seed"
    folder.mkdir()
    for name in ("en.json", "zh.json", "notes.txt"):
        (folder / name).write_text("[]")
    mix = {"base_set": "lab/hub-set", "seed_set": str(folder)}
    stage = make_plan(options(output_dir=str(tmp_path / "run"), mix=mix)).runs[1].stages[0]
    assert list(stage.files) == [folder]
    mix = {"base_set": "{data}/b.jsonl", "seed_set": "crossin_metrics/data/seed_mini.jsonl"}
    stage = make_plan(options(output_dir=str(tmp_path / "run"), mix=mix)).runs[1].stages[0]
    assert stage.files[0] == tmp_path / "run" / "data" / "b.jsonl"


def test_the_small_version_has_a_folder_of_its_own(tmp_path: Path) -> None:
    compared: dict[str, Any] = {"compare": ["x2x=untuned"], "keys": ["transfer"], "planned": "x2x=untuned"}
    small = options(output_dir=str(tmp_path / "run"), smoke=True, baseline="untuned", **compared)
    assert small.folder == tmp_path / "run-smoke"
    assert list(small.arms) == ["base", "x2x"]
    assert (small.seeds, small.mix["n_samples"], small.evaluate["mini"]["limit"]) == ([0], 2, 4)
    assert small.arms["base"]["mix"]["n_samples"] == 0  # no samples stays no samples
    assert (small.baseline, small.compare, small.planned) == (None, [], None)


def test_the_small_version_has_its_seeds_for_every_arm(tmp_path: Path) -> None:
    arms = {"base": {}, "x2x": {"seeds": [3, 4, 5]}}
    assert options(output_dir=str(tmp_path / "run"), smoke=True, arms=arms).seeds_of("x2x") == [0]


def test_a_model_is_chosen_from_those_named(tmp_path: Path) -> None:
    models = {"a": {"train_config": "recipes/configs/mini_x2x.yaml", "base": "A-1B"}, "b": {"base": "B-2B"}}
    own = options(models=models, model="a", title="T", label={"system": "s"}, output_dir=None)
    assert (own.name, own.title, own.label) == ("tiny_a", "T (A-1B)", {"base": "A-1B", "system": "s"})
    assert own.train_config == "recipes/configs/mini_x2x.yaml"
    assert own.folder.name == "tiny_a"
    with pytest.raises(CrossinError, match="model: 'c' must be one of a, b"):
        options(models=models, model="c")
    with pytest.raises(CrossinError, match="model: 'a' must be one of"):
        options(model="a")


def test_arms_may_be_alignments_and_mixes_before_them(tmp_path: Path) -> None:
    chosen = options(
        output_dir=str(tmp_path / "e"),
        arms={
            "untuned": {"tune": False},
            "dco": {"align": {"loss": "dco"}},
            "mine_dco": {"align": {"start_adapter": "~/mine"}},
            "x2x_dco": {"mix": {"variant": "x2x"}, "align": {"n_pairs": 32}},
            "x2x": {},
        },
        align_config="recipes/configs/align/mini_dco.yaml",
        align={"set": "crossin_mini", "data_dir": None, "learning_rate": 1e-3},
        evaluate={"facts": {"tasks": "bmlama17_cf", "metadata": {"data_dir": "{data}/test"}}},
        small={},
    )
    check_options(chosen)
    plan = {run.name: [stage.kind for stage in run.stages] for run in make_plan(chosen).runs}
    assert plan["untuned/0"] == ["eval"]
    assert plan["dco/3"] == ["align", "eval"]
    assert plan["x2x_dco/3"] == ["mix", "train", "align", "eval"]
    assert plan["x2x/3"] == ["mix", "train", "eval"]
    both = next(run for run in make_plan(chosen).runs if run.name == "x2x_dco/4")
    merged = align_options(chosen, "x2x_dco", 4)
    assert (merged["seed"], merged["n_pairs"], merged["learning_rate"]) == (4, 32, 1e-3)
    assert merged["start_adapter"] == str(both.folder / "adapter")
    assert align_options(chosen, "dco", 3)["start_adapter"] is None
    mine = next(run for run in make_plan(chosen).runs if run.name == "mine_dco/3")
    assert align_options(chosen, "mine_dco", 3)["start_adapter"] == str(Path.home() / "mine")
    assert Path.home() / "mine" / "adapter_model.safetensors" in mine.stages[0].files
    *_, align, evaluation = both.stages
    assert both.folder / "adapter" / "adapter_model.safetensors" in align.files
    assert evaluation.files[0] == both.folder / "aligned" / "adapter" / "adapter_model.safetensors"
    assert tmp_path / "e" / "data" / "test" / "bmlama17.jsonl" in evaluation.files
    assert "{data}" not in " ".join(evaluation.command)
