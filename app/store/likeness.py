"""How like a query one stream is: the formula itself, in float64.

Shape letters: T steps, W windows, D hidden dim, K layers that are compared.
"""

import numpy as np
from numpy.typing import NDArray

from app.store.base import Score

DECIMALS = 6  # of a score: equal streams tie, in whichever order their steps were summed


def windows(steps: NDArray[np.float64], *, score: Score, window: int) -> NDArray[np.float64]:
    """Return the sums ``[W, K * D]`` of the runs of ``steps`` ``[T, K * D]`` that are compared."""
    length = {"mean": len(steps), "max": 1, "window": min(window, len(steps))}[score]
    until = np.concatenate([np.zeros((1, steps.shape[1])), np.cumsum(steps, axis=0)])
    return until[length:] - until[:-length]


def cosines(vectors: NDArray[np.float64], query: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the cosine of each vector ``[W, K * D]`` with ``query``; 0 where one has no length."""
    return unit(vectors) @ unit(query)


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``[..., D]`` scaled to length 1; a vector of zeros stays one."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)
