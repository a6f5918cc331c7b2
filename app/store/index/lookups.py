"""What ``loops`` compiles, in numpy: for machines without the compiler, and to check it by.

Shape letters and arguments as in ``loops``.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Packed = NDArray[np.uint8 | np.uint16]
Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]

AT_ONCE = 256  # streams whose vectors are held in memory


def sums(low: Packed, high: Bytes, tables: Ints, lut: Floats, out: Floats) -> None:
    """Write to ``out`` ``[R]`` the sum of each stream's look-ups in one query's table."""
    out[:] = 0
    for column, table in enumerate(tables):
        if table < len(lut) - 1:
            codes = low[column].astype(np.int64)
            if len(high):
                codes |= (high[column >> 3].astype(np.int64) >> (column & 7) & 1) << 8
            out += lut[table][codes]


def sums_of_many(low: Packed, high: Bytes, tables: Ints, lut: Floats, out: Floats) -> None:
    """Write to ``out`` ``[R, N]`` what ``sums`` would for each query; ``lut`` ``[Q + 1, L, N]``."""
    sums(low, high, tables, lut, out)


def passing(
    found: Floats, norms: NDArray[np.uint16], least: float, error: float, rows: NDArray[np.int32]
) -> int:
    """Write to ``rows`` which streams may score ``least`` or more; return how many."""
    norm = norms.astype(np.float32)
    bound = np.minimum(least * norm, least * (norm - 1))
    good = np.flatnonzero((found >= bound - error) & (norms > 0))
    rows[: len(good)] = good
    return len(good)


def passing_of_many(
    found: Floats,
    norms: NDArray[np.uint16],
    least: Floats,
    errors: Floats,
    rows: NDArray[np.int32],
    queries: NDArray[np.int32],
) -> int:
    """Write to ``rows`` and ``queries`` which streams may score ``least`` ``[N]`` with which."""
    norm = norms.astype(np.float32)[:, None]
    bound = np.minimum(least * norm, least * (norm - 1))
    own, query = np.nonzero((found >= bound - errors) & (norm > 0))
    rows[: len(own)], queries[: len(own)] = own, query
    return len(own)


def lengths(codes: NDArray[np.uint16], tables: Floats, parts: Ints, num_parts: int) -> Doubles:
    """Return ``[R]`` the lengths of the mean vectors of streams ``[R, C, T]``."""
    found = np.empty(len(codes), np.float64)
    for start in range(0, len(codes), AT_ONCE):
        steps = _vectors(codes[start : start + AT_ONCE], tables, parts, num_parts)
        found[start : start + AT_ONCE] = np.linalg.norm(steps.mean(1), axis=-1)
    return found


def exact(
    codes: NDArray[np.uint16],
    tables: Floats,
    parts: Ints,
    queries: Doubles,
    which: NDArray[np.int64],
    width: int,
) -> Doubles:
    """Return ``[R]`` the best cosine of ``width`` steps in a row with a query, in float64."""
    found = np.empty(len(codes), np.float64)
    num_parts = queries.shape[1] // tables.shape[-1]
    for start in range(0, len(codes), AT_ONCE):
        steps = _vectors(codes[start : start + AT_ONCE], tables, parts, num_parts)
        totals = sliding_window_view(steps, width, axis=1).sum(-1)  # [R, windows, K * D]
        own = queries[which[start : start + AT_ONCE]]
        dots, length = (totals * own[:, None]).sum(-1), np.linalg.norm(totals, axis=-1)
        cosines = np.divide(dots, length, out=np.zeros_like(dots), where=length > 0)
        found[start : start + AT_ONCE] = cosines.max(1)
    return found


def window_scores(
    codes: NDArray[np.uint16], lut: Floats, grams: Floats, pairs: Ints, width: int, out: Floats
) -> None:
    """Write infinity to ``out`` ``[R]``: leave the scores to ``exact``."""
    out[:] = np.inf


def grouped(
    symbols: NDArray[np.int32], num_symbols: int, steps: int
) -> tuple[Ints, NDArray[np.uint32]]:
    """Return the streams by the symbols of their steps: where each symbol's begin, and all."""
    counts = np.bincount(symbols, minlength=num_symbols)
    rows = np.argsort(symbols, kind="stable") // steps
    return np.concatenate([[0], np.cumsum(counts)]), rows.astype(np.uint32)


def partial_means(
    starts: Ints,
    rows: NDArray[np.uint32],
    symbols: Ints,
    weights: Floats,
    norms: NDArray[np.uint16],
    sums: Floats,
) -> tuple[NDArray[np.uint32], Floats]:
    """Return the streams that have one of ``symbols``, and what these add to their means."""
    parts = [rows[starts[symbol] : starts[symbol + 1]] for symbol in symbols[weights > 0]]
    found = np.concatenate([np.empty(0, np.uint32), *parts])
    own = np.repeat(weights[weights > 0], [len(part) for part in parts])
    np.add.at(sums, found, own)
    touched = np.unique(found)
    means = np.where(norms[touched] > 0, sums[touched] / np.maximum(norms[touched], 1), -1)
    sums[touched] = 0
    return touched, means.astype(np.float32)


def first_listed(
    starts: Ints, rows: NDArray[np.uint32], symbols: Ints, seen: Floats
) -> tuple[NDArray[np.uint32], Ints]:
    """Return the streams that have one of ``symbols``, each at its first; how many with each."""
    parts = [rows[starts[symbol] : starts[symbol + 1]] for symbol in symbols]
    place = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    _, first = np.unique(np.concatenate(parts), return_index=True)
    first.sort()
    return np.concatenate(parts)[first], np.bincount(place[first], minlength=len(parts))


def _vectors(codes: NDArray[np.uint16], tables: Floats, parts: Ints, num_parts: int) -> Doubles:
    """Return the steps' vectors ``[R, T, K * D]``."""
    dim = tables.shape[-1]
    found = np.zeros((len(codes), codes.shape[2], num_parts, dim))
    for row, part in enumerate(parts):
        if part >= 0:
            found[:, :, part] += tables[row][codes[:, row]]
    return found.reshape(*found.shape[:2], -1)
