"""Random numbers that are the same on every machine, for every number of workers and every version of numpy.

Philox is counter-based: the k-th number of a named stream depends on (seed, name, k) alone. Only the raw 64-bit output
is used, because numpy keeps that stable and not the distributions built on it (its NEP 19).
"""

from __future__ import annotations

import hashlib

import numpy as np


def raw(seed: int, stream: str, n: int) -> np.ndarray:
    """The first `n` numbers of a stream: uint64, shape [n]."""
    digest = hashlib.blake2b(f"{seed}/{stream}".encode(), digest_size=16).digest()
    return np.random.Philox(key=int.from_bytes(digest, "big")).random_raw(n)


def uniform(seed: int, stream: str, n: int) -> np.ndarray:
    """The first `n` numbers of a stream as float64 in [0, 1), shape [n]; of each, the upper 53 bits."""
    return (raw(seed, stream, n) >> np.uint64(11)) * 2.0**-53


def permutation(seed: int, stream: str, n: int) -> np.ndarray:
    """A permutation of 0..n-1: the order of n raw keys. int64, shape [n]."""
    return np.argsort(raw(seed, stream, n), kind="stable")


def passes(seed: int, stream: str, size: int, n: int) -> np.ndarray:
    """`n` indices below `size`, none twice before all were used once; every pass has its own permutation.

    A longer draw begins with the shorter one, so mixes of 1,000 and 5,000 samples share their first 1,000.
    """
    if n and not size:
        raise ValueError("nothing to draw from")
    rounds = -(-n // size) if size else 0
    chunks = [permutation(seed, f"{stream}/{k}", size) for k in range(rounds)]
    return np.concatenate(chunks)[:n] if chunks else np.zeros(0, dtype=np.int64)


def weighted(seed: int, stream: str, weights: np.ndarray, n: int) -> np.ndarray:
    """`n` indices drawn in proportion to `weights` (float64, shape [k], not all 0). int64, shape [n]."""
    bounds = np.cumsum(weights / weights.sum())
    drawn = np.searchsorted(bounds, uniform(seed, stream, n), side="right")
    # Rounding can leave the last bound just below 1; the last index with weight takes what lies above.
    return np.minimum(drawn, np.flatnonzero(weights)[-1])
