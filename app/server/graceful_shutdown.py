"""uvicorn's server, stopped in two steps."""

import asyncio
import logging
import signal
import socket
from collections.abc import Callable
from functools import partial
from types import FrameType

import uvicorn

logger = logging.getLogger(__name__)


class DrainingServer(uvicorn.Server):
    """Goes on for ``seconds`` after SIGTERM, while /readyz answers 503; then drains and ends.

    Whoever sends requests here has that time to notice. A second signal ends it at once, and so
    does the first where nothing is served yet.
    """

    def __init__(self, config: uvicorn.Config, *, seconds: float) -> None:
        super().__init__(config)
        self.drain: Callable[[], None] | None = None  # makes /readyz say so; set by who serves
        self.is_listening = asyncio.Event()
        self._seconds = seconds
        self._is_told = False
        self._loop: asyncio.AbstractEventLoop | None = None

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until told to stop."""
        self._loop = asyncio.get_running_loop()
        await super().serve(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Take connections from now on."""
        await super().startup(sockets)
        self.is_listening.set()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal."""
        stop = partial(super().handle_exit, sig, frame)
        if sig != signal.SIGTERM or self._is_told or self._loop is None or self.drain is None:
            stop()
            return
        self._is_told = True
        self.drain()
        logger.info("told to stop: connections are taken for %g s more", self._seconds)
        self._loop.call_soon_threadsafe(self._loop.call_later, self._seconds, stop)
