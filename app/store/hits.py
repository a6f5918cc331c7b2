"""A stream that a search has found, as it is answered. Every store makes its hits here."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from app.store.base import PLACES, Hit, Item, Score
from app.store.cosine import best_second, cosines
from model.encoder import Vocabulary
from model.modality import Modality


class HitMaker:
    """Makes the hits of one search.

    Args:
        vocabulary: What the codes stand for.
        queries: ``[N, K * D]`` what was looked for.
        layers: Which were compared.
        width: How many steps in a row were; None: the whole stream.
        curves: Whether each hit comes with its curve.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        queries: NDArray[np.float32],
        *,
        layers: Sequence[int],
        width: int | None,
        curves: bool,
    ) -> None:
        self._vocabulary = vocabulary
        self._queries = queries.astype(np.float64)
        self._layers = layers
        self._width = width
        self._curves = curves

    def hit(self, item: Item, modality: Modality, score: float, number: int) -> Hit:
        """Return the hit of a stream that is most like query ``number``."""
        stream, query = item.streams[modality], self._queries[number]
        steps = self._vocabulary.steps(stream.codes, self._layers).astype(np.float64)
        has_time = stream.duration_seconds is not None
        second = best_second(steps, query, width=self._width or 1) if has_time else None
        curve = cosines(steps, query).astype(np.float32) if self._curves else None
        return Hit(item, modality, score, second, curve, query=number)


def compared_width(score: Score, window: int) -> int | None:
    """Return how many steps in a row a search compares; None: the whole stream."""
    return {"mean": None, "max": 1, "window": window}[score]


def in_order(hits: Iterable[Hit]) -> list[Hit]:
    """Return hits as they are answered: the best first, equal ones by id, then modality."""
    return sorted(hits, key=lambda hit: (-hit.score, hit.item.id, PLACES[hit.modality]))
