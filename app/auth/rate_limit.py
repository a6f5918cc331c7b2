"""How often a key may ask: a token bucket each."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from app.errors import RateLimited


@dataclass
class _Bucket:
    tokens: float
    filled_at: float  # seconds of the clock


class RateLimit:
    """Admits ``per_minute`` requests a minute for each name, and as many at once after a pause.

    Args:
        per_minute: 0 admits all.
        clock: Seconds that only grow.
    """

    def __init__(self, per_minute: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_minute = per_minute
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}

    def admit(self, name: str) -> None:
        """Count one request of ``name``.

        Raises:
            RateLimited: It has to wait; the error says how long.
        """
        if not self.per_minute:
            return
        now, per_second = self._clock(), self.per_minute / 60
        bucket = self._buckets.setdefault(name, _Bucket(self.per_minute, now))
        gained = (now - bucket.filled_at) * per_second
        bucket.tokens = min(self.per_minute, bucket.tokens + gained)
        bucket.filled_at = now
        if bucket.tokens < 1:
            wait = (1 - bucket.tokens) / per_second
            raise RateLimited(
                f"the API key {name!r} has made its {self.per_minute} requests a minute: wait "
                f"{wait:.1f} s, or raise SRCID_MAX_REQUESTS_PER_MINUTE",
                retry_after_seconds=wait,
            )
        bucket.tokens -= 1
