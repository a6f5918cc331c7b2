"""How many requests may be in the house, and when those that may not should come back."""

import math
import threading
import time

from app.errors import Overloaded

WEIGHT = 0.1  # of the latest measurement
FIRST_GUESS = 0.25  # seconds between two answers, before one has been measured
LONGEST_WAIT = 120  # seconds: what a client is told at most


class Admission:
    """Lets in up to ``limit`` at a time; for others tells how long the rest takes.

    Args:
        limit: How many are in at once, at most.
        what: They, in the plural, for the message.
    """

    def __init__(self, limit: int, *, what: str) -> None:
        self.limit = limit
        self.what = what
        self.num_in = 0
        self._lock = threading.Lock()
        self._interval = FIRST_GUESS  # seconds between two that leave, while others are in
        self._left_at: float | None = None  # the last one, if others stayed
        self._moved_at = time.monotonic()  # when one left, or came to an empty house

    def enter(self) -> None:
        """Let one in.

        Raises:
            Overloaded: The house is full.
        """
        with self._lock:
            if self.num_in >= self.limit:
                raise Overloaded(
                    f"{self.num_in} {self.what} wait, as many as may (SRCID_MAX_QUEUE)",
                    retry_after_seconds=self._wait(),
                )
            if not self.num_in:
                self._moved_at = time.monotonic()
            self.num_in += 1

    def leave(self) -> None:
        """Let one out that was in."""
        now = time.monotonic()
        with self._lock:
            self.num_in -= 1
            self._moved_at = now
            if self._left_at is not None:
                self._interval += WEIGHT * (now - self._left_at - self._interval)
            self._left_at = now if self.num_in else None

    def trouble(self, seconds: float) -> str | None:
        """Tell if some are in, and none has left for ``seconds``."""
        with self._lock:
            still = time.monotonic() - self._moved_at
            if self.num_in and still > seconds:
                return f"{self.num_in} {self.what} wait, and none was answered for {still:.0f} s"
        return None

    def _wait(self) -> int:
        """Return the seconds until half of those that are in have left."""
        return max(1, min(LONGEST_WAIT, math.ceil(self.num_in / 2 * self._interval)))
