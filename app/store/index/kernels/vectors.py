"""Lengths and scores, from the vectors of the codes.

Shape letters: R streams, C code rows, T steps, L codebook size, D hidden dim, N queries, K
compared layers, Q compared rows, P pairs of these in one layer.
"""

import numpy as np
from numpy.typing import NDArray

from app.store.index.blocks import CodeArray, Doubles, Floats, Ints
from app.store.index.kernels.jit import jit


@jit
def lengths(codes: CodeArray, tables: Floats, parts: Ints, num_parts: int) -> Doubles:
    """Return ``[R]`` the lengths of the mean vectors of streams ``[R, C, T]``.

    Args:
        codes: The streams.
        tables: ``[C, L, D]`` the codebooks.
        parts: ``[C]`` the place of a row's layer among the compared ones, or -1.
        num_parts: K.
    """
    num_rows, num_steps = codes.shape[1:]
    dim = tables.shape[2]
    norms = np.empty(len(codes), np.float64)
    total = np.empty(num_parts * dim, np.float64)
    for i in range(len(codes)):
        total[:] = 0
        for row in range(num_rows):
            if parts[row] >= 0:
                part = total[parts[row] * dim : (parts[row] + 1) * dim]
                for step in range(num_steps):
                    vector = tables[row, codes[i, row, step]]
                    for d in range(dim):
                        part[d] += vector[d]
        square = 0.0
        for d in range(len(total)):
            square += total[d] * total[d]
        norms[i] = np.sqrt(square) / num_steps
    return norms


@jit
def best_cosines(
    codes: CodeArray,
    tables: Floats,
    parts: Ints,
    queries: Doubles,
    which: NDArray[np.int64],
    width: int,
) -> Doubles:
    """Return ``[R]`` the best cosine of ``width`` consecutive steps with a query, in float64.

    Args:
        codes: ``[R, C, T]`` the streams.
        tables: ``[C, L, D]`` the codebooks.
        parts: ``[C]`` the place of a row's layer among the compared ones, or -1.
        queries: ``[N, K * D]`` of length 1, or zeros.
        which: ``[R]`` the query to compare each stream with.
        width: At most T.
    """
    num_rows, num_steps = codes.shape[1:]
    dim = tables.shape[2]
    scores = np.empty(len(codes), np.float64)
    total = np.empty(queries.shape[1], np.float64)
    for i in range(len(codes)):
        query = queries[which[i]]
        total[:] = 0
        best = -2.0
        for step in range(num_steps):
            for row in range(num_rows):
                if parts[row] >= 0:
                    part = total[parts[row] * dim : (parts[row] + 1) * dim]
                    vector = tables[row, codes[i, row, step]]
                    for d in range(dim):
                        part[d] += vector[d]
                    if step >= width:
                        left = tables[row, codes[i, row, step - width]]
                        for d in range(dim):
                            part[d] -= left[d]
            if step >= width - 1:
                square, dot = 0.0, 0.0
                for d in range(len(total)):
                    square += total[d] * total[d]
                    dot += total[d] * query[d]
                best = max(best, dot / np.sqrt(square) if square > 0 else 0.0)
        scores[i] = best
    return scores


@jit
def window_scores(
    codes: CodeArray, lut: Floats, grams: Floats, pairs: Ints, width: int, out: Floats
) -> None:
    """Write to ``out`` ``[R]`` the best cosine of ``width`` consecutive steps, in about float32.

    If the vectors of a window nearly cancel, it is infinity: only ``best_cosines`` is accurate.

    Args:
        codes: ``[R, Q, T]`` the compared rows of the streams.
        lut: ``[Q, L]`` dot products with the query.
        grams: ``[P, L, L]`` dot products of the codes of two rows of a layer.
        pairs: ``[P, 2]`` these rows.
        width: At most T.
        out: The result.
    """
    num_rows, num_steps = codes.shape[1:]
    for i in range(len(out)):
        stream = codes[i]
        dot, square, squares, best = 0.0, 0.0, 0.0, -2.0
        for step in range(num_steps):
            left = step - width
            for row in range(num_rows):
                dot += lut[row, stream[row, step]]
                if left >= 0:
                    dot -= lut[row, stream[row, left]]
            for p in range(len(pairs)):
                a, b, gram = stream[pairs[p, 0]], stream[pairs[p, 1]], grams[p]
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
