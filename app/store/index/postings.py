"""The streams that contain given codes at one step: the best step without looking at every stream.

A step's codes are one symbol: two rows of 400 codes have 160,000. The best step for a query is in
the lists of the best symbols, exactly.
Postings are derived from a block, and valid until its streams move.
Shape letters: M symbols (L to the power of the compared rows), R streams, T steps.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from app.store.index.blocks import Block, Doubles, Floats, Ints
from app.store.index.comparison import Comparison
from app.store.index.kernels import first_listed, grouped
from app.store.index.scan import IndexSearch
from app.store.index.shortlist import Candidates

MOST_SYMBOLS = 2**18
SYMBOLS = 512  # that are looked at first
FLOAT32 = 4e-6  # largest error of a cosine in float32


class Postings:
    """The streams of a block by the symbols of their steps.

    Args:
        block: The streams.
        comparison: Of at most two rows of codes.
    """

    def __init__(self, block: Block, comparison: Comparison) -> None:
        self.version = block.version
        self.counts = [chunk.count for chunk in block.chunks]  # listed streams of each chunk
        self._comparison = comparison
        chunks = [(chunk, slice(chunk.count)) for chunk in block.chunks]
        norms = [chunk.norms[comparison.layers][rows] for chunk, rows in chunks]
        parts = [(chunk, rows) for chunk in block.chunks for rows in chunk.parts()]
        symbols = [comparison.symbols(chunk.codes(rows)) for chunk, rows in parts]
        keys = np.concatenate([chunk.keys[rows] for chunk, rows in chunks])
        order = np.argsort(keys)
        self._keys, self._norms = keys[order], np.concatenate(norms)[order]
        self._starts, self._rows = grouped(
            np.concatenate(symbols)[order].ravel(), comparison.num_symbols, block.packing.steps
        )
        self._absent = np.where(np.diff(self._starts) > 0, 0, -np.inf).astype(np.float32)
        self._scratch: list[Floats] = []  # arrays of zeros, one for each search at the same time

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        arrays = (self._keys, self._norms, self._starts, self._rows, self._absent)
        return sum(array.nbytes for array in arrays)

    def remove(self, key: int) -> None:
        """Remove the stream with that key, if listed."""
        row = int(np.searchsorted(self._keys, key))
        if row < len(self._keys) and self._keys[row] == key:
            self._norms[row] = 0

    def best_steps(self, lut: Doubles, search: IndexSearch) -> Candidates:
        """Return the streams with the best step, best first, with all ties and some more.

        Args:
            lut: ``[Q, L]`` the dot products of the compared codes with the query.
            search: How many, and which streams count.
        """
        dots = self._comparison.dots(lut.astype(np.float32))
        cosines = dots * self._comparison.inverse_norms + self._absent
        count = SYMBOLS
        while True:
            symbols = _highest(cosines, count)
            streams = self._best_of(symbols, cosines, lut, search)
            is_all = count >= len(cosines)
            if is_all or _are_above(streams.scores, search.k, float(cosines[symbols[-1]])):
                return streams
            count *= 8

    def _best_of(
        self, symbols: Ints, cosines: Floats, lut: Doubles, search: IndexSearch
    ) -> Candidates:
        """Return the streams of the first ``symbols``, as many as make the best ``k`` certain."""
        sizes = np.cumsum(self._starts[symbols + 1] - self._starts[symbols])
        end = min(int(np.searchsorted(sizes, search.k)) + 1, len(symbols))
        while True:
            exact = self._comparison.exact_cosines(symbols[:end], lut)
            order = np.argsort(-exact, kind="stable")
            with self._zeros() as seen:
                rows, counts = first_listed(self._starts, self._rows, symbols[:end][order], seen)
            counted = self._norms[rows] > 0
            keys = self._keys[rows]
            if search.allowed is not None:
                counted &= np.isin(keys, search.allowed)
            scores = np.repeat(exact[order], counts)
            streams = Candidates(keys[counted].astype(np.int64), scores[counted])  # best first
            below = float(cosines[symbols[end]]) if end < len(symbols) else -np.inf
            if end == len(symbols) or _are_above(streams.scores, search.k, below):
                return streams
            end = min(2 * end, len(symbols))

    @contextmanager
    def _zeros(self) -> Iterator[Floats]:
        """Yield ``[R]`` zeros for one search, which has to leave them zero."""
        try:
            scratch = self._scratch.pop()
        except IndexError:
            scratch = np.zeros(len(self), np.float32)
        yield scratch
        self._scratch.append(scratch)


def _are_above(scores: Doubles, k: int, cosine: float) -> bool:
    """Return whether ``k`` of decreasing scores exceed a cosine that float32 has rounded."""
    return len(scores) >= k and bool(scores[k - 1] > cosine + FLOAT32)


def _highest(values: Floats, count: int) -> Ints:
    """Return where about ``count`` of the highest ``values`` are, in decreasing order."""
    if count < len(values) // 8:
        sample = values[::61]
        rank = max(4, count * len(sample) // len(values))
        bound = np.partition(sample, -rank)[-rank]
        places = np.flatnonzero(values >= max(bound, np.finfo(np.float32).min))
    else:
        places = np.flatnonzero(values > -np.inf)
    return places[np.argsort(-values[places], kind="stable")]
