"""Inverted lists of streams: their centroids, trained and searched by FAISS, and their content.

Centroids are derived data: others make a search faster or slower, and find a little more or less.
Shape letters: R streams, C code rows, T steps, K compared layers, D hidden dim, L codebook size,
N inverted lists.
"""

from functools import cached_property
from threading import Event
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from app.store.index.blocks import Block, Chunk, CodeArray, Floats, Ints, Listing
from app.store.index.comparison import Comparison
from app.store.index.kernels import sums_of_many

SAMPLED = 32  # streams per centroid that it is trained on
ROUNDS = 6  # of k-means


class Centroids:
    """Unit vectors, each the middle of a list. Any thread may search.

    Args:
        vectors: ``[N, K * D]``, of length 1.
        num_streams: The size of the index that they were trained for.
    """

    def __init__(self, vectors: Floats, *, num_streams: int) -> None:
        self.vectors = vectors
        self.num_streams = num_streams

    def __len__(self) -> int:
        return len(self.vectors)

    def nearest(self, queries: Floats, *, count: int) -> Ints:
        """Return the ``count`` nearest lists ``[R, count]`` of vectors ``[R, K * D]``."""
        lists: Ints = self._index.search(queries, count)[1]
        return lists

    @cached_property
    def _index(self) -> Any:
        import faiss

        index = faiss.IndexFlatIP(self.vectors.shape[1])
        index.add(self.vectors)
        return index


def num_lists(num_streams: int) -> int:
    """Return N for an index of that size: ten times the streams take three times as long."""
    return max(1, round(2 * num_streams**0.5))


def trained(means: Floats, *, num_streams: int, stop: Event) -> Centroids | None:
    """Return centroids trained on unit vectors ``[R, K * D]``; None if stopped meanwhile."""
    import faiss

    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)  # of this thread: searches need the other processors
    count = min(num_lists(num_streams), len(means))
    kmeans = faiss.Kmeans(means.shape[1], count, niter=1, spherical=True, min_points_per_centroid=1)
    try:
        for _ in range(ROUNDS):
            if stop.is_set():
                return None
            kmeans.train(means, init_centroids=kmeans.centroids)  # None in the first round
    finally:
        faiss.omp_set_num_threads(threads)
    assert kmeans.centroids is not None
    return Centroids(kmeans.centroids, num_streams=num_streams)


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
        chunk.keys = np.concatenate([source.keys[:count] for source, count in parts])[rows]
        for j, column in enumerate(chunk.low):
            column[:] = np.concatenate([source.low[j, :count] for source, count in parts])[rows]
        for j, plane in enumerate(chunk.high):
            plane[:] = np.concatenate([source.high[j, :count] for source, count in parts])[rows]
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
