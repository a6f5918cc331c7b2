"""What may be among the best of what has been seen so far, and what the next has to score.

Shape letters: R streams.
"""

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from app.store.cosine import DECIMALS
from app.store.index.lookups import Doubles

ROUNDING = 10**-DECIMALS  # scores that differ by no more may tie
HANDED_OVER = 4096  # streams that are kept before shortlists take note of them


class Candidates(NamedTuple):
    """The best streams and all that tie with the last of them, in no order."""

    keys: NDArray[np.int64]  # [R]
    scores: Doubles  # [R] cosines, rounded to DECIMALS


class Entries(NamedTuple):
    """Streams whose scores are known to lie between bounds."""

    places: NDArray[np.integer]  # [R] which chunk of the search each lies in
    rows: NDArray[np.integer]  # [R] and where there
    lower: Doubles  # [R]
    upper: Doubles  # [R]

    def only(self, rows: NDArray[np.bool_ | np.integer]) -> Self:
        """Return some of them."""
        return type(self)(self.places[rows], self.rows[rows], self.lower[rows], self.upper[rows])


NONE = Entries(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0), np.empty(0))


class Shortlist:
    """Keeps every stream that may be among the ``k`` best or tie with the last of them.

    Args:
        k: How many.
        least: The least score that counts.
    """

    def __init__(self, k: int, *, least: float) -> None:
        self.least = least - ROUNDING  # what a stream has to be able to score
        self._k = k
        self._kept = NONE
        self._new: list[Entries] = []
        self._room = 0  # of new entries, until those that are out of the question are dropped

    def beat(self, scores: Doubles) -> None:
        """Look only for what can match the scores of ``k`` other streams."""
        if len(scores) >= self._k:
            last = float(np.partition(scores, -self._k)[-self._k])
            self.least = max(self.least, last - ROUNDING)

    def note(self, new: Entries) -> None:
        """Take note of streams, each once in a search."""
        self._new.append(new)
        self._room -= len(new.rows)
        if self._room < 0:
            self.entries()

    def entries(self) -> Entries:
        """Return the streams that are still in question."""
        parts = [self._kept, *self._new]
        entries = _joined(parts)
        self.beat(entries.lower)
        good = entries.upper >= self.least
        self._kept, self._new = entries.only(good), []
        self._room = max(4 * self._k, len(self._kept.rows))
        return self._kept


class Pending:
    """Streams that many shortlists are to take note of, handed over many at a time."""

    def __init__(self, shortlists: list[Shortlist]) -> None:
        self._shortlists = shortlists
        self._which: list[NDArray[np.integer]] = []
        self._entries: list[Entries] = []
        self._count = 0

    def append(self, which: NDArray[np.integer], entries: Entries) -> None:
        """Keep streams, each for the shortlist ``which`` ``[R]``. Not to be changed afterwards."""
        if len(which):
            self._which.append(which.copy())
            self._entries.append(entries)
            self._count += len(which)
            if self._count > HANDED_OVER:
                self.flush()

    def flush(self) -> None:
        """Hand over what is still kept."""
        if self._count:
            which = np.concatenate(self._which)
            order = np.argsort(which, kind="stable")
            entries = _joined(self._entries).only(order)
            ends = np.searchsorted(which[order], np.arange(len(self._shortlists) + 1))
            for shortlist, start, end in zip(self._shortlists, ends, ends[1:], strict=False):
                if start < end:
                    shortlist.note(entries.only(np.arange(start, end)))
            self._which, self._entries, self._count = [], [], 0


def _joined(parts: list[Entries]) -> Entries:
    return Entries(
        np.concatenate([part.places for part in parts]),
        np.concatenate([part.rows for part in parts]),
        np.concatenate([part.lower for part in parts]),
        np.concatenate([part.upper for part in parts]),
    )


def best(found: Candidates, *, k: int, least: float) -> Candidates:
    """Return the ``k`` best of some streams and all that tie with the last of them."""
    rounded = found.scores.round(DECIMALS)
    if len(rounded) > k:
        least = max(least, float(np.partition(rounded, -k)[-k]))
    return Candidates(found.keys[rounded >= least], rounded[rounded >= least])
