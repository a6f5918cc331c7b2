"""Search over the float vectors that the codes stand for, for those who prefer it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.store.index.blocks import Layers
from app.store.index.code_index import CodeIndex
from app.store.index.kernels import Kernels
from app.store.index.shortlist import Candidates, best
from app.store.index.vector_index import APPROXIMATE_FROM, VectorIndex, VectorKind
from model.encoder import Vocabulary


class FloatIndex(CodeIndex):
    """The means of streams as vectors; what vectors cannot answer is answered by the codes.

    That is: a best step or window, and a search among some of the streams only.

    Args:
        vocabulary: What the codes stand for.
        kernels: The inner loops of the search over codes.
        kind: How vectors are looked for.
        approximate_from: How many vectors ``ivf`` and ``hnsw`` begin with.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        *,
        kernels: Kernels,
        kind: VectorKind,
        approximate_from: int = APPROXIMATE_FROM,
    ) -> None:
        super().__init__(vocabulary, kernels=kernels)
        self._kind = kind
        self._approximate_from = approximate_from
        self._vectors: dict[Layers, VectorIndex] = {}  # made when they are first asked for

    def add(self, keys: NDArray[np.int64], codes: NDArray[np.integer]) -> None:
        """Add streams; see ``CodeIndex.add``."""
        super().add(keys, codes)
        for layers, vectors in self._vectors.items():
            vectors.add(keys, self._pooled(codes, layers))

    def remove(self, key: int) -> bool:
        """Remove the stream of that key; return whether there was one."""
        was_there = super().remove(key)
        for vectors in self._vectors.values() if was_there else ():
            vectors.remove(np.array([key]))
        return was_there

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
        """Return the nearest streams of each query; see ``CodeIndex.search``."""
        if width is not None or allowed is not None:
            return super().search_many(
                queries, layers=layers, k=k, width=width, least=least, allowed=allowed
            )
        with self._deriving:
            vectors = self._vectors_of(tuple(layers))
            found = [vectors.search(query, k=k) for query in queries]
        return [best(own, k=k, least=least) for own in found]

    def _vectors_of(self, layers: Layers) -> VectorIndex:
        if layers not in self._vectors:
            dim = len(layers) * self._vocabulary.tables.shape[-1]
            made = VectorIndex(dim, self._kind, approximate_from=self._approximate_from)
            for block in self.blocks.values():
                for keys, codes in block.streams():
                    made.add(keys, self._pooled(codes, layers))
            self._vectors[layers] = made
        return self._vectors[layers]

    def _pooled(self, codes: NDArray[np.integer], layers: Layers) -> NDArray[np.float32]:
        pooled = self._vocabulary.pooled
        return np.stack([pooled(own.astype(np.int16), layers) for own in codes])
