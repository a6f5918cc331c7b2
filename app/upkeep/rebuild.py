"""An index of another checkpoint: its sentences and kept media encoded anew.

The new index grows in a folder beside the old one, which stays in use until the new one takes its
place, at once. What was interrupted goes on where it was.
"""

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import NamedTuple

from pydantic import BaseModel

from app.engine.engine import Engine
from app.errors import InvalidRequest, ServiceError
from app.indexing.bulk import BulkIndex
from app.indexing.run import FileToIndex, index_files
from app.main import open_engine, open_items
from app.service.items import Items
from app.service.media_folder import MediaFolder
from app.service.segments import PART_OF, START_SECOND, whole_id
from app.service.service import RetrievalService
from app.settings import Settings
from app.store.base import Item
from app.store.data_folder import become_writer, database_path, existing_database, reading
from app.store.sqlite.database_copy import replace_database
from model.checkpoint import fingerprint, locate

NAMED = 10  # items that an error names

Tell = Callable[[], object]  # that one more item is done
Begin = Callable[[int], Tell]  # given how many items there are to encode


class Rebuilt(BaseModel):
    """What became of the items."""

    fingerprint: str  # of the checkpoint now
    items: int  # in the index now
    left_out: dict[str, str]  # id -> why


class _Sources(NamedTuple):
    """What there is to encode."""

    texts: list[Item]
    files: list[FileToIndex]
    missing: dict[str, str]  # id -> why


def rebuild(settings: Settings, *, drop: bool, begin: Begin) -> Rebuilt:
    """Encode the items in ``settings.data_dir`` with ``settings.checkpoint``.

    Args:
        settings: Which index, and the checkpoint that it is to be of.
        drop: Whether items that cannot be encoded anew may be left out.
        begin: Called once it is clear that there is something to encode, and nothing in the way.

    Raises:
        InvalidRequest: Items cannot be encoded anew, and ``drop`` is false; the index is as it was.
        StoreUnavailable: Another process writes to the index, or the disk does not take it.
    """
    folder = settings.data_dir
    existing_database(folder)
    own = fingerprint(locate(settings.checkpoint))
    aside = folder / f"rebuild-{own}"
    with closing(become_writer(folder)):
        with reading(folder) as found:
            if found.fingerprint in ("", own):
                return Rebuilt(fingerprint=own, items=found.num_items, left_out={})
            sources = _sources(found.items, MediaFolder(folder / "media"))
        left_out = dict(sources.missing)
        _refuse(left_out, drop=drop)
        new = settings.model_copy(update={"data_dir": aside, "keep_media": False})
        with closing(open_engine(new)) as engine, closing(open_items(new, engine)) as items:
            tell = begin(len(sources.texts) + len(sources.files))
            left_out |= _encode(engine, items, sources, tell)
            count = len(items.store)
        _refuse(left_out, drop=drop)
        replace_database(database_path(folder), database_path(aside))
        shutil.rmtree(aside, ignore_errors=True)
    return Rebuilt(fingerprint=own, items=count, left_out=left_out)


def _refuse(left_out: dict[str, str], *, drop: bool) -> None:
    if left_out and not drop:
        named = "; ".join(f"{own!r}: {why}" for own, why in list(left_out.items())[:NAMED])
        more = f" and {len(left_out) - NAMED} more" if len(left_out) > NAMED else ""
        raise InvalidRequest(
            f"{len(left_out)} items cannot be encoded anew ({named}{more}): say --drop to leave "
            "them out, use the old checkpoint, or index their files in another data directory"
        )


def _sources(items: Iterator[Item], media: MediaFolder) -> _Sources:
    found = _Sources([], [], {})
    seen: set[str] = set()
    for item in items:
        whole = whole_id(item)
        if whole in seen:
            continue
        seen.add(whole)
        if item.text is not None:
            found.texts.append(item)
        elif path := media.media(whole, item.sha256):
            about = {k: own for k, own in item.metadata.items() if k not in (PART_OF, START_SECOND)}
            is_part = whole != item.id or item.metadata.get(PART_OF) == whole
            metadata = about if is_part else item.metadata
            found.files.append(FileToIndex(path, whole, whole, metadata))
        else:
            found.missing[whole] = "its media were not kept"
    return found


def _encode(engine: Engine, items: Items, sources: _Sources, tell: Tell) -> dict[str, str]:
    """Encode what is not there yet; return why an item could not be."""
    failed: dict[str, str] = {}
    service = RetrievalService(engine, items)
    for item in sources.texts:
        assert item.text is not None
        try:
            if items.digest(item.id) is None:
                service.put(item.id, item.text, metadata=item.metadata)
        except ServiceError as error:
            failed[item.id] = str(error)
        tell()
    bulk = BulkIndex(engine, items)
    outcomes = index_files(bulk, sources.files, workers=bulk.num_workers, stop=threading.Event())
    with closing(outcomes):
        for outcome in outcomes:
            if outcome.kind == "failed":
                failed[outcome.file.item_id] = outcome.detail
            tell()
    return failed
