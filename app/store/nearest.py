"""The streams of an answer while it is put together."""

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray


class Nearest(NamedTuple):
    """Streams in no order."""

    keys: NDArray[np.int64]  # [R]
    scores: NDArray[np.float64]  # [R]
    queries: NDArray[np.int64]  # [R] which of the queries each is most like

    def only(self, rows: NDArray[np.integer | np.bool_]) -> Self:
        """Return some of them."""
        return type(self)(self.keys[rows], self.scores[rows], self.queries[rows])


def joined(parts: list[Nearest]) -> Nearest:
    """Return the streams of all parts."""
    return Nearest(
        np.concatenate([part.keys for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.queries for part in parts]),
    )
