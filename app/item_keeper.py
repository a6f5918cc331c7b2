"""The items of the index together with the media that are kept of them."""

import json
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import JsonValue

from app.digest import sha256
from app.engine.engine import Encoded, Engine
from app.errors import InvalidMedia, InvalidRequest, ItemExists, NotFound, TooLarge
from app.media_folder import MediaFolder
from app.schemas import ItemPage, ItemResponse, StreamCodes
from app.store.base import Item, Store, Stream
from model.feature_file import is_feature_file
from model.modality import Modality

Source = bytes | Path | str  # media or features as bytes or file; a sentence as text
PAGE = 500  # items read at once
LOCKS = 64  # items of the same remainder wait for one another


class ItemKeeper:
    """Keeps what is encoded. Methods may be called from any thread.

    An item and its media change together: the media are on the disk before the item is
    committed, and are erased after it is gone.

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
        media = self._worth_keeping(source)
        thumbnail = None
        if media is not None and Modality.VIDEO in encoded.codes:
            thumbnail = self._engine.thumbnail(media)
        with self._lock_of(item_id):
            before = self._store.get(item_id)
            if before and not replace:
                raise ItemExists(item_id)
            is_other = before is None or before.sha256 != item.sha256
            if media is not None:
                self._media.keep(item.id, item.sha256, media, thumbnail=thumbnail)
            try:
                self._store.add(item, replace=replace)
            except BaseException:
                if is_other:
                    self._media.erase(item.id, item.sha256)
                raise
            if before and is_other:
                self._media.erase(before.id, before.sha256)
        return self._response(item)

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
        return Encoded({m: own.codes for m, own in streams.items()}, seconds)

    def page(self, *, after: str, limit: int) -> ItemPage:
        """Return at most ``limit`` items by id, from the first whose id is above ``after``."""
        items = self._store.page(after=after, limit=limit + 1)
        return ItemPage(
            items=[self._response(item) for item in items[:limit]],
            next_cursor=items[limit - 1].id if len(items) > limit else None,
        )

    def delete(self, item_id: str) -> None:
        """Remove an item and the media that were kept of it.

        Raises:
            NotFound: There is none of that id.
        """
        with self._lock_of(item_id):
            item = self._stored(item_id)
            self._store.delete(item_id)
            self._media.erase(item.id, item.sha256)

    def media(self, item: Item) -> Path | None:
        """Return the file of an item's media; None where it was not kept."""
        return self._media.media(item.id, item.sha256)

    def thumbnail(self, item: Item) -> Path | None:
        """Return the JPEG of an item's picture; None where there is none."""
        return self._media.thumbnail(item.id, item.sha256)

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

    def _all(self) -> Iterator[Item]:
        after = ""
        while items := self._store.page(after=after, limit=PAGE):
            yield from items
            after = items[-1].id

    def _lock_of(self, item_id: str) -> threading.Lock:
        return self._changing[hash(item_id) % LOCKS]

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
