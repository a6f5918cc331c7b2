"""Rate limits: a token bucket for each API key."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from app.errors import RateLimited


@dataclass
class _Bucket:
    tokens: float
    filled_at: float  # seconds of the clock


class RateLimit:
    """Admits ``per_minute`` requests a minute for each name, and bursts of as many.

    Args:
        per_minute: 0 disables the limit.
        clock: Monotonic time in seconds.
    """

    def __init__(self, per_minute: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_minute = per_minute
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}

    def admit(self, name: str) -> None:
        """Count one request of ``name``.

        Raises:
            RateLimited: The limit is reached; the error has the seconds to wait.
        """
        if not self.per_minute:
            return
        now, per_second = self._clock(), self.per_minute / 60
        bucket = self._buckets.setdefault(name, _Bucket(self.per_minute, now))
        refill = (now - bucket.filled_at) * per_second
        bucket.tokens = min(self.per_minute, bucket.tokens + refill)
        bucket.filled_at = now
        if bucket.tokens < 1:
            wait = (1 - bucket.tokens) / per_second
            raise RateLimited(
                f"the API key {name!r} has reached {self.per_minute} requests a minute: wait "
                f"{wait:.1f} s, or raise SRCID_MAX_REQUESTS_PER_MINUTE",
                retry_after_seconds=wait,
            )
        bucket.tokens -= 1
