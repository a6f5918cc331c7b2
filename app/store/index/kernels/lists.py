"""Lists of the streams that contain a symbol, that is, the codes of one step (``postings``).

Shape letters: R streams, T steps, M symbols.
"""

import numpy as np
from numpy.typing import NDArray

from app.store.index.blocks import Floats, Ints
from app.store.index.kernels.jit import jit


@jit
def grouped(
    symbols: NDArray[np.int32], num_symbols: int, steps: int
) -> tuple[Ints, NDArray[np.uint32]]:
    """Return the streams grouped by the symbols of their steps.

    Args:
        symbols: ``[R * T]`` the steps of one stream after another's.
        num_symbols: M.
        steps: T.

    Returns:
        ``[M + 1]`` where the list of each symbol starts, and ``[R * T]`` all lists.
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


@jit
def first_listed(
    starts: Ints, rows: NDArray[np.uint32], symbols: Ints, seen: Floats
) -> tuple[NDArray[np.uint32], Ints]:
    """Return the streams with one of ``symbols``, each once, at its first symbol.

    Args:
        starts: ``[M + 1]`` from ``grouped``.
        rows: From ``grouped``.
        symbols: The symbols, in order of preference.
        seen: ``[R]`` scratch memory, zero before and after.

    Returns:
        The streams, and how many of them come from each symbol.
    """
    most = 0
    for j in range(len(symbols)):
        most += starts[symbols[j] + 1] - starts[symbols[j]]
    listed, counts = np.empty(most, np.uint32), np.zeros(len(symbols), np.int64)
    count = 0
    for j in range(len(symbols)):
        before = count
        for at in range(starts[symbols[j]], starts[symbols[j] + 1]):
            row = rows[at]
            listed[count] = row
            count += seen[row] == 0
            seen[row] = 1
        counts[j] = count - before
    for i in range(count):
        seen[listed[i]] = 0
    return listed[:count], counts
