"""A uvicorn server that shuts down in two steps: it reports "not ready", then it drains."""

import asyncio
import logging
import signal
import socket
from collections.abc import Callable
from functools import partial
from types import FrameType

import uvicorn

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
