"""What a request's body may be, enforced while it arrives; and that it is read before an answer."""

import asyncio

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.problems import problem
from app.errors import TooLarge

DRAIN_SECONDS = 10.0


class BodyLimit:
    """Refuses a body of more than ``max_bytes``: at once where it says so, else when it gets there.

    What a request declares as its length is not believed: the bytes are counted before a form
    parser sees them, so that a body never fills the disk.

    An answer that comes before the whole body was read, such as a refusal, waits until the rest
    was read and dropped, up to twice the limit in all and ``DRAIN_SECONDS``: many clients send
    everything before they read, and, closed upon, would report a broken connection instead.
    """

    def __init__(self, app: ASGIApp, *, max_bytes: int) -> None:
        self.app = app
        self.max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, its body counted."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        body = _Body(receive, headers, max_bytes=self.max_bytes)

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                await body.drain()
            await send(message)

        declared = headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > self.max_bytes:
            await problem(too_large(int(declared), self.max_bytes))(scope, receive, answer)
        else:
            await self.app(scope, body.receive, answer)


def too_large(size: int, max_bytes: int) -> TooLarge:
    """Return the refusal of a body that has ``size`` bytes, or more."""
    return TooLarge(
        f"the body has {size} bytes or more, at most {max_bytes} are taken: send a shorter clip, "
        "or raise SRCID_MAX_UPLOAD_BYTES"
    )


class _Body:
    """The body of one request, as far as it has arrived."""

    def __init__(self, receive: Receive, headers: Headers, *, max_bytes: int) -> None:
        self._receive = receive
        self._max_bytes = max_bytes
        self._received = 0
        self._ended = not {"content-length", "transfer-encoding"} & set(headers)
        # A client that asks first waits for the answer, and sends nothing where that is no.
        self._asks_first = "expect" in headers

    async def receive(self) -> Message:
        """Return the next part.

        Raises:
            TooLarge: It goes beyond the limit.
        """
        message = await self._next()
        if self._received > self._max_bytes:
            raise too_large(self._received, self._max_bytes)
        return message

    async def drain(self) -> None:
        """Read what is left and drop it."""
        if self._ended or (self._asks_first and not self._received):
            return
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                while not self._ended and self._received < 2 * self._max_bytes:
                    await self._next()
        except TimeoutError:
            return

    async def _next(self) -> Message:
        message = await self._receive()
        self._received += len(message.get("body", b""))
        self._ended = not message.get("more_body", False)  # a disconnect has none either
        return message
