"""What holds for every mix, whatever its options: exact counts, allowed pairs, fair use of items, same plan again."""

from __future__ import annotations

from collections import Counter

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from crossin_metrics.errors import CrossinError
from recipes.mixes.config import MixConfig, split_pair
from recipes.mixes.draws import passes
from recipes.mixes.plan import BASE, CROSSIN, TRANS, make_plan, pair_weights, part_sizes

CODES = ["en", "zh", "vi", "es", "id"]
VARIANTS = ["base_only", "seed_only", "en2x", "x2en", "x2x", "same_language", "more_english"]


@st.composite
def configs(draw: st.DrawFn) -> MixConfig:
    """Any valid configuration of at most a few hundred rows."""
    variant = draw(st.sampled_from(VARIANTS))
    languages = draw(st.lists(st.sampled_from(CODES), min_size=1, unique=True))
    weights = st.lists(st.floats(0, 10), min_size=len(languages), max_size=len(languages)).filter(any)
    trans = draw(st.booleans())
    held_out = st.lists(st.sampled_from([f"{a}-{b}" for a in CODES for b in CODES]), max_size=4, unique=True)
    noise = draw(st.sampled_from(["none", "swap", "drop"]))
    return MixConfig(
        output_dir="unused",
        variant=variant,
        n_samples=None if variant == "base_only" else draw(st.integers(0, 120)),
        languages=languages,
        language_weights=draw(st.none() | weights),
        same_language_pairs=draw(st.none() | st.booleans()),
        held_out_pairs=draw(held_out),
        trans=trans,
        n_trans=draw(st.integers(0, 150)) if trans else None,
        trans_direction=draw(st.sampled_from(["en2x", "x2en", "both", "pair"])),
        n_base=None if variant == "seed_only" else draw(st.none() | st.integers(0, 60)),
        noise=noise,
        noise_rate=0.0 if noise == "none" else draw(st.floats(0, 1)),
        seed=draw(st.integers(0, 2**62)),
        shuffle=draw(st.booleans()),
    )


@settings(max_examples=300, deadline=None)
@given(configs(), st.integers(1, 40), st.integers(2, 50))
def test_every_mix(config: MixConfig, n_base_items: int, n_seed_items: int) -> None:
    try:
        plan = make_plan(config, n_base_items, n_seed_items)
    except CrossinError:  # nothing left to draw; said in words elsewhere
        assume(False)
        raise
    sizes = part_sizes(config, n_base_items, n_seed_items)
    assert [int((plan.part == part).sum()) for part in (CROSSIN, TRANS, BASE)] == list(sizes)
    codes = plan.languages
    held_out = {split_pair(pair) for pair in config.held_out_pairs}
    for part in (CROSSIN, TRANS):
        here = plan.part == part
        seen = {(codes[a], codes[b]) for a, b in zip(plan.in_lang[here], plan.out_lang[here], strict=True)}
        assert not seen & held_out
        if part == CROSSIN and seen:
            assert seen <= set(pair_weights(config))
        if part == TRANS:
            assert all(a != b for a, b in seen)
    used = Counter(plan.item[plan.part == BASE].tolist())
    assert not used or max(used.values()) - min(used[k] for k in range(n_base_items)) <= 1
    again = make_plan(config, n_base_items, n_seed_items)
    assert all((getattr(plan, name) == getattr(again, name)).all() for name in ("part", "item", "key", "partner"))


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**62), st.integers(1, 60), st.integers(0, 300))
def test_passes_use_every_index_equally_often(seed: int, size: int, n: int) -> None:
    drawn = passes(seed, "any", size, n).tolist()
    assert len(drawn) == n
    counts = Counter(drawn)
    assert set(counts) <= set(range(size))
    assert sum(counts[k] == n // size + 1 for k in range(size)) == n % size
    for start in range(0, n - size + 1, size):
        assert sorted(drawn[start : start + size]) == list(range(size))
