"""Limits on request bodies, enforced while they arrive: of each, and of all together."""

import asyncio

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.admission import Admission
from app.api.problems import problem
from app.errors import TooLarge

DRAIN_SECONDS = 10.0


class BodyLimit:
    """Rejects a body of more than ``max_bytes``: at once if declared so, else on reaching it.

    A declared length is not trusted: bytes are counted before a form parser sees them, so that a
    body never fills the disk.

    A response that starts before the body was read, such as a rejection, waits until the rest has
    been read and dropped, up to twice the limit and ``DRAIN_SECONDS``: many clients send
    everything before they read, and would report a broken connection instead.
    """

    def __init__(self, app: ASGIApp, *, max_bytes: int) -> None:
        self.app = app
        self.max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting its body."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        body = _Body(receive, headers, max_bytes=self.max_bytes)

        async def drain_and_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                await body.drain()
            await send(message)

        declared = headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > self.max_bytes:
            error = too_large(int(declared), self.max_bytes)
            await problem(error)(scope, receive, drain_and_send)
        else:
            await self.app(scope, body.receive, drain_and_send)


class InflightBytes:
    """Rejects what exceeds ``max_bytes`` of bodies that have arrived and are not yet answered.

    ``BodyLimit`` bounds each request; this bounds their sum, and so the memory that they take.
    """

    def __init__(self, app: ASGIApp, *, max_bytes: int) -> None:
        self.app = app
        self.admission = Admission(
            max_bytes, what="bytes of requests", setting="SRCID_MAX_INFLIGHT_BYTES"
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting its body until it is answered."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        held = 0

        async def counted_receive() -> Message:
            nonlocal held
            message = await receive()
            size = len(message.get("body", b""))
            self.admission.enter(size)
            held += size
            return message

        try:
            await self.app(scope, counted_receive, send)
        finally:
            if held:
                self.admission.leave(held)


def too_large(size: int, max_bytes: int) -> TooLarge:
    """Return the error for a body of ``size`` bytes or more."""
    return TooLarge(
        f"the body has {size} bytes or more, the limit is {max_bytes}: send a shorter clip, or "
        "raise SRCID_MAX_UPLOAD_BYTES"
    )


class _Body:
    """The body of one request, as far as it has arrived."""

    def __init__(self, receive: Receive, headers: Headers, *, max_bytes: int) -> None:
        self._receive = receive
        self._max_bytes = max_bytes
        self._received = 0
        self._has_ended = not {"content-length", "transfer-encoding"} & set(headers)
        # Such a client waits for a "100 Continue", and sends nothing after a rejection.
        self._expects_continue = "expect" in headers

    async def receive(self) -> Message:
        """Return the next part.

        Raises:
            TooLarge: It exceeds the limit.
        """
        message = await self._next()
        if self._received > self._max_bytes:
            raise too_large(self._received, self._max_bytes)
        return message

    async def drain(self) -> None:
        """Read the rest and drop it."""
        if self._has_ended or (self._expects_continue and not self._received):
            return
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                while not self._has_ended and self._received < 2 * self._max_bytes:
                    await self._next()
        except TimeoutError:
            return

    async def _next(self) -> Message:
        message = await self._receive()
        self._received += len(message.get("body", b""))
        self._has_ended = not message.get("more_body", False)  # true of a disconnect as well
        return message
