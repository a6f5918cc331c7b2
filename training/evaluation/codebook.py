"""The state of a codebook: how much of it is used, by how many, and whether modalities agree.

Shape letters: N items, T steps, L codebook size, D hidden dim.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def histogram(codes: Sequence[NDArray[np.integer]], size: int) -> NDArray[np.float64]:
    """Return how often each of ``size`` codes stands in ``codes``, as shares ``[L]``."""
    counts = np.bincount(np.concatenate(codes), minlength=size)
    return counts / counts.sum()


def perplexity(shares: NDArray[np.float64]) -> float:
    """Return exp(entropy) of ``shares`` ``[L]``: how many codes carry the data, 1 to L."""
    used = shares[shares > 0]
    return float(np.exp(-(used * np.log(used)).sum()))


def near_duplicates(table: NDArray[np.float32], used: NDArray[np.bool_]) -> float:
    """Return the share of used codes whose cosine with another used code is over 0.99.

    Args:
        table: ``[L, D]``.
        used: ``[L]``.
    """
    rows = table[used] / np.linalg.norm(table[used], axis=1, keepdims=True).clip(1e-12)
    if len(rows) < 2:
        return 0.0
    similar = rows @ rows.T - 2 * np.eye(len(rows))
    return float((similar.max(1) > 0.99).mean())


def agreement(
    first: dict[str, NDArray[np.float64]], second: dict[str, NDArray[np.float64]]
) -> float:
    """Return the mean overlap of two modalities' code histograms, clip by clip or class by class.

    The overlap of two histograms is the sum of their minima: 1 where a dog seen and a dog heard
    are the same codes, 0 where they share none, however near the codes' vectors are.

    Args:
        first: The shares ``[L]`` of one modality, by the name of what is paired.
        second: The same of the other.
    """
    paired = first.keys() & second.keys()
    return float(np.mean([np.minimum(first[key], second[key]).sum() for key in sorted(paired)]))
