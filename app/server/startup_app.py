"""The app that answers while the checkpoint is loaded: alive, but not ready."""

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.problems import problem
from app.errors import Starting
from app.schemas.service import Health


class StartupApp:
    """Answers ``/livez`` with 200 and all else with ``Starting``, until ``switch_to`` is called.

    Loading the real app takes seconds.
    """

    def __init__(self) -> None:
        self._app: ASGIApp | None = None

    def switch_to(self, app: ASGIApp) -> None:
        """Pass all further requests on to ``app``."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or pass it on."""
        if self._app is not None:
            await self._app(scope, receive, send)
        elif scope["type"] == "http" and scope["path"].endswith("/livez"):
            await JSONResponse(Health(status="alive").model_dump())(scope, receive, send)
        else:
            answer = problem(Starting("the service is starting: try again in a moment"))
            await answer(scope, receive, send)
