"""Lengths and scores, from the vectors that codes stand for.

Shape letters: R streams, C code rows, T steps, L codebook size, D hidden dim, N queries, K layers
that are compared, Q rows that are compared, P pairs of these that belong to one layer.
"""

import numpy as np
from numpy.typing import NDArray

from app.store.index.lookups import Doubles, Floats, Ints
from app.store.index.loops.compiled import compiled


@compiled
def lengths(codes: NDArray[np.uint16], tables: Floats, parts: Ints, num_parts: int) -> Doubles:
    """Return ``[R]`` the lengths of the mean vectors of streams ``[R, C, T]``.

    Args:
        codes: The streams.
        tables: ``[C, L, D]`` what the codes stand for.
        parts: ``[C]`` the place of a row's layer among those compared, or -1.
        num_parts: K, how many these are.
    """
    num_rows, num_steps = codes.shape[1:]
    dim = tables.shape[2]
    found = np.empty(len(codes), np.float64)
    total = np.empty(num_parts * dim, np.float64)
    for i in range(len(codes)):
        total[:] = 0
        for row in range(num_rows):
            if parts[row] >= 0:
                own = total[parts[row] * dim : (parts[row] + 1) * dim]
                for step in range(num_steps):
                    vector = tables[row, codes[i, row, step]]
                    for d in range(dim):
                        own[d] += vector[d]
        square = 0.0
        for d in range(len(total)):
            square += total[d] * total[d]
        found[i] = np.sqrt(square) / num_steps
    return found


@compiled
def exact(
    codes: NDArray[np.uint16],
    tables: Floats,
    parts: Ints,
    queries: Doubles,
    which: NDArray[np.int64],
    width: int,
) -> Doubles:
    """Return ``[R]`` the best cosine of ``width`` steps in a row with a query, in float64.

    Args:
        codes: ``[R, C, T]`` the streams.
        tables: ``[C, L, D]`` what the codes stand for.
        parts: ``[C]`` the place of a row's layer among those compared, or -1.
        queries: ``[N, K * D]`` of length 1, or zeros.
        which: ``[R]`` the query that each stream is compared with.
        width: At most T.
    """
    num_rows, num_steps = codes.shape[1:]
    dim = tables.shape[2]
    found = np.empty(len(codes), np.float64)
    total = np.empty(queries.shape[1], np.float64)
    for i in range(len(codes)):
        query = queries[which[i]]
        total[:] = 0
        best = -2.0
        for step in range(num_steps):
            for row in range(num_rows):
                if parts[row] >= 0:
                    own = total[parts[row] * dim : (parts[row] + 1) * dim]
                    vector = tables[row, codes[i, row, step]]
                    for d in range(dim):
                        own[d] += vector[d]
                    if step >= width:
                        left = tables[row, codes[i, row, step - width]]
                        for d in range(dim):
                            own[d] -= left[d]
            if step >= width - 1:
                square, dot = 0.0, 0.0
                for d in range(len(total)):
                    square += total[d] * total[d]
                    dot += total[d] * query[d]
                best = max(best, dot / np.sqrt(square) if square > 0 else 0.0)
        found[i] = best
    return found


@compiled
def window_scores(
    codes: NDArray[np.uint16], lut: Floats, grams: Floats, pairs: Ints, width: int, out: Floats
) -> None:
    """Write to ``out`` ``[R]`` the best cosine of ``width`` steps in a row, in about float32.

    A window whose vectors nearly cancel is given infinity: only ``exact`` can tell.

    Args:
        codes: ``[R, Q, T]`` the streams, the rows that are compared.
        lut: ``[Q, L]`` dot products with the query.
        grams: ``[P, L, L]`` dot products of the codes of two rows of a layer.
        pairs: ``[P, 2]`` these rows.
        width: At most T.
        out: Where to.
    """
    num_rows, num_steps = codes.shape[1:]
    for i in range(len(out)):
        own = codes[i]
        dot, square, squares, best = 0.0, 0.0, 0.0, -2.0
        for step in range(num_steps):
            left = step - width
            for row in range(num_rows):
                dot += lut[row, own[row, step]]
                if left >= 0:
                    dot -= lut[row, own[row, left]]
            for p in range(len(pairs)):
                a, b, gram = own[pairs[p, 0]], own[pairs[p, 1]], grams[p]
                square += gram[a[step], b[step]]
                squares += abs(gram[a[step], b[step]])
                for other in range(max(0, left + 1), step):
                    square += 2 * gram[a[step], b[other]]
                if left >= 0:
                    square -= gram[a[left], b[left]]
                    squares -= abs(gram[a[left], b[left]])
                    for other in range(left + 1, step):
                        square -= 2 * gram[a[left], b[other]]
            if step >= width - 1:
                sure = square > 1e-3 * width * squares
                best = max(best, dot / np.sqrt(square)) if sure else np.inf
        out[i] = best
