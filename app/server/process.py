"""One server process: bind the port, answer while the app loads, serve, drain, shut down."""

import asyncio
import gc
import logging
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from importlib.metadata import version
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.problems import problem
from app.errors import Starting
from app.schemas.service import Health, ModelInfo
from app.settings import Settings
from app.telemetry import logs
from model.errors import ConfigError


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


logger = logging.getLogger(__name__)


class GracefulServer(uvicorn.Server):
    """Accepts connections for ``seconds`` after SIGTERM, then drains and exits.

    Meanwhile /readyz answers 503, so that load balancers notice. A second signal exits at once,
    and so does the first before the service is ready.
    """

    def __init__(self, config: uvicorn.Config, *, seconds: float) -> None:
        super().__init__(config)
        self.report_not_ready: Callable[[], None] | None = None  # set once the service is ready
        self.is_listening = asyncio.Event()
        self._seconds = seconds
        self._is_stopping = False
        self._loop: asyncio.AbstractEventLoop | None = None

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until a signal ends it."""
        self._loop = asyncio.get_running_loop()
        await super().serve(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to accept connections."""
        await super().startup(sockets)
        self.is_listening.set()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        stop = partial(super().handle_exit, sig, frame)
        if (
            sig != signal.SIGTERM
            or self._is_stopping
            or self._loop is None
            or self.report_not_ready is None
        ):
            stop()
            return
        self._is_stopping = True
        self.report_not_ready()
        logger.info("SIGTERM received; accepting connections for %g s more", self._seconds)
        self._loop.call_soon_threadsafe(self._loop.call_later, self._seconds, stop)


if TYPE_CHECKING:  # imports torch, which would delay the first answer
    from fastapi import FastAPI

    from app.service.async_service import AsyncRetrievalService

SHUTDOWN_SECONDS = 30  # for requests in flight to finish


class ServerProcess:
    """Serves on sockets, and loads the app meanwhile.

    Args:
        settings: Of the service.
        writer_url: The process that changes are forwarded to (``create_app``).
        is_alone: Whether this is the only process on the port. Otherwise it accepts no
            connection before it can answer, since another process can.
    """

    def __init__(self, settings: Settings, *, writer_url: str | None, is_alone: bool) -> None:
        self.settings = settings
        self.writer_url = writer_url
        self.is_alone = is_alone
        self._startup_app = StartupApp()
        self.config = uvicorn.Config(
            self._startup_app,
            lifespan="off",
            log_config=None,  # `logs.configure` covers uvicorn, and requests have our own line
            log_level="warning",  # without uvicorn's messages about start and stop
            access_log=False,
            root_path=settings.root_path,
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        )
        self._server = GracefulServer(self.config, seconds=settings.drain_seconds)
        self._may_listen = asyncio.Event()

    async def serve(
        self,
        listeners: list[socket.socket],
        *,
        on_ready: Callable[["AsyncRetrievalService"], Awaitable[None]],
    ) -> None:
        """Serve until a signal; ``on_ready`` is awaited once requests are answered."""
        app = asyncio.create_task(self._run_app(on_ready))
        try:
            await self._may_listen.wait()
            if not self._server.should_exit:
                await self._server.serve(sockets=listeners)
        finally:
            app.cancel()
            await asyncio.wait([app])
        if not app.cancelled():
            app.result()

    async def _run_app(
        self, on_ready: Callable[["AsyncRetrievalService"], Awaitable[None]]
    ) -> None:
        try:
            if self.is_alone:
                await self._listen()
            app = await asyncio.to_thread(_create_app, self.settings, self.writer_url)
            # Not by uvicorn, which would log a traceback where one sentence is enough.
            async with app.router.lifespan_context(app):
                service: AsyncRetrievalService = app.state.service
                self._server.report_not_ready = service.drain
                gc.collect()
                gc.freeze()  # later collections skip the modules and weights
                self._startup_app.switch_to(app)
                await self._listen()
                await on_ready(service)
                await asyncio.Event().wait()  # until cancelled
        finally:
            self._server.should_exit = True  # if this failed
            self._may_listen.set()

    async def _listen(self) -> None:
        self._may_listen.set()
        await self._server.is_listening.wait()


def _create_app(settings: Settings, writer_url: str | None) -> "FastAPI":
    from app.main import create_app  # imports torch

    return create_app(settings, writer_url=writer_url)


def run(
    settings: Settings,
    *listeners: socket.socket,
    on_ready: Callable[["AsyncRetrievalService"], Awaitable[None]],
    writer_url: str | None = None,
    is_alone: bool = True,
    log_level: str = "info",
) -> None:
    """Serve until SIGTERM or SIGINT; the latter ends in ``KeyboardInterrupt``.

    A process that is alone on its port answers immediately: ``/livez`` succeeds while the
    checkpoint is loaded, which takes seconds, and everything else answers ``Starting``.

    Args:
        settings: Of the service.
        listeners: Bound sockets; they need not listen yet.
        on_ready: Awaited with the opened service once requests are answered.
        writer_url: The process that changes are forwarded to (``create_app``).
        is_alone: Whether this is the only process on the port. Otherwise it accepts no
            connection before it can answer.
        log_level: "warning" omits the line for each request.
    """
    logs.configure(settings.log_format, level=log_level)
    process = ServerProcess(settings, writer_url=writer_url, is_alone=is_alone)
    # Once drained, uvicorn raises the signal again; exiting on request is not a failure.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with asyncio.Runner(loop_factory=process.config.get_loop_factory()) as runner:
        runner.run(process.serve([*listeners], on_ready=on_ready))


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    Raises:
        ConfigError: The port is taken, or the address is not one of this machine.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen()  # at once: until then another process may bind the same port
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"cannot listen on {host}:{port} ({error.strerror}): choose another port (SRCID_PORT, "
            "--port; 0 picks a free one) or address (SRCID_HOST, --host)"
        ) from error
    return listener


def announce(listener: socket.socket, model: ModelInfo) -> None:
    """Log the service's address and what runs there."""
    host, port = listener.getsockname()[:2]
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    about = model.model_dump(include={"checkpoint", "fingerprint", "device"})
    fields = {"version": version("srcid"), **about, "items": model.num_items}
    logger.info("running on %s", address, extra={"fields": fields})
