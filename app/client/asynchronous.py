"""The client for asyncio."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

import httpx2

from app.client.connection import DEFAULT_URL, Connection
from app.client.core import ClientCore
from app.client.retry import RetryPolicy


class AsyncClient(ClientCore):
    """Calls a service like ``Client``: same calls, errors and retries, to be awaited.

    Args:
        url: Address of the service, including a proxy's path prefix.
        key: API key, if the service needs one.
        timeout_seconds: Longest silence of the service.
        retry: How often and how long to retry.
        transport: httpx2 transport to use instead of a socket.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        key: str | None = None,
        timeout_seconds: float = 60,
        retry: RetryPolicy | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        super().__init__(retry)
        connection = Connection(url=url, key=key, timeout_seconds=timeout_seconds)
        self._http = httpx2.AsyncClient(**connection.options(), transport=transport)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _request(self, method: str, path: str, **body: Any) -> httpx2.Response:
        return await self._http.request(method, path, **body)

    @asynccontextmanager
    async def _stream(self, method: str, path: str) -> AsyncIterator[httpx2.Response]:
        async with self._http.stream(method, path) as response:
            if not response.is_success:
                await response.aread()
            yield response

    def _chunks(self, response: httpx2.Response) -> AsyncIterator[bytes]:
        return response.aiter_bytes()

    def _lines(self, response: httpx2.Response) -> AsyncIterator[str]:
        return response.aiter_lines()

    async def _sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
