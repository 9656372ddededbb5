"""Whatever decides a stage's result, when it changes, runs the stage again; where it is, does not matter."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from crossin_metrics.errors import CrossinError
from recipes.experiments.inputs import PINNED, pin
from recipes.experiments.plan import make_plan, mix_options, train_options, write_configs
from recipes.experiments.records import Records, Stage
from tests.recipes.experiments.test_config import options


def stages(**changes: Any) -> dict[str, Stage]:
    """The stages of x2x/3 and of the untuned model, without their arm and seed."""
    plan = make_plan(options(**changes))
    return {
        f"{run.arm} {stage.name.rpartition('/')[2]}": stage
        for run in plan.runs
        if run.name in ("x2x/3", "untuned/0")
        for stage in run.stages
    }


def finish(stage: Stage, records: Records) -> None:
    for path in (*stage.files, *stage.outputs):
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() and "{" not in path.name:
            path.write_text("made")
    records.write(stage, records.inputs(stage), {})


def replace(path: Path, text: str) -> None:
    """Another content of the same size and time."""
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    assert len(text) == path.stat().st_size
    path.write_text(text)
    os.utime(path, ns=times)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the user's, in which the experiment is started; stages run in another one."""
    monkeypatch.chdir(tmp_path)
    for name in ("a, model/model.safetensors", "a, model/config.json", "one/set.jsonl", "two/set.jsonl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("old")
    for name in ("lang/en.jsonl", "lang/zh.jsonl", "folder/en.jsonl.gz"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("old")
    return tmp_path


CHANGED = [
    ("one/set.jsonl", "mix"),
    ("two/set.jsonl", "mix"),  # of the same name as the other one
    ("a, model/model.safetensors", "train"),
    ("a, model/config.json", "eval-mini"),
    ("a, model/model.safetensors", "untuned eval-mini"),
]


@pytest.mark.parametrize(("name", "stage"), CHANGED)
def test_a_file_replaced_in_place(place: Path, name: str, stage: str) -> None:
    given: dict[str, Any] = {
        "output_dir": str(place / "out"),
        "mix": {"base_set": "one/set.jsonl", "seed_set": "two/set.jsonl"},
        "train": {"model_name_or_path": "a, model"},
    }
    records = Records(place / "out")
    one = stages(**given)[stage if " " in stage else f"x2x {stage}"]
    finish(one, records)
    assert records.why_stale(one) == ""
    replace(place / name, "new")
    assert Path(name).parts[0 if "model" in name else -1] in records.why_stale(one)


@pytest.mark.parametrize("spec", ["lang/{lang}.jsonl", "lang", "folder", "~/lang/{lang}.jsonl"])
def test_sets_of_one_file_per_language(place: Path, spec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(place))
    records = Records(place / "out")
    one = stages(output_dir=str(place / "out"), mix={"seed_set": spec})["x2x mix"]
    assert one.files[0].is_absolute()
    finish(one, records)
    file = sorted((place / spec.split("/")[-2 if "{" in spec else -1]).iterdir())[0]
    replace(file, "new")
    assert records.why_stale(one).startswith("changed: ")


def test_hub_sets_and_models_count_by_their_whole_name(place: Path) -> None:
    given = {"output_dir": str(place / "out")}
    one = stages(mix={"seed_set": "lab/set"}, **given)["x2x mix"]
    records = Records(place / "out")
    finish(one, records)
    other = stages(mix={"seed_set": "other/set"}, **given)["x2x mix"]
    assert records.why_stale(other) == "changed: seed_set"
    one = stages(train={"model_name_or_path": "lab/model"}, **given)["untuned eval-mini"]
    finish(one, records)
    other = stages(train={"model_name_or_path": "other/model"}, **given)["untuned eval-mini"]
    assert "pretrained" in records.why_stale(other)


def test_a_file_of_prompts_counts_by_its_content(place: Path) -> None:
    prompt = "mine: {cue: 'Answer:'}\n"
    (place / "ask.yaml").write_text(prompt)
    evaluate = {"mini": {"tasks": "crossin_mini", "metadata": {"prompt": "ask.yaml"}}}
    one = stages(output_dir=str(place / "out"), evaluate=evaluate)["untuned eval-mini"]
    assert json.loads(one.command[one.command.index("--metadata") + 1]) == {"prompt": str(place / "ask.yaml")}
    records = Records(place / "out")
    finish(one, records)
    replace(place / "ask.yaml", prompt.replace("Answer", "Option"))
    assert records.why_stale(one) == "changed: ask.yaml"


def test_a_missing_set_is_said(place: Path) -> None:
    one = stages(output_dir=str(place / "out"), mix={"seed_set": "./none/{lang}.jsonl"})["x2x mix"]
    with pytest.raises(CrossinError, match=r"x2x/3/mix: cannot read .*none/{lang}\.jsonl"):
        Records(place / "out").inputs(one)


def test_every_path_that_a_stage_gets_is_absolute(place: Path) -> None:
    own = options(
        output_dir="out",
        mix={"base_set": "one/set.jsonl", "seed_set": "lang/{lang}.jsonl"},
        train={"model_name_or_path": "a, model"},
        evaluate={"mini": {"tasks": "crossin_mini", "metadata": {"data_dir": "one"}}},
    )
    assert mix_options(own, "x2x", 3)["seed_set"] == str(place / "lang" / "{lang}.jsonl")
    assert mix_options(own, "x2x", 3)["base_set"] == str(place / "one" / "set.jsonl")
    assert train_options(own, "x2x", 3)["model_name_or_path"] == str(place / "a, model")
    (run,) = (run for run in make_plan(own).runs if run.name == "untuned/0")
    command = run.stages[-1].command
    assert json.loads(command[command.index("--model_args") + 1]) == {"pretrained": str(place / "a, model")}
    assert json.loads(command[command.index("--metadata") + 1]) == {"data_dir": str(place / "one")}
    assert command[command.index("--output_path") + 1].startswith(str(place / "out"))


def test_a_hub_model_keeps_its_commit_for_the_whole_experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = tmp_path / "cache" / "models--lab--tiny"
    for commit in ("1" * 40, "2" * 40):
        (repository / "snapshots" / commit).mkdir(parents=True)
        (repository / "snapshots" / commit / "config.json").write_text("{}")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("1" * 40)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    own = options(output_dir=str(tmp_path / "out"), train={"model_name_or_path": "lab/tiny"})
    (tmp_path / "out").mkdir()
    write_configs(own)
    assert json.loads((tmp_path / "out" / PINNED).read_text()) == {"model lab/tiny main": "1" * 40}
    (repository / "refs" / "main").write_text("2" * 40)
    assert pin(tmp_path / "out", "model", "lab/tiny", None) == "1" * 40
    assert train_options(own, "x2x", 3)["model_revision"] == "1" * 40
    (run,) = (run for run in make_plan(own).runs if run.name == "untuned/0")
    assert json.loads(run.stages[-1].command[run.stages[-1].command.index("--model_args") + 1]) == {
        "pretrained": "lab/tiny",
        "revision": "1" * 40,
    }
