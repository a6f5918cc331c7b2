"""A clip or sentence in, the codes of its streams out.

Media goes through two stages, each with threads and a queue of its own: decoding, in worker
processes, and the network. A sentence goes straight to the network. Nothing waits while the
stage before it is idle, and what is more than may wait is refused at once.
"""

import asyncio
import threading
import weakref
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from app.admission import Admission
from app.engine.batcher import MicroBatcher, Probe
from app.engine.chained_future import then
from app.engine.decode_messages import DecodeLimits
from app.engine.decode_pool import DecodePool
from app.engine.decoding import Decoding, Upload
from app.engine.decoding import Passage as Passage
from app.engine.network import Encoded as Encoded
from app.engine.network import Network, Work, as_service_errors
from app.engine.observer import EngineObserver, Unobserved
from app.errors import EngineFailed, InvalidMedia, TooLarge
from app.settings import Settings
from model.encoder import Encoder
from model.media import Clip, DecodeConfig
from model.modality import Modality
from model.sampling import jpeg

# Media as bytes, file, part of a file or decoded; features as the bytes of a feature file; a
# sentence as text.
Source = bytes | Path | Passage | Clip | str

SENTENCES, MEDIA = "sentences", "media files"  # the two kinds that queue up apart
THUMBNAIL_PIXELS = 240  # the shorter side
# That what a thread encodes one by one may take until it is answered together: the thread that
# answers finds its caches cold each time that it is woken.
TOGETHER_SECONDS = 0.1
START_SECONDS = 60.0  # for the network's threads to have shown that they work
END_SECONDS = 60.0  # for what a thread is running when the engine closes, on a busy machine too


class Engine:
    """Decodes and encodes. Methods may be called from any thread.

    Threads and processes start when they are first needed, or by ``start``; they end by
    ``close``, or when nobody holds the engine any more. As a context manager it does both.

    Codes do not depend on what else is encoded at the same time, in which order or thread: on a
    CPU the network takes one item at a time, in as many threads as ``settings`` says.

    Args:
        encoder: The checkpoint.
        settings: Sizes and limits.
        observer: Told what happens.
    """

    def __init__(
        self, encoder: Encoder, settings: Settings, *, observer: EngineObserver | None = None
    ) -> None:
        self.encoder = encoder
        self.settings = settings
        observer = observer or Unobserved()
        self._pool = decode_pool(encoder, settings, observer=observer)
        on_cpu = encoder.device.type == "cpu"
        network = Network(encoder)
        self._network: MicroBatcher[Work, Encoded] = MicroBatcher(
            network.run,
            part="device",
            probes=[Probe(work, _lane(work), work.num_steps) for work in network.probes()],
            threads=settings.network_threads if on_cpu else 1,
            max_batch=settings.max_batch,
            one_by_one_seconds=TOGETHER_SECONDS if on_cpu else None,
            max_run_seconds=settings.max_run_seconds,
            observer=observer,
        )
        # Decoded media is large: no more of it than keeps the network busy.
        self._ahead = threading.Semaphore(2 * settings.max_decodes + settings.max_batch)
        self._decoding: MicroBatcher[Upload, Work] = MicroBatcher(
            Decoding(self._pool, encoder, max_steps=settings.max_steps).run,
            part="decoder",
            threads=settings.max_decodes,
            max_run_seconds=2 * settings.max_decode_seconds + START_SECONDS,
            gate=self._ahead,
        )
        self._admissions = {
            kind: Admission(settings.max_queue, what=kind, setting="SRCID_MAX_QUEUE")
            for kind in (SENTENCES, MEDIA)
        }
        self._close = weakref.finalize(self, _close, self._decoding, self._network, self._pool)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def start(self) -> None:
        """Start all threads and processes; return when the network works.

        Raises:
            EngineFailed: It does not.
        """
        self._pool.start()
        self._decoding.start()
        self._network.start()
        if not self._network.wait_until_ready(START_SECONDS):
            raise EngineFailed(f"{self._network.trouble}: the log says why")

    def close(self) -> None:
        """End all threads and processes. What waits fails with ``EngineFailed``."""
        self._close()

    def check(self) -> None:
        """Return if requests can be served. Never waits.

        Raises:
            EngineFailed: A part is broken down or hangs; the message says which, and how.
        """
        hanging = self.settings.max_decode_seconds + self.settings.max_run_seconds
        reasons = [self._network.trouble, self._decoding.trouble, self._pool.trouble]
        reasons += [own.trouble(hanging) for own in self._admissions.values()]
        if reason := next(filter(None, reasons), None):
            raise EngineFailed(reason)

    def check_room(self) -> None:
        """Return if media may come: what is to be refused need not be read first.

        Raises:
            Overloaded: As many media files wait as may.
        """
        self._admissions[MEDIA].check()

    @property
    def num_useful(self) -> int:
        """How many media files in work keep every part busy; more of them only wait."""
        settings = self.settings
        on_cpu = self.encoder.device.type == "cpu"
        # What the network runs, and as much that is decoded and waits for it.
        return settings.max_decodes + 2 * (
            settings.network_threads if on_cpu else settings.max_batch
        )

    @property
    def num_waiting(self) -> int:
        """How many requests have been accepted and not yet answered."""
        return sum(own.num_in for own in self._admissions.values())

    def encode(self, source: Source, modality: Modality | None = None) -> Encoded:
        """Return the codes of ``source``.

        Args:
            source: Media, features, or a sentence.
            modality: The only stream wanted of a clip; all that it has by default.

        Raises:
            InvalidMedia: Not decodable, empty, or without that stream.
            TooLarge: Longer or heavier than the settings allow.
            Overloaded: As many wait as may.
            EngineFailed: A part broke down meanwhile.
        """
        return self.submit(source, modality).result()

    async def encode_async(self, source: Source, modality: Modality | None = None) -> Encoded:
        """Return the codes of ``source``; see ``encode``. Cancelling drops what has not begun."""
        return await asyncio.wrap_future(self.submit(source, modality))

    def submit(self, source: Source, modality: Modality | None = None) -> Future[Encoded]:
        """Return a future of the codes of ``source``; see ``encode``. Never waits.

        Raises:
            InvalidMedia: The sentence is empty.
            TooLarge: The sentence is too long.
            Overloaded: As many wait as may.
        """
        if isinstance(source, str):
            self._check_sentence(source)
        admission = self._admissions[SENTENCES if isinstance(source, str) else MEDIA]
        admission.enter()
        try:
            if isinstance(source, str):
                found = _encode(self._network, Work(source))
            else:
                found = self._submit_media(Upload(source, modality))
        except BaseException:
            admission.leave()
            raise
        found.add_done_callback(lambda _: admission.leave())
        return found

    def thumbnail(self, source: bytes | Path) -> bytes | None:
        """Return a small JPEG of a clip's first second or of a picture; None where there is none.

        Raises:
            InvalidMedia: Not decodable, or empty.
            TooLarge: Longer or heavier than the settings allow.
        """
        limits = {"max_steps": 1, "frames_per_step": 1, "short_side": THUMBNAIL_PIXELS}
        config = self._pool.config.model_copy(update=limits)
        with as_service_errors(), self._pool.decoded(source, config) as clip:
            return None if clip.frames is None else jpeg(clip.frames[0, 0])

    def _check_sentence(self, text: str) -> None:
        limit = self.settings.max_text_characters
        if len(text) > limit:
            raise TooLarge(
                f"the sentence has {len(text)} characters, at most {limit} are taken: shorten it, "
                "or raise SRCID_MAX_TEXT_CHARACTERS"
            )
        if not text.strip():
            raise InvalidMedia("the sentence is empty: send at least one word as text")

    def _submit_media(self, upload: Upload) -> Future[Encoded]:
        decoded = self._decoding.submit(upload, lane=MEDIA)
        # Not a method: what waits would keep the engine from being closed.
        return then(decoded, partial(_encode, self._network), free=self._ahead.release)


def decode_pool(
    encoder: Encoder, settings: Settings, *, observer: EngineObserver | None = None
) -> DecodePool:
    """Return what decodes for ``encoder``, as ``settings`` say; see ``Engine``."""
    return DecodePool(
        settings.max_decodes,
        config=DecodeConfig(
            max_steps=settings.max_steps,
            frames_per_step=encoder.frames_per_step,
            max_seconds=settings.max_media_seconds,
            max_bytes=settings.max_media_bytes,
        ),
        limits=DecodeLimits(
            memory_bytes=settings.max_decode_memory_bytes, seconds=settings.max_decode_seconds
        ),
        observer=observer or Unobserved(),
    )


def _encode(network: MicroBatcher[Work, Encoded], work: Work) -> Future[Encoded]:
    return network.submit(work, lane=_lane(work), cost=work.num_steps)


def _lane(work: Work) -> str:
    return SENTENCES if isinstance(work.inputs, str) else MEDIA


def _close(
    decoding: MicroBatcher[Upload, Work],
    network: MicroBatcher[Work, Encoded],
    pool: DecodePool,
) -> None:
    decoding.close()
    network.close()
    pool.close()
    for threads in (decoding, network):
        threads.join(END_SECONDS)
