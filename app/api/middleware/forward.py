"""What a process that only reads does with requests that change something: it passes them on."""

from collections.abc import AsyncIterator

import anyio
import httpx2
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.middleware.auth import path_of_call
from app.api.problems import problem
from app.auth.access import ADMIN_FOLDER, scope_of
from app.auth.keys import Scope as KeyScope
from app.errors import EngineFailed

# Of the connection, not of the message: those to the client are the server's own matter.
HOP_BY_HOP = {b"connection", b"keep-alive", b"transfer-encoding", b"upgrade"}
CONNECT_SECONDS = 10.0


class Forward:
    """Passes on what changes the index, and all that concerns jobs, to the process that writes.

    Bodies are streamed both ways; who may ask is checked there.

    Args:
        app: Answers the rest.
        writer_url: Where that process listens.
    """

    def __init__(self, app: ASGIApp, *, writer_url: str) -> None:
        self.app = app
        self._url = httpx2.URL(writer_url)
        timeout = httpx2.Timeout(None, connect=CONNECT_SECONDS)  # jobs tell events for hours
        limits = httpx2.Limits(max_connections=None)
        self._client = httpx2.AsyncClient(timeout=timeout, limits=limits, trust_env=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or have it answered."""
        if scope["type"] != "http" or not _concerns_writer(scope):
            await self.app(scope, receive, send)
            return
        await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = _Sender(receive)
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
                    if await client.has_left():  # events of a job would go on for hours
                        return
                    await send(_piece(piece, more=True))
                await send(_piece(b"", more=False))
            finally:
                await response.aclose()
        except ClientDisconnect:
            return
        except httpx2.TransportError as error:
            if has_begun:
                raise  # the connection breaks off, as that to the writer did
            failed = EngineFailed(
                f"the process that writes broke down ({type(error).__name__}), and is started "
                "again: look whether the change was made, else try again"
            )
            await problem(failed)(scope, receive, send)


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


class _Sender:
    """Who sent a request."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._has_sent_all = False

    async def body(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes in."""
        while not self._has_sent_all:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            self._has_sent_all = not message.get("more_body", False)
            yield message.get("body", b"")

    async def has_left(self) -> bool:
        """Tell whether nobody waits for the answer any more."""
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
