"""Packs: many prompts as one sequence that holds every shared token once.

The prompts of a multiple-choice task form a tree: a passage, its questions, their options. A pack is such a tree in one
row. A token attends to its ancestors only, and its position is its depth, so a causal model computes for each token
exactly what it would compute in the plain prompt, without padding and without repeated work. A tree too large for one
pack continues in the next, which starts from the keys and values of the path they share (`Pack.past`). Tree attention
of this kind is known from speculative decoding (SpecInfer, arXiv 2305.09781).

Shapes: N new tokens of a pack, P tokens of its past, K scored rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

MIN_SHARED = 32  # a shorter past is recomputed: cheaper than keeping the keys and values


@dataclass(frozen=True)
class Group:
    """Continuations to be scored after one context.

    Attributes:
        context: token ids, at least one.
        options: (request number, token ids of the continuation, at least one) in any order.
    """

    context: tuple[int, ...]
    options: tuple[tuple[int, tuple[int, ...]], ...]


@dataclass
class Pack:
    """One forward pass.

    Attributes:
        past: slots in the previous pack's keys and values (its own past first) that this pack starts from, [P].
        tokens: ids of the new tokens, [N].
        positions: their depth in the tree, [N].
        visible: which of past and new tokens each new token attends to, bool [N, P + N].
        slots: position along all P + N keys -> depth; needed for sliding windows, [P + N].
        rows: the new tokens whose logits are read, ascending, [K].
        targets: (request number, index into `rows`, token id) of every scored token.
        groups: how many groups of the plan this pack finishes.
    """

    past: np.ndarray
    tokens: np.ndarray
    positions: np.ndarray
    visible: np.ndarray
    slots: np.ndarray
    rows: np.ndarray
    targets: list[tuple[int, int, int]]
    groups: int
    path: list[int] = field(default_factory=list)  # slots of the last context, for the pack that follows

    def within(self, window: int) -> np.ndarray:
        """`visible` cut down to keys less than `window` positions back, as in a sliding-window layer; [N, P + N]."""
        return self.visible & (self.slots[None, :] > self.positions[:, None] - window)


def shared(left: Sequence[int], right: Sequence[int]) -> int:
    """Length of the common prefix of two token sequences."""
    for i, (a, b) in enumerate(zip(left, right)):  # noqa: B905  unequal lengths are the point
        if a != b:
            return i
    return min(len(left), len(right))


def make_groups(
    requests: Sequence[tuple[object, Sequence[int], Sequence[int]]], numbers: Sequence[int], max_tokens: int
) -> list[Group]:
    """Group `requests[n]` for n in `numbers` by context, in an order that puts shared prefixes side by side.

    Args:
        requests: (anything, context ids, continuation ids) as the harness hands them to a model.
        numbers: which of them to take; their contexts and continuations are not empty.
        max_tokens: a context whose options exceed this many tokens becomes several groups.

    Returns:
        Groups sorted by context.
    """
    by_context: dict[tuple[int, ...], list[tuple[int, tuple[int, ...]]]] = {}
    for number in numbers:
        _, context, option = requests[number]
        by_context.setdefault(tuple(context), []).append((number, tuple(option)))
    groups = []
    for context in sorted(by_context):
        part: list[tuple[int, tuple[int, ...]]] = []
        size = 0
        for number, option in sorted(by_context[context], key=lambda pair: pair[1]):
            if part and size + len(option) > max_tokens:
                groups.append(Group(context, tuple(part)))
                part, size = [], 0
            part.append((number, option))
            size += len(option)
        groups.append(Group(context, tuple(part)))
    return groups


def pack_from(
    groups: Sequence[Group], start: int, budget: int, max_rows: int, before: Pack | None, min_shared: int = MIN_SHARED
) -> Pack:
    """Build the pack that holds `groups[start]` and as many of the following groups as fit.

    Args:
        groups: the plan, as :func:`make_groups` returns it.
        start: first group not yet done.
        budget: new tokens a pack may hold; a single larger group still gets its own pack.
        max_rows: scored rows a pack may hold; likewise.
        before: the pack that ran just before and ends with `groups[start - 1]`, its keys and values kept; or None.
        min_shared: a shorter common path with `before` is not carried over.

    Returns:
        The pack; the next one starts at `start + pack.groups`.
    """
    first = groups[start].context
    carried = 0
    if before is not None:
        # the last context token is always computed here, since its logits are read
        carried = min(shared(groups[start - 1].context, first), len(first) - 1)
        if carried < min_shared:
            carried = 0
    past = np.asarray(before.path[:carried] if before is not None and carried else [], dtype=np.int64)

    builder = _Builder(carried)
    path = list(range(carried))  # slots of the current context
    context: tuple[int, ...] = first[:carried]
    done = 0
    for group in groups[start:]:
        common = shared(context, group.context)
        new_tokens = len(group.context) - common + sum(len(option) - 1 for _, option in group.options)
        new_rows = sum(len(option) for _, option in group.options)
        if done and (len(builder.tokens) + new_tokens > budget or len(builder.rows) + new_rows > max_rows):
            break
        # sorted contexts: a later one never ends inside the carried path, so its last token's logits are computed here
        path = builder.extend(path[:common], group.context[common:])
        context = group.context
        builder.score(path, group.options)
        done += 1
    return builder.finish(past, done, path)


class _Builder:
    """Collects the tokens of one pack as chains, each hanging on the path it continues."""

    def __init__(self, past: int) -> None:
        self.past = past
        self.tokens: list[int] = []
        self.positions: list[int] = []
        self.chains: list[tuple[int, int, list[int]]] = []  # start, length, path before it
        self.rows: dict[int, int] = {}  # slot -> order of first use
        self.targets: list[tuple[int, int, int]] = []  # request, slot, token

    def extend(self, path: list[int], tokens: Sequence[int]) -> list[int]:
        """Append `tokens` after `path`; returns the slots of the whole path."""
        if not tokens:
            return path
        start = len(self.tokens)
        self.chains.append((start, len(tokens), path))
        self.positions.extend(range(len(path), len(path) + len(tokens)))
        self.tokens.extend(tokens)
        return [*path, *range(self.past + start, self.past + start + len(tokens))]

    def score(self, path: list[int], options: Sequence[tuple[int, tuple[int, ...]]]) -> None:
        """Append the options (sorted, so that shared beginnings are neighbours) and note which logits they need."""
        previous: tuple[int, ...] = ()
        slots: list[int] = path
        for number, option in options:
            inputs = option[:-1]  # the last token is only predicted
            common = shared(previous, inputs)
            slots = self.extend(slots[: len(path) + common], inputs[common:])
            previous = inputs
            for offset, token in enumerate(option):
                slot = slots[len(path) - 1 + offset]
                self.rows.setdefault(slot, len(self.rows))
                self.targets.append((number, slot, token))

    def finish(self, past: np.ndarray, groups: int, path: list[int]) -> Pack:
        """The pack of what was added; `visible` says which of the past and new tokens each new one sees."""
        n, p = len(self.tokens), self.past
        visible = np.zeros((n, p + n), dtype=bool)
        for start, length, ancestors in self.chains:
            chain = slice(start, start + length)
            visible[chain, ancestors] = True
            visible[chain, p + start : p + start + length] = np.tri(length, dtype=bool)
        rows = np.asarray(sorted(self.rows), dtype=np.int64) - p
        place = {int(row) + p: i for i, row in enumerate(rows)}
        positions = np.asarray(self.positions, dtype=np.int64)
        return Pack(
            past=past,
            tokens=np.asarray(self.tokens, dtype=np.int64),
            positions=positions,
            visible=visible,
            slots=np.concatenate([np.arange(p), positions]),
            rows=rows,
            targets=[(number, place[slot], token) for number, slot, token in self.targets],
            groups=groups,
            path=path,
        )
