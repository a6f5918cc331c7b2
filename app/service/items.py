"""The items of the index together with the media that are kept of them."""

import json
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from pydantic import JsonValue

from app.engine.engine import Encoded, Engine
from app.errors import InvalidMedia, InvalidRequest, ItemExists, NotFound, TooLarge
from app.schemas import ItemPage, ItemResponse, StreamCodes
from app.service.media_folder import MediaFolder
from app.service.segments import MARK, whole_id
from app.store.base import Item, Store, Stream
from model.feature_file import is_feature_file
from model.files import sha256
from model.modality import Modality

Source = bytes | Path | str  # media or features as bytes or file; a sentence as text
PAGE = 500  # items read at once
LOCKS = 64  # items of the same remainder wait for one another


class Unkept(NamedTuple):
    """An item that is encoded, and what is to be kept beside its codes."""

    item: Item
    media: bytes | Path | None
    thumbnail: bytes | None


class ItemKeeper:
    """Keeps what is encoded. Methods may be called from any thread.

    An item and its media change together: the media are on the disk before the item is
    committed, and are erased after it is gone. The parts of long media go with the first one.

    Args:
        engine: Makes thumbnails; its settings are the limits.
        store: Keeps the codes.
        media: Where media are kept. What is in it is erased with its item even where
            ``settings.keep_media`` no longer adds to it.
    """

    def __init__(self, engine: Engine, store: Store, media: MediaFolder) -> None:
        self._engine = engine
        self._store = store
        self._media = media
        # Held while an item and its media change; items of other ids change at the same time.
        self._changing = [threading.Lock() for _ in range(LOCKS)]

    def check(self, item_id: str, *, metadata: Mapping[str, JsonValue], replace: bool) -> None:
        """See that an item could be kept, before the work of encoding it.

        Raises:
            ItemExists: The id exists and ``replace`` is false.
            InvalidRequest: The metadata cannot be kept.
            TooLarge: The metadata are too large.
        """
        self._check_metadata(metadata)
        if not replace and self._store.get(item_id):
            raise ItemExists(item_id)

    def keep(
        self,
        item_id: str,
        source: Source,
        encoded: Encoded,
        *,
        metadata: Mapping[str, JsonValue],
        replace: bool,
    ) -> ItemResponse:
        """Keep an item that is encoded, its media where that is switched on; return it.

        Raises:
            ItemExists: The id exists and ``replace`` is false.
            StoreUnavailable: It could not be written; nothing has changed.
        """
        item = Item(
            id=item_id,
            streams={m: Stream(c, encoded.duration_seconds) for m, c in encoded.codes.items()},
            metadata=metadata,
            text=source if isinstance(source, str) else None,
            sha256=sha256(source),
        )
        self._write([self.unkept(item, source)], replace=replace)
        return self._response(item)

    def unkept(self, item: Item, source: Source) -> Unkept:
        """Return an item that is encoded with its media, where they are kept."""
        media = self._worth_keeping(source)
        thumbnail = None
        if media is not None and Modality.VIDEO in item.streams:
            thumbnail = self._engine.thumbnail(media)
        return Unkept(item, media, thumbnail)

    def keep_all(self, items: Sequence[Unkept]) -> None:
        """Keep items in one commit, each in the place of what had its id.

        Raises:
            StoreUnavailable: They could not be written; nothing has changed.
        """
        self._write(items, replace=True)

    def get(self, item_id: str) -> ItemResponse:
        """Return an item.

        Raises:
            NotFound: There is none of that id.
        """
        return self._response(self._stored(item_id))

    def codes(self, item_id: str, modality: Modality | None = None) -> Encoded:
        """Return the codes of an item, or of one of its streams.

        Raises:
            NotFound: There is none of that id.
            InvalidMedia: It has no such stream.
        """
        item = self._stored(item_id)
        streams = {m: own for m, own in item.streams.items() if modality in (None, m)}
        if not streams:
            raise InvalidMedia(
                f"item {item_id!r} has no {modality} stream: name one of "
                f"{', '.join(item.streams)}, or leave modality out"
            )
        durations = [own.duration_seconds for own in streams.values()]
        seconds = max((d for d in durations if d is not None), default=None)
        codes = {m: own.codes for m, own in streams.items()}
        vocabulary = self._engine.encoder.vocabulary
        queries = {m: vocabulary.by_layer(own) for m, own in codes.items()}
        return Encoded(codes, queries, seconds)

    def page(self, *, after: str, limit: int) -> ItemPage:
        """Return at most ``limit`` items by id, from the first whose id is above ``after``."""
        items = self._store.page(after=after, limit=limit + 1)
        return ItemPage(
            items=[self._response(item) for item in items[:limit]],
            next_cursor=items[limit - 1].id if len(items) > limit else None,
        )

    def delete(self, item_id: str) -> None:
        """Remove an item, its further parts and the media that were kept of it.

        Raises:
            NotFound: There is none of that id.
        """
        with self._locks_of([item_id]):
            item = self._stored(item_id)
            for part in self._further_parts(item_id):
                self._store.delete(part)
            self._store.delete(item_id)
            self._media.erase(item.id, item.sha256)

    def media(self, item: Item) -> Path | None:
        """Return the file of an item's media; None where it was not kept."""
        return self._media.media(whole_id(item), item.sha256)

    def thumbnail(self, item: Item) -> Path | None:
        """Return the JPEG of an item's picture; None where there is none."""
        return self._media.thumbnail(whole_id(item), item.sha256)

    def has_media(self, item: Item) -> tuple[bool, bool]:
        """Return whether an item's media are kept, and whether it has a thumbnail."""
        return self.media(item) is not None, self.thumbnail(item) is not None

    def file(self, item_id: str, *, is_thumbnail: bool = False) -> Path:
        """Return the file of an item's media, or of its thumbnail.

        Raises:
            NotFound: There is no such item, or nothing was kept of it.
        """
        item = self._stored(item_id)
        path = self.thumbnail(item) if is_thumbnail else self.media(item)
        if path is None:
            raise NotFound(
                f"no {'thumbnail' if is_thumbnail else 'media'} of item {item_id!r}: media are "
                "kept of what is added while SRCID_KEEP_MEDIA=true, a thumbnail of what has a "
                "picture"
            )
        return path

    def sweep(self) -> int:
        """Remove the files that a crash left without an item; return how many."""
        return self._media.sweep((item.id, item.sha256) for item in self._all())

    def _write(self, items: Sequence[Unkept], *, replace: bool) -> None:
        """Commit items, their media before and what they replace after."""
        with self._locks_of(item.id for item, *_ in items):
            before = {own.item.id: self._store.get(own.item.id) for own in items}
            known = {item.id: item for item in before.values() if item}
            if known and not replace:
                raise ItemExists(next(iter(known)))
            for gone in (part for item_id in known for part in self._further_parts(item_id)):
                if gone not in before:  # what replaces the whole is shorter
                    self._store.delete(gone)
            new = [item for item, *_ in items if not _same(item, known.get(item.id))]
            try:
                for item, media, thumbnail in items:
                    if media is not None:
                        self._media.keep(item.id, item.sha256, media, thumbnail=thumbnail)
                self._store.add_many([item for item, *_ in items], replace=replace)
            except BaseException:
                for item in new:
                    self._media.erase(item.id, item.sha256)
                raise
            for item in new:
                if item.id in known:
                    self._media.erase(item.id, known[item.id].sha256)

    def _further_parts(self, item_id: str) -> Iterator[str]:
        """Yield the ids of the parts of an item but the first."""
        after = item_id + MARK
        while items := self._store.page(after=after, limit=PAGE):
            for item in items:
                if not item.id.startswith(item_id + MARK):
                    return
                if whole_id(item) == item_id:
                    yield item.id
            after = items[-1].id

    def _all(self) -> Iterator[Item]:
        after = ""
        while items := self._store.page(after=after, limit=PAGE):
            yield from items
            after = items[-1].id

    @contextmanager
    def _locks_of(self, item_ids: Iterable[str]) -> Iterator[None]:
        with ExitStack() as held:
            for number in sorted({hash(item_id) % LOCKS for item_id in item_ids}):
                held.enter_context(self._changing[number])
            yield

    def _stored(self, item_id: str) -> Item:
        item = self._store.get(item_id)
        if item is None:
            raise NotFound(f"there is no item {item_id!r}: GET /items lists those that there are")
        return item

    def _worth_keeping(self, source: Source) -> bytes | Path | None:
        """Return what is media to be kept, and no sentence or features."""
        if not self._engine.settings.keep_media or isinstance(source, str):
            return None
        return None if isinstance(source, bytes) and is_feature_file(source) else source

    def _response(self, item: Item) -> ItemResponse:
        has_media, has_thumbnail = self.has_media(item)
        durations = [stream.duration_seconds for stream in item.streams.values()]
        return ItemResponse(
            id=item.id,
            fingerprint=self._engine.encoder.fingerprint,
            duration_seconds=max((d for d in durations if d is not None), default=None),
            streams={m: StreamCodes(codes=own.codes.tolist()) for m, own in item.streams.items()},
            text=item.text,
            sha256=item.sha256,
            metadata=dict(item.metadata),
            has_media=has_media,
            has_thumbnail=has_thumbnail,
        )

    def _check_metadata(self, metadata: Mapping[str, JsonValue]) -> None:
        try:
            size = len(json.dumps(dict(metadata), allow_nan=False))
        except ValueError:
            raise InvalidRequest(
                "the metadata holds a number too large for JSON's readers: send it as text"
            ) from None
        limit = self._engine.settings.max_metadata_bytes
        if size > limit:
            raise TooLarge(
                f"the metadata has {size} bytes as JSON, at most {limit} are kept: shorten it, or "
                "raise SRCID_MAX_METADATA_BYTES"
            )


def _same(item: Item, other: Item | None) -> bool:
    return other is not None and item.sha256 == other.sha256
