"""Rules of HTTP that hold for every route: limits on bodies, HEAD with GET, encoded slashes."""

import asyncio

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.admission import Admission
from app.api.middleware.auth import path_of_call
from app.api.problems import problem
from app.errors import TooLarge, UnsupportedBody

BODIES = {"POST", "PUT", "PATCH"}  # methods that have one
PLAIN = {"", "identity"}
ITEMS = "/items/"


class HttpRules:
    """Answers HEAD as GET without the body, and rejects bodies that are compressed.

    The id of an item reaches its route percent-encoded, so that a slash in it ends nothing.

    Source: RFC 9110, 9.3.2 (HEAD), 14.2 (Range is of GET only), 15.5.16 (415 for an encoding,
    with ``Accept-Encoding``).
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or reject it."""
        if scope["type"] == "http" and path_of_call(scope).startswith(ITEMS):
            # In place, as the change of method below is not: the router notes its route here, by
            # which requests are counted.
            scope["path"] = _encoded_path(scope)
        if scope["type"] == "http" and scope["method"] == "HEAD":
            get = _as_get(scope)
            try:
                await self.app(get, receive, _without_body(send))
            finally:
                scope.update({name: get[name] for name in ("route", "endpoint") if name in get})
        elif scope["type"] == "http" and (encodings := _encodings(scope)):
            response = problem(
                UnsupportedBody(
                    f"the body has content encoding {', '.join(encodings)!r}: send it as it is, "
                    "without the header Content-Encoding"
                )
            )
            response.headers["Accept-Encoding"] = "identity"
            await response(scope, receive, send)
        else:
            await self.app(scope, receive, send)


def _encoded_path(scope: Scope) -> str:
    """Return the path as it was sent, behind the prefix of a proxy."""
    path = scope["path"]
    prefix = path[: len(path) - len(path_of_call(scope))]
    parts = scope["raw_path"].decode("latin-1").split("/")[1 + prefix.count("/") :]
    return "/".join((prefix, *parts))


def _encodings(scope: Scope) -> list[str]:
    """Return what the body of a request is encoded with."""
    if scope["method"] not in BODIES:
        return []
    header = ",".join(Headers(scope=scope).getlist("content-encoding"))
    return [name for each in header.split(",") if (name := each.strip().lower()) not in PLAIN]


def _as_get(scope: Scope) -> Scope:
    """Return the request as a GET whose files are not read."""
    headers = [(name, value) for name, value in scope["headers"] if name != b"range"]
    extensions = {**scope.get("extensions", {}), "http.response.pathsend": {}}
    return {**scope, "method": "GET", "headers": headers, "extensions": extensions}


def _without_body(send: Send) -> Send:
    async def send_head(message: Message) -> None:
        if message["type"] == "http.response.pathsend":
            message = {"type": "http.response.body"}
        elif message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return send_head


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
