"""An answer that comes before the body of the request was read."""

import asyncio

from starlette.types import Receive, Scope, Send

from app.api.problems import problem
from app.errors import ServiceError

DRAIN_SECONDS = 10.0


async def refuse(
    error: ServiceError, scope: Scope, receive: Receive, send: Send, *, drain_bytes: int
) -> None:
    """Answer with ``error``, once what the client is still sending has been read and dropped.

    Many clients read no answer before they have sent everything: closed upon, they would report a
    broken connection instead of the problem. A client that asks first (``Expect: 100-continue``)
    waits for the answer and is not made to send.
    """
    asks_first = any(name == b"expect" for name, _ in scope["headers"])
    if scope["type"] == "http" and not asks_first:
        await drain(receive, max_bytes=drain_bytes)
    await problem(error)(scope, receive, send)


async def drain(receive: Receive, *, max_bytes: int, max_seconds: float = DRAIN_SECONDS) -> None:
    """Read the rest of a body and drop it, up to ``max_bytes`` and for ``max_seconds``."""
    try:
        async with asyncio.timeout(max_seconds):
            while max_bytes > 0:
                message = await receive()
                max_bytes -= len(message.get("body", b""))
                if not message.get("more_body"):  # nor has a disconnect any
                    return
    except TimeoutError:
        return
