"""How much may be in the house, and when those that do not fit in should come back."""

import math
import threading
import time

from app.errors import Overloaded

WEIGHT = 0.1  # of the latest measurement
LONGEST_WAIT = 120  # seconds: what a client is told at most


class Admission:
    """Lets in up to ``limit`` at a time; others are told how long the rest takes.

    Args:
        limit: How much is in at once, at most.
        what: What it is, in the plural, for the message.
        setting: What to raise for more.
    """

    def __init__(self, limit: int, *, what: str, setting: str) -> None:
        self.limit = limit
        self.what = what
        self.setting = setting
        self.num_in = 0
        self._lock = threading.Lock()
        self._seconds: float | None = None  # for one to leave, while others are in
        self._left_at: float | None = None  # the last one, if others stayed
        self._moved_at = time.monotonic()  # when one left, or came to an empty house

    def enter(self, count: int = 1) -> None:
        """Let ``count`` in.

        Raises:
            Overloaded: There is no room.
        """
        with self._lock:
            self._check(count)
            if not self.num_in:
                self._moved_at = time.monotonic()
            self.num_in += count

    def check(self) -> None:
        """See that there is room for one, without letting it in.

        Raises:
            Overloaded: There is none.
        """
        with self._lock:
            self._check(1)

    def leave(self, count: int = 1) -> None:
        """Let ``count`` out that were in."""
        now = time.monotonic()
        with self._lock:
            self.num_in -= count
            self._moved_at = now
            if self._left_at is not None and count:
                measured = (now - self._left_at) / count
                known = measured if self._seconds is None else self._seconds
                self._seconds = known + WEIGHT * (measured - known)
            self._left_at = now if self.num_in else None

    def trouble(self, seconds: float) -> str | None:
        """Tell if some are in, and none has left for ``seconds``."""
        with self._lock:
            still = time.monotonic() - self._moved_at
            if self.num_in and still > seconds:
                return f"{self.num_in} {self.what} wait, and none was answered for {still:.0f} s"
        return None

    def _check(self, count: int) -> None:
        if self.num_in + count > self.limit:
            raise Overloaded(
                f"{self.num_in} {self.what} wait, of at most {self.limit} ({self.setting})",
                retry_after_seconds=self._wait(),
            )

    def _wait(self) -> int:
        """Return the seconds until half of what is in has left."""
        expected = (self._seconds or 0.0) * self.num_in / 2
        return max(1, min(LONGEST_WAIT, math.ceil(expected)))
