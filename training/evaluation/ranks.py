"""How high the right item stands among all: recall at k and ranks, exact where scores are equal.

Codes make exact ties common, and a sort would break them as it likes. Here figures are expected
values over all orders of what is equal.

Shape letters: N queries, M items.
"""

from math import comb
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

DIGITS = 9  # equal codes may differ in the last bits of their cosines


class RankFigures(NamedTuple):
    """One direction of retrieval."""

    recall_at_1: float  # percent, as those at 5 and 10
    recall_at_5: float
    recall_at_10: float
    median_rank: float  # of the queries' expected ranks; 1 is the best
    mean_rank: float


def rank_figures(scores: NDArray[np.float64], relevant: NDArray[np.bool_]) -> RankFigures:
    """Return how high each query's best relevant item stands.

    Args:
        scores: ``[N, M]``, higher is nearer.
        relevant: ``[N, M]``; every query has one at least.
    """
    places = [_place(*row) for row in zip(scores.round(DIGITS), relevant, strict=True)]
    recall = {k: 100 * float(np.mean([p.chance_within(k) for p in places])) for k in (1, 5, 10)}
    ranks = [place.expected_rank for place in places]
    return RankFigures(
        recall[1], recall[5], recall[10], float(np.median(ranks)), float(np.mean(ranks))
    )


class Place(NamedTuple):
    """Where a query's best relevant items stand."""

    above: int  # items that score higher, none of them relevant
    tied: int  # items of the same score, the relevant ones among them
    right: int  # of the tied ones, those that are relevant: 1 or more

    @property
    def expected_rank(self) -> float:
        """The mean rank of the first relevant item over all orders of the tied ones.

        The ``right`` items cut the others into ``right + 1`` stretches of equal mean length.
        """
        return self.above + 1 + (self.tied - self.right) / (self.right + 1)

    def chance_within(self, k: int) -> float:
        """Return the share of those orders in which a relevant item is among the first k."""
        drawn = min(max(k - self.above, 0), self.tied)
        return 1 - comb(self.tied - self.right, drawn) / comb(self.tied, drawn)


def _place(scores: NDArray[np.float64], relevant: NDArray[np.bool_]) -> Place:
    best = scores[relevant].max()
    tied = scores == best
    return Place(int((scores > best).sum()), int(tied.sum()), int((tied & relevant).sum()))
