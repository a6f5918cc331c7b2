"""What answers while the checkpoint is loaded: the process is alive, and not yet ready."""

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.problems import problem
from app.errors import Starting
from app.schemas.service import Health


class Door:
    """The ASGI app that stands before the real one, which takes seconds to make.

    Until ``open`` is called, ``/livez`` answers 200 and everything else ``Starting``.
    """

    def __init__(self) -> None:
        self._app: ASGIApp | None = None

    def open(self, app: ASGIApp) -> None:
        """Pass requests on to ``app`` from now on."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it."""
        if self._app is not None:
            await self._app(scope, receive, send)
        elif scope["type"] == "http" and scope["path"].endswith("/livez"):
            await JSONResponse(Health(status="alive").model_dump())(scope, receive, send)
        else:
            await problem(Starting("the service starts: try again in a moment"))(
                scope, receive, send
            )
