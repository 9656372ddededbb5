"""Packs hold every prompt's tokens, each shared one once."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from crossin_metrics.backends.prefix import Pack, make_groups, pack_from, shared
from tests.helpers.prefix_tree import unique_tokens

tokens = st.integers(0, 2)  # three words, so that prefixes collide
requests = st.lists(
    st.tuples(st.none(), st.lists(tokens, min_size=1, max_size=9), st.lists(tokens, min_size=1, max_size=4)),
    min_size=1,
    max_size=25,
)


def plan(rows: list, budget: int, max_rows: int, min_shared: int) -> list[Pack]:
    groups = make_groups(rows, range(len(rows)), max_tokens=budget)
    made: list[Pack] = []
    done = 0
    while done < len(groups):
        made.append(pack_from(groups, done, budget, max_rows, made[-1] if made else None, min_shared))
        done += made[-1].groups
    return made


@given(requests, st.integers(1, 40), st.integers(1, 20), st.integers(1, 4))
@settings(max_examples=300, deadline=None)
def test_each_scored_token_sees_exactly_its_own_prompt(rows, budget, max_rows, min_shared):
    read: dict[int, list[tuple[int, int]]] = {}
    keys = np.zeros(0, dtype=int)  # token of each slot of the pack before
    for pack in plan(rows, budget, max_rows, min_shared):
        keys = np.concatenate([keys[pack.past], pack.tokens])
        assert pack.visible.shape == (len(pack.tokens), len(keys))
        for number, row, token in pack.targets:
            query = pack.rows[row]
            seen = np.flatnonzero(pack.visible[query])
            seen = seen[np.argsort(pack.slots[seen], kind="stable")]
            assert pack.slots[seen].tolist() == list(range(len(seen)))  # one token at each depth
            assert pack.positions[query] == len(seen) - 1
            read.setdefault(number, []).append((keys[seen].tolist(), token))
    for number, (_, context, option) in enumerate(rows):
        whole = context + option
        assert read[number] == [(whole[: len(context) + i], token) for i, token in enumerate(option)]


@given(requests)
@settings(max_examples=100, deadline=None)
def test_one_pack_holds_no_token_twice_within_contexts(rows):
    single = [(None, context, option[:1]) for _, context, option in rows]
    (pack,) = plan(single, 10_000, 10_000, 1)
    assert len(pack.tokens) == unique_tokens(single)


def test_what_two_packs_share_is_computed_once():
    passage = list(range(50))
    rows = [(None, [*passage, 60 + n, 70], [1]) for n in range(6)]
    made = plan(rows, budget=54, max_rows=100, min_shared=32)
    assert len(made) > 1
    assert all(len(pack.past) == 50 for pack in made[1:])
    assert sum(len(pack.tokens) for pack in made) == unique_tokens(rows) == 50 + 6 * 2


def test_sliding_window_counts_positions_not_slots():
    rows = [(None, [1, 2, 3, 4, 5], [9]), (None, [1, 2, 3, 6, 7], [9])]
    (pack,) = plan(rows, 100, 100, 1)
    last = pack.rows[-1]  # 7 sees 6 and 3 through a window of three; 4 and 5 stand between them in the pack
    assert pack.tokens[pack.within(3)[last]].tolist() == [3, 6, 7]


def test_shared():
    assert shared([1, 2, 3], [1, 2, 4]) == 2
    assert shared([], [1]) == 0
    assert shared((1, 2), (1, 2, 3)) == 2
