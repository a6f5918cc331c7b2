"""Bounded admission: at most ``limit`` in flight; others get a Retry-After estimate."""

import math
import threading
import time

from app.errors import Overloaded

LATEST_WEIGHT = 0.1  # of the latest measurement in the moving average
MAX_RETRY_AFTER_SECONDS = 120


class Admission:
    """Admits up to ``limit`` units at a time and estimates when others should retry.

    Args:
        limit: Maximum number of units in flight.
        what: Name of the units, in the plural, for the message.
        setting: The setting that raises ``limit``, for the message.
    """

    def __init__(self, limit: int, *, what: str, setting: str) -> None:
        self.limit = limit
        self.what = what
        self.setting = setting
        self.num_in_flight = 0
        self._lock = threading.Lock()
        # Moving average of the time between two departures while others are in flight.
        self._seconds_per_unit: float | None = None
        self._last_left_at: float | None = None  # None if nothing was left in flight
        self._last_progress_at = time.monotonic()  # a departure, or an arrival when idle

    def enter(self, count: int = 1) -> None:
        """Admit ``count`` units.

        Raises:
            Overloaded: They exceed the limit.
        """
        with self._lock:
            self._check(count)
            if not self.num_in_flight:
                self._last_progress_at = time.monotonic()
            self.num_in_flight += count

    def check(self) -> None:
        """Return if one more unit would be admitted.

        Raises:
            Overloaded: It would not.
        """
        with self._lock:
            self._check(1)

    def leave(self, count: int = 1) -> None:
        """Release ``count`` units."""
        now = time.monotonic()
        with self._lock:
            self.num_in_flight -= count
            self._last_progress_at = now
            if self._last_left_at is not None and count:
                measured = (now - self._last_left_at) / count
                average = self._seconds_per_unit
                average = measured if average is None else average
                self._seconds_per_unit = average + LATEST_WEIGHT * (measured - average)
            self._last_left_at = now if self.num_in_flight else None

    def stall(self, seconds: float) -> str | None:
        """Return a message if some are in flight and none has left for ``seconds``."""
        with self._lock:
            stalled = time.monotonic() - self._last_progress_at
            if self.num_in_flight and stalled > seconds:
                return f"{self.num_in_flight} {self.what} wait, none answered for {stalled:.0f} s"
        return None

    def _check(self, count: int) -> None:
        if self.num_in_flight + count > self.limit:
            raise Overloaded(
                f"{self.num_in_flight} {self.what} wait, of at most {self.limit} ({self.setting})",
                retry_after_seconds=self._retry_after_seconds(),
            )

    def _retry_after_seconds(self) -> int:
        """Return the expected seconds until half of the units in flight have left."""
        expected = (self._seconds_per_unit or 0.0) * self.num_in_flight / 2
        return max(1, min(MAX_RETRY_AFTER_SECONDS, math.ceil(expected)))
