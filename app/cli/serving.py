"""One process that answers: from its first moment, while the checkpoint is loaded, to its last."""

import asyncio
import gc
import socket
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import uvicorn

from app.cli.door import Door
from app.cli.draining import DrainingServer
from app.settings import Settings

if TYPE_CHECKING:  # loads torch, which should not keep the door closed
    from fastapi import FastAPI

    from app.service import RetrievalService

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
        then: Callable[["RetrievalService"], Awaitable[None]],
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

    async def _serve_app(self, then: Callable[["RetrievalService"], Awaitable[None]]) -> None:
        try:
            if self.is_alone:
                await self._listen()
            app = await asyncio.to_thread(_create_app, self.settings, self.writer_url)
            # Not left to uvicorn, which would log a traceback where a sentence says it all.
            async with app.router.lifespan_context(app):
                service: RetrievalService = app.state.service
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
