"""The streams that contain given codes at one step: search without looking at every stream.

A step's codes are one symbol: two rows of 400 codes have 160,000. The best step for a query is in
the lists of the best symbols, exactly. The nearest means usually contain one of the best symbols
too; when that is not certain, the whole block is scanned.
Postings are derived from a block, and valid until its streams move.
Shape letters: M symbols (L to the power of the compared rows), R streams, T steps.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from app.store.index.blocks import Block, Doubles, Floats, Ints
from app.store.index.comparison import Comparison
from app.store.index.kernels.lists import first_listed, grouped, partial_means
from app.store.index.kernels.scans import sums
from app.store.index.scan import IndexSearch, SearchState, bounds, scaled_lut
from app.store.index.shortlist import Candidates, Entries, Shortlist

MOST_SYMBOLS = 2**18
SYMBOLS = 512  # whose lists are read for the nearest means
LIKELY = 256  # streams of these lists whose means are compared
# What the steps of a stream without these symbols add, as a share of the most possible: all of
# them being the very next symbol. Where the best means beat 0.8 of it, 98 % of the best were found
# on topics with any level of noise; at 0.7 it was 92 %, and on random codes (0.4) 30 %.
SURE = 0.8
FLOAT32 = 4e-6  # largest error of a cosine in float32


class Likely(NamedTuple):
    """Streams that are probably nearest by their means."""

    rows: Ints  # counted through the chunks
    missed: float  # the most that one step of a stream without these symbols adds to its sum


class Postings:
    """The streams of a block by the symbols of their steps.

    Args:
        block: The streams.
        comparison: Of at most two rows of codes.
    """

    def __init__(self, block: Block, comparison: Comparison) -> None:
        self.version = block.version
        self.counts = [chunk.count for chunk in block.chunks]  # listed streams of each chunk
        self.starts_of_chunks = np.cumsum([0, *self.counts])
        self._comparison = comparison
        chunks = [(chunk, slice(chunk.count)) for chunk in block.chunks]
        norms = [chunk.norms[comparison.layers][rows] for chunk, rows in chunks]
        symbols = [comparison.symbols(chunk.codes(rows)).ravel() for chunk, rows in chunks]
        self._keys = np.concatenate([chunk.keys[rows] for chunk, rows in chunks])
        self._norms = np.concatenate(norms)
        self._starts, self._rows = grouped(
            np.concatenate(symbols), comparison.num_symbols, block.packing.steps
        )
        self._absent = np.where(np.diff(self._starts) > 0, 0, -np.inf).astype(np.float32)
        self.median_norm = float(np.median(self._norms))
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

    def likely(self, lut: Doubles) -> Likely | None:
        """Return the streams that probably have the nearest means; None if a scan is faster.

        Args:
            lut: ``[Q, L]`` the dot products of the compared codes with the query.
        """
        dots = self._comparison.dots(lut.astype(np.float32)) + self._absent
        symbols = _highest(dots, SYMBOLS)[:SYMBOLS]
        if (self._starts[symbols + 1] - self._starts[symbols]).sum() > len(self) // 8:
            return None
        weights = np.maximum(dots[symbols], 0)
        with self._zeros() as scratch:
            touched, means = partial_means(
                self._starts, self._rows, symbols, weights, self._norms, scratch
            )
        if len(touched) > LIKELY:
            touched = touched[np.argpartition(-means, LIKELY)[:LIKELY]]
        rows = np.sort(touched).astype(np.int64)
        return Likely(rows[self._norms[rows] > 0], float(dots[symbols[-1]]))

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


def note_likely(state: SearchState, block: Block, postings: Postings) -> bool:
    """Note the streams that are probably nearest by their means, for the only query.

    Returns:
        Whether they are nearest: a stream of median length without the best symbols cannot reach
        the k-th of them even if its steps are on average ``SURE`` as good as the next best
        symbol. If not, nothing is noted.
    """
    (query,), search, comparison = state.queries, state.search, state.comparison
    likely = postings.likely(query.lut)
    if likely is None:
        return False
    lut, error = scaled_lut(query.lut, comparison, block.packing)
    chunks = np.searchsorted(postings.starts_of_chunks, likely.rows, "right") - 1
    totals, norms = np.empty(len(chunks), np.float32), np.empty(len(chunks), np.uint16)
    rows = likely.rows - postings.starts_of_chunks[chunks]
    columns = comparison.columns(block.packing)
    for number in np.unique(chunks).tolist():
        chunk, inside = block.chunks[number], np.flatnonzero(chunks == number)
        part, out = rows[inside], np.empty(len(inside), np.float32)
        sums(chunk.low[:, part], chunk.high[:, part], columns, lut, out)
        totals[inside], norms[inside] = out, chunk.norms[comparison.layers][part]
    shortlist = Shortlist(search.k, least=search.least)
    shortlist.note(Entries(len(state.chunks) + chunks, rows, *bounds(totals, norms, error)))
    entries = shortlist.entries()
    worst = max(shortlist.least, query.shortlist.least) * postings.median_norm
    if worst <= 0 or SURE * likely.missed > worst * comparison.norm_unit:
        return False
    query.shortlist.note(entries)
    return True


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
