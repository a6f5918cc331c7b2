"""The best consecutive steps of every stream, from sums of look-ups and stored lengths.

The lengths of all windows of one width are measured by the first search with it, and kept: two
bytes for each second of each stream.
Shape letters: R streams, W windows of consecutive steps.
"""

import threading
from weakref import WeakKeyDictionary

import numpy as np

from app.store.index.blocks import Block, Chunk, Layers, Norms
from app.store.index.comparison import Comparison
from app.store.index.kernels import passing_windows, window_lengths, window_sums
from app.store.index.scan import SearchState, scaled_lut, tiles
from app.store.index.shortlist import Entries

KEPT = 2  # selections of layers and width whose lengths are kept
TILE = 1024  # streams; their sums fit into the second-level cache


class WindowLengths:
    """The lengths of the means of consecutive steps. Any thread may search."""

    def __init__(self) -> None:
        # By layers and width, the one used last at the end: of each chunk [W, R], rounded up.
        self._kept: dict[tuple[Layers, int], WeakKeyDictionary[Chunk, Norms]] = {}
        self._measuring = threading.Lock()

    def of(self, chunk: Chunk, comparison: Comparison, width: int) -> Norms:
        """Return the lengths ``[W, R]`` of a chunk's streams, removed ones included."""
        selection = comparison.layers, width
        with self._measuring:
            lengths = self._kept[selection] = self._kept.pop(selection, WeakKeyDictionary())
            while len(self._kept) > KEPT:
                del self._kept[next(iter(self._kept))]
            known = lengths.get(chunk, np.empty((chunk.packing.steps - width + 1, 0), np.uint16))
            if known.shape[1] < chunk.count:
                new = _measured(chunk, known.shape[1], comparison, width)
                known = lengths[chunk] = np.concatenate([known, new], axis=1)
            return known


def scan_windows(state: SearchState, block: Block, width: int, lengths: WindowLengths) -> None:
    """Note the streams of a block by their best ``width`` consecutive steps."""
    comparison, steps = state.comparison, block.packing.steps
    luts = [scaled_lut(query.lut, comparison, block.packing, width) for query in state.queries]
    scratch = np.empty((steps, TILE), np.float32)
    sums = np.empty((steps - width + 1, TILE), np.float32)
    passed, bounds = np.empty(TILE, np.int32), np.empty((2, TILE))
    for number, tile, norms in tiles(block, state, TILE, ()):
        chunk, size = block.chunks[number], len(norms)
        low, high = chunk.low[:, tile], chunk.high[:, tile]
        longest = lengths.of(chunk, comparison, width)[:, tile]
        for query, (lut, error) in zip(state.queries, luts, strict=True):
            totals = sums[:, :size]
            window_sums(low, high, comparison.rows, lut, scratch[:, :size], totals)
            count = passing_windows(
                totals, norms, longest, query.shortlist.least, error, passed, bounds
            )
            if count:
                places = np.full(count, len(state.chunks) + number)
                lower, upper = bounds[:, :count].copy()
                query.shortlist.note(Entries(places, passed[:count] + tile.start, lower, upper))


def _measured(chunk: Chunk, start: int, comparison: Comparison, width: int) -> Norms:
    """Return the lengths ``[W, R]`` of the streams from row ``start`` on, rounded up."""
    parts = []
    for part in chunk.parts():
        codes = chunk.codes(slice(max(start, part.start), part.stop))[:, comparison.rows]
        lengths = window_lengths(
            np.ascontiguousarray(codes), comparison.grams, comparison.pairs, width
        )
        units = np.ceil(lengths / comparison.norm_unit - 1e-9)
        parts.append(np.maximum(units, lengths > 0).astype(np.uint16))
    return np.concatenate(parts, axis=1)
