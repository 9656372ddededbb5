"""The least work any scorer can do: tokens of the prefix tree of all inputs."""

from __future__ import annotations

from collections.abc import Sequence

from crossin_metrics.backends.prefix import shared


def unique_tokens(requests: Sequence[tuple[object, Sequence[int], Sequence[int]]]) -> int:
    """Tokens that any method must put through the model: the nodes of the prefix tree of all inputs."""
    total = 0
    previous: tuple[int, ...] = ()
    for inputs in sorted({(*context, *option[:-1]) for _, context, option in requests}):
        total += len(inputs) - shared(previous, inputs)
        previous = inputs
    return total
