"""The options of one alignment: the set, the pairs drawn from it, and the loss."""

# ruff: noqa: RUF009 - option returns a dataclass field

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from crossin_metrics.errors import CrossinError
from crossin_metrics.languages import language_code
from recipes.common.options import check_minimum, language_codes, option, parse
from recipes.tuning.options import ModelOptions, RunOptions, TrainOptions

LOSSES = ("dco", "calm", "dpo", "sft_gold")
DEFAULT_BETA = {"dco": 1.0, "calm": 0.1, "dpo": 0.1}  # arXiv 2603.04678; TRL's and DPO's (arXiv 2305.18290)


@dataclass(kw_only=True)
class AlignOptions(RunOptions):
    """A parallel set, how pairs are drawn from it, and the loss.

    Raises:
        CrossinError: an option has the wrong type, is out of range, or contradicts another.
    """

    set: str = option("Parallel set to draw from: a name of the catalogue (bmlama17), or of a file in data_dir.")
    data_dir: str | None = option("Folder of the set. Default: CROSSIN_DATA_DIR, the package, the hub.", None)
    languages: list[str] = option("Languages to align, two or more.", ["en", "zh", "vi", "es"])
    formulation: Literal["cf", "letter"] = option("As the set's task: cf, texts of options; letter, letters.", "cf")
    prompt: str = option("Prompt of the task (p1 to p5, native, or a file); sentences with a blank need none.", "p1")

    loss: Literal["dco", "calm", "dpo", "sft_gold"] = option(
        "dco: each language follows the reference's preference in the other (arXiv 2603.04678). calm: the answer of "
        "most languages is preferred (arXiv 2501.18457). dpo: the gold option is preferred. sft_gold: the gold option "
        "is learned.",
        "dco",
    )
    beta: float | None = option(
        "How strongly a language follows the other (dco), or the preference counts (dpo, calm); above 0. dco: of a "
        "pair, the later language in `languages` follows the earlier one by beta, the earlier the later by 1/beta. "
        "Default: 1 for dco (as released), else 0.1.",
        None,
    )
    target: Literal["product", "mean"] = option(
        "dco: preference aimed at, as log-odds. product: own + weight x other (the paper); mean: the same over 1 + "
        "weight, which leaves languages that agree as they are.",
        "product",
    )
    follow: list[str] = option(
        "dco: weights by direction: zh-en=2, zh follows en by 2; en-zh=0, en stays at its reference. Default: beta.",
        [],
    )
    n_pairs: int = option("Pairs (question, two languages, two options), in whole batches. Paper: 5,000.", 5000)
    language_pairs: list[str] = option(
        "Pairs of languages and their weights: en-zh=2 en-vi=1. Default: every pair of `languages` alike.", []
    )
    leave_out_gold: bool = option("dco: never draw the gold option.", False)
    calm_samples: int = option(
        "calm: answers drawn per language from the model's probabilities of the options. 0: its likeliest option.", 0
    )
    shuffled_reference: bool = option("dco: follow the reference's preference on another question: a control.", False)
    start_adapter: str | None = option(
        "Adapter to train on; the reference is the model with it. Default: a new one; the reference is the base.", None
    )
    reference_cache: str | None = option(
        "Folder that keeps the reference's log-probabilities. Default: CROSSIN_CACHE_DIR or ~/.cache/crossin.", None
    )

    DECISIVE: ClassVar[tuple[str, ...]] = (
        *RunOptions.DECISIVE,
        *("set", "languages", "formulation", "prompt", "loss", "beta", "target", "follow", "n_pairs", "language_pairs"),
        *("leave_out_gold", "calm_samples", "shuffled_reference"),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.languages = language_codes(self.languages)
        if len(self.languages) < 2:
            raise CrossinError(f"languages: {self.languages[0]} alone; alignment needs two or more")
        check_minimum(self, 1, "n_pairs")
        check_minimum(self, 0, "calm_samples")
        if self.calm_samples and self.loss != "calm":
            raise CrossinError(f"calm_samples: only loss calm has it, and loss is {self.loss}")
        if self.beta is not None and self.loss == "sft_gold":
            raise CrossinError("beta: loss sft_gold has none")
        if self.beta is not None and not 0 < self.beta < float("inf"):
            raise CrossinError(f"beta: {self.beta:g} must be above 0")
        if self.loss != "dco":
            for name in ("follow", "leave_out_gold", "shuffled_reference"):
                if getattr(self, name):
                    raise CrossinError(f"{name}: only loss dco has it, and loss is {self.loss}")
        self.pair_weights = self._pairs("language_pairs", self.language_pairs)
        if self.language_pairs and not sum(self.pair_weights.values()):
            raise CrossinError("language_pairs: all weights are 0")
        self.directions = self._pairs("follow", self.follow)

    @property
    def strength(self) -> float:
        """Beta, or the loss's default."""
        return DEFAULT_BETA.get(self.loss, 1.0) if self.beta is None else self.beta

    def weight(self, follower: str, followed: str) -> float:
        """By how much one language follows another (dco)."""
        later = self.languages.index(follower) > self.languages.index(followed)
        return self.directions.get((follower, followed), self.strength if later else 1 / self.strength)

    def _pairs(self, name: str, items: Sequence[str]) -> dict[tuple[str, str], float]:
        out: dict[tuple[str, str], float] = {}
        for item in items:
            pair, _, number = item.partition("=")
            sides = pair.split("-")
            try:
                weight = float(number or 1)
            except ValueError:
                weight = -1.0
            if len(sides) != 2 or not 0 <= weight < float("inf"):
                raise CrossinError(f"{name}: {item!r} must be two languages and a weight, as en-zh=2")
            a, b = (language_code(side) for side in sides)
            if a == b or (a, b) in out:
                raise CrossinError(f"{name}: {item!r}: {'one language' if a == b else 'a pair'} given twice")
            for code in {a, b} - set(self.languages):
                raise CrossinError(f"{name}: {item!r}: {code} is not in languages ({' '.join(self.languages)})")
            out[a, b] = weight
        return out


@dataclass
class AlignModelOptions(ModelOptions):
    """LoRA only, without dropout: the loss compares the policy with the reference on the same sequences."""

    lora_dropout: float = field(default=0.0, metadata={"help": "LoRA dropout. As DPO trainers do, none."})
    lora_modules_to_save: list[str] | None = field(
        default_factory=list, metadata={"help": "Modules trained in full beside the LoRA matrices."}
    )


def parse_options(argv: Sequence[str] | None = None) -> tuple[AlignOptions, TrainOptions, AlignModelOptions]:
    """Parse command line and YAML into the three option sets; errors as in `recipes.common.options.parse`."""
    usual = """model_name_or_path set data_dir languages output_dir loss beta n_pairs formulation prompt learning_rate
        lora_r eval_tasks seed"""
    parsed: Any = parse(
        (AlignOptions, TrainOptions, AlignModelOptions),
        argv,
        prog="align_crossin",
        description="Align a model's languages on the questions of a parallel set, with a LoRA adapter.",
        usual=usual.split(),
    )
    align, train, model = parsed
    if train.packing:
        raise CrossinError("packing: not supported; padding_free concatenates the rows of a batch")
    return align, train, model
