"""The media of items: files found by id and digest, and long media as items of some seconds each.

A file is written before its item is committed, and erased after its item is deleted. A crash in
between leaves files without an item; ``sweep`` removes them at the next start.

Long media become several items, called segments. The first segment has the id of the whole,
``movie.mp4``; the one from second 120 on is ``movie.mp4@00120``. The metadata of a segment hold
its place: ``part_of`` is the id of the whole, ``start_second`` the second at which it begins.
"""

import hashlib
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from pydantic import JsonValue

from app.engine.engine import Encoded
from app.errors import StoreUnavailable
from app.schemas.fields import MAX_ID_CHARACTERS, shortened
from app.store.base import Item, Stream
from model.files import PRIVATE, atomic_write, make_folder
from model.modality import Modality

MEDIA, THUMBNAIL = ".media", ".jpg"


class MediaFolder:
    """Media and thumbnails in ``folder``, which is created when the first file is stored."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._made: set[Path] = set()  # folders in it, by this process

    def keep(
        self, item_id: str, digest: str, media: bytes | Path, *, thumbnail: bytes | None
    ) -> None:
        """Write the media of an item, and its thumbnail where it has one.

        Raises:
            StoreUnavailable: They could not be written; the folder is as it was.
        """
        contents = {self._path(item_id, digest, MEDIA): media}
        if thumbnail is not None:
            contents[self._path(item_id, digest, THUMBNAIL)] = thumbnail
        added = [path for path in contents if not path.exists()]
        try:
            for path, content in contents.items():
                if path.parent not in self._made:
                    make_folder(path.parent)
                    self._made.add(path.parent)
                _write(path, content)
        except OSError as error:
            for path in added:  # what was there belongs to the item that is stored
                with suppress(OSError):
                    path.unlink(missing_ok=True)
            raise StoreUnavailable(
                f"cannot write media to {self.folder} ({error.strerror}): free its disk, or "
                "store no media (SRCID_KEEP_MEDIA=false)"
            ) from error

    def media(self, item_id: str, digest: str) -> Path | None:
        """Return the file of an item's media, or None."""
        path = self._path(item_id, digest, MEDIA)
        return path if path.is_file() else None

    def thumbnail(self, item_id: str, digest: str) -> Path | None:
        """Return the JPEG of an item's picture, or None."""
        path = self._path(item_id, digest, THUMBNAIL)
        return path if path.is_file() else None

    def erase(self, item_id: str, digest: str) -> None:
        """Remove the media and thumbnail of an item, if there are any."""
        for suffix in (MEDIA, THUMBNAIL):
            self._path(item_id, digest, suffix).unlink(missing_ok=True)

    def sweep(self, items: Iterable[tuple[str, str]]) -> int:
        """Remove the files that belong to none of ``items`` (id and digest); return how many.

        Files written since the call began stay: their item may be about to be committed.
        """
        if not self.folder.is_dir():
            return 0
        started = time.time()
        names = {self._path(*item, MEDIA).stem for item in items}
        orphans = [
            path
            for path in self.folder.glob("*/*")
            if path.stem not in names and path.stat().st_mtime < started
        ]
        for path in orphans:
            path.unlink(missing_ok=True)
        return len(orphans)

    def _path(self, item_id: str, digest: str, suffix: str) -> Path:
        name = hashlib.sha256(f"{item_id}\0{digest}".encode()).hexdigest()
        return self.folder / name[:2] / f"{name}{suffix}"


def _write(path: Path, content: bytes | Path) -> None:
    with atomic_write(path, mode=PRIVATE) as file:
        if isinstance(content, Path):
            with content.open("rb") as source:
                shutil.copyfileobj(source, file)
        else:
            file.write(content)


PART_OF, START_SECOND = "part_of", "start_second"
SEPARATOR = "@"  # between the id of the whole and the second


class Segment(NamedTuple):
    """Some seconds of media."""

    start_second: int  # of the whole
    streams: Mapping[Modality, Stream]


def segment_id(whole: str, start_second: int) -> str:
    """Return the id of a segment."""
    return f"{segment_prefix(whole)}{start_second:05}" if start_second else whole


def segment_prefix(whole: str) -> str:
    """Return what the ids of all segments but the first begin with."""
    return shortened(whole, limit=MAX_ID_CHARACTERS - len(f"{SEPARATOR}{0:05}")) + SEPARATOR


def segment_metadata(whole: str, start_second: int) -> dict[str, JsonValue]:
    """Return the metadata that tell a segment's place."""
    return {PART_OF: whole, START_SECOND: start_second}


def whole_id(item: Item) -> str:
    """Return the id of the whole that an item is a segment of; its own id if it is none."""
    whole, start = item.metadata.get(PART_OF), item.metadata.get(START_SECOND)
    if not isinstance(whole, str) or not isinstance(start, int):
        return item.id
    return whole if item.id == segment_id(whole, start) else item.id


def start_second(item: Item) -> int:
    """Return the second of the whole at which an item begins; 0 if it is no segment."""
    start = item.metadata.get(START_SECOND)
    return start if isinstance(start, int) and whole_id(item) != item.id else 0


def cut(stretches: Iterable[tuple[int, Encoded]], *, steps: int) -> Iterator[Segment]:
    """Yield segments of ``steps`` seconds; the last one of each stretch may be shorter.

    Args:
        stretches: Each with the second at which it starts; their duration is that of the whole.
        steps: Seconds that the network encodes together: the codes of a segment depend on no
            other segment.
    """
    for start, encoded in stretches:
        assert encoded.duration_seconds is not None
        length = max(codes.shape[1] for codes in encoded.codes.values())
        for first in range(0, length, steps):
            remaining = encoded.duration_seconds - start - first
            yield Segment(
                start + first,
                {
                    m: Stream(codes[:, first : first + steps], min(float(steps), remaining))
                    for m, codes in encoded.codes.items()
                    if codes.shape[1] > first
                },
            )
