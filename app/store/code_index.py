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
from app.store.ranking import Candidates, Ranking
from model.encoder import Vocabulary

FIRST_TILE = 256  # streams that are scored before there is a score to beat
WINDOW_ERROR = 1e-4  # of a window's score before it is computed from the vectors
MANY_TILE = 2048  # streams whose sums for many queries stay in the second-level cache


class _Query(NamedTuple):
    towards: Doubles  # [K * D] of length 1, or zeros
    lut: Doubles  # [Q, L] dot products with the compared codes
    ranking: Ranking


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
        towards = [comparison.towards(query) for query in queries]
        luts = [comparison.lut(own) for own in towards]
        own = [
            _Query(q, lut, Ranking(k, least=least)) for q, lut in zip(towards, luts, strict=True)
        ]
        for block in self.blocks.values():
            block.prepare(comparison.layers)
            if width is not None and width < block.packing.steps:
                for query in own:
                    self._scan_windows(block, comparison, query, width, allowed)
            elif len(own) == 1:
                self._scan(block, comparison, own[0], allowed)
            else:
                self._scan_many(block, comparison, own, allowed)
        return [query.ranking.candidates() for query in own]

    def comparison(self, layers: Layers) -> Comparison:
        """Return what follows from the codebooks of those layers."""
        if layers not in self._comparisons:
            self._comparisons[layers] = Comparison(self._vocabulary, layers)
        return self._comparisons[layers]

    def _measure(self, codes: Codes, layers: Layers) -> Doubles:
        own = self.comparison(layers)
        return self._kernels.lengths(codes, own.tables, own.parts, len(layers)) / own.norm_unit

    def _scan(
        self,
        block: Block,
        comparison: Comparison,
        query: _Query,
        allowed: NDArray[np.int64] | None,
    ) -> None:
        """Offer the streams of a block by their means."""
        lut, error = _scaled(query.lut, comparison, block.packing)
        columns = comparison.columns(block.packing)
        sums, rows = np.empty(CHUNK, np.float32), np.empty(CHUNK, np.int32)
        for chunk, norms, tile in _tiles(block, comparison.layers, query.ranking.k, allowed):
            found = sums[: tile.stop - tile.start]
            self._kernels.sums(chunk.low[:, tile], chunk.high[:, tile], columns, lut, found)
            least = query.ranking.least
            count = self._kernels.passing(found, norms[tile], least, error, rows)
            self._offer(chunk, rows[:count] + tile.start, comparison, query, chunk.packing.steps)

    def _scan_many(
        self,
        block: Block,
        comparison: Comparison,
        queries: list[_Query],
        allowed: NDArray[np.int64] | None,
    ) -> None:
        """Offer the streams of a block by their means to many queries."""
        scaled = [_scaled(query.lut, comparison, block.packing) for query in queries]
        lut = np.ascontiguousarray(np.stack([own for own, _ in scaled], axis=-1))  # [Q + 1, L, N]
        errors = np.array([error for _, error in scaled], np.float32)
        columns = comparison.columns(block.packing)
        sums = np.empty((MANY_TILE, len(queries)), np.float32)
        rows, which = np.empty((2, sums.size), np.int32)
        k = queries[0].ranking.k
        for chunk, norms, tile in _tiles(block, comparison.layers, k, allowed, MANY_TILE):
            found = sums[: tile.stop - tile.start]
            self._kernels.sums_of_many(chunk.low[:, tile], chunk.high[:, tile], columns, lut, found)
            least = np.array([query.ranking.least for query in queries], np.float32)
            count = self._kernels.passing_of_many(found, norms[tile], least, errors, rows, which)
            for number in np.unique(which[:count]):
                own = rows[:count][which[:count] == number] + tile.start
                self._offer(chunk, own, comparison, queries[number], chunk.packing.steps)

    def _scan_windows(
        self,
        block: Block,
        comparison: Comparison,
        query: _Query,
        width: int,
        allowed: NDArray[np.int64] | None,
    ) -> None:
        """Offer the streams of a block by their best ``width`` steps in a row."""
        lut = query.lut.astype(np.float32)
        scores = np.empty(CHUNK, np.float32)
        for chunk, norms, tile in _tiles(block, comparison.layers, query.ranking.k, allowed):
            rows = np.flatnonzero(norms[tile]) + tile.start
            codes = np.ascontiguousarray(chunk.codes(rows)[:, comparison.rows])
            found = scores[: len(rows)]
            self._kernels.window_scores(
                codes, lut, comparison.grams, comparison.pairs, width, found
            )
            good = rows[found >= query.ranking.least - WINDOW_ERROR]
            self._offer(chunk, good, comparison, query, width)

    def _offer(
        self,
        chunk: Chunk,
        rows: NDArray[np.integer],
        comparison: Comparison,
        query: _Query,
        width: int,
    ) -> None:
        """Score some streams from their vectors and rank them."""
        if len(rows):
            codes = chunk.codes(rows)
            tables, parts = comparison.tables, comparison.parts
            scores = self._kernels.exact(codes, tables, parts, query.towards, width)
            query.ranking.offer(chunk.keys[rows], scores)


def _scaled(lut: Doubles, comparison: Comparison, packing: Packing) -> tuple[Floats, float]:
    """Return the table whose sums over norms are cosines, and how far such a sum may be off."""
    table = np.zeros((len(lut) + 1, lut.shape[1]), np.float32)
    table[:-1] = lut / (packing.steps * comparison.norm_unit)
    largest = packing.steps * float(np.abs(table).max(1).sum())
    terms = packing.columns + 8
    return table, float(np.finfo(np.float32).eps) * (terms * largest + 4 * 2**16)


def _tiles(
    block: Block,
    layers: Layers,
    k: int,
    allowed: NDArray[np.int64] | None,
    largest: int = CHUNK,
) -> Iterator[tuple[Chunk, Norms, slice]]:
    """Yield the streams in small parts first, until there are scores to beat.

    With each comes the chunk, and its norms, which are 0 where a stream does not count.
    """
    size = min(largest, max(FIRST_TILE, k))
    for chunk in block.chunks:
        norms = chunk.norms[layers]
        if allowed is not None:
            norms = norms * _mask(chunk, allowed)
        start = 0
        while start < chunk.count:
            end = min(start + size, chunk.count)
            yield chunk, norms, slice(start, end)
            start, size = end, min(largest, 8 * size)


def _mask(chunk: Chunk, allowed: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return ``[room]`` whether each stream's key is among ``allowed``, which rise."""
    keys = chunk.keys[: chunk.count]
    near = allowed[np.searchsorted(allowed, keys[0]) : np.searchsorted(allowed, keys[-1], "right")]
    rows = np.searchsorted(keys, near)
    mask = np.zeros(chunk.room, bool)
    mask[rows[keys[rows] == near]] = True
    return mask
