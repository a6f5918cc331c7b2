"""The centroids of inverted lists, trained and searched by FAISS.

They are derived data: other centroids make a search faster or slower, and find a little more or
less.
Shape letters: R streams, K compared layers, D hidden dim, N inverted lists.
"""

from functools import cached_property
from threading import Event
from typing import Any

from app.store.index.blocks import Floats, Ints

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
