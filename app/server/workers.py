"""``srcid serve --workers N``: one process that writes and others that read, on one port.

The kernel gives each process some of the connections. Those that read pass on what changes
something to the one that writes, over a port of this machine; they see every commit in their
next search. A process that ends is started again, and takes connections again when its checkpoint
is loaded: the others answer meanwhile. All end with this one, however that ends.
"""

import logging
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from contextlib import ExitStack
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, NamedTuple

from app.errors import ServiceError
from app.server.process import announce, listen, run
from app.settings import Settings
from app.telemetry import logs
from model.errors import SRCIDError

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

    from app.service.async_service import AsyncRetrievalService

logger = logging.getLogger(__name__)

NOT_STARTED = 2  # exit code of a worker that could not begin, and has said why
PAUSE_SECONDS = 1.0  # before a worker is started again
LOOK_SECONDS = 0.5  # between two looks at whether to stop


class Place(NamedTuple):
    """What a worker serves."""

    settings: Settings
    inner: socket.socket | str  # where changes come in; of who reads: the URL of that


class Worker:
    """A process in its place, which may be started anew."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.process: SpawnProcess
        self.start()

    def start(self) -> None:
        """Start it, without waiting."""
        context = multiprocessing.get_context("spawn")
        self._line, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(self.place, theirs), daemon=False)
        self.process.start()
        theirs.close()

    def wait_until_ready(self) -> bool:
        """Wait for it to serve, or to end; return whether it serves."""
        wait([self._line, self.process.sentinel])
        try:
            return self._line.poll() and bool(self._line.recv())
        except EOFError:  # it has ended, maybe before the system says so
            return False


def serve_together(settings: Settings) -> None:
    """Serve with several processes until SIGTERM or SIGINT; the latter ends in KeyboardInterrupt.

    Raises:
        ConfigError: The port is taken, or the address is not this machine's.
        SystemExit: A process could not start; it has said why.
    """
    logs.configure(settings.log_format)
    with ExitStack() as opened:
        listen(settings.host, settings.port).close()  # shared ones would join another service
        held = opened.enter_context(_bound(settings.host, settings.port))
        inner = opened.enter_context(listen("127.0.0.1", 0))
        own = _divided(settings).model_copy(update={"port": held.getsockname()[1]})
        url = f"http://127.0.0.1:{inner.getsockname()[1]}"
        crew: list[Worker] = []
        stopping = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: stopping.set())
        try:
            for number in range(settings.workers):  # who writes first: it may make the database
                crew.append(Worker(Place(own, url if number else inner)))
                if not crew[-1].wait_until_ready():
                    sys.exit(NOT_STARTED)
            announce(held)
            _keep_up(crew, stopping)
        finally:
            for worker in crew:
                worker.process.terminate()
            for worker in crew:
                worker.process.join()


def _keep_up(crew: list[Worker], stopping: threading.Event) -> None:
    """Start anew whoever ends, until told to stop."""
    while not stopping.is_set():
        wait([worker.process.sentinel for worker in crew], LOOK_SECONDS)
        for worker in crew:
            if not worker.process.is_alive() and not stopping.is_set():
                code = worker.process.exitcode
                logger.error("worker %s ended (%s) and is started again", worker.process.pid, code)
                time.sleep(PAUSE_SECONDS)
                worker.start()


def _work(place: Place, line: Connection) -> None:
    """Serve; the main function of a worker."""
    threading.Thread(target=_end_with, args=(line,), daemon=True).start()

    async def told(service: "AsyncRetrievalService") -> None:
        line.send(True)

    settings, inner = place
    try:
        own = _bound(settings.host, settings.port)
        if isinstance(inner, str):
            run(settings, own, writer_url=inner, is_alone=False, then=told)
        else:
            run(settings, own, inner, is_alone=False, then=told)
    except (SRCIDError, ServiceError) as error:
        print(f"srcid: {error}", file=sys.stderr)
        sys.exit(NOT_STARTED)
    except KeyboardInterrupt:
        sys.exit(0)


def _end_with(line: Connection) -> None:
    """Stop this process when the other end of the line has gone."""
    try:
        line.recv()
    except (EOFError, OSError):
        os.kill(os.getpid(), signal.SIGTERM)


def _bound(host: str, port: int) -> socket.socket:
    """Return a socket that shares the port, and takes no connections until it listens."""
    held = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    held.bind((host, port))
    return held


def _divided(settings: Settings) -> Settings:
    """Return settings in which processors are shared out, where they do not say otherwise."""
    each = max(1, (os.cpu_count() or 1) // settings.workers)
    wanted = {"max_decodes": each, "network_threads": each}
    unset = {name: n for name, n in wanted.items() if name not in settings.model_fields_set}
    return settings.model_copy(update=unset)
