"""How streams are put into inverted lists: each into that of the nearest centroid.

Shape letters: R streams, C code rows, T steps, K compared layers, D hidden dim, L codebook size,
N inverted lists.
"""

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from app.store.index.blocks import Block, Chunk, CodeArray, Floats, Ints, Listing
from app.store.index.centroids import Centroids
from app.store.index.comparison import Comparison
from app.store.index.kernels import sums_of_many

TILE, CENTROIDS = 2048, 64  # streams and centroids that are compared at once, in the caches


class Draft(NamedTuple):
    """The streams of a block as of a moment: their codes do not change, their places may."""

    chunks: list[Chunk]
    counts: list[int]  # of the streams in each chunk
    alive: NDArray[np.bool_]  # [R] counted through the chunks
    version: int

    @classmethod
    def of(cls, block: Block) -> Self:
        """Note what a block holds."""
        counts = [chunk.count for chunk in block.chunks]
        alive = np.concatenate([chunk.alive for chunk in block.chunks])
        return cls(list(block.chunks), counts, alive, block.version)

    def listed(self, centroids: Centroids, comparison: Comparison) -> tuple[Chunk, Ints]:
        """Return the streams in lists, without lengths, and where each was, ``[R]``.

        Args:
            centroids: Of the lists.
            comparison: Of all layers.
        """
        parts = list(zip(self.chunks, self.counts, strict=True))
        lists = np.concatenate([_lists_of(*part, centroids, comparison) for part in parts])
        rows = np.flatnonzero(self.alive)
        rows = rows[np.argsort(lists[rows], kind="stable")]
        chunk = Chunk(self.chunks[0].packing, len(rows))
        chunk.count = len(rows)
        chunk.keys = np.concatenate([own.keys[:count] for own, count in parts])[rows]
        for j, column in enumerate(chunk.low):
            column[:] = np.concatenate([own.low[j, :count] for own, count in parts])[rows]
        for j, plane in enumerate(chunk.high):
            plane[:] = np.concatenate([own.high[j, :count] for own, count in parts])[rows]
        starts = np.searchsorted(lists[rows], np.arange(len(centroids) + 1))
        chunk.listing = Listing(centroids, starts, np.argsort(chunk.keys).astype(np.uint32))
        return chunk, rows


def unit_means(codes: CodeArray, comparison: Comparison) -> Floats:
    """Return the means ``[R, K * D]`` of streams ``[R, C, T]``, scaled to length 1."""
    dim = comparison.tables.shape[2]
    sums = np.zeros((len(codes), len(comparison.layers), dim), np.float32)
    for row in comparison.rows:
        for step in range(codes.shape[2]):
            sums[:, comparison.parts[row]] += comparison.tables[row, codes[:, row, step]]
    means = sums.reshape(len(codes), -1)
    norms = np.linalg.norm(means, axis=1, keepdims=True)
    return np.divide(means, norms, out=np.zeros_like(means), where=norms > 0)


def _lists_of(
    chunk: Chunk, count: int, centroids: Centroids, comparison: Comparison
) -> NDArray[np.int32]:
    """Return the list ``[count]`` of each of the first streams of a chunk."""
    if chunk.listing and chunk.listing.centroids is centroids:
        return np.repeat(np.arange(len(centroids), dtype=np.int32), np.diff(chunk.listing.starts))
    columns = comparison.columns(chunk.packing)
    lists, highest = np.zeros(count, np.int32), np.full(count, -np.inf, np.float32)
    for first in range(0, len(centroids), CENTROIDS):
        lut = _lut(centroids.vectors[first : first + CENTROIDS], comparison)
        for start in range(0, count, TILE):
            tile = slice(start, min(start + TILE, count))
            sums = np.empty((tile.stop - start, lut.shape[2]), np.float32)
            sums_of_many(chunk.low[:, tile], chunk.high[:, tile], columns, lut, sums)
            best, scores = sums.argmax(1), sums.max(1)
            lists[tile] = np.where(scores > highest[tile], first + best, lists[tile])
            highest[tile] = np.maximum(scores, highest[tile])
    return lists


def _lut(vectors: Floats, comparison: Comparison) -> Floats:
    """Return ``[C + 1, L, n]`` the dot products of the codes with vectors ``[n, K * D]``."""
    parts = vectors.reshape(len(vectors), len(comparison.layers), -1)
    rows, size = comparison.tables.shape[:2]
    lut = np.zeros((rows + 1, size, len(vectors)), np.float32)
    for row in comparison.rows:
        lut[row] = comparison.tables[row] @ parts[:, comparison.parts[row]].T
    return lut
