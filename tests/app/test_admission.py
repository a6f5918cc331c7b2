import pytest

from app import admission
from app.admission import Admission
from app.errors import Overloaded


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(admission, "time", clock)
    return clock


def refusal(own: Admission, count: int = 1) -> Overloaded:
    with pytest.raises(Overloaded) as refused:
        own.enter(count)
    return refused.value


def test_a_full_house_refuses_until_one_leaves() -> None:
    own = Admission(2, what="clips", setting="SRCID_MAX")
    own.enter()
    own.enter()
    assert "2 clips wait, of at most 2 (SRCID_MAX)" in str(refusal(own))
    own.leave()
    own.enter()
    assert own.num_in == 2


@pytest.mark.parametrize(("interval", "wait"), [(0.01, 1), (0.5, 5), (4.0, 40), (1000.0, 120)])
def test_the_wait_is_what_half_of_those_in_take(clock: Clock, interval: float, wait: int) -> None:
    own = Admission(20, what="clips", setting="SRCID_MAX")
    for _ in range(20):
        own.enter()
    for _ in range(200):
        clock.now += interval
        own.leave()
        own.enter()
    refused = refusal(own)
    assert refused.retry_after_seconds == pytest.approx(wait, abs=1)
    assert f"try again in {refused.retry_after_seconds} s" in str(refused)


def test_idle_time_is_not_taken_for_slowness(clock: Clock) -> None:
    own = Admission(1, what="clips", setting="SRCID_MAX")
    for _ in range(20):
        own.enter()
        clock.now += 0.1
        own.leave()
        clock.now += 1000
    own.enter()
    assert refusal(own).retry_after_seconds == 1


def test_a_queue_that_does_not_move_is_trouble(clock: Clock) -> None:
    own = Admission(5, what="clips", setting="SRCID_MAX")
    clock.now += 100
    assert own.trouble(60) is None
    own.enter()
    own.enter()
    clock.now += 59
    assert own.trouble(60) is None
    clock.now += 2
    assert own.trouble(60) == "2 clips wait, and none was answered for 61 s"
    own.leave()
    assert own.trouble(60) is None


def test_what_counts_more_takes_more_room(clock: Clock) -> None:
    own = Admission(100, what="bytes", setting="SRCID_MAX")
    own.enter(60)
    assert refusal(own, 41).retry_after_seconds == 1
    own.enter(40)
    clock.now += 1
    own.leave(20)
    for _ in range(200):  # 20 bytes a second
        clock.now += 1
        own.leave(20)
        own.enter(20)
    own.enter(20)
    assert refusal(own, 1).retry_after_seconds == pytest.approx(2.5, abs=1)
