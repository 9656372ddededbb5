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

from crossin_metrics import errors
from crossin_metrics.errors import CrossinError
from recipes.common.options import run
from recipes.common.provenance import REPO

if TYPE_CHECKING:
    from recipes.tuning.options import ModelOptions, TrainOptions, TuneOptions


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the options, tune, merge, evaluate; returns the exit code."""
    from recipes.tuning.options import parse_options

    tune, train, model = parse_options(argv)
    output = Path(str(train.output_dir)).absolute()  # the evaluation runs in another folder
    train.output_dir = str(output / "checkpoints")
    base = tune_adapter(output, tune, train, model)
    if train.should_save:
        if tune.merge and not (output / "merged" / "config.json").is_file():
            from recipes.tuning.merge import merge

            trust, vllm = train.trust_remote_code, "vllm" in tune.eval_backend
            facts = merge(output / "adapter", output / "merged", base=base, vllm=vllm, trust_remote_code=trust)
            difference = facts["after_merging"]["logit_difference"]
            say(f"merged: {output / 'merged'}, relative logit difference {difference:.1e}")
        if tune.eval_tasks:
            from recipes.tuning.evaluate import evaluate

            say(f"evaluated: {evaluate(output, base, tune, trust_remote_code=train.trust_remote_code)}")
    return 0


def tune_adapter(output: Path, tune: TuneOptions, train: TrainOptions, model: ModelOptions) -> str:
    """Train the adapter into `<output>/adapter` unless it exists; returns the base model's folder or id.

    Raises:
        CrossinError: training would fail; see `recipes.tuning.checks`.
    """
    from accelerate import PartialState

    from recipes.tuning import checks, loss_masks, run_folder
    from recipes.tuning import model as models
    from recipes.tuning.evaluate import check_tasks

    checks.set_accumulation(tune, train)
    checks.check_precision(train, model)
    if train.should_save:
        run_folder.check_folder(output, tune.overwrite)
    if tune.eval_tasks:
        check_tasks(tune.eval_tasks)
    with train.main_process_first(desc="model files"):
        base = models.model_path(str(model.model_name_or_path))
    config = models.load_config(base, model, trust_remote_code=train.trust_remote_code)
    tokenizer = models.load_tokenizer(
        base, tune.frame, revision=model.model_revision, trust_remote_code=train.trust_remote_code
    )
    plan = models.plan_adapter(config, tokenizer, tune, model)
    checks.check_evaluation(tune, plan, config)
    with train.main_process_first(desc="the mix"):
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
    estimate = checks.estimate_memory(
        config,
        plan,
        train,
        model,
        longest=max(rows["length"]),
        labels=sum(most[: train.per_device_train_batch_size]),
    )
    if train.should_save:
        for line in [*report.lines(), *plan.lines(), estimate.line()]:
            say(line)
        if plan.tied and tune.untied:
            say("untied: embedding and output head become two matrices; the merged model is not tied")
    checks.check_memory(estimate, tune, train)
    settings = run_folder.settings_of(
        tune, train, model, run_folder.identify_weights(base, config), run_folder.tokens_sha256(rows)
    )
    if train.should_save:
        run_folder.claim(output, settings, tune.overwrite)
    PartialState().wait_for_everyone()
    if (output / run_folder.MANIFEST).is_file():
        say(f"{output / 'adapter'} already exists")
        return base
    fit(output, base, rows, report, tokenizer, plan, tune, train, model, settings)
    return base


def fit(
    output: Path,
    base: str,
    rows: Any,
    report: Any,
    tokenizer: Any,
    plan: Any,
    tune: TuneOptions,
    train: TrainOptions,
    model: ModelOptions,
    settings: dict[str, Any],
) -> None:
    """Train, from the last complete checkpoint if there is one; write adapter, log and manifest."""
    from transformers import set_seed

    from crossin_metrics import files
    from recipes.tuning import cards, checks, loss_masks, manifest, run_folder
    from recipes.tuning import model as models
    from recipes.tuning.checkpoints import last_complete
    from recipes.tuning.trainer import CrossinTrainer, LogBeforeSave, save_adapter

    set_seed(train.seed)  # LoRA matrices are drawn before the trainer sets its seed
    network = models.load_model(base, plan, model, train)
    checks.check_attention(network, train)
    if not train.packing:
        rows = loss_masks.pad_to_multiple(rows, tune.global_batch_size, tokenizer.pad_token_id)
    max_length, train.max_length = train.max_length, train.max_length if train.packing else None  # truncated already
    meter = manifest.Meter(output / "checkpoints" / "sessions.json")
    trainer = CrossinTrainer(
        model=network,
        args=train,
        train_dataset=rows,
        processing_class=tokenizer,
        callbacks=[LogBeforeSave(), meter],
    )
    train.max_length = max_length
    start, incomplete = last_complete(output / "checkpoints")
    for path in incomplete:
        say(f"skipping {path}: incomplete, a run was stopped while writing it")
    if start is not None:
        say(f"resuming from {start}")
    if train.should_save:
        run_folder.write_config(output, tune, train, model)
    trainer.train(resume_from_checkpoint=str(start) if start is not None else None)
    save_adapter(trainer, output / "adapter")
    facts = manifest.collect(trainer, meter, tune, train, model, report, plan, settings)
    if train.should_save:
        run_folder.write_log(output, trainer.state.log_history)
        files.write_text(output / "adapter" / "README.md", cards.adapter_card(facts))
        files.write_json(output / run_folder.MANIFEST, facts)
        say(
            f"adapter: {output / 'adapter'}; {facts['steps']:,} steps, loss {facts['first_loss']:.3f} -> "
            f"{facts['last_loss']:.3f}, {facts['tokens_per_second']:.0f} tokens/s"
        )
    trainer.end()


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


def say(message: str) -> None:
    """Print a line on standard error, in the main process only."""
    from accelerate import PartialState

    if PartialState().is_main_process:
        errors.say(f"sft_crossin: {message}")


if __name__ == "__main__":
    run(main, "sft_crossin")
