"""The options of an experiment: arms, seeds, data, training, evaluation, and how to run it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from crossin_metrics.errors import CrossinError, did_you_mean
from crossin_metrics.scores.catalogue import describe
from recipes.common.options import check_types

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*")

MIX_KEYS, ALIGN_KEYS = ("mix_config", "mix", "train_config", "train"), ("align_config", "align")
ARM_KEYS = (*MIX_KEYS, *ALIGN_KEYS, "tune", "label", "seeds")
OWN_KEYS = {  # what an experiment sets itself
    "mix": ("seed", "output_dir", "overwrite"),
    "train": ("seed", "output_dir", "overwrite", "mix", "mix_options", "merge", "eval_tasks", "eval_before"),
    "align": ("seed", "output_dir", "overwrite", "merge", "eval_tasks", "eval_before"),
}
LABEL_KEYS = ("name", "base", "system", "arm", "n_samples", "translation", "tag")
DATA_KEYS = ("recipe", "options", "outputs")


def _help(text: str) -> dict[str, str]:
    return {"help": text.replace("%", "%%")}


@dataclass(kw_only=True)
class Evaluation:
    """One of `evaluate`: the harness's options of the same names."""

    tasks: str
    model: Literal["hf", "crossin-hf", "vllm", "crossin-vllm"] = "hf"
    model_args: dict = field(default_factory=dict)
    metadata: dict = field(default_factory=dict)
    batch_size: int | str | None = None
    num_fewshot: int | None = None
    limit: float | None = None
    apply_chat_template: bool = False

    def __post_init__(self) -> None:
        check_types(self)


@dataclass
class ExperimentOptions:
    """One experiment, from a YAML file (`--config`) and flags, which override it.

    `{data}` in a mix option is replaced by the folder of the data stage.
    """

    name: str = field(metadata=_help("Short name of the experiment, and of its folder."))
    arms: dict = field(
        metadata=_help(
            "Arm -> {mix_config, mix, train_config, train, align_config, align, label, seeds}: overrides of the common "
            "options. align: an alignment; with mix or train also set, after tuning on the mix. tune: false evaluates "
            "the untuned model."
        )
    )
    evaluate: dict = field(
        metadata=_help("Name -> {tasks, model, model_args, metadata, batch_size, ...}: evaluations of each run.")
    )
    output_dir: str | None = field(default=None, metadata=_help("The experiment's folder. Default: runs/<name>."))
    title: str = field(default="", metadata=_help("Title of the report."))
    seeds: list[int] = field(
        default_factory=lambda: [0],
        metadata=_help("Each arm runs once per seed, which seeds its mix and its training."),
    )
    data: dict = field(
        default_factory=dict,
        metadata=_help("{recipe, options, outputs}: a recipe that runs once and fills {data}."),
    )
    mix_config: str | None = field(default=None, metadata=_help("Default mix configuration."))
    mix: dict = field(default_factory=dict, metadata=_help("Mix options of all arms."))
    train_config: str | None = field(default=None, metadata=_help("Default tuning configuration."))
    train: dict = field(default_factory=dict, metadata=_help("Tuning options of all arms."))
    align_config: str | None = field(default=None, metadata=_help("Default alignment configuration."))
    align: dict = field(default_factory=dict, metadata=_help("Alignment options of all arms that align."))
    models: dict = field(
        default_factory=dict,
        metadata=_help("Model -> {train_config, base}: what differs between base models; base is the label column."),
    )
    model: str | None = field(
        default=None, metadata=_help("Which of `models`; it is added to the experiment's name and title.")
    )
    launcher: list[str] = field(
        default_factory=list,
        metadata=_help(
            "Command that launches training, e.g. accelerate launch -q --num_processes 4. Default: one process."
        ),
    )
    merge: bool = field(default=False, metadata=_help("Merge each adapter and evaluate the merged model."))
    label: dict = field(default_factory=dict, metadata=_help("Label columns of all arms: base, system, ..."))
    baseline: str | None = field(default=None, metadata=_help("Arm with which the report compares all others."))
    compare: list[str] = field(
        default_factory=list, metadata=_help("Further comparisons, as arm=arm: x2x=same_language.")
    )
    keys: list[str] = field(
        default_factory=list,
        metadata=_help(
            "Scores to compare arms by, before accuracy, consistency and AC3; the first is the primary one."
        ),
    )
    planned: str | None = field(
        default=None, metadata=_help("The comparison by the primary score that is named beforehand, as arm=arm.")
    )
    planned_in: str | None = field(
        default=None,
        metadata=_help(
            "The table for which it is named, by parts of its signature: answers:cf-mean langs:en,zh. Needed where an "
            "experiment has several tables, as each cloze does."
        ),
    )
    small: dict = field(
        default_factory=dict,
        metadata=_help("Overrides for --smoke, a run in minutes; arms: list of the arms to run."),
    )
    smoke: bool = field(default=False, metadata=_help("Run the small version, in <output_dir>-smoke."))

    only: list[str] = field(default_factory=list, metadata=_help("Run only these arms or arm/seed pairs (x2x, x2x/0)."))
    jobs: int = field(default=1, metadata=_help("Runs at a time on this machine, which share its CPU threads or GPUs."))
    executor: Literal["local", "slurm"] = field(default="local", metadata=_help("Where to run."))
    slurm: dict = field(default_factory=dict, metadata=_help("Options of the Slurm executor, by submitit's names."))
    dry_run: bool = field(default=False, metadata=_help("Print the plan and its estimated cost; run nothing."))
    gpu: str = field(
        default="A100-80GB",
        metadata=_help("Device of the estimate: A100-80GB, H100-80GB, ..., cpu (this machine), or TFLOPS:GIB."),
    )
    mfu: float = field(default=0.35, metadata=_help("Share of the device's peak rate that the estimate assumes."))
    status: bool = field(default=False, metadata=_help("Print the progress; run nothing."))
    keep_checkpoints: bool = field(default=False, metadata=_help("Keep the trainers' checkpoints of finished runs."))
    min_free_gb: float = field(
        default=2.0, metadata=_help("Start no stage with less free disk space than this, in GB.")
    )

    def __post_init__(self) -> None:
        check_types(self)
        if not _NAME.fullmatch(self.name):
            raise CrossinError(f"name: {self.name!r} must consist of a-z 0-9 _ . -")
        if self.models or self.model:
            self._choose_model()
        if self.smoke:
            self._shrink()
        if not self.arms:
            raise CrossinError("arms: name at least one")
        if not self.evaluate:
            raise CrossinError("evaluate: name at least one evaluation")
        if self.jobs < 1:
            raise CrossinError(f"jobs: {self.jobs} must be at least 1")
        _check_seeds(self.seeds, "seeds")
        for key in OWN_KEYS:
            _not_own(getattr(self, key), key, key)
        _known(self.data, DATA_KEYS, "data")
        _known(self.label, LABEL_KEYS, "label")
        self.arms = {str(name): self._arm(str(name), value) for name, value in self.arms.items()}
        for name, value in self.evaluate.items():
            if not isinstance(value, dict) or not value.get("tasks"):
                raise CrossinError(f"evaluate: {name}: needs at least tasks: {{tasks: cross_mmlu}}")
            _known(value, tuple(key.name for key in fields(Evaluation)), f"evaluate: {name}")
            try:
                Evaluation(**value)
            except CrossinError as error:
                raise CrossinError(f"evaluate: {name}: {error}") from error
        for where, pair in [*(("compare", pair) for pair in self.compare), ("planned", self.planned)]:
            if pair is None:
                continue
            for arm in pair.split("="):
                self.check_arm(arm, where)
            if pair.count("=") != 1:
                raise CrossinError(f"{where}: {pair!r} must be arm=arm")
        if self.planned is not None and not self.keys:
            raise CrossinError("planned: name the primary score, too: keys: [transfer]")
        if self.planned_in is not None and self.planned is None:
            raise CrossinError("planned_in: name the comparison, too: planned: arm=arm")
        for key in self.keys:
            if describe(key).kind != "score":
                raise CrossinError(f"keys: {key!r} must be a score, as transfer or consistent_correct")
        if self.baseline is not None:
            self.check_arm(self.baseline, "baseline")
        for item in self.only:
            arm, _, seed = item.partition("/")
            self.check_arm(arm, "only")
            if seed and seed not in map(str, self.seeds_of(arm)):
                raise CrossinError(f"only: {item}: arm {arm} has the seeds {', '.join(map(str, self.seeds_of(arm)))}")

    @property
    def folder(self) -> Path:
        """The experiment's folder, absolute."""
        path = Path(self.output_dir or f"runs/{self.name}").expanduser().absolute()
        return path.with_name(path.name + "-smoke") if self.smoke else path

    def seeds_of(self, arm: str) -> list[int]:
        """The seeds of an arm; an untuned arm has one run, seed 0."""
        if not self.arms[arm].get("tune", True):
            return [0]
        return list(self.arms[arm].get("seeds", self.seeds))

    def mixes(self, arm: str) -> bool:
        """Whether an arm is tuned on a mix."""
        return _mixes(self.arms[arm])

    def aligns(self, arm: str) -> bool:
        """Whether an arm is aligned, from the base or after tuning on a mix."""
        return _aligns(self.arms[arm])

    def wants(self, arm: str, seed: int) -> bool:
        """Whether `only` selects this run."""
        return not self.only or arm in self.only or f"{arm}/{seed}" in self.only

    def check_arm(self, arm: str, where: str) -> None:
        """Raises:
        CrossinError: unknown arm; suggests the closest name.
        """
        if arm not in self.arms:
            hint = did_you_mean(arm, self.arms)
            raise CrossinError(f"{where}: unknown arm {arm!r}{hint}; arms: {', '.join(self.arms)}")

    def _choose_model(self) -> None:
        if self.model not in self.models:
            raise CrossinError(
                f"model: {self.model!r} must be one of {', '.join(self.models) or 'models, which is empty'}"
            )
        chosen = self.models[self.model]
        _known(chosen, ("train_config", "base"), f"models: {self.model}")
        self.name = f"{self.name}_{self.model}"
        self.title = f"{self.title or self.name} ({chosen.get('base', self.model)})"
        self.train_config = chosen.get("train_config", self.train_config)
        self.label = {**({"base": chosen["base"]} if "base" in chosen else {}), **self.label}

    def _arm(self, name: str, value: Any) -> dict[str, Any]:
        if not _NAME.fullmatch(name):
            raise CrossinError(f"arms: {name!r} must consist of a-z 0-9 _ . -")
        value = {} if value is None else value
        if not isinstance(value, dict):
            raise CrossinError(f"arms: {name}: {value!r} must be a mapping of {', '.join(ARM_KEYS)}")
        _known(value, ARM_KEYS, f"arms: {name}")
        for key in ("mix", "train", "align", "label"):
            if not isinstance(value.get(key, {}), dict):
                raise CrossinError(f"arms: {name}: {key} must be a mapping of options")
            _not_own(value.get(key, {}), key, f"arms: {name}: {key}")
        if _mixes(value) and "start_adapter" in value.get("align", {}):
            raise CrossinError(f"arms: {name}: align: start_adapter: the arm starts from the adapter of its own mix")
        if not isinstance(value.get("tune", True), bool):
            raise CrossinError(f"arms: {name}: tune must be true or false")
        _known(value.get("label", {}), LABEL_KEYS, f"arms: {name}: label")
        if "seeds" in value:
            _check_seeds(value["seeds"], f"arms: {name}: seeds")
        if value.get("tune", True):
            for key in ("mix_config", "train_config") * _mixes(value) + ("align_config",) * _aligns(value):
                if not value.get(key, getattr(self, key)):
                    raise CrossinError(f"arms: {name}: {key} is missing")
        elif set(value) - {"tune", "label"}:
            raise CrossinError(f"arms: {name}: an untuned arm can only have a label")
        return dict(value)

    def _shrink(self) -> None:
        small = dict(self.small)
        if not small:
            raise CrossinError("smoke: this experiment has no `small` options")
        arms = small.pop("arms", list(self.arms))
        for arm in arms:
            self.check_arm(str(arm), "small: arms")
        self.arms = {name: self.arms[name] for name in arms}
        for key, value in small.items():
            if key in ("mix", "train", "align"):
                setattr(self, key, {**getattr(self, key), **value})
                for arm, own in self.arms.items():  # replace the arm's own full-size numbers; 0 stays 0
                    if own and own.get(key):
                        self.arms[arm] = {**own, key: {k: v and value.get(k, v) for k, v in own[key].items()}}
            elif key == "evaluate":
                self.evaluate = {name: {**one, **value} for name, one in self.evaluate.items()}
            elif key == "seeds":
                self.seeds = value
                self.arms = {name: {k: v for k, v in arm.items() if k != "seeds"} for name, arm in self.arms.items()}
            else:
                raise CrossinError(f"small: {key!r} must be arms, seeds, mix, train, align or evaluate")
        self.compare = [pair for pair in self.compare if all(arm in self.arms for arm in pair.split("="))]
        self.baseline = self.baseline if self.baseline in self.arms else None
        if not all(arm in self.arms for arm in (self.planned or "").split("=") if arm):
            self.planned = self.planned_in = None


def _mixes(arm: dict[str, Any]) -> bool:
    return bool(arm.get("tune", True)) and (any(key in arm for key in MIX_KEYS) or not _aligns(arm))


def _aligns(arm: dict[str, Any]) -> bool:
    return any(key in arm for key in ALIGN_KEYS)


def _known(value: Any, keys: tuple[str, ...], where: str) -> None:
    if not isinstance(value, dict):
        raise CrossinError(f"{where}: {value!r} must be a mapping")
    for key in value:
        if key not in keys:
            hint = did_you_mean(str(key), keys)
            raise CrossinError(f"{where}: unknown key {key!r}{hint}; keys: {', '.join(keys)}")


def _not_own(value: dict[str, Any], key: str, where: str) -> None:
    for name in value:
        if name in OWN_KEYS.get(key, ()):
            raise CrossinError(f"{where}: {name} is set by the experiment; its own options are seeds, merge, evaluate")


def _check_seeds(seeds: Any, where: str) -> None:
    if not isinstance(seeds, list) or not seeds or not all(isinstance(s, int) and s >= 0 for s in seeds):
        raise CrossinError(f"{where}: {seeds!r} must be one or more whole numbers, 0 or more")
    if len(set(seeds)) < len(seeds):
        raise CrossinError(f"{where}: duplicate seed in {seeds}")
