"""The items in SQLite: durable on return.

WAL with full synchronisation: a commit is on disk before the call returns. A process killed at
any moment leaves a database that opens with every committed item. One disk synchronisation serves
the edits of many threads.
"""

import json
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from pydantic import JsonValue
from pydantic_core import PydanticSerializationError, to_json

from app.errors import IndexMismatch, ItemExists, ServiceError, StoreUnavailable
from app.store.base import PLACES, Item
from app.store.mismatch import old_checkpoint
from app.store.sqlite.schema import STREAMS_EACH, connect, prepare
from app.store.sqlite.views import View

Edit = Callable[[sqlite3.Connection], bool]  # returns whether it changed anything


class _Ticket:
    """An edit and its outcome."""

    def __init__(self, edit: Edit) -> None:
        self.edit = edit
        self.results: list[bool] = []  # one, once it is committed
        self.error: ServiceError | None = None

    @property
    def is_done(self) -> bool:
        return bool(self.results) or self.error is not None


class GroupCommit:
    """Commits edits in order of arrival, and simultaneous edits together.

    While one thread commits, the edits of others queue; the next thread commits all of them.
    Edits that fail together are committed one by one, so that only the faulty one fails.

    Args:
        commit: Commits all edits and returns the result of each, or raises and commits none. Only
            one call runs at a time.
    """

    def __init__(self, commit: Callable[[Sequence[Edit]], list[bool]]) -> None:
        self._commit = commit
        self._waiting: deque[_Ticket] = deque()
        self._turn = threading.Lock()  # held by the thread that commits

    def submit(self, edit: Edit) -> bool:
        """Return the result of ``edit`` once it is committed; raise what ``commit`` raises."""
        ticket = _Ticket(edit)
        self._waiting.append(ticket)
        with self._turn:
            if not ticket.is_done:
                self._take_all(ticket)
        if ticket.error:
            raise ticket.error
        return ticket.results[0]

    @contextmanager
    def held(self) -> Iterator[None]:
        """Block all commits; submitted edits wait."""
        with self._turn:
            yield

    def _take_all(self, current: _Ticket) -> None:
        tickets = [self._waiting.popleft() for _ in range(len(self._waiting))]
        try:
            self._settle(tickets)
        finally:  # an interrupted thread leaves unfinished edits to the next one
            others = (ticket for ticket in reversed(tickets) if ticket is not current)
            self._waiting.extendleft(ticket for ticket in others if not ticket.is_done)

    def _settle(self, tickets: Sequence[_Ticket]) -> None:
        try:
            results = self._commit([ticket.edit for ticket in tickets])
        except ServiceError as error:
            if len(tickets) == 1:
                tickets[0].error = error
                return
            for ticket in tickets:
                self._settle([ticket])
            return
        for ticket, result in zip(tickets, results, strict=True):
            ticket.results.append(result)


class ItemDatabase:
    """The items of one checkpoint. Any thread may read and write.

    Args:
        path: The file; created if missing.
        fingerprint: The checkpoint in use. A database without items takes any. None skips the
            check, for callers that do not interpret the codes.
        read_only: Change nothing; another process may be the writer.

    Raises:
        IndexMismatch: The items were encoded with another checkpoint.
        StoreUnavailable: The file is damaged, not writable, or of a newer version.
    """

    def __init__(self, path: Path, *, fingerprint: str | None, read_only: bool) -> None:
        self.path = path
        self._read_only = read_only
        self._is_closed = False
        self._idle: list[sqlite3.Connection] = []  # for reading; each view takes one
        self._commits = GroupCommit(self._commit)
        try:
            self._writer = connect(path, read_only=read_only)
        except sqlite3.Error as error:
            raise unusable(path, error) from error
        try:
            prepare(self._writer, path, read_only=read_only)
            if fingerprint is not None:
                self._stamp(fingerprint)
        except sqlite3.Error as error:
            self.close()
            raise unusable(path, error) from error
        except BaseException:
            self.close()
            raise

    @contextmanager
    def view(self) -> Iterator[View]:
        """Yield the items as of now; later commits are not visible.

        Raises:
            StoreUnavailable: The file cannot be read.
        """
        if self._is_closed:
            raise StoreUnavailable(f"{self.path} is closed: the service is shutting down")
        db: sqlite3.Connection | None = None
        try:
            db = self._reader()
            db.execute("BEGIN")
            yield View(db)
            db.execute("COMMIT")
        except sqlite3.Error as error:
            raise unusable(self.path, error) from error
        finally:
            if db is not None:
                self._return(db)

    def put_all(self, items: Sequence[Item], *, replace: bool, delete: Sequence[str] = ()) -> None:
        """Write all ``items`` or none; if an id exists, replace everything under it.

        The items of the ids ``delete`` are removed in the same transaction.

        Raises:
            ItemExists: An id exists, or comes twice, and ``replace`` is false.
            StoreUnavailable: The write failed; nothing has changed.
        """
        if replace:
            items = list({item.id: item for item in items}.values())
        self.edit(lambda db: _put_all(db, items, replace=replace, delete=delete))

    def delete(self, item_id: str) -> bool:
        """Delete the item with that id; return whether it existed."""
        return self.edit(
            lambda db: bool(db.execute("DELETE FROM items WHERE id = ?", (item_id,)).rowcount)
        )

    def edit(self, edit: Edit) -> bool:
        """Commit ``edit``, together with those of other threads; return its result.

        Raises:
            StoreUnavailable: The write failed; nothing has changed.
        """
        if self._read_only:
            raise StoreUnavailable(f"{self.path} was opened read-only")
        return self._commits.submit(edit)

    @contextmanager
    def exclusive(self) -> Iterator[sqlite3.Connection]:
        """Yield the writing connection, outside of a transaction; edits wait meanwhile.

        Raises:
            StoreUnavailable: SQLite fails.
        """
        with self._commits.held():
            try:
                yield self._writer
            except sqlite3.Error as error:
                raise unusable(self.path, error) from error

    def close(self) -> None:
        """Close the file after the commit in progress."""
        self._is_closed = True
        self._close_readers()
        with self._commits.held():
            self._writer.close()

    def _stamp(self, fingerprint: str) -> None:
        """Check that the checkpoint made the items, or record it."""
        with self.view() as view:
            stamped = view.fingerprint()
            count = view.count() if stamped != fingerprint else 0
        if count:
            folder = self.path.parent
            raise IndexMismatch(
                f"the {count} items in {folder} were encoded with checkpoint {stamped}, but "
                f"{fingerprint} is in use: {old_checkpoint(stamped)}, encode them again from the "
                "stored media (srcid store rebuild), or index the media again in another data "
                "directory (SRCID_DATA_DIR, --data-dir)"
            )
        if stamped != fingerprint and not self._read_only:
            self._commit([lambda db: _set_fingerprint(db, fingerprint)])

    def _commit(self, edits: Sequence[Edit]) -> list[bool]:
        db = self._writer
        try:
            db.execute("BEGIN IMMEDIATE")
            results = [edit(db) for edit in edits]
            db.execute("COMMIT")
        except BaseException as error:
            with suppress(sqlite3.Error):  # else SQLite rolls it back at the next open
                if db.in_transaction:  # SQLite rolls some failures back itself
                    db.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                raise unusable(self.path, error) from error
            raise
        return results

    def _return(self, db: sqlite3.Connection) -> None:
        try:
            if db.in_transaction:
                db.execute("ROLLBACK")
        except sqlite3.Error:
            db.close()
            return
        self._idle.append(db)
        if self._is_closed:
            self._close_readers()

    def _reader(self) -> sqlite3.Connection:
        try:
            return self._idle.pop()
        except IndexError:
            return connect(self.path, read_only=True)

    def _close_readers(self) -> None:
        with suppress(IndexError):
            while True:
                self._idle.pop().close()


def unusable(path: Path, error: sqlite3.Error) -> StoreUnavailable:
    """Return the error for a database on which SQLite has failed."""
    return StoreUnavailable(
        f"{path} cannot be used ({error}): free its disk, restore it from a backup (srcid store "
        "restore), or choose another data directory (SRCID_DATA_DIR, --data-dir)"
    )


def _set_fingerprint(db: sqlite3.Connection, fingerprint: str) -> bool:
    db.execute("UPDATE state SET fingerprint = ?", (fingerprint,))
    return True


def _put_all(
    db: sqlite3.Connection, items: Sequence[Item], *, replace: bool, delete: Sequence[str]
) -> bool:
    removed = [*delete, *(item.id for item in items if replace)]
    db.executemany("DELETE FROM items WHERE id = ?", [(item_id,) for item_id in removed])
    sequence = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'items'").fetchone()
    first = sequence[0] + 1 if sequence else 1
    try:
        db.executemany(
            "INSERT INTO items (key, id, text, sha256, metadata) VALUES (?, ?, ?, ?, ?)",
            [
                (key, item.id, item.text, bytes.fromhex(item.sha256), _json(item.metadata))
                for key, item in enumerate(items, first)
            ],
        )
    except sqlite3.IntegrityError:
        raise ItemExists(_first_taken(db, items, first)) from None
    db.executemany(
        "INSERT INTO streams (key, code_rows, codes, duration_seconds) VALUES (?, ?, ?, ?)",
        [
            (
                STREAMS_EACH * key + PLACES[modality],
                len(stream.codes),
                np.asarray(stream.codes, "<i2").tobytes(),
                stream.duration_seconds,
            )
            for key, item in enumerate(items, first)
            for modality, stream in item.streams.items()
        ],
    )
    return True


def _json(metadata: Mapping[str, JsonValue]) -> str:
    """Return JSON, five times as fast as ``json.dumps``."""
    try:
        return to_json(dict(metadata)).decode()
    except PydanticSerializationError:  # a lone surrogate, which has to be escaped
        return json.dumps(dict(metadata))


def _first_taken(db: sqlite3.Connection, items: Sequence[Item], first: int) -> str:
    """Return the first id that existed before key ``first``, or comes a second time."""
    seen: set[str] = set()
    existing = "SELECT 1 FROM items WHERE id = ? AND key < ?"
    for item in items:
        if item.id in seen or db.execute(existing, (item.id, first)).fetchone():
            return item.id
        seen.add(item.id)
    raise AssertionError("no id is taken")
