"""The options of one instruction mix. Every YAML file in `recipes/configs/mix/` holds these and nothing else."""

# ruff: noqa: RUF009 - option returns a dataclass field

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from crossin_metrics.errors import CrossinError
from crossin_metrics.languages import language_code
from recipes.common.options import check_minimum, check_types, language_codes, option
from recipes.mixes.methods import METHODS, PIVOT, describe_methods

DEFAULT_SAMPLES = 5000
"""CrossIn samples when `n_samples` is not set: arXiv 2404.11932 finds that about 5,000 suffice."""

MACHINE_FIELDS = ("output_dir", "overwrite", "num_workers")
"""Options that say where and how to build, not what: two mixes that differ only in these are the same mix."""


@dataclass
class MixConfig:
    """What goes into a mix. See the help text of each field; `__post_init__` checks all of them together.

    Raises:
        CrossinError: an option has the wrong type, is out of its range, or contradicts another.
    """

    output_dir: str = option("Folder to write: train.parquet, README.md (dataset card), config.yaml, manifest.json.")
    overwrite: bool = option("Replace an existing mix made from another configuration.", False)
    num_workers: int = option("Processes that render rows; the bytes written do not depend on it.", 1)

    variant: str = option(describe_methods(), "x2x")
    n_samples: int | None = option(
        "Samples drawn from the seed set. Default: 5000 (the paper's); for seed_only every row, for base_only 0.", None
    )
    languages: list[str] = option("Languages to draw from, the paper's four by default.", ["en", "zh", "vi", "es"])
    language_weights: list[float] | None = option(
        "One weight per language, in the same order; a pair weighs the product over its drawn sides. Default: equal.",
        None,
    )
    same_language_pairs: bool | None = option(
        "Whether both sides may be in one language. Default: yes for x2x (two independent draws), no for en2x and x2en "
        "(as in the released code).",
        None,
    )
    held_out_pairs: list[str] = option(
        "Directed pairs like zh-vi (instruction-answer) that no sample and no translation may have.", []
    )
    tag: Literal["bracket", "none", "natural"] = option(
        "How the prompt names the wanted language: [zh] (released code), not at all (paper's table), or a sentence.",
        "bracket",
    )
    tag_same_language: bool = option("Also tag samples whose answer is in the instruction's language.", True)
    tag_position: Literal["end", "start"] = option("Place of the tag in the prompt; the released code: end.", "end")
    answer_style: Literal["direct", "pivot"] = option(
        "pivot: the completion states instruction and answer in English before the answer (PLUG, arXiv 2311.08711).",
        "direct",
    )

    trans: bool = option("Add instruction translation pairs, by default one for each sample.", False)
    n_trans: int | None = option("Number of translation pairs. Default: n_samples (5000 for base_only).", None)
    trans_direction: Literal["en2x", "x2en", "both", "pair"] = option(
        "en2x: from English (paper's text); x2en: to English (paper's table); both: either at random; pair: between "
        "the sample's own two languages.",
        "en2x",
    )

    n_base: int | None = option("Base rows, without replacement until used up. Default: the whole base set.", None)
    base_seed_ratio: float | None = option("Base rows per sample, instead of n_base; 3.0 is 75% base.", None)

    noise: Literal["none", "swap", "drop"] = option(
        "Damage the translated side of samples and translation pairs (the answer; the instruction where the answer is "
        "English): swap it with another item's, fluent but wrong; or drop a share of its words.",
        "none",
    )
    noise_rate: float = option("Exact share (0-1) of the rows with a translated side that are damaged.", 0.0)
    noise_drop: float = option("For noise=drop: probability (0-1) that a word, or a Han or Thai character, goes.", 0.3)

    seed: int = option("Seed of all random draws.", 0)
    shuffle: bool = option("Shuffle rows over all parts; otherwise base, crossin, trans in this order.", True)

    base_set: str = option(
        "English complex-task set: packaged:base_mini, a hub id, or a .json, .jsonl(.gz) or .parquet file.",
        "packaged:base_mini",
    )
    base_config: str | None = option("Hub configuration of the base set.", None)
    base_split: str = option("Hub split of the base set.", "train")
    base_revision: str | None = option("Hub commit or tag of the base set; pin it for a mix that can be rebuilt.", None)
    base_fields: list[str] = option("Field mapping, e.g. instruction=question output=answer.text; input= for none.", [])
    base_licence: str | None = option("Licence of the base set, for the card, where it is not known.", None)

    seed_set: str = option(
        "Parallel easy-task set: packaged:seed_mini, a hub id, a file, a folder with one <lang>.json per language in "
        "the same order, or a path or hub id with {lang} in it.",
        "packaged:seed_mini",
    )
    seed_config: str | None = option("Hub configuration of the seed set; {lang} is replaced by the language.", None)
    seed_split: str = option("Hub split of the seed set; {lang} is replaced by the language.", "train")
    seed_revision: str | None = option("Hub commit or tag of the seed set.", None)
    seed_fields: list[str] = option("Field mapping with {lang}, e.g. output=output_{lang}. Default: {lang}.output.", [])
    seed_licence: str | None = option("Licence of the seed set, for the card, where it is not known.", None)
    bad_rows: Literal["error", "drop"] = option(
        "A row with a missing field or empty output: stop with a message, or drop it in all languages and count it.",
        "error",
    )
    tokenizer: str | None = option("Tokenizer folder or hub id, to give lengths in tokens on the card.", None)

    def __post_init__(self) -> None:
        check_types(self)
        if self.variant not in METHODS:
            raise CrossinError(f"variant: unknown {self.variant!r}; known: {', '.join(METHODS)}")
        self.languages = language_codes(self.languages)
        weights = self.language_weights
        if weights is not None and len(weights) != len(self.languages):
            raise CrossinError(f"language_weights: {len(weights)} weights for {len(self.languages)} languages")
        if weights is not None and not (all(0 <= w < float("inf") for w in weights) and sum(weights) > 0):
            raise CrossinError(f"language_weights: {weights} must be finite, not negative, and not all 0")
        check_minimum(self, 0, "n_samples", "n_trans", "n_base", "base_seed_ratio", "seed")
        check_minimum(self, 1, "num_workers")
        for name in ("noise_rate", "noise_drop"):
            if not 0 <= getattr(self, name) <= 1:
                raise CrossinError(f"{name}: {getattr(self, name)} must be between 0 and 1")
        self.held_out = {split_pair(pair) for pair in self.held_out_pairs}
        for wrong, message in (
            (self.variant == "base_only" and self.n_samples, "variant base_only takes no samples: remove n_samples"),
            (
                self.variant == "seed_only" and (self.n_base or self.base_seed_ratio),
                "variant seed_only takes no base rows: remove n_base and base_seed_ratio",
            ),
            (
                self.n_base is not None and self.base_seed_ratio is not None,
                "n_base and base_seed_ratio both set the number of base rows: give one of them",
            ),
            (
                self.variant == "base_only" and self.base_seed_ratio is not None,
                "base_seed_ratio needs samples; variant base_only has none",
            ),
            (self.n_trans is not None and not self.trans, "n_trans is set but trans is false: add trans: true"),
            (
                self.noise == "none" and self.noise_rate > 0,
                "noise_rate is set but noise is none: choose noise: swap or noise: drop",
            ),
        ):
            if wrong:
                raise CrossinError(message)

    @property
    def samples(self) -> int | None:
        """Number of samples from the seed; None: every seed row (seed_only)."""
        if self.n_samples is not None or self.variant == "seed_only":
            return self.n_samples
        return 0 if self.variant == "base_only" else DEFAULT_SAMPLES

    @property
    def weights(self) -> dict[str, float]:
        """Language -> weight."""
        return dict(zip(self.languages, self.language_weights or [1.0] * len(self.languages), strict=True))

    @property
    def seed_languages(self) -> list[str]:
        """Languages that the seed set must have: those of its pairs, and English for pivots and translations."""
        used = {code for pair in METHODS[self.variant].pairs(self.weights) for code in pair}
        if self.trans:
            used |= {PIVOT, *self.languages}
        if self.answer_style == "pivot":
            used.add(PIVOT)
        first = [] if PIVOT in self.languages else [PIVOT]
        return [code for code in [*first, *self.languages] if code in used]

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
        raise CrossinError(f"held_out_pairs: {pair!r} must be <instruction>-<answer>, for instance zh-vi")
    return language_code(sides[0]), language_code(sides[1])
