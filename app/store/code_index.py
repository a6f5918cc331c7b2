"""Exact search over the codes of one modality's streams, in memory.

A query is turned into a table of its dot products with the codebooks, so that a stream's score is
a sum of look-ups over the length of its mean. These are scanned in float32, with lengths that are
rounded up; what may be among the best is then scored from the vectors in float64.
Shape letters: R streams, C code rows, T steps, L codebook size, D hidden dim, N queries, K layers
that are compared.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.store.blocks import CHUNK, Block, Chunk, Codes, Layers, Norms, Packing
from app.store.comparison import Comparison
from app.store.kernels import Kernels
from app.store.lookups import Doubles, Floats
from app.store.shortlist import Candidates, Entries, Pending, Shortlist, best
from model.encoder import Vocabulary

FIRST_TILE = 256  # streams that are scored before there is a score to beat
WINDOW_ERROR = 1e-4  # of a window's score before it is computed from the vectors
MANY_TILE = 2048  # streams whose sums for many queries stay in the second-level cache


class _Query(NamedTuple):
    towards: Doubles  # [K * D] of length 1, or zeros
    lut: Doubles  # [Q, L] dot products with the compared codes
    shortlist: Shortlist


class _Search(NamedTuple):
    comparison: Comparison
    queries: list[_Query]
    k: int
    width: int | None  # steps in a row; None: the whole stream
    allowed: NDArray[np.int64] | None  # the keys of the only streams that count, rising


class CodeIndex:
    """The streams of one modality by an integer key. Its owner keeps changes and searches apart.

    Args:
        vocabulary: What the codes stand for.
        kernels: The inner loops.
    """

    def __init__(self, vocabulary: Vocabulary, *, kernels: Kernels) -> None:
        self.blocks: dict[int, Block] = {}  # by T
        self._vocabulary = vocabulary
        self._kernels = kernels
        self._comparisons: dict[Layers, Comparison] = {}
        self._all: Layers = tuple(sorted(set(vocabulary.layers.tolist())))

    def __len__(self) -> int:
        return sum(len(block) for block in self.blocks.values())

    @property
    def nbytes(self) -> int:
        """Bytes of the packed streams, room and lengths included, keys left out."""
        return sum(chunk.nbytes for block in self.blocks.values() for chunk in block.chunks)

    def add(self, keys: NDArray[np.int64], codes: NDArray[np.integer]) -> None:
        """Add streams ``[R, C, T]`` under rising keys ``[R]``, above all that there were."""
        rows, steps = codes.shape[1:]
        if steps not in self.blocks:
            packing = Packing(rows, steps, self._vocabulary.tables.shape[1])
            self.blocks[steps] = Block(packing, self._measure, [self._all])
        self.blocks[steps].append(keys, np.ascontiguousarray(codes, np.uint16))

    def remove(self, key: int) -> None:
        """Remove the stream of that key."""
        found = any(block.remove(key) for block in self.blocks.values())
        assert found

    def search(
        self,
        query: NDArray[np.float32],
        *,
        layers: Sequence[int],
        k: int,
        width: int | None = None,
        least: float = -1.0,
        allowed: NDArray[np.int64] | None = None,
    ) -> Candidates:
        """Return the ``k`` streams nearest to ``query`` ``[K * D]`` and all that tie with the last.

        Args:
            query: In the space of the layers.
            layers: Which are compared.
            k: How many.
            width: How many steps in a row are compared; the whole stream by default.
            least: The least score.
            allowed: The keys of the only streams that count, rising.
        """
        return self.search_many(
            query[None], layers=layers, k=k, width=width, least=least, allowed=allowed
        )[0]

    def search_many(
        self,
        queries: NDArray[np.float32],
        *,
        layers: Sequence[int],
        k: int,
        width: int | None = None,
        least: float = -1.0,
        allowed: NDArray[np.int64] | None = None,
    ) -> list[Candidates]:
        """Return what ``search`` would for each of ``queries`` ``[N, K * D]``, in less time."""
        comparison = self.comparison(tuple(layers))
        own = [_query(query, comparison, k, least) for query in queries]
        search = _Search(comparison, own, k, width, allowed)
        chunks: list[Chunk] = []
        for block in self.blocks.values():
            block.prepare(comparison.layers)
            if width is not None and width < block.packing.steps:
                self._scan_windows(search, block, width, len(chunks))
            elif len(own) == 1:
                self._scan(search, block, len(chunks))
            else:
                self._scan_many(search, block, len(chunks))
            chunks += block.chunks
        return self._settle(search, chunks, least)

    def comparison(self, layers: Layers) -> Comparison:
        """Return what follows from the codebooks of those layers."""
        if layers not in self._comparisons:
            self._comparisons[layers] = Comparison(self._vocabulary, layers)
        return self._comparisons[layers]

    def _measure(self, codes: Codes, layers: Layers) -> Doubles:
        own = self.comparison(layers)
        return self._kernels.lengths(codes, own.tables, own.parts, len(layers)) / own.norm_unit

    def _scan(self, search: _Search, block: Block, place: int) -> None:
        """Note the streams of a block by their means, for the only query."""
        (query,), comparison = search.queries, search.comparison
        lut, error = _scaled(query.lut, comparison, block.packing)
        columns = comparison.columns(block.packing)
        sums, rows = np.empty(CHUNK, np.float32), np.empty(CHUNK, np.int32)
        for number, tile, norms in _tiles(block, search, CHUNK):
            chunk = block.chunks[number]
            found = sums[: len(norms)]
            self._kernels.sums(chunk.low[:, tile], chunk.high[:, tile], columns, lut, found)
            count = self._kernels.passing(found, norms, query.shortlist.least, error, rows)
            if count:
                good = rows[:count]
                lower, upper = _bounds(found[good], norms[good], error)
                places = np.full(count, place + number)
                query.shortlist.note(Entries(places, good + tile.start, lower, upper))

    def _scan_many(self, search: _Search, block: Block, place: int) -> None:
        """Note the streams of a block by their means, for many queries at once."""
        scaled = [_scaled(own.lut, search.comparison, block.packing) for own in search.queries]
        lut = np.ascontiguousarray(np.stack([own for own, _ in scaled], axis=-1))  # [Q + 1, L, N]
        errors = np.array([error for _, error in scaled], np.float32)
        columns = search.comparison.columns(block.packing)
        shortlists = [query.shortlist for query in search.queries]
        sums = np.empty((MANY_TILE, len(shortlists)), np.float32)
        rows, which = np.empty((2, sums.size), np.int32)
        pending = Pending(shortlists)
        for number, tile, norms in _tiles(block, search, MANY_TILE):
            chunk = block.chunks[number]
            found = sums[: len(norms)]
            self._kernels.sums_of_many(chunk.low[:, tile], chunk.high[:, tile], columns, lut, found)
            least = np.array([own.least for own in shortlists], np.float32)
            count = self._kernels.passing_of_many(found, norms, least, errors, rows, which)
            good, own = rows[:count], which[:count]
            lower, upper = _bounds(found[good, own], norms[good], errors[own])
            places = np.full(count, place + number)
            pending.append(own, Entries(places, good + tile.start, lower, upper))
        pending.flush()

    def _scan_windows(self, search: _Search, block: Block, width: int, place: int) -> None:
        """Note the streams of a block by their best ``width`` steps in a row."""
        comparison, scores = search.comparison, np.empty(CHUNK, np.float32)
        luts = [query.lut.astype(np.float32) for query in search.queries]
        for number, tile, norms in _tiles(block, search, CHUNK):
            rows = np.flatnonzero(norms) + tile.start
            codes = block.chunks[number].codes(rows)[:, comparison.rows]
            codes, found = np.ascontiguousarray(codes), scores[: len(rows)]
            for query, lut in zip(search.queries, luts, strict=True):
                self._kernels.window_scores(
                    codes, lut, comparison.grams, comparison.pairs, width, found
                )
                own = found[found >= query.shortlist.least - WINDOW_ERROR].astype(np.float64)
                good = rows[found >= query.shortlist.least - WINDOW_ERROR]
                lower = np.where(np.isinf(own), -1.0, own - WINDOW_ERROR)
                places = np.full(len(good), place + number)
                query.shortlist.note(Entries(places, good, lower, own + WINDOW_ERROR))

    def _settle(self, search: _Search, chunks: list[Chunk], least: float) -> list[Candidates]:
        """Score what is on the shortlists from the vectors."""
        entries = [query.shortlist.entries() for query in search.queries]
        which = np.repeat(np.arange(len(entries)), [len(own.rows) for own in entries])
        places = np.concatenate([own.places for own in entries])
        rows = np.concatenate([own.rows for own in entries])
        towards = np.stack([query.towards for query in search.queries])
        keys, scores = np.empty(len(rows), np.int64), np.empty(len(rows))
        tables, parts = search.comparison.tables, search.comparison.parts
        for place in np.unique(places).tolist():
            chunk, its = chunks[place], places == place
            steps = chunk.packing.steps
            codes, width = chunk.codes(rows[its]), min(search.width or steps, steps)
            keys[its] = chunk.keys[rows[its]]
            scores[its] = self._kernels.exact(codes, tables, parts, towards, which[its], width)
        own = [which == number for number in range(len(entries))]
        return [best(keys[its], scores[its], k=search.k, least=least) for its in own]


def _query(query: NDArray[np.float32], comparison: Comparison, k: int, least: float) -> _Query:
    towards = comparison.towards(query)
    return _Query(towards, comparison.lut(towards), Shortlist(k, least=least))


def _scaled(lut: Doubles, comparison: Comparison, packing: Packing) -> tuple[Floats, float]:
    """Return the table whose sums over norms are cosines, and how far such a sum may be off."""
    table = np.zeros((len(lut) + 1, lut.shape[1]), np.float32)
    table[:-1] = lut / (packing.steps * comparison.norm_unit)
    largest = packing.steps * float(np.abs(table).max(1).sum())
    terms = packing.columns + 8
    return table, float(np.finfo(np.float32).eps) * (terms * largest + 4 * 2**16)


def _bounds(sums: Floats, norms: Norms, error: float | Floats) -> tuple[Doubles, Doubles]:
    """Return what scores are at least and at most. Norms may be up to 1 smaller than they say."""
    up = norms.astype(np.float64)
    down = np.maximum(up - 1, 1e-9)
    low, high = sums - error, sums + error
    return low / np.where(low < 0, down, up), high / np.where(high > 0, down, up)


def _tiles(block: Block, search: _Search, largest: int) -> Iterator[tuple[int, slice, Norms]]:
    """Yield the streams in small parts first, until there are scores to beat.

    With each comes the number of its chunk, and its norms: 0 where a stream does not count.
    """
    size = min(largest, max(FIRST_TILE, search.k))
    for number, chunk in enumerate(block.chunks):
        norms = chunk.norms[search.comparison.layers]
        if search.allowed is not None:
            norms = norms * _mask(chunk, search.allowed)
        start = 0
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
