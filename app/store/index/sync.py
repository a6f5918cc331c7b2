"""Search indexes that follow the database, in the process that writes and in those that read.

An index stands at a position of the database. Before each search the two are compared; where the
database has come further, the index first takes in what was added and removed. A search and what
it reads of the items are of the same moment, since the one is done inside a view of the other.

The process that writes also saves the indexes from time to time, so that the next opening has
less to read.
"""

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np

from app.errors import StoreUnavailable
from app.store.index.code_index import CodeIndex
from app.store.index.read_write_lock import SharedLock
from app.store.index.snapshots import Snapshot, Snapshots, Unusable, parts_of, restore
from app.store.sqlite.database import ItemDatabase
from app.store.sqlite.schema import MODALITIES, STREAMS_EACH
from app.store.sqlite.views import CodeBatch, Position, View
from model.modality import Modality

logger = logging.getLogger(__name__)

Indexes = Mapping[Modality, CodeIndex]
UNSAVED = 50_000  # streams that are read from the database in a tenth of a second
NAMED = 10  # streams, in what is logged
TRIES = 3  # to search beside other searches while another process or thread writes


class FollowingIndexes:
    """An index a modality, of the items in ``database``. Any thread may search.

    Args:
        database: The items.
        make: Makes an empty index.
        snapshots: Where indexes are saved.
    """

    def __init__(
        self, database: ItemDatabase, make: Callable[[], CodeIndex], snapshots: Snapshots
    ) -> None:
        self._database = database
        self._make = make
        self._snapshots = snapshots
        self._lock = SharedLock()  # held alone while the indexes follow
        self._indexes: dict[Modality, CodeIndex] = {}
        self._position: Position | None = None
        self._unsaved = 0  # streams that have changed since the snapshot was written
        self._saving = threading.Lock()

    @contextmanager
    def reading(self) -> Iterator[tuple[View, Indexes]]:
        """Yield the items and the indexes as of the same moment, which is now.

        Raises:
            StoreUnavailable: The database cannot be read.
        """
        for _ in range(TRIES):
            with self._lock.shared(), self._database.view() as view:
                if view.position() == self._position:
                    yield view, self._indexes
                    return
            self.follow()
        with self._lock.exclusive(), self._database.view() as view:
            self._follow(view)
            yield view, self._indexes

    def follow(self) -> None:
        """Take in what has been committed since the last time."""
        with self._lock.exclusive(), self._database.view() as view:
            self._follow(view)

    def save(self, *, least: int = 1) -> None:
        """Write a snapshot if ``least`` streams have changed since the last one.

        Where the disk does not take it that is logged: nothing is lost but time at the next start.
        """
        if not self._saving.acquire(blocking=False):
            return
        try:
            with self.reading() as (view, indexes):
                position, unsaved = view.position(), self._unsaved
                if unsaved < least:
                    return
                parts = parts_of(indexes)
            digest = self._snapshots.write(Snapshot(position, parts))
            self._database.edit(lambda db: note_snapshot(db, digest, position))
            self._snapshots.remove_others(digest)
            self._unsaved -= unsaved
        except (OSError, StoreUnavailable) as error:
            logger.warning("no snapshot of the index was written: %s", error)
        finally:
            self._saving.release()

    def save_in_time(self) -> None:
        """Write a snapshot if so much has changed that it would take long to read it again."""
        self.save(least=max(UNSAVED, len(self) // 8))

    def __len__(self) -> int:
        return sum(len(index) for index in self._indexes.values())

    def _follow(self, view: View) -> None:
        now, begun = view.position(), self._position
        if now == begun:
            return
        self._position = None  # for the case that it fails half-way: then all is read anew
        if begun is None or not view.leads_on_from(begun):
            begun = self._begin(view)
        for stream in view.removed_since(begun):
            index = self._indexes[MODALITIES[stream % STREAMS_EACH]]
            self._unsaved += index.remove(stream)  # a damaged one was never in it
        for batch in view.code_batches(since=begun.added):
            known = self._known(batch)
            if len(known.keys):
                self._indexes[batch.modality].add(known.keys, known.codes)
            self._unsaved += len(known.keys)
        self._position = now

    def _begin(self, view: View) -> Position:
        """Begin with the snapshot that the database names, or with nothing."""
        self._indexes = {m: self._make() for m in MODALITIES}
        self._unsaved = 0
        digest = view.snapshot()
        try:
            snapshot = self._snapshots.open(digest) if digest else None
        except Unusable as error:
            logger.warning("%s: the index is built from the items", error)
            snapshot = None
        if snapshot is None or not view.leads_on_from(snapshot.position):
            now = view.position()
            return now._replace(added=0)
        for part in snapshot.parts:
            restore(self._indexes[part.modality], part)
        return snapshot.position

    def _known(self, batch: CodeBatch) -> CodeBatch:
        """Return the streams whose codes can be looked up in the vocabulary: all, unless damaged.

        One that is damaged is left out of the search; it must not take the others with it.
        """
        index = self._indexes[batch.modality]
        if index.takes(batch.codes):
            return batch
        is_known = np.array([index.takes(own[None]) for own in batch.codes])
        logger.error(
            "%s has %d %s streams whose codes its checkpoint does not have; they are not searched "
            "(keys %s): see srcid store verify",
            self._database.path,
            int((~is_known).sum()),
            batch.modality,
            batch.keys[~is_known][:NAMED].tolist(),
        )
        return batch._replace(keys=batch.keys[is_known], codes=batch.codes[is_known])


def note_snapshot(db: sqlite3.Connection, digest: str, position: Position) -> bool:
    """Name the snapshot that indexes may begin with; removals before it are known no longer."""
    db.execute("UPDATE state SET snapshot = ?", (digest,))
    db.execute("DELETE FROM removed WHERE number <= ?", (position.removed,))
    return True
