"""The stored items together with their media."""

import json
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from pydantic import JsonValue

from app.engine.engine import Encoded, Engine
from app.errors import InvalidMedia, InvalidRequest, ItemExists, NotFound, TooLarge
from app.schemas.encoding import StreamCodes
from app.schemas.filters import Where
from app.schemas.items import ItemPage, ItemResponse, PageOptions
from app.service.media import PART_OF, START_SECOND, MediaFolder, segment_prefix, whole_id
from app.store.base import PAGE, Item, Store, Stream
from model.feature_file import is_feature_file
from model.files import sha256
from model.modality import Modality

NUM_LOCKS = 64  # items whose ids share a remainder wait for one another


class PreparedItem(NamedTuple):
    """An encoded item, and what is to be stored beside its codes."""

    item: Item
    media: bytes | Path | None = None
    thumbnail: bytes | None = None


class Items:
    """Stores items and their media. Methods may be called from any thread.

    An item and its media change together: media are on the disk before their item is committed,
    and are erased after it is gone. Deleting the first segment of long media deletes them all.

    Args:
        engine: Makes thumbnails; its settings are the limits.
        store: Holds the codes.
        media: Where media are stored. Its files are erased with their item even when
            ``settings.keep_media`` no longer adds to them.

    Attributes:
        store: Holds the codes.
    """

    def __init__(self, engine: Engine, store: Store, media: MediaFolder) -> None:
        self.store = store
        self._engine = engine
        self._media = media
        # Held while an item and its media change; other items change at the same time.
        self._locks = [threading.Lock() for _ in range(NUM_LOCKS)]

    def close(self) -> None:
        """Close the store."""
        self.store.close()

    def check(self, item_id: str, *, metadata: Mapping[str, JsonValue], replace: bool) -> None:
        """Check that an item can be stored, before the work of encoding it.

        Raises:
            ItemExists: The id exists and ``replace`` is false.
            InvalidRequest: The metadata cannot be stored.
            TooLarge: The metadata are too large.
        """
        self._check_metadata(metadata)
        if not replace and self.store.get(item_id):
            raise ItemExists(item_id)

    def keep(
        self,
        item_id: str,
        source: bytes | Path | str,
        encoded: Encoded,
        *,
        metadata: Mapping[str, JsonValue],
        replace: bool,
    ) -> ItemResponse:
        """Store an encoded item, with its media if media are stored; return it.

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
        self._write([self.prepared(item, source)], replace=replace)
        return self._response(item)

    def prepared(self, item: Item, source: bytes | Path | str) -> PreparedItem:
        """Return an item with the media and thumbnail that are to be stored, if any."""
        if not self._engine.settings.keep_media or isinstance(source, str):
            return PreparedItem(item)
        if isinstance(source, bytes) and is_feature_file(source):
            return PreparedItem(item)
        has_picture = Modality.VIDEO in item.streams
        return PreparedItem(item, source, self._engine.thumbnail(source) if has_picture else None)

    def keep_all(self, items: Sequence[PreparedItem]) -> None:
        """Store items in one commit; each replaces what had its id.

        Raises:
            StoreUnavailable: They could not be written; nothing has changed.
        """
        self._write(items, replace=True)

    def get(self, item_id: str) -> ItemResponse:
        """Return an item.

        Raises:
            NotFound: There is no such item.
        """
        return self._response(self._stored(item_id))

    def digest(self, item_id: str) -> str | None:
        """Return the SHA-256 of an item's media or sentence; None: there is no such item."""
        item = self.store.get(item_id)
        return item.sha256 if item else None

    def encoded(self, item_id: str, modality: Modality | None = None) -> Encoded:
        """Return the codes of an item, or of one of its streams.

        Raises:
            NotFound: There is no such item.
            InvalidMedia: It has no such stream.
        """
        item = self._stored(item_id)
        streams = {m: stream for m, stream in item.streams.items() if modality in (None, m)}
        if not streams:
            raise InvalidMedia(
                f"item {item_id!r} has no {modality} stream: name one of "
                f"{', '.join(item.streams)}, or leave modality out"
            )
        codes = {m: stream.codes for m, stream in streams.items()}
        vocabulary = self._engine.encoder.vocabulary
        queries = {m: vocabulary.by_layer(rows) for m, rows in codes.items()}
        return Encoded(codes, queries, _duration(streams.values()))

    def page(self, options: PageOptions) -> ItemPage:
        """Return a page of items, by id."""
        where, before = options.where, options.before
        items = self.store.page(
            after=options.after,
            before=before,
            limit=options.limit,
            where=where,
            from_end=before is not None,
        )

        def is_any(*, after: str = "", before: str | None = None) -> bool:
            return bool(self.store.page(after=after, before=before, limit=1, where=where))

        return ItemPage(
            items=[self._response(item) for item in items],
            next_cursor=items[-1].id if items and is_any(after=items[-1].id) else None,
            previous_cursor=items[0].id if items and is_any(before=items[0].id) else None,
        )

    def all(self, where: Where | None = None) -> Iterator[ItemResponse]:
        """Yield every item that matches ``where``, by id."""
        return map(self._response, self.store.items(where=where))

    def update(self, item_id: str, metadata: Mapping[str, JsonValue]) -> ItemResponse:
        """Merge ``metadata`` into those of an item and its further segments; return the item.

        Null removes a field; objects are merged (RFC 7396). Codes and media stay.

        Raises:
            NotFound: There is no such item.
            InvalidRequest: The metadata cannot be stored, or would tear a segment from its whole.
            TooLarge: The metadata are too large.
            StoreUnavailable: It could not be written; nothing has changed.
        """
        segments = [segment.id for segment in self._further_segments(item_id)]
        with self._locked([item_id, *segments]):
            old = [self._stored(item_id), *self._further_segments(item_id)]
            new = [replace(item, metadata=_merged(item.metadata, metadata)) for item in old]
            for item, before in zip(new, old, strict=True):
                self._check_metadata(item.metadata)
                if whole_id(item) != whole_id(before):
                    raise InvalidRequest(
                        f"{before.id!r} is a segment of {whole_id(before)!r}, as {PART_OF} and "
                        f"{START_SECOND} say: leave these two out"
                    )
            self.store.add_many(new, replace=True)
        return self._response(new[0])

    def delete(self, item_id: str) -> None:
        """Delete an item, its further segments and its stored media.

        Raises:
            NotFound: There is no such item.
        """
        with self._locked([item_id]):
            self._delete([self._stored(item_id)])

    def delete_where(self, where: Where) -> int:
        """Delete all items that match ``where``, as ``delete`` does; return how many are gone.

        They go in several commits. What another call adds or changes meanwhile may stay.
        """
        deleted, after = 0, ""
        while page := self.store.page(after=after, limit=PAGE, where=where):
            after = page[-1].id
            with self._locked(item.id for item in page):
                current = ((item, self.store.get(item.id)) for item in page)
                items = [now for item, now in current if now and now.metadata == item.metadata]
                deleted += self._delete(items)
        return deleted

    def has_media(self, item: Item) -> tuple[bool, bool]:
        """Return whether an item's media are stored, and whether it has a thumbnail."""
        name = whole_id(item), item.sha256
        return self._media.media(*name) is not None, self._media.thumbnail(*name) is not None

    def media_file(self, item_id: str) -> Path:
        """Return the stored media of an item.

        Raises:
            NotFound: There is no such item, or its media were not stored.
        """
        item = self._stored(item_id)
        if path := self._media.media(whole_id(item), item.sha256):
            return path
        raise NotFound(
            f"no media of item {item_id!r}: media are only stored for items added with "
            "SRCID_KEEP_MEDIA=true"
        )

    def thumbnail_file(self, item_id: str) -> Path:
        """Return the JPEG thumbnail of an item.

        Raises:
            NotFound: There is no such item, or it has no thumbnail.
        """
        item = self._stored(item_id)
        if path := self._media.thumbnail(whole_id(item), item.sha256):
            return path
        raise NotFound(
            f"no thumbnail of item {item_id!r}: only items with a picture, added with "
            "SRCID_KEEP_MEDIA=true, have one"
        )

    def sweep(self) -> int:
        """Remove the files that a crash left without an item; return how many."""
        return self._media.sweep((item.id, item.sha256) for item in self.store.items())

    def _write(self, items: Sequence[PreparedItem], *, replace: bool) -> None:
        """Commit items: their media before, and the erasure of what they replace after."""
        with self._locked(prepared.item.id for prepared in items):
            ids = [prepared.item.id for prepared in items]
            replaced = {item_id: item for item_id in ids if (item := self.store.get(item_id))}
            if replaced and not replace:
                raise ItemExists(next(iter(replaced)))
            # Segments of the old media that the new ones, being shorter, do not replace.
            stale = [
                segment.id
                for item_id in replaced
                for segment in self._further_segments(item_id)
                if segment.id not in ids
            ]
            changed = [item for item, *_ in items if not _is_same(item, replaced.get(item.id))]
            try:
                for item, media, thumbnail in items:
                    if media is not None:
                        self._media.keep(item.id, item.sha256, media, thumbnail=thumbnail)
                new = [prepared.item for prepared in items]
                self.store.add_many(new, replace=replace, delete=stale)
            except BaseException:
                for item in changed:
                    self._media.erase(item.id, item.sha256)
                raise
            for item in changed:
                if old := replaced.get(item.id):
                    self._media.erase(item.id, old.sha256)

    def _delete(self, items: Sequence[Item]) -> int:
        """Delete items and their further segments in one commit, then their media; count them."""
        segments = [further.id for item in items for further in self._further_segments(item.id)]
        ids = dict.fromkeys([*(item.id for item in items), *segments])
        self.store.add_many([], replace=True, delete=list(ids))
        for item in items:
            self._media.erase(item.id, item.sha256)
        return len(ids)

    def _further_segments(self, item_id: str) -> Iterator[Item]:
        """Yield the segments of an item, except the first."""
        prefix = segment_prefix(item_id)  # digits follow it
        segments = self.store.items(after=prefix, before=f"{prefix}:")
        return (item for item in segments if whole_id(item) == item_id)

    @contextmanager
    def _locked(self, item_ids: Iterable[str]) -> Iterator[None]:
        with ExitStack() as locks:
            for number in sorted({hash(item_id) % NUM_LOCKS for item_id in item_ids}):
                locks.enter_context(self._locks[number])
            yield

    def _stored(self, item_id: str) -> Item:
        item = self.store.get(item_id)
        if item is None:
            raise NotFound(f"there is no item {item_id!r}: GET /items lists all items")
        return item

    def _response(self, item: Item) -> ItemResponse:
        has_media, has_thumbnail = self.has_media(item)
        encoder = self._engine.encoder
        return ItemResponse(
            id=item.id,
            fingerprint=encoder.fingerprint,
            code_layers=encoder.vocabulary.layers.tolist(),
            duration_seconds=_duration(item.streams.values()),
            streams={m: StreamCodes(codes=s.codes.tolist()) for m, s in item.streams.items()},
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
                f"the metadata has {size} bytes as JSON, the limit is {limit}: shorten it, or "
                "raise SRCID_MAX_METADATA_BYTES"
            )


def _duration(streams: Iterable[Stream]) -> float | None:
    """Return the seconds of the longest stream; None: none has a duration."""
    durations = [stream.duration_seconds for stream in streams]
    return max((d for d in durations if d is not None), default=None)


def _merged(old: object, changes: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return an object after a JSON Merge Patch (RFC 7396)."""
    new = dict(old) if isinstance(old, Mapping) else {}
    for name, value in changes.items():
        if value is None:
            new.pop(name, None)
        else:
            new[name] = _merged(new.get(name), value) if isinstance(value, Mapping) else value
    return new


def _is_same(item: Item, other: Item | None) -> bool:
    return other is not None and item.sha256 == other.sha256
