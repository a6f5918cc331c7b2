"""Index rewrites: with another checkpoint, or compacted.

``rebuild`` encodes the sentences and stored media of an index with another checkpoint. The new
index grows in a folder inside the data directory; the old one stays in use until the new one
replaces it at once. An interrupted rebuild continues where it stopped; items that were deleted or
changed since are not taken from it.
"""

import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, JsonValue

from app.engine.engine import Engine
from app.errors import InvalidRequest, ServiceError
from app.indexing.bulk import BulkIndex
from app.indexing.run import FileToIndex, index_files
from app.main import open_engine, open_items
from app.service.items import Items
from app.service.media import PART_OF, START_SECOND, MediaFolder, whole_id
from app.service.service import RetrievalService
from app.settings import Settings
from app.store.base import Item, Store
from app.store.data_folder import become_writer, database_path, existing_database, reading
from app.store.local import LocalStore
from app.store.sqlite.database_copy import replace_database
from model.checkpoint import fingerprint, locate
from model.encoder import vocabulary_of
from model.srcid import SRCID

NAMED = 10  # items that an error names

Advance = Callable[[], object]  # called after each item
Begin = Callable[[int], Advance]  # called with the number of items to encode


class Rebuilt(BaseModel):
    """The outcome of a rebuild."""

    fingerprint: str  # of the checkpoint now
    items: int  # in the index now
    left_out: dict[str, str]  # id -> reason


class Compaction(BaseModel):
    """The outcome of a compaction."""

    items: int
    bytes_before: int  # of the database and the snapshots
    bytes_after: int


_State = tuple[str, Mapping[str, JsonValue]]


class _Sources(NamedTuple):
    """The items of an index, by what they can be encoded from."""

    texts: list[Item]
    files: list[FileToIndex]
    missing: dict[str, str]  # id -> why it cannot be encoded
    states: dict[str, _State]  # id -> digest and metadata, of texts and files


def rebuild(settings: Settings, *, drop: bool, begin: Begin) -> Rebuilt:
    """Encode the items in ``settings.data_dir`` with ``settings.checkpoint``.

    Args:
        settings: The index, and its new checkpoint.
        drop: Leave out items that cannot be encoded, instead of raising.
        begin: Called when encoding starts.

    Raises:
        InvalidRequest: Items cannot be encoded, and ``drop`` is false; the index is unchanged.
        StoreUnavailable: Another process writes to the index, or the disk rejects the write.
    """
    folder = settings.data_dir
    existing_database(folder)
    checkpoint = fingerprint(locate(settings.checkpoint))
    new = folder / f"rebuild-{checkpoint}"
    with closing(become_writer(folder)):
        with reading(folder) as index:
            if index.fingerprint in ("", checkpoint):
                return Rebuilt(fingerprint=checkpoint, items=index.num_items, left_out={})
            sources = _sources(index.items, MediaFolder(folder / "media"))
        left_out = dict(sources.missing)
        _check_left_out(left_out, drop=drop)
        target = settings.model_copy(update={"data_dir": new, "keep_media": False})
        with closing(open_engine(target)) as engine, closing(open_items(target, engine)) as items:
            _delete_stale(items.store, sources)
            advance = begin(len(sources.texts) + len(sources.files))
            left_out |= _encode(engine, items, sources, advance)
            count = len(items.store)
        _check_left_out(left_out, drop=drop)
        replace_database(database_path(folder), database_path(new))
        shutil.rmtree(new, ignore_errors=True)
    return Rebuilt(fingerprint=checkpoint, items=count, left_out=left_out)


def compact(settings: Settings) -> Compaction:
    """Rewrite the database in ``settings.data_dir`` without gaps, and its snapshot.

    Raises:
        StoreUnavailable: There is no index, another process writes to it, or the disk rejects the
            write; no item is lost.
    """
    folder = settings.data_dir
    existing_database(folder)
    checkpoint = locate(settings.checkpoint)
    vocabulary = vocabulary_of(SRCID.from_pretrained(checkpoint, download=False))
    with LocalStore(folder, vocabulary, fingerprint=fingerprint(checkpoint)) as store:
        before = _size(folder)
        store.compact()
        return Compaction(items=len(store), bytes_before=before, bytes_after=_size(folder))


def _check_left_out(left_out: dict[str, str], *, drop: bool) -> None:
    if left_out and not drop:
        reasons = "; ".join(f"{item!r}: {why}" for item, why in list(left_out.items())[:NAMED])
        more = f" and {len(left_out) - NAMED} more" if len(left_out) > NAMED else ""
        raise InvalidRequest(
            f"cannot encode {len(left_out)} items ({reasons}{more}): say --drop to leave them "
            "out, use the old checkpoint, or index their files in another data directory"
        )


def _sources(items: Iterator[Item], media: MediaFolder) -> _Sources:
    sources = _Sources([], [], {}, {})
    seen: set[str] = set()
    for item in items:
        whole = whole_id(item)
        if whole in seen:
            continue
        seen.add(whole)
        if item.text is not None:
            sources.texts.append(item)
        elif path := media.media(whole, item.sha256):
            sources.files.append(FileToIndex(path, whole, whole, _metadata(item)))
        else:
            sources.missing[whole] = "its media were not kept"
            continue
        sources.states[whole] = (item.sha256, _metadata(item))
    return sources


def _metadata(item: Item) -> Mapping[str, JsonValue]:
    """Return the metadata of the whole file that an item is a part of."""
    if item.metadata.get(PART_OF) != whole_id(item):
        return item.metadata
    return {k: v for k, v in item.metadata.items() if k not in (PART_OF, START_SECOND)}


def _delete_stale(store: Store, sources: _Sources) -> None:
    """Delete what an interrupted rebuild encoded and was deleted or changed since."""
    for item in store.items():
        if sources.states.get(whole_id(item)) != (item.sha256, _metadata(item)):
            store.delete(item.id)


def _encode(engine: Engine, items: Items, sources: _Sources, advance: Advance) -> dict[str, str]:
    """Encode what the new index does not have yet; return the reason for each failed item."""
    failed: dict[str, str] = {}
    service = RetrievalService(engine, items)
    for item in sources.texts:
        assert item.text is not None
        try:
            if items.digest(item.id) is None:
                service.put(item.id, item.text, metadata=item.metadata)
        except ServiceError as error:
            failed[item.id] = str(error)
        advance()
    bulk = BulkIndex(engine, items)
    outcomes = index_files(bulk, sources.files, workers=bulk.num_workers, stop=threading.Event())
    with closing(outcomes):
        for outcome in outcomes:
            if outcome.kind == "failed":
                failed[outcome.file.item_id] = outcome.detail
            advance()
    return failed


def _size(folder: Path) -> int:
    paths = [*folder.glob("items.sqlite3*"), *folder.glob("snapshots/*")]
    return sum(path.stat().st_size for path in paths)
