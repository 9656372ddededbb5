"""One tuning run, from options to adapter, merged model and scores: what the tuning recipes share.

A recipe brings its rows and its trainer (`Recipe`); folder, checks, resuming, manifest, merging and evaluation are
here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crossin_metrics import errors

if TYPE_CHECKING:
    from recipes.tuning.options import ModelOptions, RunOptions, TrainOptions


@dataclass(frozen=True)
class Data:
    """The training rows of a run.

    Attributes:
        rows: a `datasets.Dataset`.
        report: counts of the rows, with `lines()` for the terminal and `as_dict()` for the manifest.
        longest: tokens of the longest row.
        labels: largest number of positions with loss in one forward pass.
        sha256: hash of everything about the rows that affects the adapter.
    """

    rows: Any
    report: Any
    longest: int
    labels: int
    sha256: str


@dataclass(frozen=True)
class Recipe:
    """What one tuning recipe adds.

    Attributes:
        name: of the script, for messages.
        title, method: of the adapter's card: `tuned on a CrossIn mix`, and the paper.
        frame: text around prompt and completion (`recipes.common.wording`); None: the tokenizer's own chat template.
        load: (tokenizer, base model) -> Data; called in every process, the main one first.
        trainer: (model with adapter, data, tokenizer, callbacks) -> trainer.
        start: adapter from which training starts; None: a new one.
    """

    name: str
    title: str
    method: str
    frame: str | None
    load: Callable[[Any, str], Data]
    trainer: Callable[[Any, Data, Any, list[Any]], Any]
    start: Path | None = None

    def say(self, message: str) -> None:
        """Print a line on standard error, in the main process only."""
        from accelerate import PartialState

        if PartialState().is_main_process:
            errors.say(f"{self.name}: {message}")


def run(recipe: Recipe, output: Path, tune: RunOptions, train: TrainOptions, model: ModelOptions) -> None:
    """Train the adapter into `<output>/adapter` unless it exists, then merge and evaluate as configured.

    Raises:
        CrossinError: training would fail (see `recipes.tuning.checks`), or merging or evaluation failed.
    """
    train.output_dir = str(output / "checkpoints")
    base = tune_adapter(recipe, output, tune, train, model)
    if not train.should_save:
        return
    if tune.merge and not (output / "merged" / "config.json").is_file():
        from recipes.tuning.merge import merge

        trust, vllm = train.trust_remote_code, "vllm" in tune.eval_backend
        facts = merge(output / "adapter", output / "merged", base=base, vllm=vllm, trust_remote_code=trust)
        difference = facts["after_merging"]["logit_difference"]
        recipe.say(f"merged: {output / 'merged'}, relative logit difference {difference:.1e}")
    if tune.eval_tasks:
        from recipes.tuning.evaluate import evaluate, evaluate_base, score_lines

        trust, before = train.trust_remote_code, None
        after = evaluate(output, base, tune, trust_remote_code=trust)
        recipe.say(f"evaluated: {after}")
        if tune.eval_before:  # last: an untuned model may lack what the tuned one has, such as a chat template
            revision = model.model_revision
            before = evaluate_base(output, base, tune, recipe.start, revision=revision, trust_remote_code=trust)
        for line in score_lines(before, after):
            recipe.say(line)


def tune_adapter(recipe: Recipe, output: Path, tune: RunOptions, train: TrainOptions, model: ModelOptions) -> str:
    """Train the adapter into `<output>/adapter` unless it exists; returns the base model's folder or id.

    Raises:
        CrossinError: training would fail; see `recipes.tuning.checks`.
    """
    from accelerate import PartialState

    from recipes.tuning import checks, held_out, run_folder
    from recipes.tuning import model as models
    from recipes.tuning.evaluate import check_tasks, task_options

    checks.check_devices(train)
    checks.set_accumulation(tune, train)
    checks.check_precision(train, model)
    if train.should_save:
        run_folder.check_folder(output, tune.overwrite)
    if tune.eval_tasks:
        check_tasks(tune.eval_tasks, task_options(tune))
    with train.main_process_first(desc="model files"):
        base = models.model_path(str(model.model_name_or_path))
    config = models.load_config(base, model, trust_remote_code=train.trust_remote_code)
    tokenizer = models.load_tokenizer(
        base, recipe.frame, revision=model.model_revision, trust_remote_code=train.trust_remote_code
    )
    plan = models.plan_adapter(config, tokenizer, tune, model)
    checks.check_evaluation(tune, plan, config)
    checks.check_texts(tune, train)
    texts = held_out.load_texts(tune.eval_texts, tokenizer) if tune.eval_texts else {}
    with train.main_process_first(desc="the rows"):
        data = recipe.load(tokenizer, base)
    estimate = checks.estimate_memory(config, plan, train, model, longest=data.longest, labels=data.labels)
    for line in [*data.report.lines(), *plan.lines(), estimate.line()]:
        recipe.say(line)
    if plan.tied and tune.untied:
        recipe.say("untied: embedding and output head become two matrices; the merged model is not tied")
    checks.check_memory(estimate, tune, train)
    settings = run_folder.settings_of(tune, train, model, run_folder.identify_weights(base, config), data.sha256)
    if train.should_save:
        run_folder.claim(output, settings, tune.overwrite)
    PartialState().wait_for_everyone()
    if (output / run_folder.MANIFEST).is_file():
        recipe.say(f"{output / 'adapter'} already exists")
        return base
    fit(recipe, output, base, data, texts, tokenizer, plan, tune, train, model, settings)
    return base


def fit(
    recipe: Recipe,
    output: Path,
    base: str,
    data: Data,
    texts: dict[str, list[list[int]]],
    tokenizer: Any,
    plan: Any,
    tune: RunOptions,
    train: TrainOptions,
    model: ModelOptions,
    settings: dict[str, Any],
) -> None:
    """Train, from the last complete checkpoint if there is one; write adapter, log and manifest."""
    from transformers import set_seed

    from crossin_metrics import files
    from recipes.tuning import cards, checks, held_out, manifest, run_folder
    from recipes.tuning import model as models
    from recipes.tuning.checkpoints import last_complete
    from recipes.tuning.trainer import LogBeforeSave, save_adapter

    set_seed(train.seed)  # LoRA matrices are drawn before the trainer sets its seed
    network = models.load_model(base, plan, model, train)
    checks.check_attention(network, train)
    meter = manifest.Meter(output / "checkpoints" / "sessions.json")
    trainer = recipe.trainer(network, data, tokenizer, [LogBeforeSave(), meter])
    before = held_out.text_loss(network, texts, bf16=bool(train.bf16))
    start, incomplete = last_complete(output / "checkpoints")
    for path in incomplete:
        recipe.say(f"skipping {path}: incomplete, a run was stopped while writing it")
    if start is not None:
        recipe.say(f"resuming from {start}")
    if train.should_save:
        run_folder.write_config(output, tune, train, model)
    trainer.train(resume_from_checkpoint=str(start) if start is not None else None)
    save_adapter(trainer, output / "adapter")
    facts = manifest.collect(trainer, meter, tune, train, model, data.report, plan, settings)
    facts["recipe"] = {"name": recipe.name, "title": recipe.title, "method": recipe.method}
    if texts:
        after = held_out.text_loss(network, texts, bf16=bool(train.bf16))
        facts["held_out"] = {"texts": tune.eval_texts, "loss_before": before, "loss_after": after}
        changes = ", ".join(f"{code} {before[code]:.3f} -> {after[code]:.3f}" for code in texts)
        recipe.say(f"held-out texts, nats per token: {changes}")
    if train.should_save:
        run_folder.write_log(output, trainer.state.log_history)
        files.write_text(output / "adapter" / "README.md", cards.adapter_card(facts))
        files.write_json(output / run_folder.MANIFEST, facts)
        recipe.say(
            f"adapter: {output / 'adapter'}; {facts['steps']:,} steps, loss {facts['first_loss']:.3f} -> "
            f"{facts['last_loss']:.3f}, {facts['tokens_per_second']:.0f} tokens/s"
        )
    trainer.accelerator.end_training()
