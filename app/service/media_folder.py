"""The stored media of items, as files: found by id and digest, erased with their item.

A file is on the disk before its item is committed, and is erased after its item is gone. What a
crash leaves in between belongs to no item; ``sweep`` removes it at the next start.
"""

import hashlib
import shutil
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from app.errors import StoreUnavailable
from model.files import PRIVATE, atomic_write

MEDIA, THUMBNAIL = ".media", ".jpg"


class MediaFolder:
    """Media and thumbnails below ``folder``, which is made when the first is stored."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

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
                path.parent.mkdir(parents=True, exist_ok=True)
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
