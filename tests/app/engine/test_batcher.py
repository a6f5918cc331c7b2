"""Batches of what waits, cancelled items, threads that die or hang."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, wait

import pytest
import torch

from app.engine import batcher
from app.engine.batcher import MicroBatcher, Probe, Throughput
from app.errors import EngineFailed
from app.telemetry.engine_observer import EngineObserver, Part

WAIT = 10  # seconds: far more than anything here takes
Maker = Callable[..., "MicroBatcher[str, str]"]


class Recording(EngineObserver):
    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.num_waited = 0
        self.replaced: list[str] = []

    def waited(self, part: Part, seconds: float) -> None:
        assert part == "device"
        assert seconds >= 0
        self.num_waited += 1

    def ran(self, part: Part, *, items: int, seconds: float) -> None:
        self.sizes.append(items)

    def restarted(self, part: Part) -> None:
        self.replaced.append(part)


class Shouting:
    """Answers in capitals, while ``may_run`` is set. "die" and "fail" are what they say."""

    def __init__(self) -> None:
        self.may_run = threading.Event()
        self.may_run.set()
        self.started = threading.Semaphore(0)
        self.batches: list[list[str]] = []

    def run(self, batch: Sequence[str]) -> list[str]:
        self.batches.append(list(batch))
        self.started.release()
        assert self.may_run.wait(WAIT)
        if "die" in batch:
            raise SystemExit("dead")
        if "fail" in batch:
            raise ValueError("failed")
        return [item.upper() for item in batch]


@pytest.fixture
def shouting() -> Shouting:
    return Shouting()


@pytest.fixture
def observer() -> Recording:
    return Recording()


@pytest.fixture
def make(shouting: Shouting, observer: Recording) -> Iterator[Maker]:
    made: list[MicroBatcher[str, str]] = []

    def maker(
        *,
        threads: int = 1,
        max_batch: int = 8,
        one_by_one_seconds: float | None = None,
        max_run_seconds: float = 60,
        probes: Sequence[Probe[str]] = (),
        slots: threading.Semaphore | None = None,
    ) -> MicroBatcher[str, str]:
        made.append(
            MicroBatcher(
                shouting.run,
                part="device",
                threads=threads,
                max_batch=max_batch,
                one_by_one_seconds=one_by_one_seconds,
                max_run_seconds=max_run_seconds,
                probes=probes,
                observer=observer,
                slots=slots,
            )
        )
        return made[-1]

    yield maker
    shouting.may_run.set()
    for micro_batcher in made:
        micro_batcher.close()


def queued(
    micro_batcher: MicroBatcher[str, str], shouting: Shouting, *items: str, lane: str = "a"
) -> list[Future[str]]:
    """Let items queue up behind one that runs."""
    shouting.may_run.clear()
    first = micro_batcher.submit("first", lane=lane)
    assert shouting.started.acquire(timeout=WAIT)
    return [first, *(micro_batcher.submit(item, lane=lane) for item in items)]


def ended(micro_batcher: MicroBatcher[str, str]) -> None:
    """Wait until observers have every event; they come after the results."""
    micro_batcher.close()
    micro_batcher.join(WAIT)


def test_an_idle_thread_takes_an_item_at_once_and_alone(
    make: Maker, shouting: Shouting, observer: Recording
) -> None:
    micro_batcher = make()
    for item in ("one", "two"):
        assert micro_batcher.submit(item, lane="a").result(WAIT) == item.upper()
    assert shouting.batches == [["one"], ["two"]]
    ended(micro_batcher)
    assert observer.sizes == [1, 1]
    assert observer.num_waited == 2


def test_what_waits_when_a_thread_gets_free_is_one_batch(make: Maker, shouting: Shouting) -> None:
    futures = queued(make(max_batch=3), shouting, *"bcdef")
    shouting.may_run.set()
    assert [future.result(WAIT) for future in futures] == ["FIRST", *"BCDEF"]
    assert shouting.batches == [["first"], ["b", "c", "d"], ["e", "f"]]


def test_lanes_take_turns_and_are_never_mixed(make: Maker, shouting: Shouting) -> None:
    micro_batcher = make(max_batch=1)
    slow = queued(micro_batcher, shouting, "slow 2", "slow 3", "slow 4")
    quick = [micro_batcher.submit(item, lane="b") for item in ("quick 1", "quick 2")]
    shouting.may_run.set()
    wait([*slow, *quick], WAIT)
    assert [batch[0] for batch in shouting.batches] == [
        "first",
        "slow 2",
        "quick 1",
        "slow 3",
        "quick 2",
        "slow 4",
    ]


def test_a_batch_that_does_not_fit_is_halved_until_it_does(
    make: Maker, shouting: Shouting, observer: Recording
) -> None:
    micro_batcher = make()
    run, sizes = micro_batcher.run, []

    def run_what_fits(batch: Sequence[str]) -> Sequence[str]:
        sizes.append(len(batch))
        if len(batch) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return run(batch)

    micro_batcher.run = run_what_fits
    futures = queued(micro_batcher, shouting, *"bcdefg")
    shouting.may_run.set()
    assert [own.result(WAIT) for own in futures] == ["FIRST", *"BCDEFG"]
    assert sizes == [1, 6, 3, 1, 2, 3, 1, 2]
    ended(micro_batcher)
    assert observer.sizes == [1, 6]


def test_only_the_item_at_fault_fails(make: Maker, shouting: Shouting, observer: Recording) -> None:
    futures = queued(make(), shouting, "b", "fail", "d")
    shouting.may_run.set()
    with pytest.raises(ValueError, match="failed"):
        futures[2].result(WAIT)
    assert [futures[n].result(WAIT) for n in (0, 1, 3)] == ["FIRST", "B", "D"]
    assert shouting.batches == [
        ["first"],
        ["b", "fail", "d"],
        ["b"],
        ["fail", "d"],
        ["fail"],
        ["d"],
    ]
    assert observer.num_waited == 4


def test_one_by_one_a_thread_takes_half_its_share_and_answers_all_at_once(
    make: Maker, shouting: Shouting, observer: Recording
) -> None:
    micro_batcher = make(one_by_one_seconds=60)
    futures = queued(micro_batcher, shouting, *"bcdefg")  # of six it takes three, of three one
    batches_run: list[int] = []
    for future in futures:
        future.add_done_callback(lambda _: batches_run.append(len(shouting.batches)))
    shouting.may_run.set()
    assert [future.result(WAIT) for future in futures] == ["FIRST", *"BCDEFG"]
    assert shouting.batches == [["first"], *([item] for item in "bcdefg")]
    assert batches_run == [1, 4, 4, 4, 5, 6, 7]
    ended(micro_batcher)
    assert observer.sizes == [1, 3, 1, 1, 1]


def test_threads_that_run_one_by_one_share_what_waits(
    make: Maker, shouting: Shouting, observer: Recording
) -> None:
    micro_batcher = make(one_by_one_seconds=60, threads=2)
    shouting.may_run.clear()
    running = [micro_batcher.submit(item, lane="a") for item in "ab"]
    for _ in running:
        assert shouting.started.acquire(timeout=WAIT)
    waiting = [micro_batcher.submit(item, lane="a") for item in "cdefghij"]
    shouting.may_run.set()
    wait([*running, *waiting], WAIT)
    ended(micro_batcher)
    assert max(observer.sizes) == 2


def test_one_by_one_no_more_is_taken_than_is_expected_to_take_so_long(
    make: Maker, shouting: Shouting, observer: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batcher, "LATEST_WEIGHT", 0)  # a step always takes what is recorded first
    micro_batcher = make(one_by_one_seconds=1, probes=[Probe("probe", "a", 1.0)])
    micro_batcher.start()
    assert micro_batcher.wait_until_ready(WAIT)
    micro_batcher._throughput = Throughput()
    micro_batcher._throughput.record("a", units=1, seconds=0.5)
    assert shouting.started.acquire(timeout=WAIT)  # of the probe
    futures = queued(micro_batcher, shouting, *"bcdefg")
    shouting.may_run.set()
    wait(futures, WAIT)
    ended(micro_batcher)
    assert max(observer.sizes) == 2


def test_one_by_one_an_item_that_fails_costs_the_others_nothing(
    make: Maker, shouting: Shouting, observer: Recording
) -> None:
    micro_batcher = make(one_by_one_seconds=60)
    futures = queued(micro_batcher, shouting, "b", "fail", *"defg")
    shouting.may_run.set()
    with pytest.raises(ValueError, match="failed"):
        futures[2].result(WAIT)
    wait(futures, WAIT)
    assert shouting.batches == [["first"], ["b"], ["fail"], *([item] for item in "defg")]
    ended(micro_batcher)
    assert observer.sizes == [1, 2, 1, 1, 1]  # of three that were taken, two came to something


def test_what_is_cancelled_before_its_turn_is_never_run(make: Maker, shouting: Shouting) -> None:
    micro_batcher = make(max_batch=1)
    futures = queued(micro_batcher, shouting, "b", "c")
    assert futures[1].cancel()
    assert not futures[0].cancel()
    shouting.may_run.set()
    assert futures[2].result(WAIT) == "C"
    assert shouting.batches == [["first"], ["c"]]


def test_threads_run_side_by_side(make: Maker, shouting: Shouting) -> None:
    micro_batcher = make(threads=3, max_batch=1)
    shouting.may_run.clear()
    futures = [micro_batcher.submit(item, lane="a") for item in "abc"]
    for _ in futures:
        assert shouting.started.acquire(timeout=WAIT)
    shouting.may_run.set()
    assert [future.result(WAIT) for future in futures] == ["A", "B", "C"]


def test_a_thread_that_dies_fails_its_batch_and_is_replaced(
    make: Maker, shouting: Shouting, observer: Recording
) -> None:
    micro_batcher = make(max_batch=1)
    futures = queued(micro_batcher, shouting, "die", "next")
    shouting.may_run.set()
    with pytest.raises(EngineFailed, match=r"a thread died .* try again"):
        futures[1].result(WAIT)
    assert futures[2].result(WAIT) == "NEXT"
    assert observer.replaced == ["device"]
    assert micro_batcher.failure is not None
    assert "was just replaced" in micro_batcher.failure


def test_a_failure_is_over_when_nothing_has_broken_down_for_a_while(
    make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    micro_batcher = make()
    assert micro_batcher.failure is None
    with pytest.raises(EngineFailed):
        micro_batcher.submit("die", lane="a").result(WAIT)
    assert micro_batcher.failure is not None
    monkeypatch.setattr(batcher, "RECOVERY_SECONDS", 0)
    assert micro_batcher.submit("next", lane="a").result(WAIT) == "NEXT"
    assert micro_batcher.failure is None


def test_a_thread_that_hangs_fails_its_batch_and_is_replaced(
    make: Maker, shouting: Shouting, observer: Recording
) -> None:
    micro_batcher = make(max_run_seconds=0.05)
    shouting.may_run.clear()
    hanging = micro_batcher.submit("hangs", lane="a")
    with pytest.raises(EngineFailed, match="0 s in one batch"):
        hanging.result(WAIT)
    assert observer.replaced == ["device"]
    shouting.may_run.set()  # what the old thread still answers is of no interest
    assert micro_batcher.submit("next", lane="a").result(WAIT) == "NEXT"


def test_a_replaced_thread_ends_and_takes_no_further_item(make: Maker, shouting: Shouting) -> None:
    micro_batcher = make(max_run_seconds=0.05)
    shouting.may_run.clear()
    hanging = micro_batcher.submit("hangs", lane="a")
    (replaced,) = micro_batcher._runners
    with pytest.raises(EngineFailed):
        hanging.result(WAIT)
    shouting.may_run.set()
    replaced.thread.join(WAIT)
    assert not replaced.thread.is_alive()


def test_a_batch_that_takes_far_longer_than_usual_is_a_failure(
    make: Maker, shouting: Shouting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batcher, "LATE_SECONDS", 0)
    micro_batcher = make(probes=[Probe("probe", "a", 1.0)])
    micro_batcher.start()
    assert micro_batcher.wait_until_ready(WAIT)
    assert micro_batcher.failure is None
    (runner,) = micro_batcher._runners
    shouting.may_run.clear()
    late = micro_batcher.submit("late", lane="a", cost=1e-9)
    shouting.started.acquire(timeout=WAIT)  # of the probe
    shouting.started.acquire(timeout=WAIT)
    assert runner.batch
    assert micro_batcher.failure is not None
    assert "hangs" in micro_batcher.failure
    shouting.may_run.set()
    assert late.result(WAIT) == "LATE"


def test_the_expected_time_follows_what_batches_take(make: Maker, shouting: Shouting) -> None:
    micro_batcher = make(probes=[Probe("probe", "a", 1.0)])
    micro_batcher.start()
    assert micro_batcher.wait_until_ready(WAIT)
    micro_batcher._throughput = Throughput()
    assert micro_batcher.submit("one", lane="a", cost=4).result(WAIT) == "ONE"
    ended(micro_batcher)
    assert micro_batcher._throughput.expected_seconds("a", 4) is not None


def test_long_work_is_not_taken_for_hanging(
    make: Maker, shouting: Shouting, observer: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batcher, "CHECK_SECONDS", 0.001)
    micro_batcher = make(probes=[Probe("probe", "a", 1e-9)])
    micro_batcher.start()
    assert micro_batcher.wait_until_ready(WAIT)
    assert shouting.started.acquire(timeout=WAIT)  # of the probe
    futures = queued(micro_batcher, shouting)
    monkeypatch.setattr(micro_batcher, "max_run_seconds", 0.001)
    looks = threading.Semaphore(0)
    hangs = micro_batcher._hangs
    monkeypatch.setattr(micro_batcher, "_hangs", lambda runner: (looks.release(), hangs(runner))[1])
    for _ in range(3):
        assert looks.acquire(timeout=WAIT)
    shouting.may_run.set()
    assert futures[0].result(WAIT) == "FIRST"
    assert observer.replaced == []


def test_a_thread_that_fails_its_probe_takes_no_item(make: Maker, shouting: Shouting) -> None:
    micro_batcher = make(probes=[Probe("fail", "a", 1.0)])
    micro_batcher.start()
    assert not micro_batcher.wait_until_ready(0.05)
    assert micro_batcher.failure is not None
    future = micro_batcher.submit("one", lane="a")
    micro_batcher.close()
    with pytest.raises(EngineFailed, match="is stopping"):
        future.result(WAIT)
    assert ["one"] not in shouting.batches


def test_starting_is_tried_again_but_not_in_a_loop(
    make: Maker, shouting: Shouting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batcher, "CHECK_SECONDS", 0.001)
    monkeypatch.setattr(batcher, "RETRY_SECONDS", 0.2)
    micro_batcher = make(probes=[Probe("die", "a", 1.0)])
    started = time.monotonic()
    micro_batcher.start()
    for _ in range(3):
        assert shouting.started.acquire(timeout=WAIT)
    assert time.monotonic() - started >= 0.4
    micro_batcher.probes = [Probe("live", "a", 1.0)]
    assert micro_batcher.wait_until_ready(WAIT)
    assert micro_batcher.submit("one", lane="a").result(WAIT) == "ONE"


def test_threads_wait_for_a_slot_until_one_is_released(make: Maker, shouting: Shouting) -> None:
    slots = threading.Semaphore(1)
    micro_batcher = make(max_batch=1, slots=slots)
    first, second = (micro_batcher.submit(item, lane="a") for item in "ab")
    assert first.result(WAIT) == "A"
    assert not slots.acquire(blocking=False)
    assert micro_batcher.num_waiting == 1
    slots.release()
    assert second.result(WAIT) == "B"


def test_threads_that_end_give_their_slots_back(make: Maker, shouting: Shouting) -> None:
    slots = threading.Semaphore(2)
    micro_batcher = make(threads=2, slots=slots)
    future = micro_batcher.submit("a", lane="a")
    assert future.result(WAIT) == "A"
    slots.release()  # of the item
    ended(micro_batcher)
    assert slots.acquire(blocking=False)
    assert slots.acquire(blocking=False)
    assert not slots.acquire(blocking=False)


def test_closing_fails_what_waits_and_ends_the_threads(make: Maker, shouting: Shouting) -> None:
    micro_batcher = make(max_batch=1, threads=2)
    shouting.may_run.clear()
    running = [micro_batcher.submit(item, lane="a") for item in "ab"]
    for _ in running:
        assert shouting.started.acquire(timeout=WAIT)
    waiting = micro_batcher.submit("c", lane="a")
    micro_batcher.close()
    with pytest.raises(EngineFailed, match="is stopping"):
        waiting.result(WAIT)
    shouting.may_run.set()
    assert [future.result(WAIT) for future in running] == ["A", "B"]
    micro_batcher.join(WAIT)
    assert not any(runner.thread.is_alive() for runner in micro_batcher._runners)
    with pytest.raises(EngineFailed, match="is stopping"):
        micro_batcher.submit("d", lane="a")


def test_a_future_cancelled_after_closing_is_no_error(make: Maker, shouting: Shouting) -> None:
    micro_batcher = make(max_batch=1)
    futures = queued(micro_batcher, shouting, "b")
    futures[1].cancel()
    micro_batcher.close()
    with pytest.raises(CancelledError):
        futures[1].result(WAIT)


class TestThroughput:
    def test_an_unmeasured_lane_is_never_late(self) -> None:
        throughput = Throughput()
        assert throughput.expected_seconds("clips", 3) is None
        assert not throughput.is_late("clips", 3, 1e9)

    def test_work_is_late_after_many_times_its_usual_duration(self) -> None:
        throughput = Throughput()
        throughput.record("clips", 2, 1.0)
        assert throughput.expected_seconds("clips", 10) == 5.0
        assert not throughput.is_late("clips", 10, 100)
        assert throughput.is_late("clips", 10, 102)
        assert not throughput.is_late("sentences", 10, 102)

    def test_the_latest_work_counts_most(self) -> None:
        throughput = Throughput()
        throughput.record("clips", 1, 9.0)
        for _ in range(100):
            throughput.record("clips", 1, 1.0)
        assert throughput.expected_seconds("clips", 1) == pytest.approx(1.0, abs=0.001)
