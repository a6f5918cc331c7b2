"""Coroutines run as plain calls, so that blocking and asyncio versions share one implementation.

Such a class is written once, with ``async`` methods that wait for nothing but a few methods of
their own: an HTTP request, an encoding. A subclass replaces those few by versions that do the
work before they return. Its coroutines then never suspend, and ``blocking`` runs each of them to
its end without an event loop.
"""

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

Params = ParamSpec("Params")
Result = TypeVar("Result")


def blocking(
    method: Callable[Concatenate[Any, Params], Coroutine[Any, Any, Result]],
) -> Callable[Concatenate[Any, Params], Result]:
    """Return ``method`` as a plain method that runs it on ``self._core``."""

    @wraps(method)
    def call(self: Any, /, *args: Params.args, **kwargs: Params.kwargs) -> Result:
        return finish(method(self._core, *args, **kwargs))

    return call


def blocking_iterator(
    method: Callable[Concatenate[Any, Params], AsyncIterator[Result]],
) -> Callable[Concatenate[Any, Params], Iterator[Result]]:
    """Return an asynchronous generator method as a plain one that runs it on ``self._core``."""

    @wraps(method)
    def iterate(self: Any, /, *args: Params.args, **kwargs: Params.kwargs) -> Iterator[Result]:
        steps: Any = method(self._core, *args, **kwargs)
        try:
            while True:
                try:
                    value = finish(steps.__anext__())
                except StopAsyncIteration:
                    return
                yield value
        finally:
            finish(steps.aclose())

    return iterate


def finish(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine that never suspends; return its result.

    Raises:
        RuntimeError: It does suspend.
    """
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: Result = end.value
        return result
    coroutine.close()
    raise RuntimeError(f"{coroutine} waits for an event loop, and there is none")
