"""Which items and languages a mix draws: counts, distributions, replacement, nesting. (Any mix: test_properties.py.)"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from scipy import stats

from crossin_metrics.errors import CrossinError
from recipes.mixes.config import MixConfig
from recipes.mixes.draws import passes, permutation, raw, uniform, weighted
from recipes.mixes.plan import BASE, CROSSIN, TRANS, Plan, make_plan, pair_weights

LANGUAGES = ["en", "zh", "vi", "es"]
GOLDEN_RAW = [14710939359384729988, 10256778388903317888, 16962629972095286457]
GOLDEN_ORDER = [6, 0, 3, 4, 1, 2, 5, 7]


def config(**options: Any) -> MixConfig:
    return MixConfig(output_dir="unused", **options)


def plan(n_base_items: int = 0, n_seed_items: int = 500, **options: Any) -> Plan:
    return make_plan(config(**options), n_base_items, n_seed_items)


def sizes(made: Plan) -> list[int]:
    return [int((made.part == part).sum()) for part in (BASE, CROSSIN, TRANS)]


def pairs(made: Plan, part: int = CROSSIN) -> Counter[tuple[str, str]]:
    here = made.part == part
    codes = made.languages
    return Counter((codes[a], codes[b]) for a, b in zip(made.in_lang[here], made.out_lang[here], strict=True))


def samples(made: Plan) -> list[tuple[int, int, int]]:
    return list(zip(made.item.tolist(), made.in_lang.tolist(), made.out_lang.tolist(), strict=True))


def assert_drawn(counts: Mapping[Any, int], weights: Mapping[Any, float]) -> None:
    """A chi-square test at 0.1%. Seeds are fixed, so a test passes always or never."""
    assert set(counts) <= set(weights)
    total = sum(counts.values())
    observed, expected = [counts[key] for key in weights], [total * weight for weight in weights.values()]
    assert not stats.chisquare(observed, expected).pvalue <= 0.001  # NaN for a single pair


@pytest.mark.parametrize(
    ("options", "n_pairs"),
    [
        ({"variant": "x2x"}, 16),
        ({"variant": "x2x", "same_language_pairs": False}, 12),
        ({"variant": "x2x", "held_out_pairs": ["zh-vi", "vi-zh", "en-en", "es-es"]}, 12),
        ({"variant": "en2x"}, 3),
        ({"variant": "en2x", "same_language_pairs": True}, 4),
        ({"variant": "x2en"}, 3),
        ({"variant": "same_language"}, 4),
        ({"variant": "more_english"}, 1),
    ],
)
@pytest.mark.parametrize("seed", [0, 1])
def test_pairs_are_uniform_over_those_allowed(options: dict[str, Any], n_pairs: int, seed: int) -> None:
    counts = pairs(plan(10, 3000, n_samples=20_000, seed=seed, **options))
    assert len(counts) == n_pairs
    assert_drawn(counts, dict.fromkeys(pair_weights(config(**options)), 1 / n_pairs))
    fixed = {"en2x": 0, "x2en": 1}.get(options["variant"])
    assert fixed is None or {pair[fixed] for pair in counts} == {"en"}
    assert options["variant"] not in ("same_language", "more_english") or all(a == b for a, b in counts)


def test_weights_multiply_over_both_sides() -> None:
    options: dict[str, Any] = {"variant": "x2x", "languages": ["en", "zh", "vi"], "language_weights": [2.0, 1.0, 1.0]}
    weights = pair_weights(config(**options))
    assert weights["en", "en"] == pytest.approx(4 / 16)
    assert weights["en", "zh"] == pytest.approx(2 / 16)
    assert weights["zh", "vi"] == pytest.approx(1 / 16)
    assert_drawn(pairs(plan(1, n_samples=20_000, **options)), weights)
    without = pairs(plan(n_base=0, n_samples=3000, language_weights=[1.0, 1.0, 1.0, 0.0]))
    assert not any("es" in pair for pair in without)


def test_x2x_sides_are_independent() -> None:
    counts = pairs(plan(1, 999, variant="x2x", n_samples=40_000, seed=3))
    assert stats.chi2_contingency([[counts[a, b] for b in LANGUAGES] for a in LANGUAGES]).pvalue > 0.001


@pytest.mark.parametrize(
    ("options", "items", "wanted"),
    [
        ({"n_samples": 1000, "base_seed_ratio": 2.5}, (400, 90), [2500, 1000, 0]),
        ({"variant": "base_only"}, (55, 0), [55, 0, 0]),
        ({}, (55, 999), [55, 5000, 0]),  # the paper's 5,000
        ({"variant": "base_only", "trans": True, "n_trans": 40}, (55, 999), [55, 0, 40]),
        ({"variant": "more_english", "n_samples": 1, "n_base": 0, "trans": True}, (321, 700), [0, 1, 1]),
        ({"variant": "en2x", "n_samples": 1234, "n_base": 100, "trans": True}, (321, 700), [100, 1234, 1234]),
        ({"variant": "seed_only"}, (0, 123), [0, 4 * 123, 0]),
    ],
)
def test_sizes(options: dict[str, Any], items: tuple[int, int], wanted: list[int]) -> None:
    assert sizes(plan(*items, **options)) == wanted


def test_seed_only_takes_every_item_in_every_language_once() -> None:
    rows = Counter(samples(plan(0, 123, variant="seed_only")))
    assert set(rows.values()) == {1}
    assert all(a == b for _, a, b in rows)


def test_no_item_twice_before_all_were_used() -> None:
    items = plan(0, 100, n_samples=250, n_base=0, shuffle=False).item.tolist()
    assert sorted(items[:100]) == sorted(items[100:200]) == list(range(100))
    assert len(set(items[200:])) == 50
    assert items[:100] != items[100:200]  # every pass has its own order


def test_a_larger_mix_contains_the_smaller_and_variants_share_items() -> None:
    def sample(n: int, variant: str = "x2x") -> list[tuple[int, int, int]]:
        return samples(plan(0, 300, variant=variant, n_samples=n, n_base=0, shuffle=False))

    assert sample(1000)[:400] == sample(400)
    assert [item for item, _, _ in sample(250, "en2x")] == [item for item, _, _ in sample(250, "x2x")]


def test_seeds_differ_and_shuffling_only_reorders() -> None:
    def rows(**options: Any) -> list[tuple[int, ...]]:
        made = plan(50, 300, n_samples=200, **options)
        columns = (made.part, made.item, made.in_lang, made.out_lang, made.key)
        return list(zip(*(column.tolist() for column in columns), strict=True))

    assert rows(seed=0) != rows(seed=1)
    assert rows(shuffle=True) != rows(shuffle=False)
    assert sorted(rows(shuffle=True)) == sorted(rows(shuffle=False))
    parts = [row[0] for row in rows(shuffle=False)]
    assert parts == sorted(parts)


@pytest.mark.parametrize(("direction", "english_side"), [("en2x", 0), ("x2en", 1)])
def test_translation_goes_the_way_of_the_option(direction: str, english_side: int) -> None:
    made = plan(n_samples=3000, n_base=0, trans=True, trans_direction=direction, shuffle=False)
    for pair in pairs(made, TRANS):
        assert pair[english_side] == "en"
        assert pair[1 - english_side] != "en"
    sample, trans = made.take(slice(0, 3000)), made.take(slice(3000, 6000))
    assert sample.item.tolist() == trans.item.tolist()  # one pair a sample, of the same item
    own = (sample.out_lang != 0) | (sample.in_lang != 0)
    foreign = np.where(sample.out_lang != 0, sample.out_lang, sample.in_lang)
    other = trans.out_lang if english_side == 0 else trans.in_lang
    assert (other[own] == foreign[own]).all()  # in the sample's own language
    assert_drawn(Counter(other[~own].tolist()), dict.fromkeys((1, 2, 3), 1 / 3))


def test_translation_both_ways_and_between_the_sample_s_languages() -> None:
    both = pairs(plan(n_samples=4000, n_base=0, trans=True, trans_direction="both"), TRANS)
    assert_drawn(Counter(a == "en" for (a, _), n in both.items() for _ in range(n)), {True: 0.5, False: 0.5})
    made = plan(n_samples=2000, n_base=0, trans=True, trans_direction="pair", shuffle=False)
    sample, trans = made.take(slice(0, 2000)), made.take(slice(2000, 4000))
    different = sample.in_lang != sample.out_lang
    assert (trans.in_lang[different] == sample.in_lang[different]).all()
    assert (trans.out_lang[different] == sample.out_lang[different]).all()
    assert (trans.in_lang != trans.out_lang).all()


@pytest.mark.parametrize("rate", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("noise", ["swap", "drop"])
def test_noise_hits_exactly_its_share_of_translated_rows(noise: str, rate: float) -> None:
    made = plan(100, 300, n_samples=2000, trans=True, noise=noise, noise_rate=rate)
    eligible = (made.part != BASE) & ((made.in_lang != 0) | (made.out_lang != 0))
    noisy = made.drop if noise == "drop" else made.partner >= 0
    assert int(noisy.sum()) == round(rate * int(eligible.sum()))
    assert not noisy[~eligible].any()
    assert (made.partner != made.item).all()
    assert made.partner.max() < 300
    assert samples(made) == samples(plan(100, 300, n_samples=2000, trans=True))  # noise keeps the samples


@pytest.mark.parametrize(
    ("options", "items", "message"),
    [
        ({"variant": "en2x", "languages": ["en"]}, (5, 5), "no language pair left"),
        (
            {"languages": ["en", "zh"], "held_out_pairs": ["en-zh", "zh-en"], "same_language_pairs": False},
            (5, 5),
            "pair",
        ),
        ({"variant": "x2x", "n_samples": 0, "n_base": 0}, (5, 5), "no rows"),
        ({"trans": True, "held_out_pairs": ["en-zh"], "languages": ["en", "zh"]}, (5, 5), "no language left"),
        ({"noise": "swap", "noise_rate": 0.5}, (5, 1), "two seed items"),
        ({}, (5, 0), "seed set is empty"),
    ],
)
def test_nothing_to_draw_is_an_error(options: dict[str, Any], items: tuple[int, int], message: str) -> None:
    with pytest.raises(CrossinError, match=message):
        plan(*items, **options)


def test_raw_numbers_are_pinned() -> None:
    """Philox-4x64 raw output, recorded once: a change of numpy or platform that moved a draw would show here."""
    assert raw(0, "items/0", 3).tolist() == GOLDEN_RAW
    assert permutation(7, "order", 8).tolist() == GOLDEN_ORDER
    assert raw(0, "items/0", 2).tolist() == GOLDEN_RAW[:2]
    assert raw(0, "items/1", 2).tolist() != GOLDEN_RAW[:2]
    draws = uniform(1, "x", 5000)
    assert (draws.min(), draws.max()) >= (0, 0)
    assert draws.max() < 1


def test_draw_helpers_at_their_edges() -> None:
    assert passes(0, "x", 5, 0).tolist() == []
    with pytest.raises(ValueError, match="nothing"):
        passes(0, "x", 0, 3)
    assert set(weighted(0, "x", np.array([0.0, 1.0, 0.0]), 100).tolist()) == {1}
    assert set(weighted(0, "x", np.array([1e-300, 1.0]), 100).tolist()) == {1}
