"""The client for asyncio with the calls of the other, so that the same tests run on both."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable
from typing import Self

from app.client import AsyncClient


class Blocking:
    """Runs each call of an ``AsyncClient`` to its end, in an event loop of its own."""

    def __init__(self, *args: object, **options: object) -> None:
        self._client = AsyncClient(*args, **options)
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._runner.run(self._client.close())
        self._runner.close()

    def __getattr__(self, name: str) -> Callable[..., object]:
        method = getattr(self._client, name)

        def call(*args: object, **options: object) -> object:
            begun = method(*args, **options)
            return self._runner.run(_all(begun) if inspect.isasyncgen(begun) else begun)

        return call


async def _all(items: AsyncIterator[object]) -> list[object]:
    return [item async for item in items]
