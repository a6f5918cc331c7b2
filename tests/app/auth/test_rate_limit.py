"""How often a key may ask, by a clock that the test moves."""

import pytest

from app.auth.rate_limit import RateLimit
from app.errors import RateLimited


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_minutes_worth_is_admitted_at_once_and_then_one_at_a_time() -> None:
    clock = Clock()
    limit = RateLimit(30, clock=clock)
    for _ in range(30):
        limit.admit("web")
    with pytest.raises(RateLimited, match="SRCID_MAX_REQUESTS_PER_MINUTE") as refused:
        limit.admit("web")
    assert refused.value.retry_after_seconds == pytest.approx(2.0)
    clock.now += 1.9
    with pytest.raises(RateLimited):
        limit.admit("web")
    clock.now += 0.11
    limit.admit("web")
    with pytest.raises(RateLimited):
        limit.admit("web")


def test_a_pause_gains_no_more_than_a_minutes_worth() -> None:
    clock = Clock()
    limit = RateLimit(2, clock=clock)
    limit.admit("web")
    clock.now += 3600
    limit.admit("web")
    limit.admit("web")
    with pytest.raises(RateLimited):
        limit.admit("web")


def test_each_key_has_its_own_limit() -> None:
    limit = RateLimit(1, clock=Clock())
    limit.admit("web")
    limit.admit("worker")
    with pytest.raises(RateLimited, match="'web'"):
        limit.admit("web")


def test_zero_is_no_limit() -> None:
    limit = RateLimit(0, clock=Clock())
    for _ in range(1000):
        limit.admit("web")
