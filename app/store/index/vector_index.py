"""Cosine search over float vectors with FAISS: exact, inverted lists or a neighbour graph.

Shape letters: N vectors, D their size.
"""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from app.store.cosine import DECIMALS, unit
from app.store.index.shortlist import Candidates

VectorKind = Literal["flat", "ivf", "hnsw"]

# FAISS sums in float32, in an order that depends on where a vector lies. The scores that are
# given out are summed anew in float64 and rounded, so that equal streams tie wherever they lie.
FAISS_ERROR = 1e-5
APPROXIMATE_FROM = 10_000  # vectors; fewer are compared one by one whatever the kind
PROBES = 32  # inverted lists that a search goes through
BREADTH = 128  # neighbours that a search of the graph keeps in mind


class VectorIndex:
    """Vectors by an integer key. Not thread-safe: its owner locks.

    Args:
        dim: D.
        kind: ``flat`` compares all. ``ivf`` and ``hnsw`` miss some and are faster on many.
        approximate_from: How many vectors those two begin with; before that, all are compared.
    """

    def __init__(
        self, dim: int, kind: VectorKind = "flat", *, approximate_from: int = APPROXIMATE_FROM
    ) -> None:
        import faiss

        self._dim = dim
        self._kind = kind
        self._approximate_from = approximate_from
        self._is_exact = True
        self._index: Any = faiss.IndexIDMap2(faiss.IndexFlatIP(dim))
        self._keys: dict[int, None] = {}  # in the order of adding; the graph cannot remove any

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, keys: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Add vectors ``[N, D]`` under keys ``[N]`` that have not been in use."""
        self._index.add_with_ids(unit(vectors.astype(np.float64)).astype(np.float32), keys)
        self._keys.update(dict.fromkeys(keys.tolist()))
        if self._is_exact and self._kind != "flat" and len(self) >= self._approximate_from:
            self._rebuild()

    def remove(self, keys: NDArray[np.int64]) -> None:
        """Remove the vectors of those keys."""
        for key in keys.tolist():
            del self._keys[key]
        if self._is_exact or self._kind == "ivf":
            self._index.remove_ids(keys)
        elif 2 * len(self) < self._index.ntotal:
            self._rebuild()

    def search(self, query: NDArray[np.float32], *, k: int) -> Candidates:
        """Return the ``k`` vectors nearest to ``query`` ``[D]`` and all that tie with the k-th."""
        towards = unit(query.astype(np.float64))
        total = int(self._index.ntotal)
        wanted = min(total, 2 * k)
        while wanted:
            rough, found = self._index.search(towards[None].astype(np.float32), wanted)
            keys = found[0][found[0] >= 0]
            keys = np.array([key for key in keys.tolist() if key in self._keys], np.int64)
            vectors = self._index.reconstruct_batch(keys).astype(np.float64)
            scores = (vectors * towards).sum(-1).round(DECIMALS)
            is_all = wanted == total or (found < 0).any()
            if is_all or (
                len(scores) >= k and rough[0, -1] + FAISS_ERROR < np.partition(scores, -k)[-k]
            ):
                return Candidates(keys, scores)
            wanted = min(total, 4 * wanted)
        return Candidates(np.empty(0, np.int64), np.empty(0))

    def _rebuild(self) -> None:
        """Put what there is into an index of the wanted kind."""
        keys = np.fromiter(self._keys, np.int64)
        vectors = self._index.reconstruct_batch(keys)
        self._index = inverted_lists(vectors) if self._kind == "ivf" else neighbour_graph(self._dim)
        self._index.add_with_ids(vectors, keys)
        self._is_exact = False


def inverted_lists(vectors: NDArray[np.float32]) -> Any:
    """Return an empty FAISS index of inverted lists, trained on unit vectors ``[N, D]``."""
    import faiss

    dim = vectors.shape[1]
    num_lists = max(1, int(4 * np.sqrt(len(vectors))))
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(dim), dim, num_lists, faiss.METRIC_INNER_PRODUCT)
    index.cp.min_points_per_centroid = 1  # it warns below 39
    index.train(vectors[:: max(1, len(vectors) // (64 * num_lists))])
    index.nprobe = PROBES
    index.set_direct_map_type(faiss.DirectMap.Hashtable)  # type: ignore[attr-defined]  # its stubs
    return index


def neighbour_graph(dim: int) -> Any:
    """Return an empty FAISS neighbour graph."""
    import faiss

    graph = faiss.IndexHNSWFlat(dim, 32, faiss.METRIC_INNER_PRODUCT)
    graph.hnsw.efSearch = BREADTH
    return faiss.IndexIDMap2(graph)
