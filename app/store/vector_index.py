"""Exact cosine search over vectors in memory. The only file that opens FAISS.

Shape letters: N vectors, D their size.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

# FAISS sums in float32, in an order that depends on where a vector lies. The scores that are
# given out are summed anew in float64 and rounded, so that equal streams tie wherever they lie.
FAISS_ERROR = 1e-5
DECIMALS = 6


class Candidates(NamedTuple):
    """What may be among the best: all that are, and perhaps some that are not."""

    keys: NDArray[np.int64]  # [N]
    scores: NDArray[np.float64]  # [N] cosines, rounded to DECIMALS


class VectorIndex:
    """Vectors by an integer key, searched by cosine. Not thread-safe: its owner locks."""

    def __init__(self, dim: int) -> None:
        import faiss

        self._index: Any = faiss.IndexIDMap2(faiss.IndexFlatIP(dim))

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def add(self, keys: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Add vectors ``[N, D]`` under keys ``[N]`` that are not in use."""
        self._index.add_with_ids(unit(vectors).astype(np.float32), keys)

    def remove(self, keys: NDArray[np.int64]) -> None:
        """Remove the vectors of those keys."""
        self._index.remove_ids(keys)

    def search(self, query: NDArray[np.float32], *, k: int) -> Candidates:
        """Return the ``k`` vectors nearest to ``query`` ``[D]`` and all that tie with the k-th."""
        towards = unit(query)
        wanted = min(len(self), 2 * k)
        while wanted:
            rough, keys = self._index.search(towards[None].astype(np.float32), wanted)
            vectors = self._index.reconstruct_batch(keys[0]).astype(np.float64)
            scores = (vectors * towards).sum(-1).round(DECIMALS)
            if wanted == len(self) or rough[0, -1] + FAISS_ERROR < np.sort(scores)[-k]:
                return Candidates(keys[0], scores)
            wanted = min(len(self), 4 * wanted)
        return Candidates(np.empty(0, np.int64), np.empty(0))


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return ``[..., D]`` scaled to length 1; a vector of zeros stays one."""
    exact = vectors.astype(np.float64)
    length = np.linalg.norm(exact, axis=-1, keepdims=True)
    return np.divide(exact, length, out=np.zeros_like(exact), where=length > 0)
