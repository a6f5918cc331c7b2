"""The loops of the search over codes, compiled. ``lookups`` says the same without a compiler.

A column is one code of every stream: S of them, of which four are looked up at a time.
Shape letters: R streams, C code rows, T steps, S columns (C * T, rounded up to fours), H planes
of ninth bits, L codebook size, D hidden dim, N queries, Q rows that are compared, P pairs of these
that belong to one layer.
"""

from collections.abc import Callable
from typing import TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

Loop = TypeVar("Loop", bound=Callable[..., object])
Bytes = NDArray[np.uint8]
Packed = NDArray[np.uint8 | np.uint16]
Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]

TILE = 4096  # sums of so many streams stay in the first-level cache
# Sums are taken in the order that is fastest, the same one for every stream.
ANY_ORDER = {"reassoc", "contract", "nsz"}
NINTH = np.uint32(256)  # a code's ninth bit


def compiled(loop: Loop) -> Loop:
    """Compile at first use, without the GIL; kept on disk where a folder for it can be written."""
    try:
        return cast(Loop, numba.njit(nogil=True, fastmath=ANY_ORDER, cache=True)(loop))
    except RuntimeError:  # neither beside this file nor in the user's cache folder
        return cast(Loop, numba.njit(nogil=True, fastmath=ANY_ORDER)(loop))


@compiled
def sums(low: Packed, high: Bytes, tables: Ints, lut: Floats, out: Floats) -> None:
    """Write to ``out`` ``[R]`` the sum of each stream's look-ups in one query's table.

    Args:
        low: ``[S, R]`` the codes; their low eight bits where there are planes in ``high``.
        high: ``[H, R]`` bit j % 8 of plane j // 8 is the ninth bit of column j; or no planes.
        tables: ``[S]`` which table a column is looked up in.
        lut: ``[Q + 1, L]``; the last one is zero, for columns that are not compared.
        out: Where to.
    """
    for start in range(0, len(out), TILE):
        end = min(start + TILE, len(out))
        part = out[start:end]
        part[:] = 0
        for g in range(0, len(tables), 4):
            if tables[g] + tables[g + 1] + tables[g + 2] + tables[g + 3] == 4 * (len(lut) - 1):
                continue
            t0, t1, t2, t3 = (
                lut[tables[g]],
                lut[tables[g + 1]],
                lut[tables[g + 2]],
                lut[tables[g + 3]],
            )
            l0, l1, l2, l3 = (
                low[g, start:end],
                low[g + 1, start:end],
                low[g + 2, start:end],
                low[g + 3, start:end],
            )
            if len(high):
                plane, shift = high[g >> 3, start:end], np.uint32(g & 4)
                for i in range(end - start):
                    bits = np.uint32(plane[i]) >> shift
                    part[i] += (
                        t0[np.uint32(l0[i]) | (bits << np.uint32(8) & NINTH)]
                        + t1[np.uint32(l1[i]) | (bits << np.uint32(7) & NINTH)]
                    ) + (
                        t2[np.uint32(l2[i]) | (bits << np.uint32(6) & NINTH)]
                        + t3[np.uint32(l3[i]) | (bits << np.uint32(5) & NINTH)]
                    )
            else:
                for i in range(end - start):
                    part[i] += (t0[l0[i]] + t1[l1[i]]) + (t2[l2[i]] + t3[l3[i]])


@compiled
def sums_of_many(low: Packed, high: Bytes, tables: Ints, lut: Floats, out: Floats) -> None:
    """Write to ``out`` ``[R, N]`` what ``sums`` would for each query; ``lut`` ``[Q + 1, L, N]``."""
    num_queries = out.shape[1]
    for start in range(0, len(out), 256):
        end = min(start + 256, len(out))
        out[start:end] = 0
        for g in range(0, len(tables), 4):
            if tables[g] + tables[g + 1] + tables[g + 2] + tables[g + 3] == 4 * (len(lut) - 1):
                continue
            plane, shift = high[g >> 3 if len(high) else 0 :], np.uint32(g & 4)
            for i in range(start, end):
                bits = np.uint32(plane[0, i]) >> shift if len(high) else np.uint32(0)
                x0 = lut[tables[g], np.uint32(low[g, i]) | (bits << np.uint32(8) & NINTH)]
                x1 = lut[tables[g + 1], np.uint32(low[g + 1, i]) | (bits << np.uint32(7) & NINTH)]
                x2 = lut[tables[g + 2], np.uint32(low[g + 2, i]) | (bits << np.uint32(6) & NINTH)]
                x3 = lut[tables[g + 3], np.uint32(low[g + 3, i]) | (bits << np.uint32(5) & NINTH)]
                own = out[i]
                for n in range(num_queries):
                    own[n] += (x0[n] + x1[n]) + (x2[n] + x3[n])


@compiled
def passing(
    found: Floats, norms: NDArray[np.uint16], least: float, error: float, rows: NDArray[np.int32]
) -> int:
    """Write to ``rows`` which streams may score ``least`` or more; return how many.

    Args:
        found: ``[R]`` what ``sums`` found.
        norms: ``[R]`` lengths of the means, rounded up; 0 where a stream has been removed.
        least: The score.
        error: Of a sum, at most.
        rows: ``[R]``, where to.
    """
    rounded = np.float32(1 if least > 0 else 0)  # the norm may be so much smaller
    bound, slack = np.float32(least), np.float32(error)
    count = 0
    for i in range(len(found)):
        norm = np.float32(norms[i])
        if found[i] >= bound * (norm - rounded) - slack and norm > 0:
            rows[count] = i
            count += 1
    return count


@compiled
def passing_of_many(
    found: Floats,
    norms: NDArray[np.uint16],
    least: Floats,
    errors: Floats,
    rows: NDArray[np.int32],
    queries: NDArray[np.int32],
) -> int:
    """Write to ``rows`` and ``queries`` which streams may score ``least`` ``[N]`` with which."""
    num_queries = found.shape[1]
    count = 0
    for i in range(len(found)):
        norm, own = np.float32(norms[i]), found[i]
        if norm == 0:
            continue
        good = 0
        for n in range(num_queries):
            good += own[n] >= min(least[n] * norm, least[n] * (norm - np.float32(1))) - errors[n]
        if good == 0:
            continue
        for n in range(num_queries):
            if own[n] >= min(least[n] * norm, least[n] * (norm - np.float32(1))) - errors[n]:
                rows[count] = i
                queries[count] = n
                count += 1
    return count


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
def accumulate(
    starts: Ints, rows: NDArray[np.uint32], symbols: Ints, weights: Floats, sums: Floats
) -> NDArray[np.uint32]:
    """Add to the ``sums`` ``[R]`` of streams the weights of their steps; return which these are.

    Args:
        starts: ``[M + 1]`` as of ``grouped``.
        rows: As of ``grouped``.
        symbols: Which are looked at.
        weights: What each adds, at least 0.
        sums: Zeros before.
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
    return touched[:count]
