"""The largest request body, enforced while it arrives."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.refusal import drain, refuse
from app.errors import TooLarge


class BodyLimit:
    """Refuses a body of more than ``max_bytes``: at once where it says so, else when it gets there.

    What a request declares as its length is not believed: the bytes are counted before a form
    parser sees them, so that a body never fills the disk. As much again is read and dropped
    before the answer, so that clients which send everything first get to see it.
    """

    def __init__(self, app: ASGIApp, *, max_bytes: int) -> None:
        self.app = app
        self.max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, its body counted."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdecimal() and int(declared) > self.max_bytes:
            error = self._refusal(int(declared))
            await refuse(error, scope, receive, send, drain_bytes=2 * self.max_bytes)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.max_bytes:
                if message.get("more_body"):
                    await drain(receive, max_bytes=self.max_bytes)
                raise self._refusal(received)
            return message

        await self.app(scope, counted, send)

    def _refusal(self, size: int) -> TooLarge:
        return TooLarge(
            f"the body has {size} bytes or more, at most {self.max_bytes} are taken: send a "
            "shorter clip, or raise SRCID_MAX_UPLOAD_BYTES"
        )
