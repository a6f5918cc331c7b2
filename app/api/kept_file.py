"""Kept media as an answer: whole, or the part that a player asks for."""

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse
from starlette.types import Message, Receive, Scope, Send


class KeptFile(FileResponse):
    """A file whose header Range is refused by a problem document, as everything else is."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file, or raise what is wrong with the header Range."""
        asked = Headers(scope=scope).get("range", "")

        async def refuse(message: Message) -> None:
            status = message.get("status", 200)
            if status in {400, 416}:
                told = Headers(raw=message["headers"]).get("content-range")
                size = (
                    "" if told is None else f": the file has {told.removeprefix('bytes */')} bytes"
                )
                raise HTTPException(
                    status,
                    f"the header Range is {asked[:100]!r}{size}; ask for bytes=first-last",
                    headers=None if told is None else {"Content-Range": told},
                )
            await send(message)

        await super().__call__(scope, receive, refuse)
