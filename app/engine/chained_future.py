"""Two stages with queues of their own, and one future that stands for both."""

import weakref
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

Between = TypeVar("Between")
Result = TypeVar("Result")


def then(
    first: "Future[Between]",
    second: Callable[[Between], "Future[Result]"],
    *,
    free: Callable[[], object],
) -> "Future[Result]":
    """Return a future of what ``second`` makes of the result of ``first``.

    An error of either is its error. Cancelling it cancels the stage that it waits for.

    Args:
        first: Already submitted.
        second: Submits the second stage; called in the thread that ends the first.
        free: Called once what the first stage made is no longer held, unless it was cancelled
            before it ran.
    """
    both: Future[Result] = Future()
    both.add_done_callback(partial(_cancel, weakref.ref(first)))
    first.add_done_callback(partial(_go_on, second, both, free))
    return both


def _go_on(
    second: Callable[[Between], "Future[Result]"],
    both: "Future[Result]",
    free: Callable[[], object],
    first: "Future[Between]",
) -> None:
    if first.cancelled():
        return
    try:
        last = second(first.result())
    except BaseException as error:  # whatever it is, somebody waits for it
        free()
        with suppress(InvalidStateError):
            both.set_exception(error)
        return
    last.add_done_callback(lambda _: free())
    both.add_done_callback(partial(_cancel, weakref.ref(last)))
    last.add_done_callback(partial(_settle, both))


def _settle(both: "Future[Result]", last: "Future[Result]") -> None:
    with suppress(InvalidStateError):  # nobody waits for it any more
        if last.cancelled():
            return
        if error := last.exception():
            both.set_exception(error)
        else:
            both.set_result(last.result())


def _cancel(part: "weakref.ref[Future[Any]]", both: "Future[Any]") -> None:
    """Cancel a stage of what was cancelled.

    The stage is held weakly, since it holds ``both``: in a cycle, what lies between the stages
    would stay until the garbage collector comes by.
    """
    future = part()
    if future is not None and both.cancelled():
        future.cancel()
