"""Items that come one by one, run together: what waits when a thread gets free is its batch."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import Generic, Literal, NamedTuple, TypeVar

from app.engine.observer import EngineObserver, Unobserved
from app.engine.runner import Job, Runner, fail
from app.engine.throughput import Pace
from app.errors import EngineFailed

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")

CHECK_SECONDS = 0.2  # between two looks at the threads
RETRY_SECONDS = 1.0  # between two attempts to start a thread
RECOVERY_SECONDS = 2.0  # without a break-down, until all is called well again


class Probe(NamedTuple, Generic[Item]):
    """An item that must run without error in a thread before any other does."""

    item: Item
    lane: str
    cost: float


class MicroBatcher(Generic[Item, Result]):
    """Runs items in ``threads`` threads. An idle thread takes an item at once, nothing waits.

    While all threads are busy, items queue up; the next free thread takes its share of one lane,
    and the lanes take turns, so that what is quick never waits behind all that is slow. Results
    of a batch are told together, which wakes who waits for them once. A batch that raises is run
    again item by item: only the item at fault fails. A future that is cancelled before its turn
    is never run.

    A thread that dies, or hangs, fails what it was running with ``EngineFailed`` and is replaced.

    Args:
        run: Maps a batch of one lane to its results, in order.
        part: What observers call a thread.
        probes: Run by each thread before anything else. Also tell how fast it ought to be:
            without any, no batch counts as late.
        threads: Batches that run at the same time.
        max_batch: Most items in a batch.
        one_by_one_seconds: Run the items of a batch one by one, and take no more of them than are
            expected to take so long. By default ``run`` takes all at once.
        max_run_seconds: After which a batch that is late counts as hanging.
        observer: Told of each batch.
        gate: Acquired by a thread before each batch, to be released by who takes the results.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Item]], Sequence[Result]],
        *,
        part: Literal["device", "decoder"],
        threads: int,
        max_run_seconds: float,
        max_batch: int = 1,
        one_by_one_seconds: float | None = None,
        probes: Sequence[Probe[Item]] = (),
        observer: EngineObserver | None = None,
        gate: threading.Semaphore | None = None,
    ) -> None:
        self.run = run
        self.part = part
        self.probes = probes
        self.num_threads = threads
        self.max_batch = max_batch
        self.one_by_one_seconds = one_by_one_seconds
        self.max_run_seconds = max_run_seconds
        self.observer = observer or Unobserved()
        self.gate = gate
        self._lock = threading.RLock()  # guards all below
        self._is_ready = threading.Condition(self._lock)
        self._idle: list[Runner[Item, Result]] = []  # the last one to get idle at the end
        self._lanes: dict[str, deque[Job[Item, Result]]] = {}
        self._runners: list[Runner[Item, Result]] = []
        self._pace = Pace()
        self._broke_down: tuple[float, str] | None = None  # when, and how, the last time
        self._is_closed = False

    def submit(self, item: Item, *, lane: str, cost: float = 1) -> "Future[Result]":
        """Queue ``item`` and return its future.

        Args:
            item: What to run.
            lane: Items of one lane may run as one batch; the lanes take turns.
            cost: How much work it is, in any unit that is the same for the whole lane.
        """
        job: Job[Item, Result] = Job(item, lane, cost)
        self.start()
        with self._lock:
            if self._is_closed:
                raise EngineFailed("the service stops: try again")
            self._lanes.setdefault(lane, deque()).append(job)
            if self._idle:
                self._idle.pop().wake.notify()  # whose caches are warm
        return job.future

    def start(self) -> None:
        """Start the threads, without waiting for them."""
        with self._lock:
            if self._runners or self._is_closed:
                return
            self._runners = [Runner(self._main, self._lock) for _ in range(self.num_threads)]
            for runner in self._runners:
                runner.thread.start()
            threading.Thread(target=self._supervise, name="srcid-watch", daemon=True).start()

    def wait_until_ready(self, seconds: float) -> bool:
        """Wait for all threads to have shown that they work; return whether they have."""
        with self._is_ready:
            return self._is_ready.wait_for(
                lambda: all(own.is_ready for own in self._runners), seconds
            )

    @property
    def trouble(self) -> str | None:
        """Why items may not be run; None where all is well."""
        with self._lock:
            for runner in self._runners:
                if not runner.thread.is_alive():
                    return f"a {self.part} thread has died"
                if not runner.is_ready:
                    return f"a {self.part} thread is starting"
                if runner.batch and self._pace.is_late(
                    runner.batch[0].lane, runner.cost, runner.seconds
                ):
                    return f"a {self.part} thread hangs: {runner.seconds:.0f} s at one batch"
            if self._broke_down and time.monotonic() - self._broke_down[0] < RECOVERY_SECONDS:
                return f"a {self.part} thread has just been replaced: {self._broke_down[1]}"
        return None

    @property
    def num_waiting(self) -> int:
        """How many items wait for a thread."""
        with self._lock:
            return sum(len(lane) for lane in self._lanes.values())

    def close(self) -> None:
        """Fail what waits, and let the threads end after what they run."""
        with self._lock:
            self._is_closed = True
            waiting = [job for lane in self._lanes.values() for job in lane]
            self._lanes.clear()
            for runner in self._runners:
                runner.wake.notify()
        fail(waiting, "the service stops")

    def join(self, seconds: float) -> None:
        """Wait after ``close``: a process that ends under a thread within torch aborts."""
        for runner in list(self._runners):
            if runner.thread is not threading.current_thread():
                runner.thread.join(seconds)

    def _main(self, own: Runner[Item, Result]) -> None:
        try:
            self._try(own)
            with self._lock:
                own.is_ready = True
                self._is_ready.notify_all()
            while batch := self._next(own):
                self._run_batch(own, batch)
        except BaseException:  # the supervisor replaces this thread
            logger.exception("a %s thread died", self.part)

    def _try(self, own: Runner[Item, Result]) -> None:
        for probe in self.probes:
            if self._is_closed:
                return
            started = time.monotonic()
            self.run([probe.item])
            with self._lock:
                self._pace.note(probe.lane, probe.cost, time.monotonic() - started)

    def _next(self, own: Runner[Item, Result]) -> list[Job[Item, Result]]:
        """Wait for items and return those that run now; none when this thread is to end."""
        if self.gate:
            self.gate.acquire()
        with self._lock:
            while not own.is_abandoned:
                if batch := self._taken():
                    own.batch, own.since = batch, time.monotonic()
                    return batch
                if self._is_closed:
                    break
                self._idle.append(own)
                own.wake.wait()
        if self.gate:
            self.gate.release()
        return []

    def _taken(self) -> list[Job[Item, Result]]:
        """Take a batch of the lane whose turn it is; see ``_share``."""
        for name, lane in list(self._lanes.items()):
            share = self._share(len(lane))
            batch: list[Job[Item, Result]] = []
            cost = 0.0
            while lane and len(batch) < share:
                if batch and self._is_long(name, cost + lane[0].cost):
                    break
                job = lane.popleft()
                if job.future.set_running_or_notify_cancel():
                    batch.append(job)
                    cost += job.cost
            self._lanes[name] = self._lanes.pop(name)  # to the end: the others' turn
            if batch:
                return batch
        return []

    def _share(self, num_waiting: int) -> int:
        """Return how many items a thread may take.

        Where they are run one by one, half of its share: as many wait for it until those are
        answered, and let new ones in.
        """
        parts = 1 if self.one_by_one_seconds is None else 2 * self.num_threads
        return min(self.max_batch, max(1, num_waiting // parts))

    def _is_long(self, lane: str, cost: float) -> bool:
        expected = self._pace.expected(lane, cost)
        limit = self.one_by_one_seconds
        return limit is not None and expected is not None and expected > limit

    def _run_batch(self, own: Runner[Item, Result], batch: list[Job[Item, Result]]) -> None:
        for job in batch:
            self.observer.waited(own.since - job.submitted)
        outcomes = self._outcomes([job.item for job in batch])
        seconds = own.seconds
        done: list[Job[Item, Result]] = []
        for job, outcome in zip(batch, outcomes, strict=True):
            with suppress(InvalidStateError):  # failed meanwhile, for hanging
                if isinstance(outcome, Exception):
                    job.future.set_exception(outcome)
                else:
                    done.append(job)
                    job.future.set_result(outcome)
        if done:
            self.observer.ran(items=len(done), seconds=seconds)
            if self.probes:
                with self._lock:
                    self._pace.note(done[0].lane, sum(job.cost for job in done), seconds)
        with self._lock:
            own.batch = []

    def _outcomes(self, items: list[Item]) -> list[Result | Exception]:
        """Return what became of each item: its result, or what was raised for it."""
        if self.one_by_one_seconds is None or len(items) == 1:
            try:
                return list(self.run(items))
            except Exception as error:  # whatever it is, who submitted the item is told
                if len(items) == 1:
                    return [error]
        return [outcome for item in items for outcome in self._outcomes([item])]

    def _supervise(self) -> None:
        while True:
            with self._lock:
                if self._is_closed:  # whose threads end, and are not dead
                    return
                for place, runner in enumerate(self._runners):
                    if not runner.thread.is_alive():
                        if runner.is_ready or runner.seconds > RETRY_SECONDS:
                            self._replace(place, "a thread died")
                    elif runner.seconds > self.max_run_seconds and self._hangs(runner):
                        self._replace(place, f"{runner.seconds:.0f} s at one batch")
            time.sleep(CHECK_SECONDS)

    def _hangs(self, runner: Runner[Item, Result]) -> bool:
        """Tell whether a thread is at it for longer than the work that it has explains."""
        if not runner.batch:
            return not runner.is_ready
        late = self._pace.is_late(runner.batch[0].lane, runner.cost, runner.seconds)
        return late or not self.probes

    def _replace(self, place: int, reason: str) -> None:
        old = self._runners[place]
        old.is_abandoned = True
        logger.error("a %s thread is replaced: %s", self.part, reason)
        self._broke_down = time.monotonic(), reason
        self.observer.restarted(self.part)
        fail(old.batch, reason)
        runner = self._runners[place] = Runner(self._main, self._lock)
        runner.thread.start()
