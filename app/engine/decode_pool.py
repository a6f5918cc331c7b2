"""A pool of decode workers; a worker that a file breaks is replaced."""

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.engine.decode_process import (
    DecodeLimits,
    DecodeProcess,
    WorkerDied,
    WorkerKilled,
    WorkerMissing,
)
from app.engine.sandbox import Part, Sandbox, supported
from app.errors import EngineFailed
from app.telemetry.engine_observer import EngineObserver
from model.errors import ConfigError
from model.media import Clip, DecodeConfig

logger = logging.getLogger(__name__)


class DecodePool:
    """``size`` worker processes, started when first needed or by ``start``.

    A file that crashes its worker, or exceeds a limit, fails alone: the worker is replaced in the
    background and the others continue. A file whose worker is killed from outside is retried once.

    Args:
        size: Maximum number of files decoded at the same time; others wait.
        config: Which frames and sound to decode, and the limits on media.
        limits: Limits on time and memory for each file.
        observer: Receives each decoding and each replacement of a worker.
        requires_sandbox: Whether only workers decode that both parts of the sandbox confine.

    Raises:
        ConfigError: The sandbox is required, and the kernel lacks a part of it.
    """

    def __init__(
        self,
        size: int,
        *,
        config: DecodeConfig,
        limits: DecodeLimits,
        observer: EngineObserver,
        requires_sandbox: bool = False,
    ) -> None:
        if requires_sandbox and (missing := supported().missing):
            raise ConfigError(_incomplete(missing))
        self.config = config
        self.limits = limits
        self.observer = observer
        self._size = size
        self._free = threading.BoundedSemaphore(size)
        self._lock = threading.Lock()
        self._idle: deque[DecodeProcess] = deque()  # the most recently used at the right
        self._leased: set[DecodeProcess] = set()
        self._is_closed = False
        self._failure: str | None = None
        self._requires_sandbox = requires_sandbox
        self._sandbox: Sandbox | None = None

    @property
    def pids(self) -> list[int]:
        """The process ids of the workers."""
        with self._lock:
            return [worker.pid for worker in (*self._idle, *self._leased)]

    @property
    def longest_seconds(self) -> float:
        """The time limit of the largest file."""
        return self.limits.seconds_for(self.config.max_bytes, self.config.max_steps)

    @property
    def failure(self) -> str | None:
        """Why nothing can be decoded; None if the pool is healthy."""
        return self._failure

    @property
    def sandbox(self) -> Sandbox | None:
        """What confines the workers, as they report; None until one has been waited for."""
        return self._sandbox

    def start(self) -> None:
        """Start all workers, without waiting for them."""
        with self._lock:
            while len(self._idle) + len(self._leased) < self._size:
                self._idle.appendleft(DecodeProcess(self.config, self.limits))

    def wait_until_ready(self) -> None:
        """Wait for a worker, and log what confines it.

        Raises:
            EngineFailed: See ``decoded``.
        """
        with self._free, self._lent() as worker:
            self._check(worker.wait_until_ready())
        self._give_back(worker)

    @contextmanager
    def decoded(self, source: bytes | Path, config: DecodeConfig | None = None) -> Iterator[Clip]:
        """Lend the clip in ``source``. Its arrays are overwritten after the context ends.

        Args:
            source: Media as bytes or file.
            config: Decode less than the ``config`` of the pool.

        Raises:
            MediaError: It cannot be decoded, or exceeds a limit.
            EngineFailed: No worker starts, or the pool is closed.
        """
        config = config or self.config
        with self._free:
            try:
                worker, clip = self._decode(source, config)
            except WorkerKilled:
                worker, clip = self._decode(source, config)
            try:
                yield clip
            finally:
                self._give_back(worker)

    def close(self) -> None:
        """End all workers. Decodings in progress fail."""
        with self._lock:
            self._is_closed = True
            for worker in self._leased:
                worker.kill()  # and closed by the thread that waits for it
            while self._idle:
                self._idle.pop().close()

    def _decode(self, source: bytes | Path, config: DecodeConfig) -> tuple[DecodeProcess, Clip]:
        """Return the clip in ``source``, and the worker that lends it."""
        with self._lent() as worker:
            started = time.perf_counter()
            self._check(worker.wait_until_ready())
            clip = worker.decode(source, config)
            self._failure = None
            self.observer.decoded(time.perf_counter() - started)
        return worker, clip

    @contextmanager
    def _lent(self) -> Iterator[DecodeProcess]:
        """Take a worker. It is kept where all goes well, else given back or replaced."""
        worker = self._take()
        try:
            yield worker
        except WorkerDied as died:
            self._replace(worker)
            logger.warning("replaced a decode worker: %s", died)
            raise
        except WorkerMissing as missing:
            self._replace(worker)
            self._failure = f"decode workers do not start ({missing})"
            raise EngineFailed(f"{self._failure}: try again; see the log") from missing
        except BaseException:
            self._give_back(worker)
            raise

    def _check(self, sandbox: Sandbox) -> None:
        """Log what confines the workers when it is first known; refuse where it is too little."""
        if self._sandbox is None:
            level = logging.WARNING if sandbox.missing else logging.INFO
            logger.log(level, "%s", describe(sandbox))
        self._sandbox = sandbox
        if self._requires_sandbox and sandbox.missing:
            self._failure = _incomplete(sandbox.missing)
            raise EngineFailed(self._failure)

    def _take(self) -> DecodeProcess:
        with self._lock:
            if self._is_closed:
                raise EngineFailed("the service is stopping: try again")
            worker = self._next_worker()
            while not worker.is_alive:  # killed while idle
                worker.close()
                self.observer.restarted("decoder")
                worker = self._next_worker()
            self._leased.add(worker)
            return worker

    def _next_worker(self) -> DecodeProcess:
        return self._idle.pop() if self._idle else DecodeProcess(self.config, self.limits)

    def _give_back(self, worker: DecodeProcess) -> None:
        with self._lock:
            self._leased.remove(worker)
            if self._is_closed:
                worker.close()
            else:
                worker.trim()
                self._idle.append(worker)

    def _replace(self, worker: DecodeProcess) -> None:
        """End a broken worker and start another in its place."""
        with self._lock:
            self._leased.remove(worker)
            worker.close()
            if not self._is_closed:
                self.observer.restarted("decoder")
                self._idle.appendleft(DecodeProcess(self.config, self.limits))


def describe(sandbox: Sandbox) -> str:
    """Return a sentence for the log: what confines the workers, and what to do about the rest."""
    if not sandbox.missing:
        return f"decode workers are confined by {' and '.join(sandbox.parts)}"
    return (
        f"decode workers are not confined by {' and '.join(sandbox.missing)}, which this kernel or "
        "container lacks: a hostile file that takes one over can do more. Use Linux 5.13 or later "
        "with both enabled; SRCID_DECODE_SANDBOX=required refuses to start without them"
    )


def _incomplete(missing: list[Part]) -> str:
    return (
        f"SRCID_DECODE_SANDBOX is required, but this kernel or container lacks "
        f"{' and '.join(missing)}: use Linux 5.13 or later with both enabled, or set it to auto"
    )
