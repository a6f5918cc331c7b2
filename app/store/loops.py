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

TILE = 2048  # sums of so many streams stay in the first-level cache
ROWS_OF_MANY = 256  # and the codes of so many
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
def _code(low: np.unsignedinteger, plane: np.unsignedinteger, place: int) -> np.uint32:
    """Return a code from its low bits and the plane's byte, in which it is at ``place``."""
    return np.uint32(low) | (np.uint32(plane) << np.uint32(8) >> np.uint32(place) & NINTH)


@compiled
def _look_up_eight(low: Packed, plane: Bytes, tables: Ints, lut: Floats, out: Floats) -> None:
    """Add to ``out`` ``[R]`` the look-ups of eight columns ``[8, R]``."""
    l0, l1, l2, l3, l4, l5, l6, l7 = (
        low[0], low[1], low[2], low[3], low[4], low[5], low[6], low[7]
    )  # fmt: skip
    t0, t1, t2, t3 = lut[tables[0]], lut[tables[1]], lut[tables[2]], lut[tables[3]]
    t4, t5, t6, t7 = lut[tables[4]], lut[tables[5]], lut[tables[6]], lut[tables[7]]
    for i in range(len(out)):
        bits = plane[i]
        out[i] += (
            (t0[_code(l0[i], bits, 0)] + t1[_code(l1[i], bits, 1)])
            + (t2[_code(l2[i], bits, 2)] + t3[_code(l3[i], bits, 3)])
        ) + (
            (t4[_code(l4[i], bits, 4)] + t5[_code(l5[i], bits, 5)])
            + (t6[_code(l6[i], bits, 6)] + t7[_code(l7[i], bits, 7)])
        )


@compiled
def _look_up_four(low: Packed, plane: Bytes, tables: Ints, lut: Floats, out: Floats) -> None:
    """Add to ``out`` ``[R]`` the look-ups of four columns ``[4, R]``, the first of a plane."""
    l0, l1, l2, l3 = low[0], low[1], low[2], low[3]
    t0, t1, t2, t3 = lut[tables[0]], lut[tables[1]], lut[tables[2]], lut[tables[3]]
    for i in range(len(out)):
        bits = plane[i]
        out[i] += (t0[_code(l0[i], bits, 0)] + t1[_code(l1[i], bits, 1)]) + (
            t2[_code(l2[i], bits, 2)] + t3[_code(l3[i], bits, 3)]
        )


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
    no_plane = np.zeros(TILE, np.uint8)
    for start in range(0, len(out), TILE):
        end = min(start + TILE, len(out))
        part = out[start:end]
        part[:] = 0
        for g in range(0, len(tables), 8):
            own = tables[g : g + 8]
            if own.min() == len(lut) - 1:
                continue
            plane = high[g >> 3, start:end] if len(high) else no_plane
            if len(own) == 8:
                _look_up_eight(low[g : g + 8, start:end], plane, own, lut, part)
            else:
                _look_up_four(low[g : g + 4, start:end], plane, own, lut, part)


@compiled
def sums_of_many(low: Packed, high: Bytes, tables: Ints, lut: Floats, out: Floats) -> None:
    """Write to ``out`` ``[R, N]`` what ``sums`` would for each query; ``lut`` ``[Q + 1, L, N]``."""
    num_columns, num_queries = len(tables), out.shape[1]
    codes = np.empty((ROWS_OF_MANY, num_columns), np.uint32)  # unsigned: no index wraps around
    for start in range(0, len(out), ROWS_OF_MANY):
        size = min(ROWS_OF_MANY, len(out) - start)
        for j in range(num_columns):
            for i in range(size):
                bits = high[j >> 3, start + i] if len(high) else np.uint8(0)
                codes[i, j] = _code(low[j, start + i], bits, j & 7)
        for i in range(size):
            own, at = out[start + i], codes[i]
            own[:] = 0
            for g in range(0, num_columns, 4):
                x0, x1 = lut[tables[g], at[g]], lut[tables[g + 1], at[g + 1]]
                x2, x3 = lut[tables[g + 2], at[g + 2]], lut[tables[g + 3], at[g + 3]]
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
