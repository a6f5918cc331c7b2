"""Search over the float vectors of the codes with FAISS: exact, inverted lists or a graph.

Shape letters: R streams, C code rows, T steps, N vectors, D their size.
"""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from app.store.cosine import DECIMALS, unit
from app.store.index.blocks import Floats, Layers
from app.store.index.code_index import CodeIndex
from app.store.index.scan import IndexSearch
from app.store.index.shortlist import Candidates, best
from model.encoder import Vocabulary

VectorKind = Literal["flat", "ivf", "hnsw"]

# FAISS sums in float32, in an order that depends on where a vector lies. Returned scores are
# summed again in float64 and rounded, so that equal streams tie wherever they lie.
FAISS_ERROR = 1e-5
APPROXIMATE_FROM = 10_000  # vectors; fewer are compared one by one by every kind
PROBES = 32  # inverted lists that a search reads
BREADTH = 128  # neighbours that a search of the graph keeps


class FloatIndex(CodeIndex):
    """The means of streams as vectors. The codes answer what vectors cannot.

    That is: a best step or window, and a search among some of the streams.

    Args:
        vocabulary: The vectors of the codes.
        kind: How vectors are searched.
        approximate_from: The number of vectors from which ``ivf`` and ``hnsw`` are used.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        *,
        kind: VectorKind,
        approximate_from: int = APPROXIMATE_FROM,
    ) -> None:
        super().__init__(vocabulary)
        self._kind = kind
        self._approximate_from = approximate_from
        self._vectors: dict[Layers, VectorIndex] = {}  # made by the first search

    def add(self, keys: NDArray[np.int64], codes: NDArray[np.integer]) -> None:
        """Add streams; see ``CodeIndex.add``."""
        super().add(keys, codes)
        for layers, vectors in self._vectors.items():
            vectors.add(keys, self._pooled(codes, layers))

    def remove(self, key: int) -> bool:
        """Remove the stream with that key; return whether it existed."""
        existed = super().remove(key)
        for vectors in self._vectors.values() if existed else ():
            vectors.remove(np.array([key]))
        return existed

    def search(self, search: IndexSearch) -> list[Candidates]:
        """Return the nearest streams of each query; see ``CodeIndex.search``."""
        if search.width is not None or search.allowed is not None:
            return super().search(search)
        with self._deriving:
            vectors = self._vectors_of(search.layers)
            nearest = [vectors.search(query, k=search.k) for query in search.queries]
        return [best(streams, k=search.k, least=search.least) for streams in nearest]

    def _vectors_of(self, layers: Layers) -> "VectorIndex":
        if layers not in self._vectors:
            dim = len(layers) * self._vocabulary.tables.shape[-1]
            vectors = VectorIndex(dim, self._kind, approximate_from=self._approximate_from)
            for block in self.blocks.values():
                for keys, codes in block.streams():
                    vectors.add(keys, self._pooled(codes, layers))
            self._vectors[layers] = vectors
        return self._vectors[layers]

    def _pooled(self, codes: NDArray[np.integer], layers: Layers) -> Floats:
        pooled = self._vocabulary.pooled
        return np.stack([pooled(stream.astype(np.int16), layers) for stream in codes])


class VectorIndex:
    """Vectors by an integer key. Not thread-safe: the caller locks.

    Args:
        dim: D.
        kind: ``flat`` compares all. ``ivf`` and ``hnsw`` miss some, and are faster on many.
        approximate_from: The number of vectors from which those two are used.
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
        self._keys: dict[int, None] = {}  # in the order of adding; a graph cannot remove any

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, keys: NDArray[np.int64], vectors: Floats) -> None:
        """Add vectors ``[N, D]`` under new keys ``[N]``."""
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

    def search(self, query: Floats, *, k: int) -> Candidates:
        """Return the ``k`` vectors nearest to ``query`` ``[D]`` and all that tie with the k-th."""
        towards = unit(query.astype(np.float64))
        total = int(self._index.ntotal)
        count = min(total, 2 * k)
        while count:
            rough, labels = self._index.search(towards[None].astype(np.float32), count)
            keys = labels[0][labels[0] >= 0]
            keys = np.array([key for key in keys.tolist() if key in self._keys], np.int64)
            vectors = self._index.reconstruct_batch(keys).astype(np.float64)
            scores = (vectors * towards).sum(-1).round(DECIMALS)
            is_all = count == total or (labels < 0).any()
            if is_all or (
                len(scores) >= k and rough[0, -1] + FAISS_ERROR < np.partition(scores, -k)[-k]
            ):
                return Candidates(keys, scores)
            count = min(total, 4 * count)
        return Candidates(np.empty(0, np.int64), np.empty(0))

    def _rebuild(self) -> None:
        """Move all vectors into a new index of this kind."""
        keys = np.fromiter(self._keys, np.int64)
        vectors = self._index.reconstruct_batch(keys)
        self._index = inverted_lists(vectors) if self._kind == "ivf" else neighbour_graph(self._dim)
        self._index.add_with_ids(vectors, keys)
        self._is_exact = False


def inverted_lists(vectors: Floats) -> Any:
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
