"""Micro-batching: items are submitted one by one; a free thread runs what is queued as a batch."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from app.errors import EngineFailed
from app.telemetry.engine_observer import EngineObserver, Part

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")

CHECK_SECONDS = 0.2  # between two checks of the threads
RETRY_SECONDS = 1.0  # between two attempts to start a thread
RECOVERY_SECONDS = 2.0  # without a failure, until the batcher reports itself healthy again
LATE_SECONDS = 1.0  # a batch may always exceed its expected time by so much
LATE_FACTOR = 20  # and take so many times as long: a busy machine is not a broken one
LATEST_WEIGHT = 0.1  # of the latest measurement in the moving average


class Probe(NamedTuple, Generic[Item]):
    """A warm-up item that each thread must run without error before it takes others."""

    item: Item
    lane: str
    cost: float


class MicroBatcher(Generic[Item, Result]):
    """Runs items in ``threads`` threads. An idle thread takes an item at once, alone.

    While all threads are busy, items queue up. The next free thread takes a batch of one lane;
    the lanes take turns, so that quick items never wait behind all slow ones. The results of a
    batch are delivered together, which wakes the waiting thread once. A batch that raises is run
    again in halves: only the item at fault fails, and what does not fit into a GPU's memory
    together is computed in parts. A future that is cancelled while it is queued is never run.

    A thread that dies or hangs fails its batch with ``EngineFailed`` and is replaced.

    Args:
        run: Maps a batch of one lane to its results, in order.
        part: Name of the threads for observers and messages.
        probes: Run by each thread before anything else. They also give the expected time of a
            batch: without any, no batch counts as late.
        threads: Batches that run at the same time.
        max_batch: Most items in a batch.
        one_by_one_seconds: Run the items of a batch one by one, and take only as many as are
            expected to take this long. By default ``run`` gets the whole batch.
        max_run_seconds: After which a batch that is late counts as hanging.
        observer: Receives the events of each batch.
        slots: Acquired by a thread before each batch; whoever takes the results releases it.
            Only for batches of one item.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Item]], Sequence[Result]],
        *,
        part: Part,
        threads: int,
        max_run_seconds: float,
        max_batch: int = 1,
        one_by_one_seconds: float | None = None,
        probes: Sequence[Probe[Item]] = (),
        observer: EngineObserver | None = None,
        slots: threading.Semaphore | None = None,
    ) -> None:
        self.run = run
        self.part: Part = part
        self.probes = probes
        self.num_threads = threads
        self.max_batch = max_batch
        self.one_by_one_seconds = one_by_one_seconds
        self.max_run_seconds = max_run_seconds
        self.observer = observer or EngineObserver()
        self.slots = slots
        self._lock = threading.RLock()  # guards all below
        self._is_ready = threading.Condition(self._lock)
        self._idle: list[_Runner[Item, Result]] = []  # the most recent one at the end
        self._lanes: dict[str, deque[_Job[Item, Result]]] = {}
        self._runners: list[_Runner[Item, Result]] = []
        self._throughput = Throughput()
        self._last_failure: tuple[float, str] | None = None  # when, and why
        self._is_closed = False

    def submit(self, item: Item, *, lane: str, cost: float = 1) -> "Future[Result]":
        """Queue ``item`` and return its future.

        Args:
            item: What to run.
            lane: Items of one lane may run as one batch; the lanes take turns.
            cost: Amount of work, in any unit that is the same for the whole lane.

        Raises:
            EngineFailed: The batcher is closed.
        """
        job: _Job[Item, Result] = _Job(item, lane, cost)
        self.start()
        with self._lock:
            if self._is_closed:
                raise EngineFailed("the service is stopping: try again")
            self._lanes.setdefault(lane, deque()).append(job)
            if self._idle:
                self._idle.pop().wake.notify()  # the one whose caches are warm
        return job.future

    def start(self) -> None:
        """Start the threads, without waiting for them."""
        with self._lock:
            if self._runners or self._is_closed:
                return
            self._runners = [_Runner(self._main, self._lock) for _ in range(self.num_threads)]
            for runner in self._runners:
                runner.thread.start()
            threading.Thread(target=self._supervise, name="srcid-watch", daemon=True).start()

    def wait_until_ready(self, seconds: float) -> bool:
        """Wait until all threads have run their probes; return whether they have."""
        with self._is_ready:
            return self._is_ready.wait_for(
                lambda: all(runner.is_ready for runner in self._runners), seconds
            )

    @property
    def failure(self) -> str | None:
        """Why items may not be run; None if the batcher is healthy."""
        with self._lock:
            for runner in self._runners:
                if not runner.thread.is_alive():
                    return f"a {self.part} thread died"
                if not runner.is_ready:
                    return f"a {self.part} thread is starting"
                if runner.batch and self._is_late(runner):
                    return f"a {self.part} thread hangs: {runner.seconds:.0f} s in one batch"
            if self._last_failure and time.monotonic() - self._last_failure[0] < RECOVERY_SECONDS:
                return f"a {self.part} thread was just replaced: {self._last_failure[1]}"
        return None

    @property
    def num_waiting(self) -> int:
        """Number of queued items."""
        with self._lock:
            return sum(map(len, self._lanes.values()))

    def close(self) -> None:
        """Fail all queued items; threads end after their current batch."""
        with self._lock:
            self._is_closed = True
            queued = [job for lane in self._lanes.values() for job in lane]
            self._lanes.clear()
            for runner in self._runners:
                runner.wake.notify()
        _fail(queued, "the service is stopping")

    def join(self, seconds: float) -> None:
        """Wait for the threads after ``close``: a process that exits under torch aborts."""
        for runner in list(self._runners):
            if runner.thread is not threading.current_thread():
                runner.thread.join(seconds)

    def _main(self, runner: "_Runner[Item, Result]") -> None:
        try:
            self._run_probes()
            with self._lock:
                runner.is_ready = True
                self._is_ready.notify_all()
            while batch := self._next_batch(runner):
                self._run_batch(runner, batch)
        except BaseException:  # the supervisor replaces this thread
            logger.exception("a %s thread died", self.part)

    def _run_probes(self) -> None:
        for probe in self.probes:
            if self._is_closed:
                return
            started = time.monotonic()
            self.run([probe.item])
            with self._lock:
                self._throughput.record(probe.lane, probe.cost, time.monotonic() - started)

    def _next_batch(self, runner: "_Runner[Item, Result]") -> list["_Job[Item, Result]"]:
        """Wait for items and return those to run now; an empty list ends the thread."""
        if self.slots:
            self.slots.acquire()
        with self._lock:
            while not runner.is_abandoned:
                if batch := self._take_batch():
                    runner.batch, runner.started = batch, time.monotonic()
                    return batch
                if self._is_closed:
                    break
                self._idle.append(runner)
                runner.wake.wait()
        if self.slots:
            self.slots.release()
        return []

    def _take_batch(self) -> list["_Job[Item, Result]"]:
        for name, lane in list(self._lanes.items()):
            size = self._batch_size(len(lane))
            batch: list[_Job[Item, Result]] = []
            cost = 0.0
            while lane and len(batch) < size:
                if batch and self._takes_too_long(name, cost + lane[0].cost):
                    break
                job = lane.popleft()
                if job.future.set_running_or_notify_cancel():
                    batch.append(job)
                    cost += job.cost
            self._lanes[name] = self._lanes.pop(name)  # to the end: the next lane's turn
            if batch:
                return batch
        return []

    def _batch_size(self, num_queued: int) -> int:
        """Return how many of a lane's queued items a thread may take.

        A thread that runs items one by one takes half of its share. The other half keeps it busy
        until the answers of the first half bring new requests.
        """
        shares = 1 if self.one_by_one_seconds is None else 2 * self.num_threads
        return min(self.max_batch, max(1, num_queued // shares))

    def _takes_too_long(self, lane: str, cost: float) -> bool:
        limit = self.one_by_one_seconds
        expected = self._throughput.expected_seconds(lane, cost)
        return limit is not None and expected is not None and expected > limit

    def _run_batch(
        self, runner: "_Runner[Item, Result]", batch: list["_Job[Item, Result]"]
    ) -> None:
        for job in batch:
            self.observer.waited(self.part, runner.started - job.submitted)
        outcomes = self._outcomes([job.item for job in batch])
        seconds = runner.seconds
        succeeded: list[_Job[Item, Result]] = []
        for job, outcome in zip(batch, outcomes, strict=True):
            with suppress(InvalidStateError):  # the supervisor failed it as hanging
                if isinstance(outcome, Exception):
                    job.future.set_exception(outcome)
                else:
                    succeeded.append(job)
                    job.future.set_result(outcome)
        if succeeded:
            self.observer.ran(self.part, items=len(succeeded), seconds=seconds)
            if self.probes:
                cost = sum(job.cost for job in succeeded)
                with self._lock:
                    self._throughput.record(succeeded[0].lane, cost, seconds)
        with self._lock:
            runner.batch = []

    def _outcomes(self, items: list[Item]) -> list[Result | Exception]:
        """Return each item's result, or the exception that it raised."""
        if self.one_by_one_seconds is None or len(items) == 1:
            try:
                return list(self.run(items))
            except Exception as error:  # any: it goes to the item's submitter
                if len(items) == 1:
                    return [error]
        middle = len(items) // 2  # after the `except`, whose traceback keeps tensors alive
        return self._outcomes(items[:middle]) + self._outcomes(items[middle:])

    def _supervise(self) -> None:
        while True:
            with self._lock:
                if self._is_closed:  # threads now end on purpose
                    return
                for index, runner in enumerate(self._runners):
                    if not runner.thread.is_alive():
                        if runner.is_ready or runner.seconds > RETRY_SECONDS:
                            self._replace(index, "a thread died")
                    elif runner.seconds > self.max_run_seconds and self._hangs(runner):
                        self._replace(index, f"{runner.seconds:.0f} s in one batch")
            time.sleep(CHECK_SECONDS)

    def _hangs(self, runner: "_Runner[Item, Result]") -> bool:
        """Whether a thread has run for longer than its work explains."""
        if not runner.batch:
            return not runner.is_ready
        return not self.probes or self._is_late(runner)

    def _is_late(self, runner: "_Runner[Item, Result]") -> bool:
        cost = sum(job.cost for job in runner.batch)
        return self._throughput.is_late(runner.batch[0].lane, cost, runner.seconds)

    def _replace(self, index: int, reason: str) -> None:
        old = self._runners[index]
        old.is_abandoned = True
        logger.error("replacing a %s thread: %s", self.part, reason)
        self._last_failure = time.monotonic(), reason
        self.observer.restarted(self.part)
        _fail(old.batch, reason)
        runner = self._runners[index] = _Runner(self._main, self._lock)
        runner.thread.start()


@dataclass
class _Job(Generic[Item, Result]):
    """A submitted item and its future."""

    item: Item
    lane: str
    cost: float
    future: "Future[Result]" = field(default_factory=Future)
    submitted: float = field(default_factory=time.monotonic)


class _Runner(Generic[Item, Result]):
    """One thread and the batch that it is running."""

    def __init__(
        self, main: Callable[["_Runner[Item, Result]"], None], lock: threading.RLock
    ) -> None:
        self.wake = threading.Condition(lock)
        self.is_ready = False  # has run the probes
        self.is_abandoned = False  # was replaced: its results are ignored
        self.batch: list[_Job[Item, Result]] = []
        self.started = time.monotonic()  # the batch, or the thread
        self.thread = threading.Thread(target=main, args=(self,), name="srcid-engine", daemon=True)

    @property
    def seconds(self) -> float:
        """Time since the batch, or the thread, was started."""
        return time.monotonic() - self.started


def _fail(jobs: Sequence[_Job[Item, Result]], reason: str) -> None:
    error = EngineFailed(f"{reason} while processing this; nothing was stored: try again")
    for job in jobs:
        with suppress(InvalidStateError):
            job.future.set_exception(error)


class Throughput:
    """Moving average of the seconds that a unit of work takes, for each lane."""

    def __init__(self) -> None:
        self._seconds_per_unit: dict[str, float] = {}

    def record(self, lane: str, units: float, seconds: float) -> None:
        """Take ``units`` of work that took ``seconds`` into the average."""
        measured = seconds / units
        average = self._seconds_per_unit.setdefault(lane, measured)
        self._seconds_per_unit[lane] = average + LATEST_WEIGHT * (measured - average)

    def expected_seconds(self, lane: str, units: float) -> float | None:
        """Return the expected time of ``units`` of work; None before the first measurement."""
        average = self._seconds_per_unit.get(lane)
        return None if average is None else average * units

    def is_late(self, lane: str, units: float, seconds: float) -> bool:
        """Whether work that has run for ``seconds`` should have ended long ago."""
        expected = self.expected_seconds(lane, units)
        return expected is not None and seconds > LATE_SECONDS + LATE_FACTOR * expected
