"""The scan of a block: every stream is bounded in float32, the best are scored from vectors.

Shape letters: R streams, S columns, L codebook size, N queries, Q rows that are compared, K
layers that are compared, D hidden dim.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from app.store.index.blocks import Block, Chunk, Norms, Packing
from app.store.index.comparison import Comparison
from app.store.index.kernels import Kernels
from app.store.index.lookups import Doubles, Floats
from app.store.index.shortlist import Candidates, Entries, Pending, Shortlist, best

FIRST_TILE = 256  # streams that are scored before there is a score to beat
TILE = 32768
MANY_TILE = 2048  # streams whose sums for many queries stay in the second-level cache
WINDOW_ERROR = 1e-4  # of a window's score before it is computed from the vectors


class Query:
    """One query of a search, and what has been found for it."""

    def __init__(self, towards: Doubles, lut: Doubles, shortlist: Shortlist) -> None:
        self.towards = towards  # [K * D] of length 1, or zeros
        self.lut = lut  # [Q, L] dot products with the compared codes
        self.shortlist = shortlist
        self.found: list[Candidates] = []  # with exact scores

    def take(self, candidates: Candidates) -> None:
        """Take streams whose scores are exact."""
        self.found.append(candidates)
        self.shortlist.beat(candidates.scores)


class Search:
    """What is looked for, and the chunks that have been gone through.

    Args:
        queries: ``[N, K * D]`` in the space of the layers.
        comparison: Of the layers.
        kernels: The inner loops.
        k: How many streams for each query.
        width: How many steps in a row are compared; None: the whole stream.
        least: The least score.
        allowed: The keys of the only streams that count, rising; None: all count.
    """

    def __init__(
        self,
        queries: NDArray[np.float32],
        comparison: Comparison,
        kernels: Kernels,
        k: int,
        width: int | None,
        least: float,
        allowed: NDArray[np.int64] | None,
    ) -> None:
        self.comparison = comparison
        self.kernels = kernels
        self.k = k
        self.width = width
        self.least = least
        self.allowed = allowed
        self.chunks: list[Chunk] = []
        towards = [comparison.towards(query) for query in queries]
        self.queries = [
            Query(own, comparison.lut(own), Shortlist(k, least=least)) for own in towards
        ]


# Notes the streams of a block by their means, but for the first so many of each chunk.
Scan = Callable[[Search, Block, Sequence[int]], None]


def scan_means(search: Search, block: Block, known: Sequence[int]) -> None:
    """Note the streams of a block by their means, but for the first ``known`` of each chunk."""
    if len(search.queries) == 1:
        _scan_for_one(search, block, known)
    else:
        _scan_for_many(search, block, known)


def _scan_for_one(search: Search, block: Block, known: Sequence[int]) -> None:
    """Note the streams of a block by their means, for the only query."""
    (query,), comparison = search.queries, search.comparison
    lut, error = scaled_lut(query.lut, comparison, block.packing)
    columns = comparison.columns(block.packing)
    sums, rows = np.empty(TILE, np.float32), np.empty(TILE, np.int32)
    for number, tile, norms in tiles(block, search, TILE, known):
        chunk = block.chunks[number]
        found = sums[: len(norms)]
        search.kernels.sums(chunk.low[:, tile], chunk.high[:, tile], columns, lut, found)
        count = search.kernels.passing(found, norms, query.shortlist.least, error, rows)
        if count:
            good = rows[:count]
            lower, upper = bounds(found[good], norms[good], error)
            places = np.full(count, len(search.chunks) + number)
            query.shortlist.note(Entries(places, good + tile.start, lower, upper))


def _scan_for_many(search: Search, block: Block, known: Sequence[int]) -> None:
    """Note the streams of a block by their means, for many queries at once."""
    scaled = [scaled_lut(own.lut, search.comparison, block.packing) for own in search.queries]
    lut = np.ascontiguousarray(np.stack([own for own, _ in scaled], axis=-1))  # [Q + 1, L, N]
    errors = np.array([error for _, error in scaled], np.float32)
    columns = search.comparison.columns(block.packing)
    shortlists = [query.shortlist for query in search.queries]
    sums = np.empty((MANY_TILE, len(shortlists)), np.float32)
    rows, which = np.empty((2, sums.size), np.int32)
    pending = Pending(shortlists)
    for number, tile, norms in tiles(block, search, MANY_TILE, known):
        chunk = block.chunks[number]
        found = sums[: len(norms)]
        search.kernels.sums_of_many(chunk.low[:, tile], chunk.high[:, tile], columns, lut, found)
        least = np.array([own.least for own in shortlists], np.float32)
        count = search.kernels.passing_of_many(found, norms, least, errors, rows, which)
        good, own = rows[:count], which[:count]
        lower, upper = bounds(found[good, own], norms[good], errors[own])
        places = np.full(count, len(search.chunks) + number)
        pending.append(own, Entries(places, good + tile.start, lower, upper))
    pending.flush()


def scan_windows(search: Search, block: Block, width: int, known: Sequence[int]) -> None:
    """Note the streams of a block by their best ``width`` steps in a row."""
    comparison, scores = search.comparison, np.empty(TILE, np.float32)
    luts = [query.lut.astype(np.float32) for query in search.queries]
    for number, tile, norms in tiles(block, search, TILE, known):
        rows = np.flatnonzero(norms) + tile.start
        codes = block.chunks[number].codes(rows)[:, comparison.rows]
        codes, found = np.ascontiguousarray(codes), scores[: len(rows)]
        for query, lut in zip(search.queries, luts, strict=True):
            search.kernels.window_scores(
                codes, lut, comparison.grams, comparison.pairs, width, found
            )
            own = found[found >= query.shortlist.least - WINDOW_ERROR].astype(np.float64)
            good = rows[found >= query.shortlist.least - WINDOW_ERROR]
            lower = np.where(np.isinf(own), -1.0, own - WINDOW_ERROR)
            places = np.full(len(good), len(search.chunks) + number)
            query.shortlist.note(Entries(places, good, lower, own + WINDOW_ERROR))


def settle(search: Search) -> list[Candidates]:
    """Score what is on the shortlists from the vectors."""
    entries = [query.shortlist.entries() for query in search.queries]
    which = np.repeat(np.arange(len(entries)), [len(own.rows) for own in entries])
    places = np.concatenate([own.places for own in entries])
    rows = np.concatenate([own.rows for own in entries])
    towards = np.stack([query.towards for query in search.queries])
    keys, scores = np.empty(len(rows), np.int64), np.empty(len(rows))
    tables, parts = search.comparison.tables, search.comparison.parts
    for place in np.unique(places).tolist():
        chunk, its = search.chunks[place], places == place
        steps = chunk.packing.steps
        codes, width = chunk.codes(rows[its]), min(search.width or steps, steps)
        keys[its] = chunk.keys[rows[its]]
        scores[its] = search.kernels.exact(codes, tables, parts, towards, which[its], width)
    answers = []
    for number, query in enumerate(search.queries):
        its = which == number
        query.take(Candidates(keys[its], scores[its]))
        everything = Candidates(
            np.concatenate([own.keys for own in query.found]),
            np.concatenate([own.scores for own in query.found]),
        )
        answers.append(best(everything, k=search.k, least=search.least))
    return answers


def scaled_lut(lut: Doubles, comparison: Comparison, packing: Packing) -> tuple[Floats, float]:
    """Return the table whose sums over norms are cosines, and how far such a sum may be off."""
    table = np.zeros((len(lut) + 1, lut.shape[1]), np.float32)
    table[:-1] = lut / (packing.steps * comparison.norm_unit)
    largest = packing.steps * float(np.abs(table).max(1).sum())
    terms = packing.columns + 8
    return table, float(np.finfo(np.float32).eps) * (terms * largest + 4 * 2**16)


def bounds(sums: Floats | Doubles, norms: Norms, error: float | Floats) -> tuple[Doubles, Doubles]:
    """Return what scores are at least and at most. Norms may be up to 1 smaller than they say."""
    up = norms.astype(np.float64)
    down = np.maximum(up - 1, 1e-9)
    low, high = sums - error, sums + error
    return low / np.where(low < 0, down, up), high / np.where(high > 0, down, up)


def tiles(
    block: Block, search: Search, largest: int, known: Sequence[int]
) -> Iterator[tuple[int, slice, Norms]]:
    """Yield all streams but the first ``known`` of each chunk, in small parts first.

    With each comes the number of its chunk, and its norms: 0 where a stream does not count.
    """
    size = min(largest, max(FIRST_TILE, search.k))
    for number, chunk in enumerate(block.chunks):
        norms = chunk.norms[search.comparison.layers]
        if search.allowed is not None:
            norms = norms * _mask(chunk, search.allowed)
        start = known[number] if number < len(known) else 0
        while start < chunk.count:
            end = min(start + size, chunk.count)
            yield number, slice(start, end), norms[start:end]
            start, size = end, min(largest, 8 * size)


def _mask(chunk: Chunk, allowed: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return ``[room]`` whether each stream's key is among ``allowed``, which rise."""
    keys = chunk.keys[: chunk.count]
    near = allowed[np.searchsorted(allowed, keys[0]) : np.searchsorted(allowed, keys[-1], "right")]
    rows = np.searchsorted(keys, near)
    mask = np.zeros(chunk.room, bool)
    mask[rows[keys[rows] == near]] = True
    return mask
