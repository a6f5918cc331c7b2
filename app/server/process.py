"""One server process, from binding its port to its last answer."""

import asyncio
import gc
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import uvicorn

from app.server.graceful_shutdown import DrainingServer
from app.server.startup_app import Door
from app.settings import Settings
from app.telemetry import logs
from model.errors import ConfigError

if TYPE_CHECKING:  # loads torch, which should not keep the door closed
    from fastapi import FastAPI

    from app.service.async_service import AsyncRetrievalService

DRAIN_SECONDS = 30  # that requests in flight have to finish when the service is stopped


class Serving:
    """Answers on sockets, and makes the app meanwhile.

    Args:
        settings: Of the service.
        writer_url: Where changes are passed on to (``create_app``).
        is_alone: Whether nobody else answers on the port. Else this process takes no connection
            from those that can answer it until it can itself.
    """

    def __init__(self, settings: Settings, *, writer_url: str | None, is_alone: bool) -> None:
        self.settings = settings
        self.writer_url = writer_url
        self.is_alone = is_alone
        self._door = Door()
        self.config = uvicorn.Config(
            self._door,
            lifespan="off",
            log_config=None,  # ours holds for it too, and has a line for each request
            log_level="warning",  # of uvicorn's own: that it starts and stops is said here
            access_log=False,
            root_path=settings.root_path,
            timeout_graceful_shutdown=DRAIN_SECONDS,
        )
        self._server = DrainingServer(self.config, seconds=settings.drain_seconds)
        self._may_listen = asyncio.Event()

    async def answer(
        self,
        listeners: list[socket.socket],
        *,
        then: Callable[["AsyncRetrievalService"], Awaitable[None]],
    ) -> None:
        """Answer until told to stop; ``then`` is awaited once requests are served."""
        serving = asyncio.create_task(self._serve_app(then))
        try:
            await self._may_listen.wait()
            if not self._server.should_exit:
                await self._server.serve(sockets=listeners)
        finally:
            serving.cancel()
            await asyncio.wait([serving])
        if not serving.cancelled():
            serving.result()

    async def _serve_app(self, then: Callable[["AsyncRetrievalService"], Awaitable[None]]) -> None:
        try:
            if self.is_alone:
                await self._listen()
            app = await asyncio.to_thread(_create_app, self.settings, self.writer_url)
            # Not left to uvicorn, which would log a traceback where a sentence says it all.
            async with app.router.lifespan_context(app):
                service: AsyncRetrievalService = app.state.service
                self._server.drain = service.drain
                gc.collect()
                gc.freeze()  # what is loaded stays: the collector need not go through it again
                self._door.open(app)
                await self._listen()
                await then(service)
                await asyncio.Event().wait()  # until cancelled
        finally:
            self._server.should_exit = True  # where this failed
            self._may_listen.set()

    async def _listen(self) -> None:
        self._may_listen.set()
        await self._server.is_listening.wait()


def _create_app(settings: Settings, writer_url: str | None) -> "FastAPI":
    from app.main import create_app  # loads torch

    return create_app(settings, writer_url=writer_url)


def run(
    settings: Settings,
    *listeners: socket.socket,
    then: Callable[["AsyncRetrievalService"], Awaitable[None]],
    writer_url: str | None = None,
    is_alone: bool = True,
    log_level: str = "info",
) -> None:
    """Serve until SIGTERM or SIGINT; the latter ends in ``KeyboardInterrupt``.

    A process that is alone on its port answers at once: ``/livez`` succeeds while the checkpoint
    is loaded, which takes seconds, and everything else answers ``Starting``.

    Args:
        settings: Of the service.
        listeners: Bound sockets; they need not listen yet.
        then: Awaited with the opened service once requests are served.
        writer_url: Where changes are forwarded to (``create_app``).
        is_alone: Whether no other process answers on the port. Otherwise this one accepts no
            connection before it can answer.
        log_level: "warning" leaves out the line for each request.
    """
    logs.configure(settings.log_format, level=log_level)
    serving = Serving(settings, writer_url=writer_url, is_alone=is_alone)
    # Once drained, uvicorn raises the signal again: being asked to stop is no failure.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with asyncio.Runner(loop_factory=serving.config.get_loop_factory()) as runner:
        runner.run(serving.answer([*listeners], then=then))


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    Raises:
        ConfigError: The port is taken, or the address is not one of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
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


def announce(listener: socket.socket) -> None:
    """Print the service's address."""
    host, port = listener.getsockname()[:2]
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    print(f"srcid: running on {address}, its calls at {address}/docs", flush=True)
