"""The compiled loops of the search over codes.

A column is one code of every stream. There are S columns; four are looked up at a time.
Shape letters: R streams, C code rows, T steps, S columns (C * T, rounded up to fours), H planes
of ninth bits, L codebook size, D hidden dim, N queries, K compared layers, Q compared rows, P
pairs of these in one layer, W windows of consecutive steps.
"""

from collections.abc import Callable
from typing import TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

from app.store.index.blocks import Bytes, CodeArray, Doubles, Floats, Ints, Norms, Packed

Loop = TypeVar("Loop", bound=Callable[..., object])
# Sums may be taken in the fastest order, which is the same for every stream.
ANY_ORDER = {"reassoc", "contract", "nsz"}


def jit(loop: Loop) -> Loop:
    """Compile at first use, without the GIL; cached on disk if a folder for it is writable."""
    try:
        return cast(Loop, numba.njit(nogil=True, fastmath=ANY_ORDER, cache=True)(loop))
    except RuntimeError:  # neither the folder of this file nor the user's cache is writable
        return cast(Loop, numba.njit(nogil=True, fastmath=ANY_ORDER)(loop))


TILE = 2048  # streams whose sums fit into the first-level cache
ROWS_OF_MANY = 256  # streams whose codes do
NINTH = np.uint32(256)  # a code's ninth bit
TINY = 1e-300  # instead of a square that rounding has made negative


@jit
def _code(low: np.unsignedinteger, plane: np.unsignedinteger, place: int) -> np.uint32:
    """Return a code from its low bits and bit ``place`` of the plane's byte."""
    return np.uint32(low) | (np.uint32(plane) << np.uint32(8) >> np.uint32(place) & NINTH)


@jit
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


@jit
def _look_up_four(low: Packed, plane: Bytes, tables: Ints, lut: Floats, out: Floats) -> None:
    """Add to ``out`` ``[R]`` the look-ups of four columns ``[4, R]``, the first of a plane."""
    l0, l1, l2, l3 = low[0], low[1], low[2], low[3]
    t0, t1, t2, t3 = lut[tables[0]], lut[tables[1]], lut[tables[2]], lut[tables[3]]
    for i in range(len(out)):
        bits = plane[i]
        out[i] += (t0[_code(l0[i], bits, 0)] + t1[_code(l1[i], bits, 1)]) + (
            t2[_code(l2[i], bits, 2)] + t3[_code(l3[i], bits, 3)]
        )


@jit
def sums(low: Packed, high: Bytes, tables: Ints, lut: Floats, out: Floats) -> None:
    """Write to ``out`` ``[R]`` the sum of each stream's look-ups in one query's table.

    Args:
        low: ``[S, R]`` the codes; their low eight bits where there are planes in ``high``.
        high: ``[H, R]`` bit j % 8 of plane j // 8 is the ninth bit of column j; or no planes.
        tables: ``[S]`` the table of each column.
        lut: ``[Q + 1, L]``; the last table is zero, for columns that are not compared.
        out: The result.
    """
    no_plane = np.zeros(TILE, np.uint8)
    for start in range(0, len(out), TILE):
        end = min(start + TILE, len(out))
        part = out[start:end]
        part[:] = 0
        for g in range(0, len(tables), 8):
            group = tables[g : g + 8]
            if group.min() == len(lut) - 1:
                continue
            plane = high[g >> 3, start:end] if len(high) else no_plane
            if len(group) == 8:
                _look_up_eight(low[g : g + 8, start:end], plane, group, lut, part)
            else:
                _look_up_four(low[g : g + 4, start:end], plane, group, lut, part)


@jit
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
            totals, at = out[start + i], codes[i]
            totals[:] = 0
            for g in range(0, num_columns, 4):
                x0, x1 = lut[tables[g], at[g]], lut[tables[g + 1], at[g + 1]]
                x2, x3 = lut[tables[g + 2], at[g + 2]], lut[tables[g + 3], at[g + 3]]
                for n in range(num_queries):
                    totals[n] += (x0[n] + x1[n]) + (x2[n] + x3[n])


@jit
def passing(sums: Floats, norms: Norms, least: float, error: float, rows: NDArray[np.int32]) -> int:
    """Write to ``rows`` which streams may score ``least`` or more; return how many.

    Args:
        sums: ``[R]`` from ``sums``.
        norms: ``[R]`` lengths of the means, rounded up; 0 for a removed stream.
        least: The score.
        error: Largest error of a sum.
        rows: ``[R]`` the result.
    """
    rounded = np.float32(1 if least > 0 else 0)  # a norm may be up to this much smaller
    bound, slack = np.float32(least), np.float32(error)
    count = 0
    for i in range(len(sums)):
        norm = np.float32(norms[i])
        if sums[i] >= bound * (norm - rounded) - slack and norm > 0:
            rows[count] = i
            count += 1
    return count


@jit
def passing_of_many(
    sums: Floats,
    norms: Norms,
    least: Floats,
    errors: Floats,
    rows: NDArray[np.int32],
    queries: NDArray[np.int32],
) -> int:
    """Write to ``rows`` and ``queries`` the pairs that may score ``least`` ``[N]``."""
    num_queries = sums.shape[1]
    count = 0
    for i in range(len(sums)):
        norm, totals = np.float32(norms[i]), sums[i]
        if norm == 0:
            continue
        good = 0  # counted first, without a branch: most streams pass for no query
        for n in range(num_queries):
            good += totals[n] >= min(least[n] * norm, least[n] * (norm - np.float32(1))) - errors[n]
        if good == 0:
            continue
        for n in range(num_queries):
            if totals[n] >= min(least[n] * norm, least[n] * (norm - np.float32(1))) - errors[n]:
                rows[count] = i
                queries[count] = n
                count += 1
    return count


@jit
def passing_of_lists(
    low: Packed,
    high: Bytes,
    tables: Ints,
    lut: Floats,
    norms: Norms,
    starts: Ints,
    lists: Ints,
    least: float,
    error: float,
    rows: NDArray[np.int64],
    totals: Floats,
) -> tuple[int, int]:
    """Write to ``rows`` which streams of some lists may score ``least`` or more, and their sums.

    Args:
        low: See ``sums``, as are the next three.
        high: See ``sums``.
        tables: See ``sums``.
        lut: See ``sums``.
        norms: ``[R]``; see ``passing``.
        starts: ``[lists + 1]`` where each list begins.
        lists: The lists to read.
        least: See ``passing``.
        error: See ``passing``.
        rows: With room for all streams of the lists.
        totals: Like ``rows``: the sums.

    Returns:
        The number of these streams, and of all stored streams in the lists.
    """
    part, passed = np.empty(TILE, np.float32), np.empty(TILE, np.int32)
    count, stored = 0, 0
    for number in lists:
        for start in range(starts[number], starts[number + 1], TILE):
            end = min(start + TILE, starts[number + 1])
            some = part[: end - start]
            sums(low[:, start:end], high[:, start:end], tables, lut, some)
            good = passing(some, norms[start:end], least, error, passed)
            for i in range(good):
                rows[count] = start + passed[i]
                totals[count] = some[passed[i]]
                count += 1
            for i in range(start, end):
                stored += norms[i] > 0
    return count, stored


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
def window_lengths(codes: CodeArray, grams: Doubles, pairs: Ints, width: int) -> Doubles:
    """Return ``[W, R]`` the lengths of the means of ``width`` consecutive steps.

    A length is 0 only where every step's vector is: rounding leaves more of what cancels.

    Args:
        codes: ``[R, Q, T]`` the compared rows of the streams.
        grams: ``[P, L, L]`` dot products of the codes of two rows of a layer.
        pairs: ``[P, 2]`` these rows.
        width: At most T.
    """
    num_steps = codes.shape[2]
    norms = np.empty((num_steps - width + 1, len(codes)), np.float64)
    for i in range(len(codes)):
        stream, square, zeros = codes[i], 0.0, 0
        for step in range(num_steps):
            left, alone = step - width, 0.0
            for p in range(len(pairs)):
                one, two = pairs[p]
                a, b, gram = stream[one], stream[two], grams[p]
                times = 1 if one == two else 2
                alone += times * gram[a[step], b[step]]
                for other in range(max(0, left + 1), step):
                    square += times * (gram[a[step], b[other]] + gram[a[other], b[step]])
                if left >= 0:
                    square -= times * gram[a[left], b[left]]
                    for other in range(left + 1, step):
                        square -= times * (gram[a[left], b[other]] + gram[a[other], b[left]])
            square += alone
            zeros = zeros + 1 if alone == 0 else 0
            if left >= -1:
                is_zero = zeros >= width
                norms[left + 1, i] = 0 if is_zero else np.sqrt(max(square, TINY)) / width
    return norms


@jit
def window_sums(
    low: Packed, high: Bytes, rows: Ints, lut: Floats, steps: Floats, out: Floats
) -> None:
    """Write to ``out`` ``[W, R]`` the sums of the look-ups of consecutive steps.

    Args:
        low: ``[S, R]``; see ``sums``.
        high: ``[H, R]``; see ``sums``.
        rows: ``[Q]`` the compared rows.
        lut: ``[Q + 1, L]``; see ``sums``.
        steps: ``[T, R]`` scratch memory.
        out: The result, of T + 1 - W steps each.
    """
    no_plane = np.zeros(steps.shape[1], np.uint8)
    num_steps, width = len(steps), len(steps) - len(out) + 1
    for step in range(num_steps):
        total = steps[step]
        total[:] = 0
        for q in range(len(rows)):
            j = rows[q] * num_steps + step
            column, table, place = low[j], lut[q], j & 7
            plane = high[j >> 3] if len(high) else no_plane
            for i in range(len(total)):
                total[i] += table[_code(column[i], plane[i], place)]
    for first in range(len(out)):
        total = out[first]
        total[:] = steps[first]
        for step in range(first + 1, first + width):
            total += steps[step]


@jit
def passing_windows(
    sums: Floats,
    norms: Norms,
    lengths: Norms,
    least: float,
    error: float,
    rows: NDArray[np.int32],
    bounds: Doubles,
) -> int:
    """Write to ``rows`` which streams have a window that may score ``least``; return how many.

    Args:
        sums: ``[W, R]`` from ``window_sums``.
        norms: ``[R]`` 0 for a stream that is not searched.
        lengths: ``[W, R]`` lengths of the means of the windows, rounded up; the score of a window
            of length 0 is 0.
        least: The score.
        error: Largest error of a sum.
        rows: ``[R]`` the result.
        bounds: ``[2, R]`` like ``rows``: the lower and the upper bound of the best window's score.
    """
    rounded = np.float32(1 if least > 0 else 0)  # a length may be up to this much smaller
    bound, slack = np.float32(least), np.float32(error)
    good = np.zeros(len(norms), np.uint8)
    for w in range(len(sums)):
        totals, longest = sums[w], lengths[w]
        for i in range(len(norms)):
            may = totals[i] >= bound * (np.float32(longest[i]) - rounded) - slack
            good[i] |= may & ((longest[i] > 0) | (least <= 0))
    count = 0
    for i in range(len(norms)):
        if good[i] == 0 or norms[i] == 0:
            continue
        lower, upper = -np.inf, -np.inf
        for w in range(len(sums)):
            up = np.float64(lengths[w, i])
            if up == 0:
                lower, upper = max(lower, 0.0), max(upper, 0.0)
                continue
            down = max(up - 1, 1e-9)
            low, high = sums[w, i] - error, sums[w, i] + error
            lower = max(lower, low / (down if low < 0 else up))
            upper = max(upper, high / (down if high > 0 else up))
        rows[count], bounds[0, count], bounds[1, count] = i, lower, upper
        count += 1
    return count
