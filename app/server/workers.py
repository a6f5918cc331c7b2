"""``srcid serve --workers N``: several processes on one port; the first writes, all answer.

The kernel distributes connections among the processes. Readers forward changes to the writer over
a local port and see every commit in their next search. A process that ends is restarted and takes
connections again once its checkpoint is loaded; the others answer meanwhile. All end with the
parent, however it ends.
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
from typing import TYPE_CHECKING, cast

from app.errors import ServiceError
from app.schemas.service import ModelInfo
from app.server.process import announce, listen, run
from app.settings import Settings
from app.telemetry import logs
from model.errors import SRCIDError

if TYPE_CHECKING:  # imports torch
    from multiprocessing.context import SpawnProcess

    from app.service.async_service import AsyncRetrievalService

logger = logging.getLogger(__name__)

NOT_STARTED = 2  # exit code of a worker that could not start and has printed why
RESTART_SECONDS = 1.0  # before a worker is restarted
CHECK_SECONDS = 0.5  # between two checks whether to stop


class Worker:
    """A server process that can be restarted.

    Args:
        settings: Of the service.
        writer: For the writer, the socket where changes arrive; for a reader, its URL.
    """

    def __init__(self, settings: Settings, writer: socket.socket | str) -> None:
        self.settings = settings
        self.writer = writer
        self.process: SpawnProcess
        self.start()

    def start(self) -> None:
        """Start the process, without waiting for it."""
        context = multiprocessing.get_context("spawn")
        self._pipe, child_end = context.Pipe()
        arguments = (self.settings, self.writer, child_end)
        self.process = context.Process(target=_serve, args=arguments, daemon=False)
        self.process.start()
        child_end.close()

    def wait_until_ready(self) -> ModelInfo | None:
        """Wait until the process serves, and return what; None where it ends before."""
        wait([self._pipe, self.process.sentinel])
        try:
            return cast(ModelInfo, self._pipe.recv()) if self._pipe.poll() else None
        except EOFError:  # it has ended, but the sentinel may not be ready yet
            return None


def serve_together(settings: Settings) -> None:
    """Serve with several processes until SIGTERM or SIGINT; the latter ends in KeyboardInterrupt.

    Raises:
        ConfigError: The port is taken, or the address is not one of this machine.
        SystemExit: A process could not start; it has printed why.
    """
    logs.configure(settings.log_format)
    with ExitStack() as sockets:
        # A shared socket would silently join another service on the same port.
        listen(settings.host, settings.port).close()
        public = sockets.enter_context(_bind_shared(settings.host, settings.port))
        internal = sockets.enter_context(listen("127.0.0.1", 0))
        settings = _share_processors(settings).model_copy(update={"port": public.getsockname()[1]})
        writer_url = f"http://127.0.0.1:{internal.getsockname()[1]}"
        workers: list[Worker] = []
        model: ModelInfo | None = None
        stopping = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: stopping.set())
        try:
            for index in range(settings.workers):  # the writer first: it may create the database
                workers.append(Worker(settings, writer_url if index else internal))
                model = workers[-1].wait_until_ready()
                if model is None:
                    sys.exit(NOT_STARTED)
            assert model  # of at least one worker
            announce(public, model)
            _supervise(workers, stopping)
        finally:
            for worker in workers:
                worker.process.terminate()
            for worker in workers:
                worker.process.join()


def _supervise(workers: list[Worker], stopping: threading.Event) -> None:
    """Restart workers that end, until ``stopping`` is set."""
    while not stopping.is_set():
        wait([worker.process.sentinel for worker in workers], CHECK_SECONDS)
        for worker in workers:
            if not worker.process.is_alive() and not stopping.is_set():
                code = worker.process.exitcode
                logger.error("restarting worker %s, which ended (%s)", worker.process.pid, code)
                time.sleep(RESTART_SECONDS)
                worker.start()


def _serve(settings: Settings, writer: socket.socket | str, pipe: Connection) -> None:
    """Serve; the main function of a worker."""
    threading.Thread(target=_stop_with_parent, args=(pipe,), daemon=True).start()

    async def report_ready(service: "AsyncRetrievalService") -> None:
        pipe.send(await service.model())

    try:
        public = _bind_shared(settings.host, settings.port)
        if isinstance(writer, str):
            run(settings, public, writer_url=writer, is_alone=False, on_ready=report_ready)
        else:
            run(settings, public, writer, is_alone=False, on_ready=report_ready)
    except (SRCIDError, ServiceError) as error:
        print(f"srcid: {error}", file=sys.stderr)
        sys.exit(NOT_STARTED)
    except KeyboardInterrupt:
        sys.exit(0)


def _stop_with_parent(pipe: Connection) -> None:
    """Stop this process when the parent's end of the pipe closes."""
    try:
        pipe.recv()
    except (EOFError, OSError):
        os.kill(os.getpid(), signal.SIGTERM)


def _bind_shared(host: str, port: int) -> socket.socket:
    """Return a socket that shares the port and takes no connections until it listens."""
    shared = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    shared.bind((host, port))
    return shared


def _share_processors(settings: Settings) -> Settings:
    """Divide the processors among the workers, unless settings say otherwise."""
    share = max(1, (os.cpu_count() or 1) // settings.workers)
    defaults = {"max_decodes": share, "network_threads": share}
    unset = {name: n for name, n in defaults.items() if name not in settings.model_fields_set}
    return settings.model_copy(update=unset)
