"""Stored media as responses: whole, or the range that a player asks for."""

from pathlib import Path

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse
from starlette.staticfiles import NotModifiedResponse, StaticFiles
from starlette.types import Message, Receive, Scope, Send

UNKNOWN = "application/octet-stream"
SIGNATURES = {  # offset -> first bytes -> media type
    0: {
        b"\xff\xd8\xff": "image/jpeg",
        b"\x89PNG": "image/png",
        b"GIF8": "image/gif",
        b"BM": "image/bmp",
        b"II*\0": "image/tiff",
        b"MM\0*": "image/tiff",
        b"OggS": "audio/ogg",
        b"fLaC": "audio/flac",
        b"ID3": "audio/mpeg",
        b"\xff\xfb": "audio/mpeg",
        b"\xff\xf3": "audio/mpeg",
        b"\xff\xf2": "audio/mpeg",
        b"\xff\xf1": "audio/aac",
        b"\xff\xf9": "audio/aac",
        b"\x1aE\xdf\xa3": "video/webm",  # and Matroska: players look inside
        b"FLV": "video/x-flv",
        b"#!AMR": "audio/amr",
    },
    8: {
        b"WAVE": "audio/wav",
        b"WEBP": "image/webp",
        b"AVI ": "video/x-msvideo",
        b"AIFF": "audio/aiff",
        b"avif": "image/avif",
        b"heic": "image/heic",
        b"mif1": "image/heic",
        b"M4A ": "audio/mp4",
        b"qt  ": "video/quicktime",
    },
    4: {b"ftyp": "video/mp4"},
}
CONDITIONS = StaticFiles(check_dir=False)  # knows If-None-Match and If-Modified-Since
# Uploaded media must not run in a page of ours, whatever type they claim to have.
SANDBOX = {
    "Content-Security-Policy": "default-src 'none'; media-src 'self'; img-src 'self'; sandbox",
    "X-Content-Type-Options": "nosniff",
}


class MediaResponse(FileResponse):
    """A stored file, sandboxed. A bad Range header is answered by a problem document.

    What the client has already is answered by 304, and a Range in another unit than bytes is
    ignored (RFC 9110, 13.1.2 and 14.2).

    Args:
        path: The file.
        media_type: Its type; found from its first bytes by default, since senders' claims are
            not to be trusted.
    """

    def __init__(self, path: Path, *, media_type: str | None = None) -> None:
        super().__init__(
            path,
            media_type=media_type or media_type_of(path),
            headers=SANDBOX,
            stat_result=path.stat(),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file, or raise ``HTTPException`` for a bad Range header."""
        headers = Headers(scope=scope)
        if CONDITIONS.is_not_modified(self.headers, headers):
            await NotModifiedResponse(self.headers)(scope, receive, send)
            return
        requested = headers.get("range", "")
        if requested.partition("=")[0].strip().lower() != "bytes":
            others = [(name, value) for name, value in scope["headers"] if name != b"range"]
            scope = {**scope, "headers": others}

        async def checked_send(message: Message) -> None:
            status = message.get("status", 200)
            if status in {400, 416}:
                size = Headers(raw=message["headers"]).get("content-range")
                length = (
                    "" if size is None else f": the file has {size.removeprefix('bytes */')} bytes"
                )
                raise HTTPException(
                    status,
                    f"the header Range is {requested[:100]!r}{length}; ask for bytes=first-last",
                    headers=None if size is None else {"Content-Range": size},
                )
            await send(message)

        await super().__call__(scope, receive, checked_send)


def media_type_of(path: Path) -> str:
    """Return the media type of a file, from its first bytes."""
    with path.open("rb") as file:
        start = file.read(16)
    for offset, types in SIGNATURES.items():
        for signature, media_type in types.items():
            if start[offset:].startswith(signature):
                return media_type
    return UNKNOWN
