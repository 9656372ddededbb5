"""From the options of an alignment to rows and trainer."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from crossin_metrics.errors import CrossinError
from crossin_metrics.files import file_sha256
from recipes.alignment.options import AlignOptions
from recipes.alignment.pairs import Pairs, all_pairs, draw_pairs, majority_pairs
from recipes.alignment.sequences import Questions, Sequence, digest, load_questions
from recipes.mixes.draws import uniform
from recipes.tuning.run import Data, Recipe

if TYPE_CHECKING:
    from recipes.alignment.scoring import Reference
    from recipes.tuning.options import ModelOptions, TrainOptions

WEIGHTS = "adapter_model.safetensors"
METHODS = {
    "dco": "Direct Consistency Optimization (arXiv 2603.04678), without gold labels",
    "calm": "DPO towards the answer of most languages (CALM, arXiv 2501.18457), without gold labels",
    "dpo": "DPO towards the gold option (arXiv 2305.18290)",
    "sft_gold": "supervised tuning on the gold option",
}


@dataclass
class PairReport:
    """Counts of an alignment's rows; `replaced`: pairs that calm could not use."""

    set: str
    set_hash: str
    pairs: int
    questions: int
    n_questions: int
    languages: list[str]
    tokens: int
    scored: int
    replaced: int = 0

    def as_dict(self) -> dict[str, Any]:
        """For the manifest."""
        return dict(self.__dict__)

    def lines(self) -> list[str]:
        """One line for the terminal."""
        return [
            f"{self.pairs:,} pairs on {self.questions:,} of the {self.n_questions:,} questions of {self.set} in "
            f"{' '.join(self.languages)}: {self.tokens:,} tokens, {self.scored:,} scored"
        ]


def recipe(align: AlignOptions, train: TrainOptions, model: ModelOptions) -> Recipe:
    """Alignment: pairs of a parallel set, the reference's log-probabilities, and our loss."""
    start = None if align.start_adapter is None else Path(align.start_adapter).expanduser()
    base_of: list[str] = []

    def load(tokenizer: Any, base: str) -> Data:
        if start is not None:
            check_start(start, base, model)
        base_of[:] = [base]
        questions = load_questions(align, tokenizer, train.max_length)
        drawn = draw(align, questions, train.seed)
        rows = pair_sequences(align, questions, drawn)
        flat = [one for row in rows for one in row]
        report = PairReport(
            set=align.set,
            set_hash=questions.hash,
            pairs=len(drawn),
            questions=len(np.unique(drawn.question)),
            n_questions=len(questions.gold),
            languages=align.languages,
            tokens=sum(len(one.ids) for one in flat),
            scored=sum(one.n_scored for one in flat),
        )
        longest = max(sum(len(one.ids) for one in row) for row in rows)
        scored = sorted((sum(one.n_scored for one in row) for row in rows), reverse=True)
        about = digest(flat) + questions.hash + ("" if start is None else file_sha256(start / WEIGHTS))
        return Data(
            rows=(questions, drawn),
            report=report,
            longest=longest,
            labels=sum(scored[: train.per_device_train_batch_size]),
            sha256=hashlib.sha256(about.encode()).hexdigest(),
        )

    def trainer(network: Any, data: Data, tokenizer: Any, callbacks: list[Any]) -> Any:
        from datasets import Dataset

        from recipes.alignment import scoring
        from recipes.alignment.trainer import AlignTrainer, Collator
        from recipes.tuning.checks import is_sharded
        from recipes.tuning.run_folder import identify_weights

        zero3 = train.deepspeed_plugin is not None and train.deepspeed_plugin.zero_stage == 3
        scoring.check_sharding(is_sharded(train) or zero3)
        if start is not None:
            load_start(network, start)
        if not (model.load_in_4bit or model.load_in_8bit):
            network.to(train.device)
        padding_free, pad = bool(train.padding_free), int(tokenizer.pad_token_id)
        # only the attention of `row_attention` knows branches
        sdpa = network.config.get_text_config()._attn_implementation == "sdpa"
        share = padding_free and bool(train.use_cpu) and sdpa and not train.gradient_checkpointing
        weights = {
            **identify_weights(base_of[0], network.config),
            "start": None if start is None else file_sha256(start / WEIGHTS),
            "how": [model.dtype, model.load_in_4bit, model.load_in_8bit, train.bf16, padding_free, share],
        }
        reference = scoring.Reference(
            network,
            json.dumps(weights, sort_keys=True),
            scoring.cache_folder(align.reference_cache),
            bf16=bool(train.bf16),
            padding_free=padding_free,
            pad=pad,
            share=share,
            progress=not train.disable_tqdm,
        )
        questions, drawn = data.rows
        if align.loss == "calm":
            voted = answers(questions, drawn, reference, align.calm_samples, train.seed)
            drawn, data.report.replaced = majority_pairs(drawn, voted, train.seed)
        rows = make_rows(align, questions, drawn, None if align.loss == "sft_gold" else reference)
        return AlignTrainer(
            model=network,
            args=train,
            train_dataset=Dataset.from_dict(rows),
            data_collator=Collator(padding_free, pad, share),
            processing_class=tokenizer,
            callbacks=callbacks,
            options=align,
        )

    return Recipe(
        name="align_crossin",
        title=f"aligned on {align.set} in {' '.join(align.languages)}",
        method=f"Method: {METHODS[align.loss]}.",
        frame=None,
        load=load,
        trainer=trainer,
        start=start,
    )


def draw(align: AlignOptions, questions: Questions, seed: int) -> Pairs:
    """The pairs of a run; as many as fill whole global batches."""
    index = {code: k for k, code in enumerate(align.languages)}
    weights = align.pair_weights or all_pairs(align.languages)
    merged: dict[tuple[int, int], float] = {}
    for (a, b), weight in weights.items():
        pair = (min(index[a], index[b]), max(index[a], index[b]))
        merged[pair] = merged.get(pair, 0.0) + weight
    n = -(-align.n_pairs // align.global_batch_size) * align.global_batch_size
    preferred = "gold" if align.loss in ("dpo", "sft_gold") else "not_gold" if align.leave_out_gold else "random"
    try:
        return draw_pairs(questions.n_options, questions.gold, merged, n, seed, preferred=preferred)
    except CrossinError as error:
        raise CrossinError(f"{align.set}: {error}") from error


def answers(questions: Questions, drawn: Pairs, reference: Reference, samples: int = 0, seed: int = 0) -> np.ndarray:
    """The reference's answers to each drawn question, an option each; -1 where not drawn.

    Args:
        samples: S answers a language, drawn from the softmax of the options' summed log-probabilities: what sampling
            gives among answers that are one of the options. 0: the most likely option, one a language.
        seed: of the draws.

    Returns:
        [Q, L] or [Q, L x S].
    """
    n_languages, each = len(questions.languages), max(samples, 1)
    out = np.full((len(questions.gold), n_languages, each), -1)
    cells = [(int(q), lang) for q in np.unique(drawn.question) for lang in range(n_languages)]
    flat = [questions.sequence(q, lang, option) for q, lang in cells for option in range(questions.n_options[q])]
    values, at = reference.logps(flat), 0
    draws = uniform(seed, "align/answers", len(cells) * each).reshape(len(cells), each)
    for (q, lang), drawn_here in zip(cells, draws, strict=True):
        options = values[at : at + questions.n_options[q]].astype(np.float64)
        chances = np.exp(options - options.max()).cumsum()
        out[q, lang] = np.searchsorted(chances, drawn_here * chances[-1], "right") if samples else options.argmax()
        at += questions.n_options[q]
    return out.reshape(len(questions.gold), -1)


def make_rows(
    align: AlignOptions, questions: Questions, drawn: Pairs, reference: Reference | None
) -> dict[str, list[Any]]:
    """The columns of `recipes.alignment.trainer.COLUMNS`."""
    sequences = pair_sequences(align, questions, drawn)
    odds = np.zeros((len(drawn), 2), dtype=np.float32)
    if reference is not None:
        logps = reference.logps([one for row in sequences for one in row]).reshape(len(drawn), 4)
        odds = logps[:, 0::2] - logps[:, 1::2]
    followed = odds[:, ::-1]
    if align.shuffled_reference:  # the pair half the way on: another question
        followed = np.roll(followed, len(drawn) // 2, axis=0)
    codes = align.languages
    weights = [
        (align.weight(codes[a], codes[b]), align.weight(codes[b], codes[a]))
        for a, b in zip(drawn.first, drawn.second, strict=True)
    ]
    return {
        "ids": [[list(one.ids) for one in row] for row in sequences],
        "starts": [[one.start for one in row] for row in sequences],
        "reference": odds.tolist(),
        "followed": followed.tolist(),
        "weights": weights,
    }


def check_start(adapter: Path, base: str, model: ModelOptions) -> None:
    """Check that a first adapter belongs to this model and has this run's LoRA options.

    Raises:
        CrossinError: not an adapter, one of another base model, or one of other LoRA options.
    """
    from recipes.tuning.merge import read_adapter
    from recipes.tuning.run_folder import BASE, check_base

    settings = read_adapter(adapter)
    if not (adapter / WEIGHTS).is_file():
        raise CrossinError(f"start_adapter {adapter} has no {WEIGHTS}")
    theirs = str(settings["base_model_name_or_path"])
    if not (adapter / BASE).is_file() and theirs != base:  # not an adapter of ours: its base is known by name only
        raise CrossinError(f"start_adapter {adapter} was trained on {theirs}, and model_name_or_path is {base}")
    try:
        check_base(adapter, base)
    except CrossinError as error:
        raise CrossinError(f"start_adapter: {error} (the reference must be the model that is trained)") from error
    for ours, name in (
        ("lora_r", "r"),
        ("lora_alpha", "lora_alpha"),
        ("lora_target_modules", "target_modules"),
        ("lora_modules_to_save", "modules_to_save"),
        ("use_dora", "use_dora"),
        ("use_rslora", "use_rslora"),
    ):
        wanted, found = getattr(model, ours), settings.get(name)
        if isinstance(wanted, list) or isinstance(found, list):
            wanted, found = sorted(wanted or []), sorted(found or [])
        if wanted != found:
            raise CrossinError(f"start_adapter {adapter}: its {name} is {found}; set {ours} to the same, not {wanted}")


def load_start(network: Any, adapter: Path) -> None:
    """Copy a first adapter's weights into the model's.

    Raises:
        CrossinError: they do not fit.
    """
    from peft import load_peft_weights, set_peft_model_state_dict

    found: Any = set_peft_model_state_dict(network, load_peft_weights(str(adapter), device="cpu"))
    if found.unexpected_keys or any("lora_" in name for name in found.missing_keys):
        raise CrossinError(f"start_adapter {adapter} does not fit the model: {[*found.unexpected_keys][:2]}")


def pair_sequences(align: AlignOptions, questions: Questions, drawn: Pairs) -> list[list[Sequence]]:
    """The sequences of each pair: preferred and other option in the first language, then in the second."""
    out = []
    for q, a, b, one, two in zip(drawn.question, drawn.first, drawn.second, drawn.preferred, drawn.other, strict=True):
        options = (one,) if align.loss == "sft_gold" else (one, two)
        out.append([questions.sequence(int(q), int(lang), int(option)) for lang in (a, b) for option in options])
    return out
