"""How similar a stream is to a query: the formula in float64, and the hits made with it.

Shape letters: T steps, W windows, N queries, D hidden dim, K compared layers.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.schemas.search import SearchOptions
from app.store.base import Hit, Item
from model.encoder import Vocabulary
from model.modality import Modality

DECIMALS = 6  # of a score: equal streams tie, whatever the order in which steps were summed


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``[..., D]`` scaled to length 1; a vector of zeros stays zero."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)


def cosines(vectors: NDArray[np.float64], query: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the cosine ``[W]`` of each vector ``[W, K * D]`` with ``query``; 0 without length."""
    return unit(vectors) @ unit(query)


def windows(steps: NDArray[np.float64], *, width: int) -> NDArray[np.float64]:
    """Return the sums ``[W, K * D]`` of each ``width`` consecutive ``steps`` ``[T, K * D]``."""
    sums = np.concatenate([np.zeros((1, steps.shape[1])), np.cumsum(steps, axis=0)])
    return sums[width:] - sums[:-width]


class HitMaker:
    """Makes the hits of one search. Every store uses it.

    Args:
        vocabulary: The vectors of the codes.
        queries: ``[N, K * D]``.
        options: Of the search.
        layers: The compared layers.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        queries: NDArray[np.float32],
        options: SearchOptions,
        layers: Sequence[int],
    ) -> None:
        self._vocabulary = vocabulary
        self._queries = queries.astype(np.float64)
        self._options = options
        self._layers = layers

    def hit(self, item: Item, modality: Modality, score: float, number: int) -> Hit:
        """Return the hit of a stream that is most similar to query ``number``."""
        stream, query = item.streams[modality], self._queries[number]
        steps = self._vocabulary.steps(stream.codes, self._layers).astype(np.float64)
        second = None
        if stream.duration_seconds is not None:
            width = min(self._options.width or 1, len(steps))
            scores = cosines(windows(steps, width=width), query)
            second = int(scores.round(DECIMALS).argmax())
        curve = cosines(steps, query).astype(np.float32) if self._options.curves else None
        return Hit(item, modality, score, second, curve, query=number)
