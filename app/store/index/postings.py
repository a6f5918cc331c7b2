"""Which streams have a step with given codes: search without looking at every stream.

A step's codes are one symbol: of two rows of 400 codes there are 160,000. A query's best step
comes from the streams of its best symbols, exactly. The means that are nearest to it usually have
a step among the best symbols too; where they need not, the whole block has to be scanned.
Derived from a block, for as long as its streams keep their places.
Shape letters: M symbols (L to the power of the rows that are compared), R streams, T steps.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.store.index.blocks import Block
from app.store.index.comparison import Comparison
from app.store.index.kernels import Kernels
from app.store.index.lookups import Doubles, Floats
from app.store.index.scan import Search, bounds, scaled_lut
from app.store.index.shortlist import Candidates, Entries, Shortlist

MOST_SYMBOLS = 2**18
SYMBOLS = 512  # whose streams are looked at for the nearest means
LIKELY = 256  # streams of these whose means are compared
# What the steps of a stream without these symbols add, of the most that they could. They would
# all have to be of the very next symbol to add that. Where the best means match 0.8 of it, 98 % of
# them were found on topics of all degrees of noise; at 0.7 it was 92 %, on random codes (0.4) 30 %.
SURE = 0.8
FLOAT32 = 4e-6  # how far a cosine may be off in float32


class Likely(NamedTuple):
    """Streams that are probably nearest by their means."""

    rows: NDArray[np.int64]  # counted through the chunks
    missed: float  # the most that one step of a stream without these symbols adds to its sum


class Postings:
    """The streams that a block had, by the symbols of their steps.

    Args:
        block: The streams.
        comparison: Of at most two rows of codes.
        kernels: The inner loops.
    """

    def __init__(self, block: Block, comparison: Comparison, *, kernels: Kernels) -> None:
        self.version = block.version
        self.counts = [chunk.count for chunk in block.chunks]  # what it knows of each chunk
        self.starts_of_chunks = np.cumsum([0, *self.counts])
        self._comparison = comparison
        self._kernels = kernels
        own = [(chunk, slice(chunk.count)) for chunk in block.chunks]
        self._keys = np.concatenate([chunk.keys[rows] for chunk, rows in own])
        self._norms = np.concatenate([chunk.norms[comparison.layers][rows] for chunk, rows in own])
        steps = np.concatenate(
            [comparison.symbols(chunk.codes(rows)).ravel() for chunk, rows in own]
        )
        steps_each = block.packing.steps
        self._starts, self._rows = kernels.grouped(steps, comparison.num_symbols, steps_each)
        self._absent = np.where(np.diff(self._starts) > 0, 0, -np.inf).astype(np.float32)
        self.median_norm = float(np.median(self._norms))
        self._scratch: list[Floats] = []  # zeros, one array a search that is under way

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def nbytes(self) -> int:
        """Bytes of the lists and of what is kept of each stream."""
        parts = (self._keys, self._norms, self._starts, self._rows, self._absent)
        return sum(part.nbytes for part in parts)

    def remove(self, key: int) -> None:
        """Forget the stream of that key, if it is known."""
        row = int(np.searchsorted(self._keys, key))
        if row < len(self._keys) and self._keys[row] == key:
            self._norms[row] = 0

    def best_steps(self, lut: Doubles, search: Search) -> Candidates:
        """Return the streams with the best step, best first, with all that tie and some more.

        Args:
            lut: ``[Q, L]`` the dot products of the compared codes with the query.
            search: How many, and which streams count.
        """
        dots = self._comparison.dots(lut.astype(np.float32))
        cosines = dots * self._comparison.inverse_norms + self._absent
        wanted = SYMBOLS
        while True:
            symbols = _highest(cosines, wanted)
            found = self._best_of(symbols, cosines, lut, search)
            is_all = wanted >= len(cosines)
            if is_all or _are_above(found.scores, search.k, float(cosines[symbols[-1]])):
                return found
            wanted *= 8

    def likely(self, lut: Doubles) -> Likely | None:
        """Return the streams that probably have the nearest means; None where scanning is faster.

        Args:
            lut: ``[Q, L]`` the dot products of the compared codes with the query.
        """
        dots = self._comparison.dots(lut.astype(np.float32)) + self._absent
        symbols = _highest(dots, SYMBOLS)[:SYMBOLS]
        if (self._starts[symbols + 1] - self._starts[symbols]).sum() > len(self) // 8:
            return None
        weights = np.maximum(dots[symbols], 0)
        with self._zeros() as sums:
            touched, means = self._kernels.partial_means(
                self._starts, self._rows, symbols, weights, self._norms, sums
            )
        if len(touched) > LIKELY:
            touched = touched[np.argpartition(-means, LIKELY)[:LIKELY]]
        rows = np.sort(touched).astype(np.int64)
        return Likely(rows[self._norms[rows] > 0], float(dots[symbols[-1]]))

    def _best_of(
        self, symbols: NDArray[np.int64], cosines: Floats, lut: Doubles, search: Search
    ) -> Candidates:
        """Return the streams of the first ``symbols`` that are surely enough for the best ``k``."""
        sizes = np.cumsum(self._starts[symbols + 1] - self._starts[symbols])
        end = min(int(np.searchsorted(sizes, search.k)) + 1, len(symbols))
        while True:
            exact = self._comparison.exact_cosines(symbols[:end], lut)
            order = np.argsort(-exact, kind="stable")
            with self._zeros() as seen:
                rows, counts = self._kernels.first_listed(
                    self._starts, self._rows, symbols[:end][order], seen
                )
            counted = self._norms[rows] > 0
            keys = self._keys[rows]
            if search.allowed is not None:
                counted &= np.isin(keys, search.allowed)
            scores = np.repeat(exact[order], counts)
            found = Candidates(keys[counted].astype(np.int64), scores[counted])  # best first
            below = float(cosines[symbols[end]]) if end < len(symbols) else -np.inf
            if end == len(symbols) or _are_above(found.scores, search.k, below):
                return found
            end = min(2 * end, len(symbols))

    @contextmanager
    def _zeros(self) -> Iterator[Floats]:
        """Yield ``[R]`` zeros, which are to be zeros again at the end; a search has its own."""
        try:
            own = self._scratch.pop()
        except IndexError:
            own = np.zeros(len(self), np.float32)
        yield own
        self._scratch.append(own)


def _are_above(scores: Doubles, k: int, cosine: float) -> bool:
    """Tell whether ``k`` of falling scores are higher than a cosine that float32 has rounded."""
    return len(scores) >= k and bool(scores[k - 1] > cosine + FLOAT32)


def note_likely(search: Search, block: Block, postings: Postings) -> bool:
    """Note the streams that are probably nearest by their means, for the only query.

    Returns:
        Whether they are: a stream of middling length without the best symbols could not reach the
        k-th of them even if its steps were nearly all (``SURE``) of the next best. Else nothing
        is noted.
    """
    (query,) = search.queries
    likely = postings.likely(query.lut)
    if likely is None:
        return False
    lut, error = scaled_lut(query.lut, search.comparison, block.packing)
    chunks = np.searchsorted(postings.starts_of_chunks, likely.rows, "right") - 1
    sums, norms = np.empty(len(chunks), np.float32), np.empty(len(chunks), np.uint16)
    rows = likely.rows - postings.starts_of_chunks[chunks]
    columns = search.comparison.columns(block.packing)
    for number in np.unique(chunks).tolist():
        chunk, its = block.chunks[number], np.flatnonzero(chunks == number)
        own, found = rows[its], np.empty(len(its), np.float32)
        search.kernels.sums(chunk.low[:, own], chunk.high[:, own], columns, lut, found)
        sums[its], norms[its] = found, chunk.norms[search.comparison.layers][own]
    entries = Entries(len(search.chunks) + chunks, rows, *bounds(sums, norms, error))
    seen = Shortlist(search.k, least=search.least)
    seen.note(entries)
    entries = seen.entries()
    worst = max(seen.least, query.shortlist.least) * postings.median_norm
    if worst <= 0 or SURE * likely.missed > worst * search.comparison.norm_unit:
        return False
    query.shortlist.note(entries)
    return True


def _highest(values: Floats, wanted: int) -> NDArray[np.int64]:
    """Return where ``wanted`` or a few more or less of the highest ``values`` are, descending."""
    if wanted < len(values) // 8:
        sample = values[::61]
        rank = max(4, wanted * len(sample) // len(values))
        bound = np.partition(sample, -rank)[-rank]
        found = np.flatnonzero(values >= max(bound, np.finfo(np.float32).min))
    else:
        found = np.flatnonzero(values > -np.inf)
    return found[np.argsort(-values[found], kind="stable")]
