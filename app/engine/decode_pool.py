"""Decode workers: so many at once, each replaced when a file breaks it."""

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.engine.decode_messages import DecodeLimits
from app.engine.decoder import Decoder, WorkerDied, WorkerKilled, WorkerMissing
from app.engine.observer import EngineObserver
from app.errors import EngineFailed
from model.media import Clip, DecodeConfig

logger = logging.getLogger(__name__)


class DecodePool:
    """``size`` worker processes, started when first needed or by ``start``.

    A file that breaks its worker, by a crash or by taking too much time or memory, fails alone:
    the worker is replaced in the background, the others go on. A file whose worker is killed by
    somebody else is tried once more.

    Args:
        size: Files decoded at the same time, at most; others wait.
        config: What is decoded, and how much of it at most.
        limits: What one file may cost.
        observer: Told of each decoding and each replacement.
    """

    def __init__(
        self, size: int, *, config: DecodeConfig, limits: DecodeLimits, observer: EngineObserver
    ) -> None:
        self.config = config
        self.limits = limits
        self.observer = observer
        self._size = size
        self._free = threading.BoundedSemaphore(size)
        self._lock = threading.Lock()
        self._idle: deque[Decoder] = deque()  # used last: at the right
        self._leased: set[Decoder] = set()
        self._is_closed = False
        self._trouble: str | None = None

    @property
    def pids(self) -> list[int]:
        """The process ids of the workers."""
        with self._lock:
            return [own.pid for own in (*self._idle, *self._leased)]

    @property
    def trouble(self) -> str | None:
        """Why nothing can be decoded; None where all is well."""
        return self._trouble

    def start(self) -> None:
        """Start all workers, without waiting for them."""
        with self._lock:
            while len(self._idle) + len(self._leased) < self._size:
                self._idle.appendleft(Decoder(self.config, self.limits))

    @contextmanager
    def decoded(self, source: bytes | Path, config: DecodeConfig | None = None) -> Iterator[Clip]:
        """Lend the clip in ``source``: its arrays are overwritten when the context has ended.

        Args:
            source: Media as bytes or file.
            config: Less of it than the pool's own ``config``.

        Raises:
            MediaError: It does not decode, or takes more than the limits allow.
            EngineFailed: There is no worker to decode it.
        """
        config = config or self.config
        with self._free:
            try:
                decoder, clip = self._decode(source, config)
            except WorkerKilled:
                decoder, clip = self._decode(source, config)
            try:
                yield clip
            finally:
                self._give_back(decoder)

    def close(self) -> None:
        """End all workers. A decoding that is going on fails."""
        with self._lock:
            self._is_closed = True
            for decoder in self._leased:
                decoder.kill()  # and freed by the thread that waits for it
            while self._idle:
                self._idle.pop().close()

    def _decode(self, source: bytes | Path, config: DecodeConfig) -> tuple[Decoder, Clip]:
        """Return the clip in ``source``, and the worker that lends it."""
        decoder = self._take()
        try:
            started = time.perf_counter()
            clip = decoder.decode(source, config)
            self._trouble = None
            self.observer.decoded(time.perf_counter() - started)
        except WorkerDied as died:
            self._discard(decoder)
            logger.warning("a decode worker is replaced: %s", died)
            raise
        except WorkerMissing as missing:
            self._discard(decoder)
            self._trouble = f"decode workers do not start ({missing})"
            raise EngineFailed(f"{self._trouble}: try again; the log says more") from missing
        except BaseException:
            self._give_back(decoder)
            raise
        return decoder, clip

    def _take(self) -> Decoder:
        with self._lock:
            if self._is_closed:
                raise EngineFailed("the service stops: try again")
            decoder = self._idle.pop() if self._idle else Decoder(self.config, self.limits)
            while not decoder.is_alive:  # killed while it had nothing to do
                decoder.close()
                self.observer.restarted("decoder")
                decoder = self._idle.pop() if self._idle else Decoder(self.config, self.limits)
            self._leased.add(decoder)
            return decoder

    def _give_back(self, decoder: Decoder) -> None:
        with self._lock:
            if decoder not in self._leased:
                return
            self._leased.remove(decoder)
            if self._is_closed:
                decoder.close()
            else:
                decoder.trim()
                self._idle.append(decoder)

    def _discard(self, decoder: Decoder) -> None:
        """End a worker that is of no more use, and start another in its place."""
        with self._lock:
            self._leased.remove(decoder)
            decoder.close()
            if not self._is_closed:
                self.observer.restarted("decoder")
                self._idle.appendleft(Decoder(self.config, self.limits))
