"""Expands an experiment's options into stages, in the order in which they can run."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crossin_metrics import records
from crossin_metrics.errors import CrossinError
from crossin_metrics.files import write_text
from recipes.common.paths import absolute, absolute_metadata, prompt_files
from recipes.common.provenance import REPO
from recipes.experiments.config import ExperimentOptions
from recipes.experiments.inputs import absolute_paths, decisive, files_of, pin
from recipes.experiments.records import Stage
from recipes.mixes.readers import is_hub

PYTHON = sys.executable
ALIGNED, WEIGHTS = "aligned", "adapter_model.safetensors"


@dataclass(frozen=True)
class Run:
    """One cell of the grid: an arm with a seed.

    Attributes:
        folder: `<experiment>/arms/<arm>/seed<seed>`, the folder of `sft_crossin.py` with `mix/` and `eval/` in it.
        stages: in order; each needs the one before.
    """

    arm: str
    seed: int
    folder: Path
    stages: tuple[Stage, ...]

    @property
    def name(self) -> str:
        """`<arm>/<seed>`."""
        return f"{self.arm}/{self.seed}"


@dataclass(frozen=True)
class Plan:
    """All stages of an experiment; `data` precedes all runs."""

    data: tuple[Stage, ...]
    runs: tuple[Run, ...]


def make_plan(options: ExperimentOptions) -> Plan:
    """Lay out the grid seed by seed, so that a stopped experiment has complete comparisons.

    Raises:
        CrossinError: a configuration is missing or invalid, or a task or an option of it is unknown.
    """
    from recipes.tuning.evaluate import check_tasks

    for name, one in options.evaluate.items():
        try:
            metadata = absolute_metadata(one.get("metadata", {}))
            if "{data}" in str(metadata.get("data_dir")):
                del metadata["data_dir"]  # the data stage will make it
            check_tasks(str(one["tasks"]), metadata)
        except CrossinError as error:
            raise CrossinError(f"evaluate: {name}: {error}") from error
    data = _data_stage(options)
    cells = [(arm, seed) for arm in options.arms for seed in options.seeds_of(arm)]
    order = {seed: k for k, seed in enumerate(dict.fromkeys(seed for _, seed in cells))}
    cells.sort(key=lambda cell: order[cell[1]])
    return Plan(data, tuple(_run(options, arm, seed) for arm, seed in cells))


def write_configs(options: ExperimentOptions) -> None:
    """Write each run's merged configurations to `<experiment>/stages/<arm>/<seed>/{mix,train,align}.yaml`."""
    import yaml

    for arm, value in options.arms.items():
        if not value.get("tune", True):
            continue
        for seed in options.seeds_of(arm):
            place = options.folder / "stages" / arm / str(seed)
            place.mkdir(parents=True, exist_ok=True)
            contents = {}
            if options.mixes(arm):
                contents = {"mix": mix_options(options, arm, seed), "train": train_options(options, arm, seed)}
            if options.aligns(arm):
                contents["align"] = align_options(options, arm, seed)
            for name, content in contents.items():
                text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
                path = place / f"{name}.yaml"
                if not path.is_file() or path.read_text(encoding="utf-8") != text:
                    write_text(path, text)


def run_folder(options: ExperimentOptions, arm: str, seed: int) -> Path:
    """The folder of one run."""
    return options.folder / "arms" / arm / f"seed{seed}"


def mix_options(options: ExperimentOptions, arm: str, seed: int) -> dict[str, Any]:
    """The merged mix options of one run; later wins: configuration file, common, arm, seed."""
    own = options.arms[arm]
    merged = {
        **read_yaml(own.get("mix_config") or options.mix_config),
        **options.mix,
        **own.get("mix", {}),
        "seed": seed,
        "output_dir": str(run_folder(options, arm, seed) / "mix"),
        "overwrite": True,
    }
    merged = absolute_paths(fill_data(merged, options))
    for role in ("base", "seed"):
        name = str(merged.get(f"{role}_set") or "")
        if is_hub(name) and "{" not in name and not options.dry_run:  # an estimate waits for no hub
            revision = merged.get(f"{role}_revision")
            commit = pin(options.folder, "dataset", name.removeprefix("hub:"), revision)
            merged |= {f"{role}_revision": commit} if commit else {}
    return merged


def train_options(options: ExperimentOptions, arm: str, seed: int) -> dict[str, Any]:
    """The merged tuning options of one run; merging and evaluation are separate stages."""
    folder = run_folder(options, arm, seed)
    own = {"output_dir": str(folder), "mix": str(folder / "mix"), "mix_options": []}
    return {**_training_options(options, arm, seed, "train"), **own}


def align_options(options: ExperimentOptions, arm: str, seed: int) -> dict[str, Any]:
    """The merged alignment options of one run; after a mix it starts from the mix's adapter."""
    folder = run_folder(options, arm, seed)
    merged = _training_options(options, arm, seed, "align")
    start = str(folder / "adapter") if options.mixes(arm) else merged.get("start_adapter")
    return {**merged, "output_dir": str(folder / ALIGNED), "start_adapter": start}


def _training_options(options: ExperimentOptions, arm: str, seed: int, kind: str) -> dict[str, Any]:
    """What `train` and `align` share: the arm's options, the pinned base, no merging and no evaluation."""
    merged = _tuning(options, arm, kind)
    commit = _base_commit(options, merged)
    pinned = {"model_revision": commit} if commit else {}
    own = {"seed": seed, "merge": False, "eval_tasks": None, "eval_before": False, "overwrite": True}
    return {**merged, **pinned, **own}


def fill_data(value: Any, options: ExperimentOptions) -> Any:
    """A value of an option, also nested, with `{data}` replaced by the folder of the data stage."""
    if isinstance(value, dict):
        return {name: fill_data(item, options) for name, item in value.items()}
    return value.replace("{data}", str(options.folder / "data")) if isinstance(value, str) else value


def model_of(options: ExperimentOptions, arm: str) -> str:
    """The base model's hub id or absolute path; for an untuned arm that of the first tuned one."""
    arm = _tuned_arm(options, arm)
    model = _tuning(options, arm).get("model_name_or_path")
    if not model:
        raise CrossinError(f"arms: {arm}: no model_name_or_path in its tuning configuration")
    return str(model)


def _tuned_arm(options: ExperimentOptions, arm: str) -> str:
    """The arm itself, or the first tuned one for an untuned arm."""
    tuned = [name for name, value in options.arms.items() if value.get("tune", True)]
    return arm if arm in tuned or not tuned else tuned[0]


def _tuning(options: ExperimentOptions, arm: str, kind: str = "") -> dict[str, Any]:
    """The options of an arm's first training, or of `train` or `align`; later wins: file, common, arm."""
    own = options.arms[arm]
    kind = kind or ("train" if options.mixes(arm) or not options.aligns(arm) else "align")
    config = own.get(f"{kind}_config") or getattr(options, f"{kind}_config")
    return absolute_paths(fill_data({**read_yaml(config), **getattr(options, kind), **own.get(kind, {})}, options))


def _base_commit(options: ExperimentOptions, merged: dict[str, Any]) -> str | None:
    """The commit of a tuned arm's base model; None for a local one."""
    name = str(merged.get("model_name_or_path") or "")
    if name.startswith("demo:") or Path(name).is_absolute() or not name or options.dry_run:
        return None
    return pin(options.folder, "model", name, merged.get("model_revision"))


def read_yaml(name: str | None) -> dict[str, Any]:
    """A configuration file of the checkout or of the user, as a mapping.

    Raises:
        CrossinError: it is missing, or not a mapping.
    """
    if name is None:
        raise CrossinError("a tuned arm has no configuration file")
    path = Path(name).expanduser()
    if not path.is_file() and (REPO / path).is_file():
        path = REPO / path
    if not path.is_file():
        raise CrossinError(f"cannot read the configuration {name}: no such file")
    content = records.read_yaml(path)
    if not isinstance(content, dict):
        raise CrossinError(f"{name} must be a YAML mapping of options")
    return content


def parse_merged(dataclass_types: Any, merged: dict[str, Any]) -> tuple[Any, ...]:
    """Parse merged options as the recipe that gets them will.

    Raises:
        CrossinError: an option is unknown or has a wrong value.
    """
    import contextlib
    import io
    import tempfile

    import yaml

    from recipes.common.options import parse

    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):  # accelerate's remarks
        path = Path(folder) / "options.yaml"
        path.write_text(yaml.safe_dump(merged, allow_unicode=True), encoding="utf-8")
        try:
            return parse(dataclass_types, ["--config", str(path)], prog="run_experiment", description="")
        except CrossinError as error:
            raise CrossinError(str(error).replace(f"{path}: ", "")) from error


def check_options(options: ExperimentOptions) -> None:
    """Parse the merged options of each arm before anything runs.

    Raises:
        CrossinError: names the arm and the option.
    """
    from recipes.alignment.options import AlignModelOptions, AlignOptions
    from recipes.mixes.config import MixConfig
    from recipes.tuning.options import ModelOptions, TrainOptions, TuneOptions

    for arm, value in options.arms.items():
        if value.get("tune", True):
            seed = options.seeds_of(arm)[0]
            try:
                if options.mixes(arm):
                    parse_merged(MixConfig, mix_options(options, arm, seed))
                    parse_merged((TuneOptions, TrainOptions, ModelOptions), train_options(options, arm, seed))
                if options.aligns(arm):
                    parse_merged((AlignOptions, TrainOptions, AlignModelOptions), align_options(options, arm, seed))
            except CrossinError as error:
                raise CrossinError(f"arms: {arm}: {error}") from error


def _data_stage(options: ExperimentOptions) -> tuple[Stage, ...]:
    data = options.data
    if not data.get("recipe"):
        return ()
    recipe = REPO / str(data["recipe"])
    if not recipe.is_file():
        raise CrossinError(f"data: recipe {data['recipe']} not found")
    folder = options.folder / "data"
    command = [PYTHON, str(recipe), "--output_dir", str(folder)]
    given = absolute_paths(data.get("options") or {})
    for key, value in given.items():
        command += [f"--{key}", *map(str, value if isinstance(value, list) else [value])]
    outputs = tuple(folder / name for name in data.get("outputs") or ())
    if not outputs:
        raise CrossinError("data: outputs is missing: list the files that the recipe writes")
    files = (*(_xquad_files() if recipe.name == "xquad.py" else ()), *files_of(given))
    return (Stage("data", tuple(command), {"recipe": str(data["recipe"]), **decisive(given)}, files, outputs),)


def _run(options: ExperimentOptions, arm: str, seed: int) -> Run:
    folder = run_folder(options, arm, seed)
    place = options.folder / "stages" / arm / str(seed)
    if not options.arms[arm].get("tune", True):
        return Run(arm, seed, folder, tuple(_evaluations(options, arm, seed, folder, None)))
    stages: list[Stage] = []
    adapter = folder / "adapter"
    if options.mixes(arm):
        mix, train = mix_options(options, arm, seed), train_options(options, arm, seed)
        rows = folder / "mix" / "train.parquet"
        build = (PYTHON, str(REPO / "recipes/build_mix.py"), "--config", str(place / "mix.yaml"))
        stages.append(Stage(f"{arm}/{seed}/mix", build, decisive(mix), files_of(mix), (rows,)))
        stages.append(_training(options, f"{arm}/{seed}/train", "sft_crossin.py", place, train, (rows,)))
    if options.aligns(arm):
        align = align_options(options, arm, seed)
        files = _set_files(str(align.get("set")), align.pop("data_dir", None), options)  # its content counts
        files = (*files, Path(align["start_adapter"]) / WEIGHTS) if align.get("start_adapter") else files
        adapter = folder / ALIGNED / "adapter"
        stages.append(_training(options, f"{arm}/{seed}/align", "align_crossin.py", place, align, files))
    weights, tuning = adapter / WEIGHTS, _tuning(options, arm)
    if options.merge:
        merged = folder / "merged"
        command: tuple[str, ...] = (PYTHON, str(REPO / "recipes/merge_adapter.py"), "--adapter", str(adapter))
        command += ("--output_dir", str(merged))
        command += ("--trust_remote_code", "true") if tuning.get("trust_remote_code") else ()
        files = (weights, *files_of({"model_name_or_path": tuning.get("model_name_or_path")}))
        outputs = (merged / "merge.json",)
        stages.append(Stage(f"{arm}/{seed}/merge", command, {}, files, outputs, clear=(merged,)))
    tuned = folder / "merged" / "merge.json" if options.merge else weights
    return Run(arm, seed, folder, (*stages, *_evaluations(options, arm, seed, folder, tuned)))


def _training(
    options: ExperimentOptions, name: str, script: str, place: Path, merged: dict[str, Any], files: tuple[Path, ...]
) -> Stage:
    """A stage that trains an adapter."""
    launch, folder = _launcher(options), Path(merged["output_dir"])
    launcher_files = [Path(word) for word in launch[1:] if Path(word).is_absolute()]
    return Stage(
        name,
        (*launch, str(REPO / "recipes" / script), "--config", str(place / f"{name.rpartition('/')[2]}.yaml")),
        {**decisive(merged), "launcher": list(options.launcher)},
        (*files, *files_of(merged), *launcher_files),
        (folder / "adapter" / WEIGHTS, folder / "adapter" / "adapter_config.json", folder / "manifest.json"),
    )


def _evaluations(options: ExperimentOptions, arm: str, seed: int, folder: Path, tuned: Path | None) -> list[Stage]:
    from recipes.tuning.evaluate import harness_arguments, model_arguments
    from recipes.tuning.options import ModelOptions

    where: dict[str, Any] = {}
    if tuned is not None and options.merge:
        where = {"merged": folder / "merged"}
    elif tuned is not None:
        where = {"adapter": tuned.parent, "rank": _tuning(options, arm).get("lora_r", ModelOptions.lora_r)}
    base, tuning = model_of(options, arm), _tuning(options, _tuned_arm(options, arm))
    model: dict[str, Any] = {"pretrained": base}
    if "merged" not in where and (commit := _base_commit(options, tuning)):
        model["revision"] = commit
    if tuning.get("trust_remote_code"):
        model["trust_remote_code"] = True
    out = []
    for name, one in fill_data(options.evaluate, options).items():
        target = folder / "eval" / name
        one = absolute_paths(one)
        backend = str(one.get("model", "hf"))
        own = one.get("model_args", {})
        arguments = {**model, **model_arguments(backend, base, **where), **own}
        others = {key: value for key, value in one.items() if key not in ("tasks", "model", "model_args")}
        command = [PYTHON, "-m", "recipes.tuning.evaluate"]
        command += harness_arguments(backend, arguments, str(one["tasks"]), target, **others)
        files = (*((tuned,) if tuned is not None else ()), *_task_files(one, options), *files_of(own))
        if "merged" not in where:
            files = (*files, *files_of(model))
        options_ = {**one, "model_args": decisive(own), **decisive({"base": Path(base).name, **model})}
        name = f"{arm}/{seed}/eval-{name}"
        out.append(Stage(name, tuple(command), options_, files, (target / "done.json",), clear=(target,)))
    return out


def _launcher(options: ExperimentOptions) -> tuple[str, ...]:
    if not options.launcher:
        return (PYTHON,)
    if options.launcher[:2] == ["accelerate", "launch"]:
        return (PYTHON, "-m", "accelerate.commands.launch", *map(absolute, options.launcher[2:]))
    return (options.launcher[0], *map(absolute, options.launcher[1:]))


def _task_files(one: dict[str, Any], options: ExperimentOptions) -> tuple[Path, ...]:
    """Local files that the evaluation's tasks read.

    Raises:
        CrossinError: a task that the catalogue of sets does not know.
    """
    from crossin_metrics.sets.catalogue import expand_tasks

    metadata = one.get("metadata", {})
    names = dict.fromkeys(task.set.name for task in expand_tasks(str(one["tasks"])))
    files = [file for name in names for file in _set_files(name, metadata.get("data_dir"), options)]
    return (*files, *prompt_files(metadata))


def _set_files(name: str, place: str | None, options: ExperimentOptions) -> tuple[Path, ...]:
    """Local files of a set, including one that the data stage will write."""
    from crossin_metrics.sets.loading import data_files

    if place and Path(place).is_relative_to(options.folder / "data"):
        return (Path(place) / f"{name}.jsonl",)
    return data_files(name, place)


def _xquad_files() -> tuple[Path, ...]:
    import os

    from crossin_metrics.sets.catalogue import DATA_DIR_VARIABLE
    from crossin_metrics.sets.xquad import find_files

    place = os.environ.get(DATA_DIR_VARIABLE)
    return tuple(find_files(Path(place).expanduser()).values()) if place else ()
