"""Which items and languages a mix draws: exact counts, distributions, held-out pairs, replacement, nesting."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from crossin_metrics.errors import CrossinError
from recipes.mixes.config import MixConfig
from recipes.mixes.draws import passes, permutation, raw, uniform, weighted
from recipes.mixes.plan import BASE, CROSSIN, TRANS, Plan, make_plan, pair_weights

LANGUAGES = ["en", "zh", "vi", "es"]
# 99.9% points of chi-square by degrees of freedom. Seeds are fixed, so a test passes always or never.
CHI2_999 = {2: 13.816, 3: 16.266, 8: 26.124, 11: 31.264, 15: 37.697}

GOLDEN_RAW = [14710939359384729988, 10256778388903317888, 16962629972095286457]
GOLDEN_ORDER = [6, 0, 3, 4, 1, 2, 5, 7]


def config(**options: Any) -> MixConfig:
    return MixConfig(output_dir="unused", **options)


def pairs(plan: Plan, part: int = CROSSIN) -> Counter[tuple[str, str]]:
    here = plan.part == part
    codes = plan.languages
    return Counter((codes[a], codes[b]) for a, b in zip(plan.in_lang[here], plan.out_lang[here], strict=True))


def chi_square(counts: Counter[tuple[str, str]], expected: dict[tuple[str, str], float]) -> float:
    assert set(counts) <= set(expected)
    return sum((counts[pair] - n) ** 2 / n for pair, n in expected.items())


@pytest.mark.parametrize(
    ("options", "n_pairs"),
    [
        ({"variant": "x2x"}, 16),
        ({"variant": "x2x", "same_language_pairs": False}, 12),
        ({"variant": "en2x"}, 3),
        ({"variant": "en2x", "same_language_pairs": True}, 4),
        ({"variant": "x2en"}, 3),
        ({"variant": "same_language"}, 4),
    ],
)
@pytest.mark.parametrize("seed", [0, 1])
def test_pairs_are_uniform(options: dict[str, Any], n_pairs: int, seed: int) -> None:
    plan = make_plan(config(n_samples=20_000, seed=seed, **options), 10, 3000)
    counts = pairs(plan)
    assert len(counts) == n_pairs
    expected = dict.fromkeys(pair_weights(config(**options)), 20_000 / n_pairs)
    assert chi_square(counts, expected) < CHI2_999[n_pairs - 1]


def test_weights_multiply_over_both_sides() -> None:
    options = config(variant="x2x", languages=["en", "zh", "vi"], language_weights=[2.0, 1.0, 1.0], n_samples=20_000)
    weights = pair_weights(options)
    assert weights["en", "en"] == pytest.approx(4 / 16)
    assert weights["en", "zh"] == pytest.approx(2 / 16)
    assert weights["zh", "vi"] == pytest.approx(1 / 16)
    counts = pairs(make_plan(options, 1, 500))
    assert chi_square(counts, {pair: 20_000 * weight for pair, weight in weights.items()}) < CHI2_999[8]


def test_a_language_of_weight_zero_is_never_drawn() -> None:
    for weights in ([0.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 0.0]):
        counts = pairs(make_plan(config(variant="x2x", language_weights=weights, n_samples=3000), 1, 500))
        absent = LANGUAGES[weights.index(0.0)]
        assert not any(absent in pair for pair in counts)


def test_fixed_sides() -> None:
    assert {a for a, _ in pairs(make_plan(config(variant="en2x", n_samples=999), 1, 50))} == {"en"}
    assert "en" not in {b for _, b in pairs(make_plan(config(variant="en2x", n_samples=999), 1, 50))}
    assert {b for _, b in pairs(make_plan(config(variant="x2en", n_samples=999), 1, 50))} == {"en"}
    assert "en" not in {a for a, _ in pairs(make_plan(config(variant="x2en", n_samples=999), 1, 50))}
    assert set(pairs(make_plan(config(variant="more_english", n_samples=99), 1, 50))) == {("en", "en")}
    assert all(a == b for a, b in pairs(make_plan(config(variant="same_language", n_samples=999), 1, 50)))


def test_x2x_sides_are_independent() -> None:
    counts = pairs(make_plan(config(variant="x2x", n_samples=40_000, seed=3), 1, 999))
    table = np.array([[counts[a, b] for b in LANGUAGES] for a in LANGUAGES], dtype=float)
    expected = table.sum(1, keepdims=True) * table.sum(0, keepdims=True) / table.sum()
    assert ((table - expected) ** 2 / expected).sum() < 27.877  # 9 degrees of freedom, 99.9%


@pytest.mark.parametrize("variant", ["en2x", "x2en", "x2x", "same_language", "more_english"])
@pytest.mark.parametrize(("n_samples", "n_base"), [(0, 7), (1, 0), (1234, 100), (5000, None)])
def test_counts_are_exact(variant: str, n_samples: int, n_base: int | None) -> None:
    plan = make_plan(config(variant=variant, n_samples=n_samples, n_base=n_base, trans=True), 321, 700)
    base = 321 if n_base is None else n_base
    assert [int((plan.part == part).sum()) for part in (BASE, CROSSIN, TRANS)] == [base, n_samples, n_samples]


def test_base_seed_ratio_and_defaults() -> None:
    assert int((make_plan(config(n_samples=1000, base_seed_ratio=2.5), 400, 90).part == BASE).sum()) == 2500
    assert len(make_plan(config(variant="base_only"), 55, 0)) == 55
    assert len(make_plan(config(), 55, 999)) == 5055  # the paper's 5,000
    trans_only = make_plan(config(variant="base_only", trans=True, n_trans=40), 55, 999)
    assert [int((trans_only.part == part).sum()) for part in (BASE, CROSSIN, TRANS)] == [55, 0, 40]


def test_seed_only_takes_every_item_in_every_language_once() -> None:
    plan = make_plan(config(variant="seed_only"), 0, 123)
    rows = Counter(zip(plan.item.tolist(), plan.in_lang.tolist(), plan.out_lang.tolist(), strict=True))
    assert len(plan) == 123 * 4
    assert set(rows.values()) == {1}
    assert all(a == b for _, a, b in rows)


@pytest.mark.parametrize("variant", ["en2x", "x2en", "x2x", "same_language"])
def test_no_item_twice_before_all_were_used(variant: str) -> None:
    plan = make_plan(config(variant=variant, n_samples=250, n_base=0, shuffle=False), 0, 100)
    items = plan.item.tolist()
    assert sorted(items[:100]) == list(range(100))
    assert sorted(items[100:200]) == list(range(100))
    assert len(set(items[200:])) == 50
    assert items[:100] != items[100:200]  # every pass has its own order


def test_base_rows_are_drawn_without_replacement_too() -> None:
    plan = make_plan(config(n_samples=1, n_base=130, shuffle=False), 100, 5)
    items = plan.item[plan.part == BASE].tolist()
    assert sorted(items[:100]) == list(range(100))
    assert len(set(items[100:])) == 30


def test_a_larger_mix_contains_the_smaller_and_variants_share_items() -> None:
    def sample(n: int, variant: str = "x2x") -> list[tuple[int, int, int]]:
        plan = make_plan(config(variant=variant, n_samples=n, n_base=0, shuffle=False), 0, 300)
        return list(zip(plan.item.tolist(), plan.in_lang.tolist(), plan.out_lang.tolist(), strict=True))

    assert sample(1000)[:400] == sample(400)
    assert [item for item, _, _ in sample(250, "en2x")] == [item for item, _, _ in sample(250, "x2x")]


def test_seeds_differ_and_shuffling_only_reorders() -> None:
    def rows(**options: Any) -> list[tuple[int, ...]]:
        plan = make_plan(config(n_samples=200, **options), 50, 300)
        columns = (plan.part, plan.item, plan.in_lang, plan.out_lang, plan.key)
        return list(zip(*(column.tolist() for column in columns), strict=True))

    assert rows(seed=0) != rows(seed=1)
    assert rows(seed=0) == rows(seed=0)
    assert rows(shuffle=True) != rows(shuffle=False)
    assert sorted(rows(shuffle=True)) == sorted(rows(shuffle=False))
    parts = [row[0] for row in rows(shuffle=False)]
    assert parts == sorted(parts)


@pytest.mark.parametrize("direction", ["en2x", "x2en", "both", "pair"])
@pytest.mark.parametrize("variant", ["en2x", "x2en", "x2x", "same_language"])
def test_held_out_pairs_are_in_no_sample_and_no_translation(variant: str, direction: str) -> None:
    held_out = ["zh-vi", "vi-zh", "en-es", "es-en"]
    plan = make_plan(
        config(variant=variant, n_samples=4000, trans=True, trans_direction=direction, held_out_pairs=held_out), 1, 500
    )
    seen = set(pairs(plan)) | set(pairs(plan, TRANS))
    assert seen.isdisjoint({("zh", "vi"), ("vi", "zh"), ("en", "es"), ("es", "en")})
    assert int((plan.part == CROSSIN).sum()) == 4000


def test_what_held_out_leaves_is_uniform() -> None:
    options = config(variant="x2x", n_samples=13_000, held_out_pairs=["zh-vi", "vi-zh", "en-en", "es-es"])
    counts = pairs(make_plan(options, 1, 500))
    assert chi_square(counts, dict.fromkeys(pair_weights(options), 13_000 / 12)) < CHI2_999[11]


@pytest.mark.parametrize(("direction", "english_side"), [("en2x", 0), ("x2en", 1)])
def test_translation_goes_the_way_asked_for(direction: str, english_side: int) -> None:
    plan = make_plan(config(n_samples=3000, n_base=0, trans=True, trans_direction=direction, shuffle=False), 0, 400)
    for pair in pairs(plan, TRANS):
        assert pair[english_side] == "en"
        assert pair[1 - english_side] != "en"
    sample, trans = plan.take(slice(0, 3000)), plan.take(slice(3000, 6000))
    assert sample.item.tolist() == trans.item.tolist()  # one pair a sample, of the same item
    own = (sample.out_lang != 0) | (sample.in_lang != 0)
    foreign = np.where(sample.out_lang != 0, sample.out_lang, sample.in_lang)
    other = trans.out_lang if english_side == 0 else trans.in_lang
    assert (other[own] == foreign[own]).all()  # in the sample's own language
    drawn = Counter(other[~own].tolist())
    assert len(drawn) == 3
    assert (sum((n - sum(drawn.values()) / 3) ** 2 for n in drawn.values()) * 3 / sum(drawn.values())) < CHI2_999[2]


def test_translation_both_ways_and_between_the_sample_s_languages() -> None:
    both = pairs(make_plan(config(n_samples=4000, trans=True, trans_direction="both"), 1, 400), TRANS)
    into = sum(n for (a, _), n in both.items() if a == "en")
    assert abs(into - 2000) < 110  # 3.5 standard deviations
    plan = make_plan(config(n_samples=2000, n_base=0, trans=True, trans_direction="pair", shuffle=False), 0, 400)
    sample, trans = plan.take(slice(0, 2000)), plan.take(slice(2000, 4000))
    different = sample.in_lang != sample.out_lang
    assert (trans.in_lang[different] == sample.in_lang[different]).all()
    assert (trans.out_lang[different] == sample.out_lang[different]).all()
    assert (trans.in_lang != trans.out_lang).all()


@pytest.mark.parametrize("rate", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("noise", ["swap", "drop"])
def test_noise_hits_exactly_its_share_of_translated_rows(noise: str, rate: float) -> None:
    plan = make_plan(config(n_samples=2000, trans=True, noise=noise, noise_rate=rate), 100, 300)
    eligible = (plan.part != BASE) & ((plan.in_lang != 0) | (plan.out_lang != 0))
    noisy = plan.drop if noise == "drop" else plan.partner >= 0
    assert int(noisy.sum()) == round(rate * int(eligible.sum()))
    assert not noisy[~eligible].any()
    assert (plan.partner != plan.item).all()
    assert plan.partner.max() < 300


def test_more_noise_keeps_the_samples() -> None:
    clean, noisy = (make_plan(config(n_samples=500, noise="swap", noise_rate=rate), 10, 90) for rate in (0.0, 0.5))
    for name in ("part", "item", "in_lang", "out_lang"):
        assert getattr(clean, name).tolist() == getattr(noisy, name).tolist()


@pytest.mark.parametrize(
    ("options", "sizes", "message"),
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
def test_nothing_to_draw_is_said(options: dict[str, Any], sizes: tuple[int, int], message: str) -> None:
    with pytest.raises(CrossinError, match=message):
        make_plan(config(**options), *sizes)


def test_raw_numbers_are_pinned() -> None:
    """Philox-4x64 raw output, recorded once: a change of numpy or platform that moved a draw would show here."""
    assert raw(0, "items/0", 3).tolist() == GOLDEN_RAW
    assert permutation(7, "order", 8).tolist() == GOLDEN_ORDER
    assert raw(0, "items/0", 2).tolist() == GOLDEN_RAW[:2]
    assert raw(0, "items/1", 2).tolist() != GOLDEN_RAW[:2]
    assert ((draws := uniform(1, "x", 5000)) < 1).all()
    assert (draws >= 0).all()


def test_draw_helpers_at_their_edges() -> None:
    assert passes(0, "x", 5, 0).tolist() == []
    with pytest.raises(ValueError, match="nothing"):
        passes(0, "x", 0, 3)
    assert set(weighted(0, "x", np.array([0.0, 1.0, 0.0]), 100).tolist()) == {1}
    assert set(weighted(0, "x", np.array([1e-300, 1.0]), 100).tolist()) == {1}
