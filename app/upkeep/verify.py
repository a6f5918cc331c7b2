"""Whether an index is sound, down to the bytes of its media."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel

from app.errors import StoreUnavailable
from app.service.media_folder import MediaFolder
from app.service.segments import whole_id
from app.store.base import Item
from app.store.data_folder import existing_database
from app.store.index.snapshots import Snapshots, UnusableSnapshot
from app.store.sqlite.database import ItemDatabase
from app.store.sqlite.database_copy import faults
from model.files import sha256


class Verification(BaseModel):
    """What was looked at, and what was wrong with it."""

    items: int
    streams: int
    media_files: int
    damages: list[str]  # what is lost or wrong
    notes: list[str]  # what mends itself


def verify(folder: Path) -> Verification:
    """Read everything in the data directory ``folder``; nothing is changed.

    Raises:
        StoreUnavailable: There is no index.
    """
    path = existing_database(folder)
    found = Verification(items=0, streams=0, media_files=0, damages=[], notes=[])
    found.damages += [f"{path.name}: {fault}" for fault in faults(path)]
    media = MediaFolder(folder / "media")
    try:
        database = ItemDatabase(path, fingerprint=None, read_only=True)
    except StoreUnavailable as error:
        found.damages.append(str(error))
        return found
    try:
        with database.view() as view:
            for item_id, modality in view.damaged():
                found.damages.append(f"item {item_id!r}: its {modality} is damaged")
            found.notes += _snapshot(folder, view.snapshot(), view.fingerprint())
            for item in _readable(view.all(), found):
                found.items += 1
                found.streams += len(item.streams)
                found.damages += _codes(item)
                if kept := media.media(whole_id(item), item.sha256):
                    found.media_files += 1
                    found.damages += _media(item, kept)
    except StoreUnavailable as error:
        found.damages.append(str(error))
    finally:
        database.close()
    return found


def _readable(items: Iterator[Item], found: Verification) -> Iterator[Item]:
    """Yield what can be read, and note what cannot."""
    while True:
        try:
            yield next(items)
        except StopIteration:
            return
        except StoreUnavailable as error:
            found.items += 1
            found.damages.append(str(error))


def _codes(item: Item) -> Iterator[str]:
    for modality, stream in item.streams.items():
        if not stream.codes.size or stream.codes.min() < 0:
            yield f"item {item.id!r}: its {modality} has no codes, or negative ones"


def _media(item: Item, kept: Path) -> Iterator[str]:
    with suppress(FileNotFoundError):  # the item was deleted meanwhile
        if whole_id(item) == item.id and sha256(kept) != item.sha256:
            yield f"item {item.id!r}: its media {kept.name} are not those that were kept"


def _snapshot(folder: Path, digest: str | None, fingerprint: str) -> Iterator[str]:
    if digest is not None:
        try:
            Snapshots(folder / "snapshots", fingerprint=fingerprint).open(digest)
        except UnusableSnapshot as error:
            yield f"{error}: the next start builds the index from the items"
