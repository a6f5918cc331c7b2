"""A function run over many items in worker processes that may die, or whose parent may."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

SPARE = 2  # items that are ready or waiting beside those that are worked on


def in_processes(
    function: Callable[[Item], Result], items: Iterable[Item], *, workers: int
) -> Iterator[tuple[Item, Result | None]]:
    """Yield each item with what ``function`` makes of it, in the order in which they are done.

    No more than ``workers + SPARE`` items are under way, so that results do not pile up where
    they are taken slowly. An item that kills its process comes with None, and harms no other.

    Args:
        function: Importable by its name; what it raises ends everything.
        items: Picklable, as the results are.
        workers: Processes. They import what ``function`` is defined in, and nothing else of ours.
    """
    waiting = deque(items)
    while waiting:
        running: dict[Future[Result], Item] = {}
        pool = _pool(workers)
        try:
            while waiting or running:
                while waiting and len(running) < workers + SPARE:
                    running[pool.submit(function, waiting[0])] = waiting[0]
                    waiting.popleft()
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    result = future.result()
                    yield running.pop(future), result
        except BrokenProcessPool:  # it does not tell by which item
            for item in running.values():
                yield item, _alone(function, item)
        finally:
            pool.shutdown(cancel_futures=True)


def _alone(function: Callable[[Item], Result], item: Item) -> Result | None:
    with _pool(1) as pool:
        try:
            return pool.submit(function, item).result()
        except BrokenProcessPool:
            return None


def _pool(workers: int) -> ProcessPoolExecutor:
    # Not forked: a fork of a process with threads (torch has some) may lock up.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_start)


def _start() -> None:
    """Leave Ctrl-C to the parent, and end with it: a worker would wait for its work for ever."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
