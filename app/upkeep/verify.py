"""Verification: whether an index is intact, down to the bytes of its media."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel

from app.errors import StoreUnavailable
from app.service.media import MediaFolder, whole_id
from app.store.base import Item
from app.store.data_folder import existing_database
from app.store.index.snapshots import Snapshots, UnusableSnapshot
from app.store.sqlite.database import ItemDatabase
from app.store.sqlite.database_copy import faults
from model.files import sha256


class Verification(BaseModel):
    """What was read, and its defects."""

    items: int
    streams: int
    media_files: int
    damages: list[str]  # lost or wrong content
    notes: list[str]  # defects that the next start repairs


def verify(folder: Path) -> Verification:
    """Read everything in the data directory ``folder``; change nothing.

    Raises:
        StoreUnavailable: There is no index.
    """
    path = existing_database(folder)
    report = Verification(items=0, streams=0, media_files=0, damages=[], notes=[])
    report.damages += [f"{path.name}: {fault}" for fault in faults(path)]
    media = MediaFolder(folder / "media")
    try:
        database = ItemDatabase(path, fingerprint=None, read_only=True)
    except StoreUnavailable as error:
        report.damages.append(str(error))
        return report
    try:
        with database.view() as view:
            for item_id, modality in view.damaged():
                report.damages.append(f"item {item_id!r}: its {modality} is damaged")
            report.notes += _snapshot(folder, view.snapshot(), view.fingerprint())
            for item in _readable(view.all(), report):
                report.items += 1
                report.streams += len(item.streams)
                report.damages += _codes(item)
                if file := media.media(whole_id(item), item.sha256):
                    report.media_files += 1
                    report.damages += _media(item, file)
    except StoreUnavailable as error:
        report.damages.append(str(error))
    finally:
        database.close()
    return report


def _readable(items: Iterator[Item], report: Verification) -> Iterator[Item]:
    """Yield the readable items, and report the others."""
    while True:
        try:
            yield next(items)
        except StopIteration:
            return
        except StoreUnavailable as error:
            report.items += 1
            report.damages.append(str(error))


def _codes(item: Item) -> Iterator[str]:
    for modality, stream in item.streams.items():
        if not stream.codes.size or stream.codes.min() < 0:
            yield f"item {item.id!r}: its {modality} has no codes, or negative ones"


def _media(item: Item, file: Path) -> Iterator[str]:
    with suppress(FileNotFoundError):  # the item has been deleted meanwhile
        if whole_id(item) == item.id and sha256(file) != item.sha256:
            yield f"item {item.id!r}: its media file {file.name} has changed"


def _snapshot(folder: Path, digest: str | None, fingerprint: str) -> Iterator[str]:
    if digest is not None:
        try:
            Snapshots(folder / "snapshots", fingerprint=fingerprint).open(digest)
        except UnusableSnapshot as error:
            yield f"{error}: the next start rebuilds it from the items"
