"""The scan of a block: bound every stream's score in float32, then score the best from vectors.

Shape letters: R streams, S columns, L codebook size, N queries, Q compared rows, K compared
layers, D hidden dim.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.store.index.blocks import Block, Chunk, Doubles, Floats, Layers, Norms, Packing
from app.store.index.comparison import Comparison
from app.store.index.kernels import (
    best_cosines,
    passing,
    passing_of_lists,
    passing_of_many,
    sums,
    sums_of_many,
)
from app.store.index.shortlist import Candidates, Entries, Pending, Shortlist, best

FIRST_TILE = 256  # streams that are scored before there is a score to beat
TILE = 32768
MANY_TILE = 2048  # streams whose sums for many queries fit into the second-level cache


class IndexSearch(NamedTuple):
    """A search of one index."""

    queries: Floats  # [N, K * D] in the space of the layers
    layers: Layers  # the compared layers
    k: int  # streams per query
    width: int | None = None  # consecutive steps that are compared; None: the whole stream
    least: float = -1.0  # the lowest score
    allowed: NDArray[np.int64] | None = None  # increasing keys of the streams to search; None: all


class QueryState:
    """One query of a running search, and its results so far."""

    def __init__(self, towards: Doubles, lut: Doubles, shortlist: Shortlist) -> None:
        self.towards = towards  # [K * D] of length 1, or zeros
        self.lut = lut  # [Q, L] dot products with the compared codes
        self.shortlist = shortlist
        self.scored: list[Candidates] = []

    def take(self, candidates: Candidates) -> None:
        """Take streams with exact scores."""
        self.scored.append(candidates)
        self.shortlist.beat(candidates.scores)


class SearchState:
    """A running search: its queries, and the chunks that have been searched."""

    def __init__(self, search: IndexSearch, comparison: Comparison) -> None:
        self.search = search
        self.comparison = comparison
        self.chunks: list[Chunk] = []
        self.queries: list[QueryState] = []
        for query in search.queries:
            towards, shortlist = comparison.towards(query), Shortlist(search.k, least=search.least)
            self.queries.append(QueryState(towards, comparison.lut(towards), shortlist))


# Pairs of stream and query that may be good enough: the streams' rows in a tile [P], the queries
# [P], and the sums [P].
Passing = tuple[NDArray[np.integer], NDArray[np.integer], Floats]
# Notes the streams of a block by their means, after the first so many of each chunk.
Scan = Callable[[SearchState, Block, Sequence[int]], None]


def scan_means(state: SearchState, block: Block, skip: Sequence[int]) -> None:
    """Note the streams of a block by their means, after the first ``skip`` of each chunk."""
    if len(state.queries) == 1:
        _scan_for_one(state, block, skip)
    else:
        _scan_for_many(state, block, skip)


def _scan_for_one(state: SearchState, block: Block, skip: Sequence[int]) -> None:
    (query,), comparison = state.queries, state.comparison
    lut, error = scaled_lut(query.lut, comparison, block.packing)
    columns = comparison.columns(block.packing)
    out, rows = np.empty(TILE, np.float32), np.empty(TILE, np.int32)
    for number, tile, norms in tiles(block, state, TILE, skip):
        chunk = block.chunks[number]
        totals = out[: len(norms)]
        sums(chunk.low[:, tile], chunk.high[:, tile], columns, lut, totals)
        count = passing(totals, norms, query.shortlist.least, error, rows)
        if count:
            good = rows[:count]
            lower, upper = bounds(totals[good], norms[good], error)
            places = np.full(count, len(state.chunks) + number)
            query.shortlist.note(Entries(places, good + tile.start, lower, upper))


def _scan_for_many(state: SearchState, block: Block, skip: Sequence[int]) -> None:
    luts, errors = scaled_luts(state, block)
    columns = state.comparison.columns(block.packing)
    out = np.empty((MANY_TILE, len(errors)), np.float32)
    rows, queries = np.empty((2, out.size), np.int32)

    def find(chunk: Chunk, tile: slice, norms: Norms, least: Floats) -> Passing:
        totals = out[: len(norms)]
        sums_of_many(chunk.low[:, tile], chunk.high[:, tile], columns, luts, totals)
        count = passing_of_many(totals, norms, least, errors, rows, queries)
        return rows[:count], queries[:count], totals[rows[:count], queries[:count]]

    note_passing(state, block, skip, MANY_TILE, errors, find)


def note_passing(
    state: SearchState,
    block: Block,
    skip: Sequence[int],
    tile_size: int,
    errors: Floats,
    find: Callable[[Chunk, slice, Norms, Floats], Passing],
) -> None:
    """Note the pairs of stream and query that ``find`` returns, tile by tile."""
    shortlists = [query.shortlist for query in state.queries]
    pending = Pending(shortlists)
    for number, tile, norms in tiles(block, state, tile_size, skip):
        least = np.array([shortlist.least for shortlist in shortlists], np.float32)
        rows, queries, totals = find(block.chunks[number], tile, norms, least)
        lower, upper = bounds(totals, norms[rows], errors[queries])
        places = np.full(len(rows), len(state.chunks) + number)
        pending.append(queries, Entries(places, rows + tile.start, lower, upper))
    pending.flush()


def scan_lists(
    state: SearchState, block: Block, number: int, lists: Sequence[NDArray[np.int64]]
) -> int:
    """Note the streams of chunk ``number`` of a block that are in some lists, by their means.

    Args:
        state: Of the search; its queries compare all layers.
        block: The streams.
        number: A chunk in lists.
        lists: ``[N]`` the lists to read for each query, the most promising first.

    Returns:
        The least number of stored streams that a query was compared with.
    """
    comparison, chunk = state.comparison, block.chunks[number]
    assert chunk.listing
    starts, norms = chunk.listing.starts, chunk.norms[comparison.layers]
    columns = comparison.columns(block.packing)
    stored_of_queries = []
    for query, chosen in zip(state.queries, lists, strict=True):
        lut, error = scaled_lut(query.lut, comparison, block.packing)
        sizes = np.cumsum(starts[chosen + 1] - starts[chosen])
        rows, totals = np.empty(sizes[-1], np.int64), np.empty(sizes[-1], np.float32)
        first = int(np.searchsorted(sizes, max(FIRST_TILE, state.search.k))) + 1
        num_stored = 0
        for some in (chosen[:first], chosen[first:]):  # the first give a score to beat
            query.shortlist.entries()
            count, stored = passing_of_lists(
                chunk.low, chunk.high, columns, lut, norms, starts, some,
                query.shortlist.least, error, rows, totals,
            )  # fmt: skip
            good = rows[:count].copy()
            places = np.full(count, len(state.chunks) + number)
            lower, upper = bounds(totals[:count], norms[good], error)
            query.shortlist.note(Entries(places, good, lower, upper))
            num_stored += stored
        stored_of_queries.append(num_stored)
    return min(stored_of_queries)


def settle(state: SearchState) -> list[Candidates]:
    """Return each query's best streams, with the shortlists scored from the vectors."""
    entries = [query.shortlist.entries() for query in state.queries]
    which = np.repeat(np.arange(len(entries)), [len(noted.rows) for noted in entries])
    places = np.concatenate([noted.places for noted in entries])
    rows = np.concatenate([noted.rows for noted in entries])
    towards = np.stack([query.towards for query in state.queries])
    keys, scores = np.empty(len(rows), np.int64), np.empty(len(rows))
    tables, parts = state.comparison.tables, state.comparison.parts
    for place in np.unique(places).tolist():
        chunk, inside = state.chunks[place], places == place
        steps = chunk.packing.steps
        codes, width = chunk.codes(rows[inside]), min(state.search.width or steps, steps)
        keys[inside] = chunk.keys[rows[inside]]
        scores[inside] = best_cosines(codes, tables, parts, towards, which[inside], width)
    answers = []
    for number, query in enumerate(state.queries):
        query.take(Candidates(keys[which == number], scores[which == number]))
        everything = Candidates(*map(np.concatenate, zip(*query.scored, strict=True)))
        answers.append(best(everything, k=state.search.k, least=state.search.least))
    return answers


def scaled_lut(
    lut: Doubles, comparison: Comparison, packing: Packing, width: int | None = None
) -> tuple[Floats, float]:
    """Return the table whose sums over norms are cosines, and the largest error of such a sum.

    Args:
        lut: ``[Q, L]`` the dot products of the compared codes with the query.
        comparison: Of these rows.
        packing: Of the streams.
        width: The steps of a sum; all by default.
    """
    table, steps = np.zeros((len(lut) + 1, lut.shape[1]), np.float32), width or packing.steps
    table[:-1] = lut / (steps * comparison.norm_unit)
    largest = steps * float(np.abs(table).max(1).sum())
    terms = packing.columns + 8
    return table, float(np.finfo(np.float32).eps) * (terms * largest + 4 * 2**16)


def scaled_luts(state: SearchState, block: Block) -> tuple[Floats, Floats]:
    """Return the tables ``[Q + 1, L, N]`` and errors ``[N]`` of all queries."""
    pairs = [scaled_lut(query.lut, state.comparison, block.packing) for query in state.queries]
    luts = np.stack([lut for lut, _ in pairs], axis=-1)
    return np.ascontiguousarray(luts), np.array([error for _, error in pairs], np.float32)


def bounds(sums: Floats | Doubles, norms: Norms, error: float | Floats) -> tuple[Doubles, Doubles]:
    """Return lower and upper bounds of scores. Norms are rounded up, by at most 1."""
    up = norms.astype(np.float64)
    down = np.maximum(up - 1, 1e-9)
    low, high = sums - error, sums + error
    return low / np.where(low < 0, down, up), high / np.where(high > 0, down, up)


def tiles(
    block: Block, state: SearchState, largest: int, skip: Sequence[int]
) -> Iterator[tuple[int, slice, Norms]]:
    """Yield all streams but the first ``skip`` of each chunk, in small parts first.

    Each comes with the number of its chunk and its norms: 0 for a stream that is not searched.
    """
    search = state.search
    size = min(largest, max(FIRST_TILE, search.k))
    for number, chunk in enumerate(block.chunks):
        norms = chunk.norms[search.layers]
        if search.allowed is not None:
            norms = norms * _mask(chunk, search.allowed)
        start = skip[number] if number < len(skip) else 0
        while start < chunk.count:
            end = min(start + size, chunk.count)
            yield number, slice(start, end), norms[start:end]
            start, size = end, min(largest, 8 * size)


def _mask(chunk: Chunk, allowed: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return ``[room]`` whether each stream's key is in ``allowed``, which is sorted."""
    mask = np.zeros(chunk.room, bool)
    mask[chunk.rows_of(allowed)] = True
    return mask
