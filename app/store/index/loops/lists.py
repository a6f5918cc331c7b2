"""Lists of the streams that have a symbol, which is the codes of a step (``postings``).

Shape letters: R streams, T steps, M symbols.
"""

import numpy as np
from numpy.typing import NDArray

from app.store.index.lookups import Floats, Ints
from app.store.index.loops.compiled import compiled


@compiled
def grouped(
    symbols: NDArray[np.int32], num_symbols: int, steps: int
) -> tuple[Ints, NDArray[np.uint32]]:
    """Return the streams by the symbols of their steps: where each symbol's begin, and all.

    Args:
        symbols: ``[R * T]`` the steps of one stream after another's.
        num_symbols: M, how many there are.
        steps: T.
    """
    starts = np.zeros(num_symbols + 1, np.int64)
    for i in range(len(symbols)):
        starts[symbols[i] + 1] += 1
    for symbol in range(num_symbols):
        starts[symbol + 1] += starts[symbol]
    at = starts[:-1].copy()
    rows = np.empty(len(symbols), np.uint32)
    for i in range(len(symbols)):
        rows[at[symbols[i]]] = i // steps
        at[symbols[i]] += 1
    return starts, rows


@compiled
def partial_means(
    starts: Ints,
    rows: NDArray[np.uint32],
    symbols: Ints,
    weights: Floats,
    norms: NDArray[np.uint16],
    sums: Floats,
) -> tuple[NDArray[np.uint32], Floats]:
    """Return the streams that have one of ``symbols``, and what these add to their means.

    Args:
        starts: ``[M + 1]`` as of ``grouped``.
        rows: As of ``grouped``.
        symbols: Which are looked at.
        weights: What each adds, at least 0.
        norms: ``[R]`` lengths of the means; a stream of length 0 has been removed: -1.
        sums: ``[R]`` zeros before and after.
    """
    most = 0
    for j in range(len(symbols)):
        most += starts[symbols[j] + 1] - starts[symbols[j]]
    touched = np.empty(most, np.uint32)
    count = 0
    for j in range(len(symbols)):
        weight = weights[j]
        for at in range(starts[symbols[j]], starts[symbols[j] + 1]):
            row = rows[at]
            if sums[row] == 0:
                touched[count] = row
                count += weight > 0
            sums[row] += weight
    means = np.empty(count, np.float32)
    for i in range(count):
        row = touched[i]
        means[i] = sums[row] / np.float32(norms[row]) if norms[row] > 0 else np.float32(-1)
        sums[row] = 0
    return touched[:count], means


@compiled
def first_listed(
    starts: Ints, rows: NDArray[np.uint32], symbols: Ints, seen: Floats
) -> tuple[NDArray[np.uint32], Ints]:
    """Return the streams that have one of ``symbols``, each at the first that it has.

    Args:
        starts: ``[M + 1]`` as of ``grouped``.
        rows: As of ``grouped``.
        symbols: Which are looked at, in this order.
        seen: ``[R]`` zeros before and after.

    Returns:
        The streams, and how many of them come with each symbol.
    """
    most = 0
    for j in range(len(symbols)):
        most += starts[symbols[j] + 1] - starts[symbols[j]]
    found, counts = np.empty(most, np.uint32), np.zeros(len(symbols), np.int64)
    count = 0
    for j in range(len(symbols)):
        before = count
        for at in range(starts[symbols[j]], starts[symbols[j] + 1]):
            row = rows[at]
            found[count] = row
            count += seen[row] == 0
            seen[row] = 1
        counts[j] = count - before
    for i in range(count):
        seen[found[i]] = 0
    return found[:count], counts
