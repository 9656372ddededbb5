"""The plan of an instruction mix: which items, in which languages, in which order. Pure functions of numbers.

Definitions (Lin et al., "CrossIn", arXiv 2404.11932, section 3.2): *base* rows come from an English complex-task set; a
*CrossIn* sample takes its instruction in one language and its answer in another from a parallel seed set; a *Trans* row
is an instruction to translate and its translation. A plan holds a few bytes a row; texts are fetched when rows are
rendered (`recipes.mixes.rows`), so a million rows need no memory to speak of.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossin_metrics.errors import CrossinError
from recipes.mixes.config import DEFAULT_SAMPLES, MixConfig
from recipes.mixes.draws import passes, permutation, raw, uniform, weighted
from recipes.mixes.methods import METHODS, PIVOT

PARTS = ("base", "crossin", "trans", "pretrain")
BASE, CROSSIN, TRANS, PRETRAIN = range(4)


@dataclass(frozen=True)
class Plan:
    """One entry a row, in the order they are written; all arrays have shape [n_rows].

    Attributes:
        languages: codes that `in_lang` and `out_lang` index.
        part: uint8, index into `PARTS`.
        item: int64, row of the base store (part base) or of the seed store.
        in_lang, out_lang: int16, indices into `languages`.
        partner: int64, the item whose text replaces the translated side (noise "swap"); -1: none.
        drop: bool, words of the translated side are dropped (noise "drop").
        key: int64, the row's number before shuffling; random draws made while rendering hang on it.
    """

    languages: tuple[str, ...]
    part: np.ndarray
    item: np.ndarray
    in_lang: np.ndarray
    out_lang: np.ndarray
    partner: np.ndarray
    drop: np.ndarray
    key: np.ndarray

    def __len__(self) -> int:
        return len(self.part)

    def take(self, rows: np.ndarray | slice) -> Plan:
        """These rows, in this order, as a plan."""
        arrays = (self.part, self.item, self.in_lang, self.out_lang, self.partner, self.drop, self.key)
        return Plan(self.languages, *(array[rows] for array in arrays))


def pair_weights(config: MixConfig) -> dict[tuple[str, str], float]:
    """The probability of each (instruction language, answer language) pair of a sample; sums to 1.

    The weights are the mix method's (`recipes.mixes.methods`). Pairs that are held out, or in one language where that
    is not allowed, have weight 0 and the others share.

    Raises:
        CrossinError: nothing is left to draw.
    """
    method = METHODS[config.variant]
    keep_same = method.same_language is None or (
        method.same_language if config.same_language_pairs is None else config.same_language_pairs
    )
    kept = {
        pair: weight
        for pair, weight in method.pairs(config.weights).items()
        if weight > 0 and pair not in config.held_out and (keep_same or pair[0] != pair[1])
    }
    total = sum(kept.values())
    if not total:
        raise CrossinError(
            f"variant {config.variant}: no language pair left among {', '.join(config.languages)} "
            "after held_out_pairs, language_weights and same_language_pairs"
        )
    return {pair: weight / total for pair, weight in kept.items()}


def make_plan(config: MixConfig, n_base_items: int, n_seed_items: int) -> Plan:
    """Decide every row of the mix.

    Args:
        config: the mix's options.
        n_base_items: rows of the base store (0 if the mix needs none).
        n_seed_items: items of the seed store (0 if the mix needs none).

    Returns:
        The plan. Item and pair of sample k depend on the seed and k alone: a larger mix with the same seed contains
        the smaller one, and en2x, x2en and x2x are cut from the same items.

    Raises:
        CrossinError: the mix would be empty, or a part has nothing to draw from.
    """
    codes = tuple(dict.fromkeys([PIVOT, *config.languages]))
    index = {code: k for k, code in enumerate(codes)}
    n_samples, n_trans, n_base = part_sizes(config, n_base_items, n_seed_items)
    n_drawn = max(n_samples, n_trans)
    if n_drawn and not n_seed_items:
        raise CrossinError("the mix draws from the seed set, but the seed set is empty")
    if n_samples + n_trans + n_base == 0:
        raise CrossinError("the mix has no rows: raise n_samples or n_base")
    base = passes(config.seed, "base", n_base_items, n_base)
    items, in_lang, out_lang = _draw_samples(config, index, n_seed_items, n_drawn)
    source, target = _translation_languages(config, index, in_lang[:n_trans], out_lang[:n_trans])
    english = np.full(n_base, index[PIVOT], dtype=np.int16)
    samples = CROSSIN if METHODS[config.variant].alternate is None else PRETRAIN
    plan = Plan(
        codes,
        part=np.repeat(np.array([BASE, samples, TRANS], dtype=np.uint8), [n_base, n_samples, n_trans]),
        item=np.concatenate([base, items[:n_samples], items[:n_trans]]),
        in_lang=np.concatenate([english, in_lang[:n_samples], source]).astype(np.int16),
        out_lang=np.concatenate([english, out_lang[:n_samples], target]).astype(np.int16),
        partner=np.full(n_base + n_samples + n_trans, -1, dtype=np.int64),
        drop=np.zeros(n_base + n_samples + n_trans, dtype=bool),
        key=np.arange(n_base + n_samples + n_trans, dtype=np.int64),
    )
    _add_noise(plan, config, n_seed_items)
    return plan.take(permutation(config.seed, "order", len(plan))) if config.shuffle else plan


def part_sizes(config: MixConfig, n_base_items: int, n_seed_items: int) -> tuple[int, int, int]:
    """Exact row counts (samples, translation pairs, base rows) of the mix."""
    n_samples = config.samples
    if n_samples is None:  # seed_only: every item in every language
        n_samples = n_seed_items * len(pair_weights(config))
    n_trans = 0
    if config.trans:
        n_trans = DEFAULT_SAMPLES if config.variant == "base_only" else n_samples
        n_trans = n_trans if config.n_trans is None else config.n_trans
    if config.variant == "seed_only":
        n_base = 0
    elif config.base_seed_ratio is not None:
        n_base = round(config.base_seed_ratio * n_samples)
    else:
        n_base = n_base_items if config.n_base is None else config.n_base
    return n_samples, n_trans, n_base


def _draw_samples(
    config: MixConfig, index: dict[str, int], n_items: int, n: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Items and language pairs of n samples: three arrays of shape [n]."""
    if n == 0:
        return (np.zeros(0, dtype=np.int64),) * 3
    probabilities = pair_weights(config)
    pairs = np.array([(index[a], index[b]) for a, b in probabilities])
    if config.variant == "seed_only":  # rows are item x language, each once a pass
        drawn = passes(config.seed, "items", n_items * len(pairs), n)
        items, which = drawn // len(pairs), drawn % len(pairs)
    else:
        items = passes(config.seed, "items", n_items, n)
        which = weighted(config.seed, "pairs", np.array(list(probabilities.values())), n)
    return items, pairs[which, 0], pairs[which, 1]


def _translation_languages(
    config: MixConfig, index: dict[str, int], in_lang: np.ndarray, out_lang: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Source and target language of the translation pair beside each sample: two arrays of shape [n_trans].

    The foreign language is the sample's own (its answer's, else its instruction's); where the sample is English on both
    sides, or that direction is held out, it is drawn by the languages' weights from those allowed.
    """
    n = len(in_lang)
    if n == 0:
        return in_lang, out_lang
    english = index[PIVOT]
    into = np.full(n, config.trans_direction != "x2en")
    if config.trans_direction == "both":
        into = uniform(config.seed, "trans/direction", n) < 0.5
    source, target = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)
    own = np.where(out_lang != english, out_lang, in_lang)
    for from_english in (True, False):
        here = into == from_english
        allowed = {
            index[code]: weight
            for code, weight in config.weights.items()
            if code != PIVOT
            and weight > 0
            and ((PIVOT, code) if from_english else (code, PIVOT)) not in config.held_out
        }
        if not here.any():
            continue
        if not allowed:
            raise CrossinError(f"trans_direction {config.trans_direction}: no language left after held_out_pairs")
        drawn = np.array(list(allowed))[weighted(config.seed, "trans/language", np.array(list(allowed.values())), n)]
        foreign = np.where(np.isin(own, list(allowed)), own, drawn)
        source[here] = english if from_english else foreign[here]
        target[here] = foreign[here] if from_english else english
    if config.trans_direction == "pair":
        different = in_lang != out_lang
        source, target = np.where(different, in_lang, source), np.where(different, out_lang, target)
    return source, target


def _add_noise(plan: Plan, config: MixConfig, n_items: int) -> None:
    """Choose exactly round(rate x eligible) rows; eligible: seed rows with a side that is not English."""
    if config.noise == "none" or config.noise_rate == 0:
        return
    english = plan.languages.index(PIVOT)
    eligible = np.flatnonzero((plan.part != BASE) & ((plan.in_lang != english) | (plan.out_lang != english)))
    order = permutation(config.seed, "noise/rows", len(eligible))
    chosen = eligible[order[: round(config.noise_rate * len(eligible))]]
    if config.noise == "drop":
        plan.drop[chosen] = True
        return
    if n_items < 2:
        raise CrossinError("noise swap needs at least two seed items")
    step = 1 + (raw(config.seed, "noise/partner", len(plan))[chosen] % np.uint64(n_items - 1)).astype(np.int64)
    plan.partner[chosen] = (plan.item[chosen] + step) % n_items  # never the item itself
