"""The index of this process as a place where files are indexed by the thousand."""

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

from app.engine.engine import Encoded, Passage
from app.errors import InvalidMedia
from app.indexing.run import ID, FileToIndex, patiently
from app.service.items import Unkept
from app.service.segments import Part, cut, part_id, part_metadata
from app.service.service import RetrievalService
from app.store.base import Item, Stream
from model.media import num_steps
from model.modality import Modality

logger = logging.getLogger(__name__)

# Of a file's stretches, but for the first. Longer ones take more memory, of decoders and of what
# waits for the network; for shorter ones, more is decoded between a key frame and their start.
STRETCH_SECONDS = 30


class ReadyFile(NamedTuple):
    """A file as items to be kept."""

    items: list[Unkept]
    seconds: float
    gaps: str


class BulkIndex:
    """Encodes files ahead of their commits, long ones stretch by stretch.

    Media of more than ``settings.max_steps`` seconds become items of as many seconds as the
    network looks at together (``app.service.segments``). Only some stretches are held at a time,
    so that an hour takes no more memory than a minute.

    Args:
        service: Encodes and keeps.
    """

    def __init__(self, service: RetrievalService) -> None:
        self._service = service
        self._engine = service.engine
        self._max_steps = service.engine.settings.max_steps
        self._piece = service.engine.encoder.config.max_steps

    @property
    def num_at_once(self) -> int:
        """How many files in work keep decoders and network busy, with one that is hashed."""
        return self._engine.num_useful + 1

    def digest(self, item_id: str) -> str | None:
        """Return the digest of an item's media; None where there is no such item."""
        item = self._service.store.get(item_id)
        return item.sha256 if item else None

    def encode(self, file: FileToIndex, *, digest: str, stop: threading.Event) -> ReadyFile | None:
        """Encode a file; None where that was stopped.

        Raises:
            InvalidMedia: Not decodable, or empty.
            TooLarge: Longer or heavier than the settings allow.
        """
        self.check(file)
        encoded = self._engine.encode(file.path)
        further = self._further(file.path, encoded.duration_seconds, stop)
        ready = self.ready(file, encoded, further, digest=digest)
        return None if stop.is_set() else ready

    def check(self, file: FileToIndex) -> None:
        """See that a file could be kept, before the work of encoding it.

        Raises:
            InvalidRequest: The metadata cannot be kept.
            TooLarge: The metadata are too large.
        """
        self._service.items.check(file.item_id, metadata=file.metadata, replace=True)

    def ready(
        self,
        file: FileToIndex,
        encoded: Encoded,
        further: Iterable[tuple[int, Encoded | InvalidMedia]],
        *,
        digest: str,
    ) -> ReadyFile:
        """Return a file as the items that it becomes.

        Args:
            file: Which one.
            encoded: Its first stretch, or all of it.
            further: The others in order, each with the second at which it starts; or why one
                does not decode.
            digest: Of its bytes.
        """
        keeper, seconds = self._service.items, encoded.duration_seconds
        if seconds is None or num_steps(seconds) <= self._max_steps:
            streams = {m: Stream(codes, seconds) for m, codes in encoded.codes.items()}
            item = _item(file.item_id, streams, file.metadata, digest)
            return ReadyFile([keeper.unkept(item, file.path)], seconds or 0.0, "")
        stretches, gaps = [(0, encoded)], []
        for start, stretch in further:
            if isinstance(stretch, InvalidMedia):
                logger.warning("%s, from second %d on: %s", file.label, start, stretch)
                length = stretch_seconds(self._max_steps, piece=self._piece)
                gaps.append(f"{start} to {min(start + length, round(seconds))}")
            else:
                stretches.append((start, stretch))
        parts = list(cut(stretches, steps=self._piece))
        first, *others = (self._part(file, part, digest) for part in parts)
        told = f"without seconds {', '.join(gaps)}, which do not decode" if gaps else ""
        kept = [keeper.unkept(first, file.path), *(Unkept(own, None, None) for own in others)]
        return ReadyFile(kept, seconds, told)

    def keep(self, encoded: Sequence[ReadyFile]) -> None:
        """Keep files in one commit, each in the place of what had its id.

        Raises:
            StoreUnavailable: They could not be written; nothing has changed.
        """
        self._service.items.keep_all([item for file in encoded for item in file.items])

    def _further(
        self, path: Path, seconds: float | None, stop: threading.Event
    ) -> Iterator[tuple[int, Encoded | InvalidMedia]]:
        """Yield all stretches but the first, in order, or why one does not decode."""
        passages = iter(further_passages(path, seconds, self._max_steps, piece=self._piece))
        running: deque[tuple[int, Future[Encoded]]] = deque()

        def begin(count: int) -> Iterable[tuple[int, Future[Encoded]]]:
            for passage in islice(passages, count):
                if begun := patiently(partial(self._engine.submit, passage), stop):
                    yield passage.start_second, begun

        running.extend(begin(self._engine.settings.max_decodes + 1))
        try:
            while running and not stop.is_set():
                start, future = running.popleft()
                try:
                    yield start, future.result()
                except InvalidMedia as error:
                    yield start, error
                running.extend(begin(1))
        finally:
            for _, future in running:
                future.cancel()

    def _part(self, file: FileToIndex, part: Part, digest: str) -> Item:
        own_id = ID.validate_python(part_id(file.item_id, part.start_second))
        own = part_metadata(file.item_id, part.start_second)
        return _item(own_id, part.streams, {**file.metadata, **own}, digest)


def further_passages(
    path: Path, seconds: float | None, max_steps: int, *, piece: int
) -> list[Passage]:
    """Return the stretches of media, but for the first, which has ``max_steps`` seconds.

    Args:
        path: Of the file.
        seconds: How long it is; None for a picture.
        max_steps: Seconds that a request has encoded.
        piece: Seconds that the network looks at together.
    """
    length = stretch_seconds(max_steps, piece=piece)
    end = 0 if seconds is None else num_steps(seconds)
    return [Passage(path, start, length) for start in range(max_steps, end, length)]


def stretch_seconds(max_steps: int, *, piece: int) -> int:
    """Return the length of a stretch that is not the first; see ``further_passages``."""
    return min(max_steps, max(1, STRETCH_SECONDS // piece) * piece)


def _item(
    item_id: str,
    streams: Mapping[Modality, Stream],
    metadata: Mapping[str, JsonValue],
    digest: str,
) -> Item:
    return Item(id=item_id, streams=streams, metadata=metadata, text=None, sha256=digest)
