"""The options of one instruction mix. Every YAML file in `recipes/configs/mix/` holds these and nothing else."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

from crossin_metrics.errors import CrossinError
from crossin_metrics.languages import language_code
from recipes.common.options import check_types

PIVOT = "en"
"""The language of the base set, and the fixed side of en2x and x2en."""

DEFAULT_SAMPLES = 5000
"""CrossIn samples when `n_samples` is not set: arXiv 2404.11932 finds that about 5,000 suffice."""

MACHINE_FIELDS = ("output_dir", "overwrite", "num_workers")
"""Options that say where and how to build, not what: two mixes that differ only in these are the same mix."""

SEED_VARIANTS = ("en2x", "x2en", "x2x", "same_language", "more_english")
"""Variants whose samples are drawn from the seed set, one item a sample."""


def _help(text: str) -> dict[str, str]:
    return {"help": text.replace("%", "%%")}  # argparse formats help with %


@dataclass
class MixConfig:
    """What goes into a mix. See the help text of each field; `__post_init__` checks all of them together.

    Raises:
        CrossinError: an option has the wrong type, is out of its range, or contradicts another.
    """

    output_dir: str = field(
        metadata=_help("Folder to write: train.parquet, README.md (dataset card), config.yaml, manifest.json.")
    )
    overwrite: bool = field(default=False, metadata=_help("Replace an existing mix made from another configuration."))
    num_workers: int = field(
        default=1, metadata=_help("Processes that render rows; the bytes written do not depend on it.")
    )

    variant: Literal["base_only", "seed_only", "en2x", "x2en", "x2x", "same_language", "more_english"] = field(
        default="x2x",
        metadata=_help(
            "en2x: instruction English, answer in another language; x2en: the reverse; x2x: both drawn independently; "
            "same_language: one language for both; more_english: both English; seed_only: every seed row, no base."
        ),
    )
    n_samples: int | None = field(
        default=None,
        metadata=_help(
            "Samples drawn from the seed set. Default: 5000 (the paper's); for seed_only every row, for base_only 0."
        ),
    )
    languages: list[str] = field(
        default_factory=lambda: ["en", "zh", "vi", "es"],
        metadata=_help("Languages to draw from, the paper's four by default."),
    )
    language_weights: list[float] | None = field(
        default=None,
        metadata=_help(
            "One weight a language, in the same order; a pair weighs the product over its drawn sides. Default: equal."
        ),
    )
    same_language_pairs: bool | None = field(
        default=None,
        metadata=_help(
            "May both sides be in one language? Default: yes for x2x (two independent draws), "
            "no for en2x and x2en (as in the released code)."
        ),
    )
    held_out_pairs: list[str] = field(
        default_factory=list,
        metadata=_help("Directed pairs like zh-vi (instruction-answer) that no sample and no translation may have."),
    )
    tag: Literal["bracket", "none", "natural"] = field(
        default="bracket",
        metadata=_help(
            "How the prompt names the wanted language: [zh] (released code), not at all (paper's table), or a sentence."
        ),
    )
    tag_same_language: bool = field(
        default=True, metadata=_help("Tag samples whose answer is in the instruction's language too.")
    )
    tag_position: Literal["end", "start"] = field(
        default="end", metadata=_help("Where the tag stands in the prompt; the released code: end.")
    )
    answer_style: Literal["direct", "pivot"] = field(
        default="direct",
        metadata=_help(
            "pivot: the completion states instruction and answer in English before the answer (PLUG, arXiv 2311.08711)."
        ),
    )

    trans: bool = field(
        default=False, metadata=_help("Add instruction translation pairs, by default one for each sample.")
    )
    n_trans: int | None = field(
        default=None, metadata=_help("Number of translation pairs. Default: n_samples (5000 for base_only).")
    )
    trans_direction: Literal["en2x", "x2en", "both", "pair"] = field(
        default="en2x",
        metadata=_help(
            "en2x: from English (paper's text); x2en: to English (paper's table); both: either at random; "
            "pair: between the sample's own two languages."
        ),
    )

    n_base: int | None = field(
        default=None, metadata=_help("Base rows, without replacement until used up. Default: the whole base set.")
    )
    base_seed_ratio: float | None = field(
        default=None, metadata=_help("Base rows per sample, instead of n_base; 3.0 is 75% base.")
    )

    noise: Literal["none", "swap", "drop"] = field(
        default="none",
        metadata=_help(
            "Damage the translated side of samples and translation pairs (the answer; the instruction where the answer "
            "is English): swap it with another item's, fluent but wrong; or drop a share of its words."
        ),
    )
    noise_rate: float = field(
        default=0.0,
        metadata=_help("Share (0-1) of the rows with a translated side that are damaged; the count is exact."),
    )
    noise_drop: float = field(
        default=0.3, metadata=_help("For noise=drop: probability (0-1) that a word, or a Han or Thai character, goes.")
    )

    seed: int = field(default=0, metadata=_help("Seed of all random draws."))
    shuffle: bool = field(
        default=True, metadata=_help("Shuffle rows over all parts; otherwise base, crossin, trans in this order.")
    )

    base_set: str = field(
        default="packaged:base_mini",
        metadata=_help(
            "English complex-task set: packaged:base_mini, a hub id, or a .json, .jsonl(.gz) or .parquet file."
        ),
    )
    base_config: str | None = field(default=None, metadata=_help("Hub configuration of the base set."))
    base_split: str = field(default="train", metadata=_help("Hub split of the base set."))
    base_revision: str | None = field(
        default=None, metadata=_help("Hub commit or tag of the base set; pin it for a mix that can be rebuilt.")
    )
    base_fields: list[str] = field(
        default_factory=list,
        metadata=_help("Field mapping, e.g. instruction=question output=answer.text; input= for none."),
    )
    base_licence: str | None = field(
        default=None, metadata=_help("Licence of the base set, for the card, where the table does not know it.")
    )

    seed_set: str = field(
        default="packaged:seed_mini",
        metadata=_help(
            "Parallel easy-task set: packaged:seed_mini, a hub id, a file, a folder with one <lang>.json a language "
            "in the same order, or a path or hub id with {lang} in it."
        ),
    )
    seed_config: str | None = field(
        default=None, metadata=_help("Hub configuration of the seed set; {lang} stands for the language.")
    )
    seed_split: str = field(
        default="train", metadata=_help("Hub split of the seed set; {lang} stands for the language.")
    )
    seed_revision: str | None = field(default=None, metadata=_help("Hub commit or tag of the seed set."))
    seed_fields: list[str] = field(
        default_factory=list,
        metadata=_help("Field mapping with {lang}, e.g. output=output_{lang}. Default: {lang}.output."),
    )
    seed_licence: str | None = field(
        default=None, metadata=_help("Licence of the seed set, for the card, where the table does not know it.")
    )
    bad_rows: Literal["error", "drop"] = field(
        default="error",
        metadata=_help(
            "A row with a missing field or empty output: stop with a message, or drop it in all languages and count it."
        ),
    )
    tokenizer: str | None = field(
        default=None, metadata=_help("Tokenizer folder or hub id, to give lengths in tokens on the card.")
    )

    def __post_init__(self) -> None:
        check_types(self)
        self.languages = [language_code(name) for name in self.languages]
        if len(set(self.languages)) < len(self.languages):
            raise CrossinError(f"languages: {' '.join(self.languages)} names one language twice")
        if not self.languages:
            raise CrossinError("languages: name at least one")
        self._check_weights()
        self._check_numbers()
        for pair in self.held_out_pairs:
            split_pair(pair)
        self._check_parts()

    def _check_weights(self) -> None:
        weights = self.language_weights
        if weights is None:
            return
        if len(weights) != len(self.languages):
            raise CrossinError(f"language_weights: {len(weights)} weights for {len(self.languages)} languages")
        if not all(0 <= weight < float("inf") for weight in weights) or sum(weights) <= 0:
            raise CrossinError(f"language_weights: {weights} must be finite, not negative, and not all 0")

    def _check_numbers(self) -> None:
        for name in ("n_samples", "n_trans", "n_base", "base_seed_ratio", "seed"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < 2**63:
                raise CrossinError(f"{name}: {value} must not be negative")
        for name in ("noise_rate", "noise_drop"):
            if not 0 <= getattr(self, name) <= 1:
                raise CrossinError(f"{name}: {getattr(self, name)} is not a share between 0 and 1")
        if self.num_workers < 1:
            raise CrossinError(f"num_workers: {self.num_workers} must be at least 1")

    def _check_parts(self) -> None:
        if self.variant == "base_only" and self.n_samples:
            raise CrossinError("variant base_only takes no samples: leave n_samples out, or choose another variant")
        if self.variant == "seed_only" and (self.n_base or self.base_seed_ratio):
            raise CrossinError("variant seed_only takes no base rows: leave n_base and base_seed_ratio out")
        if self.n_base is not None and self.base_seed_ratio is not None:
            raise CrossinError("n_base and base_seed_ratio both set the number of base rows: give one of them")
        if self.base_seed_ratio is not None and self.n_samples in (None, 0) and self.variant == "base_only":
            raise CrossinError("base_seed_ratio needs samples to be a ratio to; variant base_only has none")
        if self.n_trans is not None and not self.trans:
            raise CrossinError("n_trans is given but trans is false: add trans: true")
        if self.noise == "none" and self.noise_rate > 0:
            raise CrossinError("noise_rate is given but noise is none: choose noise: swap or noise: drop")

    @property
    def samples(self) -> int | None:
        """Number of samples from the seed; None: every seed row (seed_only)."""
        if self.n_samples is not None or self.variant == "seed_only":
            return self.n_samples
        return 0 if self.variant == "base_only" else DEFAULT_SAMPLES

    @property
    def allow_same_language(self) -> bool:
        """Whether a pair may have one language on both sides."""
        if self.same_language_pairs is not None:
            return self.same_language_pairs
        return self.variant not in ("en2x", "x2en")

    @property
    def seed_languages(self) -> list[str]:
        """Languages that the seed set has to have: those drawn from, and English where it is a fixed side."""
        fixed = self.variant in ("en2x", "x2en", "more_english") or self.answer_style == "pivot"
        fixed = fixed or self.trans
        drawn = [] if self.variant == "more_english" and not self.trans else self.languages
        return [*([PIVOT] if fixed and PIVOT not in drawn else []), *drawn]

    def portable(self) -> dict[str, Any]:
        """The options that decide the mix's content, without those of the machine that builds it."""
        return {k: v for k, v in dataclasses.asdict(self).items() if k not in MACHINE_FIELDS}


def split_pair(pair: str) -> tuple[str, str]:
    """`zh-vi` -> `("zh", "vi")`: instruction language, answer language.

    Raises:
        CrossinError: not two known languages joined by a hyphen.
    """
    sides = pair.split("-")
    if len(sides) != 2:
        raise CrossinError(f"held_out_pairs: {pair!r} is not <instruction>-<answer>, for instance zh-vi")
    return language_code(sides[0]), language_code(sides[1])
