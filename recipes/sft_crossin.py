"""Tune a LoRA adapter on an instruction mix, with TRL.

    accelerate launch -q recipes/sft_crossin.py --config recipes/configs/mini_x2x.yaml

The output folder then holds adapter/, config.yaml, train_log.jsonl, manifest.json and, as configured, mix/, merged/ and
eval/. Rerun the same command to resume after an interruption; it does nothing once everything is done. (`-q` stops
accelerate from printing its own traceback after an error message.)
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __package__ in (None, ""):  # run as a script: `recipes` is found in the checkout, not in this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from crossin_metrics.errors import CrossinError, waiting
from recipes.common.options import run
from recipes.common.provenance import REPO

if TYPE_CHECKING:
    from recipes.tuning.options import TrainOptions, TuneOptions
    from recipes.tuning.run import Data, Recipe


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the options, tune, merge, evaluate; returns the exit code."""
    with waiting("sft_crossin: loading torch and TRL"):
        from recipes.tuning import run as tuning
        from recipes.tuning.options import parse_options

    tune, train, model = parse_options(argv)
    output = Path(str(train.output_dir)).absolute()  # the evaluation runs in another folder
    tuning.run(recipe(output, tune, train), output, tune, train, model)
    return 0


def recipe(output: Path, tune: TuneOptions, train: TrainOptions) -> Recipe:
    """Supervised tuning on a mix: its rows, and TRL's trainer."""
    from recipes.tuning import loss_masks, run_folder
    from recipes.tuning.run import Data, Recipe

    def load(tokenizer: Any, base: str) -> Data:
        rows = loss_masks.load_rows(find_mix(tune, output, train.should_save))
        rows, report = loss_masks.mask_rows(
            rows,
            tokenizer,
            tune.frame,
            max_length=train.max_length,
            long_rows=tune.long_rows,
            num_proc=train.dataset_num_proc,
        )
        most = sorted((sum(label != loss_masks.IGNORED for label in row) for row in rows["labels"]), reverse=True)
        labels = sum(most[: train.per_device_train_batch_size])
        return Data(rows, report, max(rows["length"]), labels, run_folder.tokens_sha256(rows))

    def trainer(network: Any, data: Data, tokenizer: Any, callbacks: list[Any]) -> Any:
        from recipes.tuning.trainer import CrossinTrainer

        rows = data.rows
        if not train.packing:
            rows = loss_masks.pad_to_multiple(rows, tune.global_batch_size, tokenizer.pad_token_id)
        max_length = train.max_length
        if not train.packing:
            train.max_length = None  # truncated already
        made = CrossinTrainer(
            model=network, args=train, train_dataset=rows, processing_class=tokenizer, callbacks=callbacks
        )
        train.max_length = max_length
        return made

    return Recipe(
        name="sft_crossin",
        title="tuned on a CrossIn mix",
        method="Method: Lin et al., CrossIn, arXiv 2404.11932. Loss on completions only; the tokenizer's chat template "
        "is the frame of training.",
        frame=tune.frame,
        load=load,
        trainer=trainer,
    )


def find_mix(tune: TuneOptions, output: Path, build: bool) -> Path:
    """The mix's folder or file; a mix configuration is built into `<output>/mix` first.

    Raises:
        CrossinError: the mix is not found or cannot be built.
    """
    path = Path(tune.mix)
    if not path.exists() and (REPO / path).exists():
        path = REPO / path
    if not path.exists():
        raise CrossinError(f"mix {tune.mix} not found: give a folder made by build_mix.py, a file of rows, or a .yaml")
    if path.suffix not in (".yaml", ".yml"):
        if tune.mix_options:
            raise CrossinError(f"mix_options need a mix configuration (.yaml), and mix is {tune.mix}")
        return path
    if build:
        from recipes.common.options import parse
        from recipes.mixes.build import build as build_mix
        from recipes.mixes.config import MixConfig

        arguments = ["--config", str(path), "--output_dir", str(output / "mix"), "--overwrite", str(tune.overwrite)]
        for name, value in (item.split("=", 1) for item in tune.mix_options):
            arguments += [f"--{name}", *value.split()]
        (config,) = parse(MixConfig, arguments, prog="sft_crossin: mix", description="")
        build_mix(config)
    return output / "mix"


if __name__ == "__main__":
    run(main, "sft_crossin")
