import pytest

from app import admission as admission_module
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
    monkeypatch.setattr(admission_module, "time", clock)
    return clock


def refusal(admission: Admission, count: int = 1) -> Overloaded:
    with pytest.raises(Overloaded) as refused:
        admission.enter(count)
    return refused.value


def test_at_the_limit_others_are_rejected_until_one_leaves() -> None:
    admission = Admission(2, what="clips", setting="SRCID_MAX")
    admission.enter()
    admission.enter()
    assert "2 clips wait, of at most 2 (SRCID_MAX)" in str(refusal(admission))
    admission.leave()
    admission.enter()
    assert admission.num_in_flight == 2


@pytest.mark.parametrize(("interval", "wait"), [(0.01, 1), (0.5, 5), (4.0, 40), (1000.0, 120)])
def test_the_wait_is_what_half_of_those_in_take(clock: Clock, interval: float, wait: int) -> None:
    admission = Admission(20, what="clips", setting="SRCID_MAX")
    for _ in range(20):
        admission.enter()
    for _ in range(200):
        clock.now += interval
        admission.leave()
        admission.enter()
    refused = refusal(admission)
    assert refused.retry_after_seconds == pytest.approx(wait, abs=1)
    assert f"try again in {refused.retry_after_seconds} s" in str(refused)


def test_idle_time_is_not_taken_for_slowness(clock: Clock) -> None:
    admission = Admission(1, what="clips", setting="SRCID_MAX")
    for _ in range(20):
        admission.enter()
        clock.now += 0.1
        admission.leave()
        clock.now += 1000
    admission.enter()
    assert refusal(admission).retry_after_seconds == 1


def test_a_queue_that_does_not_move_is_reported(clock: Clock) -> None:
    admission = Admission(5, what="clips", setting="SRCID_MAX")
    clock.now += 100
    assert admission.stall(60) is None
    admission.enter()
    admission.enter()
    clock.now += 59
    assert admission.stall(60) is None
    clock.now += 2
    assert admission.stall(60) == "2 clips wait, none answered for 61 s"
    admission.leave()
    assert admission.stall(60) is None


def test_what_counts_more_takes_more_room(clock: Clock) -> None:
    admission = Admission(100, what="bytes", setting="SRCID_MAX")
    admission.enter(60)
    assert refusal(admission, 41).retry_after_seconds == 1
    admission.enter(40)
    clock.now += 1
    admission.leave(20)
    for _ in range(200):  # 20 bytes a second
        clock.now += 1
        admission.leave(20)
        admission.enter(20)
    admission.enter(20)
    assert refusal(admission, 1).retry_after_seconds == pytest.approx(2.5, abs=1)
