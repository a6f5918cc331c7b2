"""Media or a sentence in, the codes of its streams out.

Media passes two stages, each with its own threads and queue: preprocessing, which decodes in
worker processes, and the network. A sentence goes straight to the network. When a queue is full,
requests are rejected immediately.
"""

import asyncio
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

from app.admission import Admission
from app.engine.batcher import MicroBatcher, Probe
from app.engine.decode_pool import DecodePool
from app.engine.sandbox import Sandbox
from app.engine.stages import Encoded as Encoded
from app.engine.stages import (
    MediaRequest,
    Network,
    NetworkInput,
    Preprocessor,
    as_service_errors,
    make_decode_pool,
)
from app.engine.stages import Passage as Passage
from app.errors import EngineFailed, InvalidMedia, TooLarge
from app.settings import Settings
from app.telemetry.engine_observer import EngineObserver
from model.encoder import Encoder
from model.media import Clip, DecodeConfig
from model.modality import Modality
from model.sampling import jpeg

# Media as bytes, a file, part of a file or a decoded clip; features as the bytes of a feature
# file; a sentence as text.
Source = bytes | Path | Passage | Clip | str
Intermediate = TypeVar("Intermediate")
Result = TypeVar("Result")

SENTENCES, MEDIA = "sentences", "media files"  # queued separately
THUMBNAIL_PIXELS = 240  # the shorter side
# Maximum duration of a CPU batch, whose items run one by one and are delivered together: each
# time that the delivering thread is woken, its caches are cold.
BATCH_SECONDS = 0.1
START_SECONDS = 60.0  # for the network's threads to run their probes
END_SECONDS = 60.0  # for the batches in progress when the engine closes, on a busy machine too


class Engine:
    """Decodes and encodes. Thread-safe.

    Threads and processes start when they are first needed, or by ``start``. They end by
    ``close``, or when the engine is garbage collected. As a context manager it does both.

    Codes do not depend on what else is encoded at the same time, on the order or on the thread:
    on a CPU each thread of the network runs one item at a time.

    Args:
        encoder: The checkpoint.
        settings: Sizes and limits.
        observer: Receives the engine's events.

    Raises:
        ConfigError: ``SRCID_DECODE_SANDBOX`` requires what the kernel lacks.
    """

    def __init__(
        self, encoder: Encoder, settings: Settings, *, observer: EngineObserver | None = None
    ) -> None:
        self.encoder = encoder
        self.settings = settings
        on_cpu = encoder.device.type == "cpu"
        # Items that the network computes at the same time.
        self._network_size = settings.network_threads if on_cpu else settings.max_batch
        self._pool = make_decode_pool(encoder, settings, observer=observer)
        network = Network(encoder)
        self._network: MicroBatcher[NetworkInput, Encoded] = MicroBatcher(
            network.run,
            part="device",
            probes=[Probe(item, _lane(item), item.num_steps) for item in network.probes()],
            threads=settings.network_threads if on_cpu else 1,
            max_batch=settings.max_batch,
            one_by_one_seconds=BATCH_SECONDS if on_cpu else None,
            max_run_seconds=settings.max_run_seconds,
            observer=observer,
        )
        # Backpressure: decoded media is large, so only enough is decoded to keep the network busy.
        self._slots = threading.Semaphore(2 * settings.max_decodes + settings.max_batch)
        self._preprocessing: MicroBatcher[MediaRequest, NetworkInput] = MicroBatcher(
            Preprocessor(self._pool, encoder, max_steps=settings.max_steps).run,
            part="decoder",
            threads=settings.max_decodes,
            max_run_seconds=2 * self._pool.longest_seconds + START_SECONDS,
            observer=observer,
            slots=self._slots,
        )
        self._admissions = {
            kind: Admission(settings.max_queue, what=kind, setting="SRCID_MAX_QUEUE")
            for kind in (SENTENCES, MEDIA)
        }
        self._close = weakref.finalize(self, _close, self._preprocessing, self._network, self._pool)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def start(self) -> None:
        """Start all threads and processes; return when the network is ready.

        Raises:
            EngineFailed: The network did not start.
        """
        self._pool.start()
        self._preprocessing.start()
        self._network.start()
        if not self._network.wait_until_ready(START_SECONDS):
            raise EngineFailed(f"{self._network.failure}: see the log")

    def close(self) -> None:
        """End all threads and processes. Queued requests fail with ``EngineFailed``."""
        self._close()

    def check(self) -> None:
        """Return if requests can be served. Never waits.

        Raises:
            EngineFailed: A part failed or hangs; the message says which and why.
        """
        stalled = self._pool.longest_seconds + self.settings.max_run_seconds
        reasons = [self._network.failure, self._preprocessing.failure, self._pool.failure]
        reasons += [admission.stall(stalled) for admission in self._admissions.values()]
        if reason := next(filter(None, reasons), None):
            raise EngineFailed(reason)

    @property
    def sandbox(self) -> Sandbox | None:
        """What confines the decode workers; None until one has been waited for."""
        return self._pool.sandbox

    def wait_for_decoders(self) -> None:
        """Wait until a decode worker is ready, and log what confines it. Never raises."""
        with suppress(EngineFailed):  # `check` tells, or the engine was closed
            self._pool.wait_until_ready()

    def check_room(self) -> None:
        """Return if media is accepted, so that a rejected upload need not be read first.

        Raises:
            Overloaded: The queue of media files is full.
        """
        self._admissions[MEDIA].check()

    @property
    def num_useful(self) -> int:
        """Media files in flight that keep every part busy; more would only wait."""
        # As many again are decoded and wait for the network.
        return self.settings.max_decodes + 2 * self._network_size

    @property
    def num_waiting(self) -> int:
        """Number of requests accepted and not yet answered."""
        return sum(admission.num_in_flight for admission in self._admissions.values())

    def encode(self, source: Source, modality: Modality | None = None) -> Encoded:
        """Return the codes of ``source``.

        Args:
            source: Media, features, or a sentence.
            modality: Encode only this stream of a clip; all its streams by default.

        Raises:
            InvalidMedia: Not decodable, empty, or without that stream.
            TooLarge: Longer or heavier than the settings allow.
            Overloaded: The queue is full.
            EngineFailed: A part of the engine failed meanwhile.
        """
        return self.submit(source, modality).result()

    async def encode_async(self, source: Source, modality: Modality | None = None) -> Encoded:
        """Return the codes of ``source``; see ``encode``. Cancelling drops queued work."""
        return await asyncio.wrap_future(self.submit(source, modality))

    def submit(self, source: Source, modality: Modality | None = None) -> Future[Encoded]:
        """Return a future of the codes of ``source``; see ``encode``. Never waits.

        Raises:
            InvalidMedia: The sentence is empty.
            TooLarge: The sentence is too long.
            Overloaded: The queue is full.
        """
        if isinstance(source, str):
            self._check_sentence(source)
        admission = self._admissions[SENTENCES if isinstance(source, str) else MEDIA]
        admission.enter()
        try:
            if isinstance(source, str):
                encoded = _encode(self._network, NetworkInput(source))
            else:
                encoded = self._submit_media(MediaRequest(source, modality))
        except BaseException:
            admission.leave()
            raise
        encoded.add_done_callback(lambda _: admission.leave())
        return encoded

    def thumbnail(self, source: bytes | Path) -> bytes | None:
        """Return a small JPEG of a picture or of a clip's first second; None if it has no frame.

        Raises:
            InvalidMedia: Not decodable, or empty.
            TooLarge: Longer or heavier than the settings allow.
        """
        kept = {"max_bytes", "max_seconds", "max_pixels"}
        limits = self._pool.config.model_dump(include=kept)
        config = DecodeConfig(max_steps=1, short_side=THUMBNAIL_PIXELS, **limits)
        with as_service_errors(), self._pool.decoded(source, config) as clip:
            return None if clip.frames is None else jpeg(clip.frames[0, 0])

    def _check_sentence(self, text: str) -> None:
        limit = self.settings.max_text_characters
        if len(text) > limit:
            raise TooLarge(
                f"the sentence has {len(text)} characters, at most {limit} are accepted: shorten "
                "it, or raise SRCID_MAX_TEXT_CHARACTERS"
            )
        if not text.strip():
            raise InvalidMedia("the sentence is empty: send at least one word as text")

    def _submit_media(self, request: MediaRequest) -> Future[Encoded]:
        prepared = self._preprocessing.submit(request, lane=MEDIA)
        # Not a bound method: pending futures would keep the engine from being collected.
        encode = partial(_encode, self._network)
        return chain_futures(prepared, encode, release=self._slots.release)


def chain_futures(
    first: "Future[Intermediate]",
    submit_second: Callable[[Intermediate], "Future[Result]"],
    *,
    release: Callable[[], object],
) -> "Future[Result]":
    """Return one future for two stages. It fails with the error of either stage.

    Cancelling it cancels the stage that it waits for.

    Args:
        first: The first stage, already submitted.
        submit_second: Submits the second stage; called in the thread that ends the first.
        release: Called once when the intermediate result is no longer held, unless the first
            stage was cancelled before it ran.
    """
    chained: Future[Result] = Future()
    _cancel_with(chained, first)
    first.add_done_callback(partial(_start_second, submit_second, chained, release))
    return chained


def _start_second(
    submit_second: Callable[[Intermediate], "Future[Result]"],
    chained: "Future[Result]",
    release: Callable[[], object],
    first: "Future[Intermediate]",
) -> None:
    if first.cancelled():
        return
    try:
        second = submit_second(first.result())
    except BaseException as error:  # any: it goes to the submitter
        release()
        with suppress(InvalidStateError):  # cancelled
            chained.set_exception(error)
        return
    second.add_done_callback(lambda _: release())
    _cancel_with(chained, second)
    second.add_done_callback(partial(_copy_outcome, chained))


def _copy_outcome(chained: "Future[Result]", second: "Future[Result]") -> None:
    with suppress(InvalidStateError):  # cancelled
        if second.cancelled():
            return
        if error := second.exception():
            chained.set_exception(error)
        else:
            chained.set_result(second.result())


def _cancel_with(chained: "Future[Any]", stage: "Future[Any]") -> None:
    """Cancel ``stage`` when ``chained`` is cancelled.

    The stage refers to ``chained``, so ``chained`` refers to it weakly. A reference cycle would
    hold the intermediate result until the next garbage collection.
    """
    reference = weakref.ref(stage)

    def cancel(chained: "Future[Any]") -> None:
        future = reference()
        if future is not None and chained.cancelled():
            future.cancel()

    chained.add_done_callback(cancel)


def _encode(network: MicroBatcher[NetworkInput, Encoded], item: NetworkInput) -> Future[Encoded]:
    return network.submit(item, lane=_lane(item), cost=item.num_steps)


def _lane(item: NetworkInput) -> str:
    return SENTENCES if isinstance(item.inputs, str) else MEDIA


def _close(
    preprocessing: MicroBatcher[MediaRequest, NetworkInput],
    network: MicroBatcher[NetworkInput, Encoded],
    pool: DecodePool,
) -> None:
    preprocessing.close()
    network.close()
    pool.close()
    for batcher in (preprocessing, network):
        batcher.join(END_SECONDS)
