"""The best of what has been seen so far, and what the next has to score to be among them."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.store.likeness import DECIMALS
from app.store.lookups import Doubles

HALF = 0.5 * 10**-DECIMALS  # what rounding may add to a score


class Candidates(NamedTuple):
    """The best streams and all that tie with the last of them, in no order."""

    keys: NDArray[np.int64]  # [R]
    scores: Doubles  # [R] cosines, rounded to DECIMALS


class Ranking:
    """Keeps the ``k`` best and all that tie with the k-th.

    Args:
        k: How many.
        least: The least score that counts.
    """

    def __init__(self, k: int, *, least: float = -1.0) -> None:
        self.k = k
        self._threshold = least
        self._keys = np.empty(0, np.int64)
        self._scores = np.empty(0)
        self.least = least - 2 * HALF  # what an exact score must be, at least, to be kept

    def offer(self, keys: NDArray[np.integer], scores: Doubles) -> None:
        """Take note of streams with their exact scores, each once."""
        rounded = scores.round(DECIMALS)
        good = rounded >= self._threshold
        self._keys = np.concatenate([self._keys, keys[good].astype(np.int64)])
        self._scores = np.concatenate([self._scores, rounded[good]])
        if len(self._scores) >= self.k:
            worst = np.partition(self._scores, -self.k)[-self.k]
            kept = self._scores >= worst
            self._keys, self._scores = self._keys[kept], self._scores[kept]
            self.least = float(worst) - 2 * HALF

    def candidates(self) -> Candidates:
        """Return what has been kept."""
        return Candidates(self._keys, self._scores)
