"""How like a query one stream is: the formula itself, in float64.

Shape letters: T steps, W windows, D hidden dim, K layers that are compared.
"""

import numpy as np
from numpy.typing import NDArray

DECIMALS = 6  # of a score: equal streams tie, in whichever order their steps were summed


def cosines(vectors: NDArray[np.float64], query: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the cosine of each vector ``[W, K * D]`` with ``query``; 0 where one has no length."""
    return unit(vectors) @ unit(query)


def windows(steps: NDArray[np.float64], *, width: int) -> NDArray[np.float64]:
    """Return the sums ``[W, K * D]`` of ``width`` of the ``steps`` ``[T, K * D]`` in a row."""
    until = np.concatenate([np.zeros((1, steps.shape[1])), np.cumsum(steps, axis=0)])
    return until[width:] - until[:-width]


def best_second(steps: NDArray[np.float64], query: NDArray[np.float64], *, width: int) -> int:
    """Return where the ``width`` steps in a row begin that are most like ``query``."""
    found = cosines(windows(steps, width=min(width, len(steps))), query)
    return int(found.round(DECIMALS).argmax())


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``[..., D]`` scaled to length 1; a vector of zeros stays one."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)
