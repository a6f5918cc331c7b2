"""One thread of a ``MicroBatcher``, and the items that it is given."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from app.errors import EngineFailed

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass
class Job(Generic[Item, Result]):
    """An item, and what became of it."""

    item: Item
    lane: str
    cost: float
    future: "Future[Result]" = field(default_factory=Future)
    submitted: float = field(default_factory=time.monotonic)


class Runner(Generic[Item, Result]):
    """One thread, and what it is running."""

    def __init__(
        self, main: Callable[["Runner[Item, Result]"], None], lock: threading.RLock
    ) -> None:
        self.wake = threading.Condition(lock)
        self.is_ready = False  # has shown that it works
        self.is_abandoned = False  # hangs: whatever it still does is of no interest
        self.batch: list[Job[Item, Result]] = []
        self.since = time.monotonic()  # when it began with the batch, or to start
        self.thread = threading.Thread(target=main, args=(self,), name="srcid-engine", daemon=True)

    @property
    def seconds(self) -> float:
        """How long it has been at it."""
        return time.monotonic() - self.since

    @property
    def cost(self) -> float:
        """What it runs, in steps."""
        return sum(job.cost for job in self.batch)


def fail(jobs: Sequence[Job[Item, Result]], reason: str) -> None:
    """End jobs that nothing will come of."""
    error = EngineFailed(f"{reason} while this was worked on, nothing of it was kept: try again")
    for job in jobs:
        with suppress(InvalidStateError):
            job.future.set_exception(error)
