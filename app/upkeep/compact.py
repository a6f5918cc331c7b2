"""A data directory without what is no longer needed."""

from pathlib import Path

from pydantic import BaseModel

from app.store.local import LocalStore


class Compaction(BaseModel):
    """What was won."""

    items: int
    bytes_before: int  # of the database and the snapshots
    bytes_after: int


def compact(folder: Path, store: LocalStore) -> Compaction:
    """Write database and snapshot anew, without gaps; the search goes on meanwhile.

    Raises:
        StoreUnavailable: The disk does not take it; nothing is lost.
    """
    before = _size(folder)
    store.compact()
    return Compaction(items=len(store), bytes_before=before, bytes_after=_size(folder))


def _size(folder: Path) -> int:
    paths = [*folder.glob("items.sqlite3*"), *folder.glob("snapshots/*")]
    return sum(path.stat().st_size for path in paths)
