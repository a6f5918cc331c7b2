"""The client for blocking code."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

import httpx2

from app.blocking import blocking, blocking_iterator
from app.client.connection import DEFAULT_URL, Connection
from app.client.core import ClientCore
from app.client.retry import RetryPolicy


class _BlockingCore(ClientCore):
    """The calls over ``httpx2.Client``: their coroutines never suspend."""

    def __init__(self, http: httpx2.Client, retry: RetryPolicy | None) -> None:
        super().__init__(retry)
        self._http = http

    async def _request(self, method: str, path: str, **body: Any) -> httpx2.Response:
        return self._http.request(method, path, **body)

    @asynccontextmanager
    async def _stream(self, method: str, path: str) -> AsyncIterator[httpx2.Response]:
        with self._http.stream(method, path) as response:
            if not response.is_success:
                response.read()
            yield response

    async def _chunks(self, response: httpx2.Response) -> AsyncIterator[bytes]:
        for chunk in response.iter_bytes():
            yield chunk

    async def _lines(self, response: httpx2.Response) -> AsyncIterator[str]:
        for line in response.iter_lines():
            yield line

    async def _sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class Client:
    """Calls a service. Raises the errors of the service (``app.errors``) or ``Unreachable``.

    A call that is rejected for now (429, 503) or loses its connection is retried after a pause,
    if repeating it does no harm.

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
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        connection = Connection(url=url, key=key, timeout_seconds=timeout_seconds)
        self._http = httpx2.Client(**connection.options(), transport=transport)
        self._core = _BlockingCore(self._http, retry)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    encode = blocking(ClientCore.encode)
    encode_batch = blocking(ClientCore.encode_batch)
    embed = blocking(ClientCore.embed)
    search = blocking(ClientCore.search)
    search_codes = blocking(ClientCore.search_codes)
    compare = blocking(ClientCore.compare)
    code = blocking(ClientCore.code)
    add = blocking(ClientCore.add)
    put = blocking(ClientCore.put)
    get = blocking(ClientCore.get)
    update = blocking(ClientCore.update)
    delete = blocking(ClientCore.delete)
    delete_where = blocking(ClientCore.delete_where)
    page = blocking(ClientCore.page)
    items = blocking_iterator(ClientCore.items)
    download = blocking(ClientCore.download)
    thumbnail = blocking(ClientCore.thumbnail)
    duplicates = blocking(ClientCore.duplicates)
    start_job = blocking(ClientCore.start_job)
    jobs = blocking(ClientCore.jobs)
    job = blocking(ClientCore.job)
    watch_job = blocking_iterator(ClientCore.watch_job)
    cancel_job = blocking(ClientCore.cancel_job)
    model = blocking(ClientCore.model)
    is_ready = blocking(ClientCore.is_ready)
