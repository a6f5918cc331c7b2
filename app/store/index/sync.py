"""Search indexes in sync with the database, in the writing process and in reading ones.

An index is at a position of the database. Before each search the two are compared. If the
database is ahead, the index first takes in what was added and removed. A search runs inside a
view of the database, so the index and the items it reads are of the same moment.

The writing process saves the indexes from time to time, so that the next start has less to read.
Inverted lists are made in a thread of their own, after a sync that has left them due.
"""

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np

from app.errors import StoreUnavailable
from app.store.index.code_index import CodeIndex, ListedIndex, ReadWriteLock
from app.store.index.snapshots import (
    Snapshot,
    Snapshots,
    UnusableSnapshot,
    restore,
    snapshot_blocks,
)
from app.store.sqlite.database import ItemDatabase
from app.store.sqlite.schema import MODALITIES, STREAMS_EACH
from app.store.sqlite.views import CodeBatch, Position, View
from model.modality import Modality

logger = logging.getLogger(__name__)

Indexes = Mapping[Modality, CodeIndex]
UNSAVED = 50_000  # streams, which are read from the database in a tenth of a second
LOGGED = 10  # keys in one log message
TRIES = 3  # to search beside other searches while another process or thread writes


class IndexSync:
    """One index per modality, in sync with ``database``. Any thread may search.

    Args:
        database: The items.
        make_index: Makes an empty index.
        snapshots: Where indexes are saved.
    """

    def __init__(
        self, database: ItemDatabase, make_index: Callable[[], CodeIndex], snapshots: Snapshots
    ) -> None:
        self._database = database
        self._make_index = make_index
        self._snapshots = snapshots
        self._lock = ReadWriteLock()
        self._indexes: dict[Modality, CodeIndex] = {}
        self._position: Position | None = None
        self._unsaved = 0  # streams that have changed since the last snapshot
        self._saving = threading.Lock()
        self._arranging = threading.Lock()
        self._closing = threading.Event()
        self._arranger = threading.Thread()

    @contextmanager
    def reading(self) -> Iterator[tuple[View, Indexes]]:
        """Yield the items and the indexes as of the same moment, which is now.

        Raises:
            StoreUnavailable: The database cannot be read.
        """
        for _ in range(TRIES):
            with self._lock.read(), self._database.view() as view:
                if view.position() == self._position:
                    yield view, self._indexes
                    return
            self.sync()
        with self._lock.write(), self._database.view() as view:
            self._sync(view)
            yield view, self._indexes

    def sync(self) -> None:
        """Take in what has been committed since the last time."""
        with self._lock.write(), self._database.view() as view:
            self._sync(view)

    def arrange(self) -> None:
        """Make the inverted lists that are due. Searches and changes go on meanwhile."""
        with self._arranging:
            while (due := self._due()) and not self._closing.is_set():
                due[0].arrange(self._lock, self._closing)

    def close(self) -> None:
        """Stop making lists."""
        self._closing.set()
        if self._arranger.is_alive():
            self._arranger.join()

    def save(self, *, least: int = 1) -> None:
        """Write a snapshot if ``least`` streams have changed since the last one.

        A failed write is logged. The only consequence is a slower next start.
        """
        if not self._saving.acquire(blocking=False):
            return
        try:
            with self.reading() as (view, indexes):
                position, unsaved = view.position(), self._unsaved
                if unsaved < least:
                    return
                blocks = snapshot_blocks(indexes)
            digest = self._snapshots.write(Snapshot(position, blocks))
            self._database.edit(lambda db: _name_snapshot(db, digest, position))
            self._snapshots.remove_others(digest)
            self._unsaved -= unsaved
        except (OSError, StoreUnavailable) as error:
            logger.warning("no snapshot of the index was written: %s", error)
        finally:
            self._saving.release()

    def save_if_worthwhile(self) -> None:
        """Write a snapshot if reading the changes again would take long."""
        self.save(least=max(UNSAVED, sum(map(len, self._indexes.values())) // 8))

    def _sync(self, view: View) -> None:
        now, start = view.position(), self._position
        if now == start:
            return
        self._position = None  # if this fails half-way, everything is read again
        if start is None or not view.continues_from(start):
            start = self._restore(view)
        for key in view.removed_since(start):
            index = self._indexes[MODALITIES[key % STREAMS_EACH]]
            self._unsaved += index.remove(key)  # damaged streams were never in it
        for batch in view.code_batches(since=start.added):
            valid = self._valid(batch)
            if len(valid.keys):
                self._indexes[batch.modality].add(valid.keys, valid.codes)
            self._unsaved += len(valid.keys)
        self._position = now
        if self._due() and not self._arranger.is_alive():
            self._arranger = threading.Thread(target=self.arrange, name="lists")
            self._arranger.start()

    def _due(self) -> list[ListedIndex]:
        """Return the indexes with lists to be made."""
        indexes = self._indexes.values()
        return [index for index in indexes if isinstance(index, ListedIndex) and index.is_due()]

    def _restore(self, view: View) -> Position:
        """Start from the snapshot that the database names, or from nothing."""
        self._indexes = {modality: self._make_index() for modality in MODALITIES}
        self._unsaved = 0
        digest = view.snapshot()
        try:
            snapshot = self._snapshots.open(digest) if digest else None
        except UnusableSnapshot as error:
            logger.warning("%s: the index is built from the items", error)
            snapshot = None
        if snapshot is None or not view.continues_from(snapshot.position):
            return view.position()._replace(added=0)
        for block in snapshot.blocks:
            restore(self._indexes[block.modality], block)
        return snapshot.position

    def _valid(self, batch: CodeBatch) -> CodeBatch:
        """Return the streams whose codes are in the vocabulary: all but damaged ones.

        A damaged stream is left out of the search, so that the others can be searched.
        """
        index = self._indexes[batch.modality]
        if index.takes(batch.codes):
            return batch
        is_valid = np.array([index.takes(codes[None]) for codes in batch.codes])
        logger.error(
            "%s has %d %s streams with codes that its checkpoint does not have; they are not "
            "searched (keys %s): run srcid store verify",
            self._database.path,
            int((~is_valid).sum()),
            batch.modality,
            batch.keys[~is_valid][:LOGGED].tolist(),
        )
        return batch._replace(keys=batch.keys[is_valid], codes=batch.codes[is_valid])


def _name_snapshot(db: sqlite3.Connection, digest: str, position: Position) -> bool:
    """Name the snapshot to start from, and forget the removals before it."""
    db.execute("UPDATE state SET snapshot = ?", (digest,))
    db.execute("DELETE FROM removed WHERE number <= ?", (position.removed,))
    return True
