"""Indexes files into the index of this process, by the thousand."""

import logging
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from pydantic import JsonValue

from app.engine.engine import Encoded, Engine, Passage
from app.errors import InvalidMedia, TooLarge
from app.indexing.earlier_runs import KnownFailures
from app.indexing.run import FileToIndex, StoredFile, retry_until
from app.service.items import Items, PreparedItem
from app.service.media import Segment, cut, segment_id, segment_metadata
from app.store.base import Item, Stream
from model.media import num_steps
from model.modality import Modality

logger = logging.getLogger(__name__)

# Of each stretch of a file but the first. Longer ones take more memory, in the decoders and in the
# queue of the network; for shorter ones, more is decoded between a key frame and their start.
STRETCH_SECONDS = 30


class FileItems(NamedTuple):
    """A file as the items that it becomes."""

    items: list[PreparedItem]
    seconds: float
    gaps: str


class BulkIndex:
    """Encodes files ahead of their commits, long ones stretch by stretch.

    Media of more than ``settings.max_steps`` seconds become several items, each as long as the
    network encodes together (``app.service.media``). Only a few stretches are held at a time,
    so that an hour takes no more memory than a minute.

    Args:
        engine: Encodes.
        items: Where files are stored.
        failures: The files that are known not to decode; None: each is tried.
    """

    def __init__(self, engine: Engine, items: Items, failures: KnownFailures | None = None) -> None:
        self._engine = engine
        self._items = items
        self._failures = failures
        self._max_steps = engine.settings.max_steps
        self._piece = engine.encoder.config.max_steps

    @property
    def num_workers(self) -> int:
        """How many files in work keep decoders and network busy, with one that is hashed."""
        return self._engine.num_useful + 1

    def stored(self, item_id: str) -> StoredFile | None:
        """Return what is known of the file of an item; None: there is no such item."""
        item = self._items.store.get(item_id)
        return StoredFile(item.sha256, item.metadata.get("path")) if item else None

    def encode(self, file: FileToIndex, *, digest: str, stop: threading.Event) -> FileItems | None:
        """Encode a file; None: it was stopped.

        Raises:
            InvalidMedia: Not decodable, or empty.
            TooLarge: Longer or heavier than the settings allow.
        """
        self.check(file)
        encoded = self._encoded(file.path, digest)
        further = self._further(file.path, encoded.duration_seconds, stop)
        prepared = self.prepared(file, encoded, further, digest=digest)
        return None if stop.is_set() else prepared

    def _encoded(self, path: Path, digest: str) -> Encoded:
        """Return the first stretch of a file, unless it is known to fail."""
        if self._failures is None:
            return self._engine.encode(path)
        if detail := self._failures.get(digest):
            raise InvalidMedia(f"{detail} (as before; try again with --retry-failed)")
        try:
            return self._engine.encode(path)
        except (InvalidMedia, TooLarge) as error:
            self._failures.note(digest, str(error))
            raise

    def check(self, file: FileToIndex) -> None:
        """Check that a file can be stored, before the work of encoding it.

        Raises:
            InvalidRequest: The metadata cannot be stored.
            TooLarge: The metadata are too large.
        """
        self._items.check(file.item_id, metadata=file.metadata, replace=True)

    def prepared(
        self,
        file: FileToIndex,
        encoded: Encoded,
        further: Iterable[tuple[int, Encoded | InvalidMedia]],
        *,
        digest: str,
    ) -> FileItems:
        """Return a file as the items that it becomes.

        Args:
            file: The file.
            encoded: Its first stretch, or all of it.
            further: The other stretches in order, each with the second at which it starts; an
                error if one does not decode.
            digest: The SHA-256 of the file.
        """
        seconds = encoded.duration_seconds
        if seconds is None or num_steps(seconds) <= self._max_steps:
            streams = {m: Stream(codes, seconds) for m, codes in encoded.codes.items()}
            item = _item(file.item_id, streams, file.metadata, digest)
            return FileItems([self._items.prepared(item, file.path)], seconds or 0.0, "")
        stretches, gaps = [(0, encoded)], []
        for start, stretch in further:
            if isinstance(stretch, InvalidMedia):
                logger.warning("%s, from second %d on: %s", file.label, start, stretch)
                length = stretch_seconds(self._max_steps, piece=self._piece)
                gaps.append(f"{start} to {min(start + length, round(seconds))}")
            else:
                stretches.append((start, stretch))
        segments = cut(stretches, steps=self._piece)
        first, *others = (_segment_item(file, segment, digest) for segment in segments)
        # Media are stored once, with the first segment.
        items = [self._items.prepared(first, file.path), *map(PreparedItem, others)]
        detail = f"without seconds {', '.join(gaps)}, which do not decode" if gaps else ""
        return FileItems(items, seconds, detail)

    def keep(self, files: Sequence[FileItems]) -> None:
        """Store files in one commit; each replaces what had its id.

        Raises:
            StoreUnavailable: They could not be written; nothing has changed.
        """
        self._items.keep_all([item for file in files for item in file.items])

    def _further(
        self, path: Path, seconds: float | None, stop: threading.Event
    ) -> Iterator[tuple[int, Encoded | InvalidMedia]]:
        """Yield all stretches but the first, in order; an error if one does not decode."""
        passages = iter(further_passages(path, seconds, self._max_steps, piece=self._piece))
        running: deque[tuple[int, Future[Encoded]]] = deque()

        def submit(count: int) -> Iterable[tuple[int, Future[Encoded]]]:
            for passage in islice(passages, count):
                if future := retry_until(partial(self._engine.submit, passage), stop):
                    yield passage.start_second, future

        running.extend(submit(self._engine.settings.max_decodes + 1))
        try:
            while running and not stop.is_set():
                start, future = running.popleft()
                try:
                    yield start, future.result()
                except InvalidMedia as error:
                    yield start, error
                running.extend(submit(1))
        finally:
            for _, future in running:
                future.cancel()


def further_passages(
    path: Path, seconds: float | None, max_steps: int, *, piece: int
) -> list[Passage]:
    """Return the stretches of media, except the first one of ``max_steps`` seconds.

    Args:
        path: The file.
        seconds: Its duration; None: a picture.
        max_steps: Seconds that one request encodes.
        piece: Seconds that the network encodes together.
    """
    length = stretch_seconds(max_steps, piece=piece)
    end = 0 if seconds is None else num_steps(seconds)
    return [Passage(path, start, length) for start in range(max_steps, end, length)]


def stretch_seconds(max_steps: int, *, piece: int) -> int:
    """Return the length of every stretch but the first; see ``further_passages``."""
    return min(max_steps, max(1, STRETCH_SECONDS // piece) * piece)


def _segment_item(file: FileToIndex, segment: Segment, digest: str) -> Item:
    item_id = segment_id(file.item_id, segment.start_second)
    place = segment_metadata(file.item_id, segment.start_second)
    return _item(item_id, segment.streams, {**file.metadata, **place}, digest)


def _item(
    item_id: str,
    streams: Mapping[Modality, Stream],
    metadata: Mapping[str, JsonValue],
    digest: str,
) -> Item:
    return Item(id=item_id, streams=streams, metadata=metadata, text=None, sha256=digest)
