"""The folder of a tuning run: which run it holds, its options and its loss curve.

It contains `run.json` (everything that affects the result), `config.yaml` (merged options), `mix/` (if built here),
`checkpoints/`, `adapter/`, `merged/`, `eval/`, `train_log.jsonl` and `manifest.json` (written last).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crossin_metrics.errors import CrossinError
from crossin_metrics.files import atomic_folder, read_json, write_json, write_text
from recipes.common.stages import sha256_of

if TYPE_CHECKING:
    from datasets import Dataset

    from recipes.tuning.options import ModelOptions, RunOptions, TrainOptions

RUN, CONFIG, MANIFEST, LOG = "run.json", "config.yaml", "manifest.json", "train_log.jsonl"
BASE = "base_model.json"
"""In the adapter's folder: which base model it was trained on, as `identify_weights` says."""

CONTENTS = (MANIFEST, CONFIG, LOG, "checkpoints", "adapter", "merged", "eval", "eval_before", "report", RUN)
"""In the order in which they are deleted: first what makes a run count as finished, last what makes it a run."""

# Options that affect the trained weights. All others (logging, saving, evaluation) may change when a run resumes.
DECISIVE = (
    "learning_rate",
    "lr_scheduler_type",
    "lr_scheduler_kwargs",
    "warmup_steps",
    "num_train_epochs",
    "max_steps",
    "weight_decay",
    "optim",
    "optim_args",
    "adam_beta1",
    "adam_beta2",
    "adam_epsilon",
    "max_grad_norm",
    "label_smoothing_factor",
    "neftune_noise_alpha",
    "loss_type",
    "seed",
    "data_seed",
    "bf16",
    "fp16",
    "tf32",
    "max_length",
    "packing",
    "packing_strategy",
    "padding_free",
    "shuffle_dataset",
    "per_device_train_batch_size",
    "gradient_accumulation_steps",
    "train_sampling_strategy",
    "dataloader_drop_last",
)


def check_folder(output: Path, overwrite: bool) -> None:
    """Create the run's folder, or check that an existing one belongs to this recipe.

    Raises:
        CrossinError: the path is a file, is not writable, or contains files of something else.
    """
    if output.exists() and not output.is_dir():
        raise CrossinError(f"output_dir {output} must be a folder, not a file")
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CrossinError(f"cannot create output_dir {output}: {error.strerror or error}") from error
    if not os.access(output, os.W_OK):
        raise CrossinError(f"output_dir {output} is not writable")
    names = {path.name for path in output.iterdir() if not path.name.startswith(".")}
    if names - {"mix"} and not (output / RUN).is_file():
        foreign = sorted(names - {"mix"})[0]
        raise CrossinError(
            f"output_dir {output} contains files that are not a run's ({foreign}): choose another folder"
            + (" (--overwrite replaces runs only)" if overwrite else "")
        )


def claim(output: Path, settings: dict[str, Any], overwrite: bool = False) -> None:
    """Write `run.json` into a new folder, or check that the folder holds this run; `overwrite` deletes another run.

    Raises:
        CrossinError: the folder holds a run with other settings; names the first that differs.
    """
    path = output / RUN
    settings = json.loads(json.dumps(settings))
    old = read_json(path)
    if path.is_file() and old is None and not overwrite:
        raise CrossinError(f"{path} is damaged: choose another output_dir, or add --overwrite")
    if path.is_file() and overwrite and old != settings:
        for name in CONTENTS:
            if (output / name).is_dir():
                shutil.rmtree(output / name)
            else:
                (output / name).unlink(missing_ok=True)
    if path.is_file():
        old = old or {}
        differing = [key for key in {**old, **settings} if old.get(key) != settings.get(key)]
        if differing:
            key = differing[0]
            more = f" and {len(differing) - 1} more" if len(differing) > 1 else ""
            raise CrossinError(
                f"output_dir {output} contains another run: {key} was {old.get(key)!r}, "
                f"now {settings.get(key)!r}{more}; choose another folder, or add --overwrite"
            )
        return
    write_json(path, settings)


def adopt(source: Path, output: Path) -> None:
    """Make the result of another folder's finished run that of `output`, in place of what `output` held.

    Raises:
        CrossinError: it cannot be written; `output` then holds an unfinished run.
        OSError: a file of `source` cannot be read.
    """
    (output / MANIFEST).unlink(missing_ok=True)
    claim(output, read_json(source / RUN) or {}, overwrite=True)
    with atomic_folder(output / "adapter") as folder:
        shutil.copytree(source / "adapter", folder, dirs_exist_ok=True)
    for name in (LOG, MANIFEST):  # with its manifest a run counts as finished
        write_text(output / name, (source / name).read_text(encoding="utf-8"))


def settings_of(
    tune: RunOptions, train: TrainOptions, model: ModelOptions, weights: dict[str, Any], tokens: str
) -> dict[str, Any]:
    """Everything that affects the trained adapter, as a flat dict."""
    out: dict[str, Any] = {name: getattr(tune, name) for name in tune.DECISIVE}
    out |= {name: getattr(train, name, None) for name in DECISIVE}
    out["gradient_accumulation_steps"] = None  # follows from global_batch_size and the number of processes
    out |= dataclasses.asdict(model)
    return {**out, "model": weights, "tokens_sha256": tokens}


def tokens_sha256(rows: Dataset) -> str:
    """Hash of all input ids and labels in order: the data as the model sees it."""
    import numpy as np

    digest = hashlib.sha256()
    for batch in rows.select_columns(["input_ids", "labels"]).iter(batch_size=1000):
        for ids, labels in zip(batch["input_ids"], batch["labels"], strict=True):
            digest.update(np.asarray([len(ids), *ids, *labels], dtype="<i8").tobytes())
    return digest.hexdigest()


def identify_weights(path: str, config: Any = None) -> dict[str, Any]:
    """Identity of base weights: hub id and commit, and the SHA-256 of each weight file of a folder.

    Args:
        path: hub id or folder.
        config: the model's configuration as `load_config` returns it; not needed for a folder.
    """
    folder = Path(path)
    if not folder.is_dir():
        commit = getattr(config, "_commit_hash", None)
        return {"id": path, **({"commit": commit} if commit else {})}
    return {"id": folder.name, "files": {file.name: sha256_of(file) for file in weight_files(folder)}}


def weight_files(folder: Path) -> list[Path]:
    """The weight files of a model's folder."""
    return sorted(file for file in folder.iterdir() if file.suffix in (".safetensors", ".bin"))


def check_base(adapter: Path, base: str, config: Any = None) -> None:
    """Check that a base model is the one that the adapter was trained on, where the adapter says which.

    Raises:
        CrossinError: other weights, or another commit.
    """
    trained, found = read_json(adapter / BASE), identify_weights(base, config)
    for key in ("commit", "files"):
        if trained and trained.get(key) and found.get(key) and trained[key] != found[key]:
            raise CrossinError(
                f"{base} is not the model that {adapter} was trained on: its {key} "
                f"{'were' if key == 'files' else 'was'} {_short(trained[key])}, now {_short(found[key])}; "
                "give the right one, or train again"
            )


def _short(value: Any) -> str:
    if not isinstance(value, dict):
        return str(value)[:12]
    return ", ".join(f"{name} {str(sha)[:12]}" for name, sha in list(value.items())[:3])


def write_config(output: Path, tune: RunOptions, train: TrainOptions, model: ModelOptions) -> None:
    """Write the merged options as YAML; `--config` with it starts the same run."""
    import yaml

    options = merged_options(tune, train, model) | {"output_dir": str(output)}
    options.pop("gradient_accumulation_steps", None)  # follows from global_batch_size
    text = "# The merged options of this run.\n" + yaml.safe_dump(options, sort_keys=False, allow_unicode=True)
    write_text(output / CONFIG, text)


def write_log(output: Path, history: list[dict[str, Any]]) -> None:
    """Write the loss curve as JSON Lines."""
    write_text(output / LOG, "".join(json.dumps(entry) + "\n" for entry in history))


# Set by transformers or by the machine: not options of a run.
DERIVED = ("accelerator_config", "debug", "disable_tqdm", "pad_to_multiple_of", "dataloader_pin_memory", "output_dir")


def merged_options(tune: RunOptions, train: TrainOptions, model: ModelOptions) -> dict[str, Any]:
    """All of our and the model's options, and those of TRL that differ from transformers' defaults."""
    plain: dict[str, Any] = {}
    for field in dataclasses.fields(train):
        value = getattr(train, field.name)
        default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
        shown = value != default or field.name in type(train).__annotations__ or field.name in ("seed", "max_length")
        if shown and field.name not in DERIVED:
            plain[field.name] = value
    return json.loads(json.dumps({**dataclasses.asdict(tune), **plain, **dataclasses.asdict(model)}, default=str))
