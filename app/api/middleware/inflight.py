"""How many bytes of requests are held at once, by all of them together."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.admission import Admission


class InflightBytes:
    """Refuses what goes beyond ``max_bytes`` of bodies that have come and are not yet answered.

    ``BodyLimit`` bounds each request; this bounds their sum, and so the memory that they take.
    """

    def __init__(self, app: ASGIApp, *, max_bytes: int) -> None:
        self.app = app
        self.admission = Admission(
            max_bytes, what="bytes of requests", setting="SRCID_MAX_INFLIGHT_BYTES"
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, its body counted while it is worked on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        held = 0

        async def counted() -> Message:
            nonlocal held
            message = await receive()
            size = len(message.get("body", b""))
            self.admission.enter(size)
            held += size
            return message

        try:
            await self.app(scope, counted, send)
        finally:
            if held:
                self.admission.leave(held)
