"""Search indexes that follow the database, in the process that writes and in those that read.

An index stands at a position of the database. Before each search the two are compared; where the
database has come further, the index first takes in what was added and removed. A search and what
it reads of the items are of the same moment, since the one is done inside a view of the other.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from app.errors import StoreUnavailable
from app.store.code_index import CodeIndex
from app.store.items import ItemDatabase
from app.store.schema import MODALITIES, STREAMS_EACH
from app.store.shared_lock import SharedLock
from app.store.views import CodeBatch, Position, View
from model.modality import Modality

logger = logging.getLogger(__name__)

Indexes = Mapping[Modality, CodeIndex]
TRIES = 3  # to search beside other searches while another process or thread writes


class FollowingIndexes:
    """An index a modality, of the items in ``database``. Any thread may search.

    Args:
        database: The items.
        make: Makes an empty index.
    """

    def __init__(self, database: ItemDatabase, make: Callable[[], CodeIndex]) -> None:
        self._database = database
        self._make = make
        self._lock = SharedLock()  # held alone while the indexes follow
        self._indexes: dict[Modality, CodeIndex] = {}
        self._position: Position | None = None

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

    def _follow(self, view: View) -> None:
        now, begun = view.position(), self._position
        if now == begun:
            return
        self._position = None  # for the case that it fails half-way: then all is read anew
        if begun is None or not view.leads_on_from(begun):
            self._indexes = {m: self._make() for m in MODALITIES}
            begun = Position(now.history, 0, now.removed)
        for stream in view.removed_since(begun):
            self._indexes[MODALITIES[stream % STREAMS_EACH]].remove(stream)
        for batch in view.code_batches(since=begun.added):
            self._check(batch)
            self._indexes[batch.modality].add(batch.keys, batch.codes)
        self._position = now

    def _check(self, batch: CodeBatch) -> None:
        """See that codes can be looked up in the vocabulary."""
        if not self._indexes[batch.modality].takes(batch.codes):
            raise StoreUnavailable(
                f"{self._database.path} has codes that its checkpoint does not have, such as those "
                f"of the {batch.modality} stream {batch.keys[0]}: see srcid store verify"
            )
