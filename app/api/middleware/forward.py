"""Forwards requests that change something from a read-only process to the one that writes."""

from collections.abc import AsyncIterator

import anyio
import httpx2
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.middleware.auth import ADMIN_FOLDER, path_of_call, scope_of
from app.api.problems import problem
from app.auth.keys import Scope as KeyScope
from app.errors import EngineFailed

# Headers of the connection, not of the message (RFC 9110): each server sets its own.
HOP_BY_HOP = {b"connection", b"keep-alive", b"transfer-encoding", b"upgrade"}
CONNECT_SECONDS = 10.0


class Forward:
    """Forwards changes of the index, and all calls of jobs, to the process that writes.

    Bodies are streamed both ways. The writer checks API keys.

    Args:
        app: Answers the other requests.
        writer_url: Where the writer listens.
    """

    def __init__(self, app: ASGIApp, *, writer_url: str) -> None:
        self.app = app
        self._url = httpx2.URL(writer_url)
        timeout = httpx2.Timeout(None, connect=CONNECT_SECONDS)  # a job's events last for hours
        limits = httpx2.Limits(max_connections=None)
        self._client = httpx2.AsyncClient(timeout=timeout, limits=limits, trust_env=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or forward it."""
        if scope["type"] != "http" or not _concerns_writer(scope):
            await self.app(scope, receive, send)
            return
        await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = _Client(receive)
        request = self._client.build_request(
            scope["method"],
            self._url.copy_with(raw_path=_raw_path(scope)),
            headers=_end_to_end(scope["headers"]),
            content=client.body(),
        )
        has_begun = False
        try:
            response = await self._client.send(request, stream=True)
            try:
                headers = _end_to_end(response.headers.raw)
                await send(_start(response.status_code, headers))
                has_begun = True
                async for piece in response.aiter_raw():
                    if await client.has_left():  # a job's events would go on for hours
                        return
                    await send(_piece(piece, more=True))
                await send(_piece(b"", more=False))
            finally:
                await response.aclose()
        except ClientDisconnect:
            return
        except httpx2.TransportError as error:
            if has_begun:
                raise  # the connection breaks, as that to the writer did
            failure = EngineFailed(
                f"the process that writes broke down ({type(error).__name__}) and is restarting: "
                "check whether the change was made, or try again"
            )
            await problem(failure)(scope, receive, send)


def _concerns_writer(scope: Scope) -> bool:
    path = path_of_call(scope)
    is_job = path == ADMIN_FOLDER or path.startswith(f"{ADMIN_FOLDER}/")
    return is_job or scope_of(scope["method"], path) is not KeyScope.READ


def _raw_path(scope: Scope) -> bytes:
    path: bytes = scope["raw_path"]
    query: bytes = scope["query_string"]
    return path + (b"?" + query if query else b"")


def _end_to_end(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [(name.lower(), value) for name, value in headers if name.lower() not in HOP_BY_HOP]


class _Client:
    """The client of a request."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._has_sent_all = False

    async def body(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives."""
        while not self._has_sent_all:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            self._has_sent_all = not message.get("more_body", False)
            yield message.get("body", b"")

    async def has_left(self) -> bool:
        """Tell whether the client has disconnected."""
        if not self._has_sent_all:
            return False
        with anyio.CancelScope() as now:
            now.cancel()
            return (await self._receive())["type"] == "http.disconnect"
        return False


def _start(status: int, headers: list[tuple[bytes, bytes]]) -> Message:
    return {"type": "http.response.start", "status": status, "headers": headers}


def _piece(body: bytes, *, more: bool) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": more}
