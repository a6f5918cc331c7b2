"""The streams that may still be among the best, and the score that others have to beat.

Shape letters: R streams.
"""

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from app.store.cosine import DECIMALS
from app.store.index.blocks import Doubles

ROUNDING = 10**-DECIMALS  # scores that differ by no more may tie
HANDED_OVER = 4096  # streams that are collected before the shortlists take them


class Candidates(NamedTuple):
    """The best streams and all that tie with the last of them, in no order."""

    keys: NDArray[np.int64]  # [R]
    scores: Doubles  # [R] cosines, rounded to DECIMALS


class Entries(NamedTuple):
    """Streams with bounds of their scores."""

    places: NDArray[np.integer]  # [R] the chunk of the search
    rows: NDArray[np.integer]  # [R] the row in that chunk
    lower: Doubles  # [R]
    upper: Doubles  # [R]

    def only(self, rows: NDArray[np.bool_ | np.integer]) -> Self:
        """Return some of them."""
        return type(self)(self.places[rows], self.rows[rows], self.lower[rows], self.upper[rows])


EMPTY = Entries(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0), np.empty(0))


class Shortlist:
    """Every stream that may be among the ``k`` best or tie with the last of them.

    Args:
        k: How many.
        least: The lowest score that counts.
    """

    def __init__(self, k: int, *, least: float) -> None:
        self.least = least - ROUNDING  # a stream whose upper bound is lower is out
        self._k = k
        self._entries = EMPTY
        self._new: list[Entries] = []
        self._room = 0  # for new entries, before those below ``least`` are dropped

    def beat(self, scores: Doubles) -> None:
        """From now on, streams have to match the best ``k`` of ``scores``."""
        if len(scores) >= self._k:
            last = float(np.partition(scores, -self._k)[-self._k])
            self.least = max(self.least, last - ROUNDING)

    def note(self, new: Entries) -> None:
        """Add streams, each once in a search."""
        self._new.append(new)
        self._room -= len(new.rows)
        if self._room < 0:
            self.entries()

    def entries(self) -> Entries:
        """Return the streams that may still be among the best."""
        parts = [self._entries, *self._new]
        entries = _joined(parts)
        self.beat(entries.lower)
        good = entries.upper >= self.least
        self._entries, self._new = entries.only(good), []
        self._room = max(4 * self._k, len(self._entries.rows))
        return self._entries


class Pending:
    """Streams on their way to many shortlists, handed over in batches."""

    def __init__(self, shortlists: list[Shortlist]) -> None:
        self._shortlists = shortlists
        self._which: list[NDArray[np.integer]] = []
        self._entries: list[Entries] = []
        self._count = 0

    def append(self, which: NDArray[np.integer], entries: Entries) -> None:
        """Add streams for the shortlists ``which`` ``[R]``; the caller leaves them unchanged."""
        if len(which):
            self._which.append(which.copy())
            self._entries.append(entries)
            self._count += len(which)
            if self._count > HANDED_OVER:
                self.flush()

    def flush(self) -> None:
        """Hand over all collected streams."""
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


def best(candidates: Candidates, *, k: int, least: float) -> Candidates:
    """Return the ``k`` best of some streams and all that tie with the last of them."""
    rounded = candidates.scores.round(DECIMALS)
    if len(rounded) > k:
        least = max(least, float(np.partition(rounded, -k)[-k]))
    return Candidates(candidates.keys[rounded >= least], rounded[rounded >= least])
