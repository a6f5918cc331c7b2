"""The items in SQLite: durable on return.

WAL with full synchronisation: a commit is on the disk before the call returns, and a process
killed at any moment leaves a database that opens with every committed item.
"""

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from pydantic import JsonValue
from pydantic_core import PydanticSerializationError, to_json

from app.errors import IndexMismatch, ItemExists, StoreUnavailable
from app.store.base import PLACES, Item
from app.store.sqlite.group_commit import GroupCommit
from app.store.sqlite.schema import STREAMS_EACH, connect, prepare
from app.store.sqlite.views import View

Edit = Callable[[sqlite3.Connection], bool]  # returns whether it changed anything


class ItemDatabase:
    """The items of one checkpoint. Any thread may read and write.

    Args:
        path: The file; made where it is missing.
        fingerprint: The checkpoint in use. A database without items takes any. None leaves it
            open: for who does not look into the codes.
        read_only: Whether another process may be the writer; nothing is changed then.

    Raises:
        IndexMismatch: The items were encoded with another checkpoint.
        StoreUnavailable: The file is damaged, cannot be written, or is of a newer version.
    """

    def __init__(self, path: Path, *, fingerprint: str | None, read_only: bool) -> None:
        self.path = path
        self._read_only = read_only
        self._is_closed = False
        self._idle: list[sqlite3.Connection] = []  # for reading; a view takes one
        self._commits = GroupCommit[Edit, bool](self._commit)
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
        """Yield the items as of now; what is committed meanwhile is not seen.

        Raises:
            StoreUnavailable: The file cannot be read.
        """
        if self._is_closed:
            raise StoreUnavailable(f"{self.path} has been closed: the service is being stopped")
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
                self._give_back(db)

    def put_all(self, items: Sequence[Item], *, replace: bool) -> None:
        """Write all ``items`` or none; where an id exists, replace all that was kept under it.

        Raises:
            ItemExists: An id exists, or comes twice, and ``replace`` is false.
            StoreUnavailable: They could not be written; nothing has changed.
        """
        if replace:
            items = list({item.id: item for item in items}.values())
        self.edit(lambda db: _put_all(db, items, replace=replace))

    def delete(self, item_id: str) -> bool:
        """Remove the item of that id; return whether there was one."""
        return self.edit(
            lambda db: bool(db.execute("DELETE FROM items WHERE id = ?", (item_id,)).rowcount)
        )

    def edit(self, edit: Edit) -> bool:
        """Commit what ``edit`` does, with the edits of other threads; return what it returns.

        Raises:
            StoreUnavailable: It could not be written; nothing has changed.
        """
        if self._read_only:
            raise StoreUnavailable(f"{self.path} was opened for reading only")
        return self._commits.submit(edit)

    @contextmanager
    def alone(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection that writes, outside of a transaction; all edits wait meanwhile.

        Raises:
            StoreUnavailable: SQLite fails.
        """
        with self._commits.held():
            try:
                yield self._writer
            except sqlite3.Error as error:
                raise unusable(self.path, error) from error

    def close(self) -> None:
        """Close the file when what is being committed is."""
        self._is_closed = True
        self._close_readers()
        with self._commits.held():
            self._writer.close()

    def _stamp(self, fingerprint: str) -> None:
        """Hold the items to the checkpoint that made them."""
        with self.view() as view:
            stamped = view.fingerprint()
            count = view.count() if stamped != fingerprint else 0
        if count:
            folder = self.path.parent
            raise IndexMismatch(
                f"the {count} items in {folder} were encoded with checkpoint {stamped}, but "
                f"{fingerprint} is in use: use the old checkpoint (SRCID_CHECKPOINT, "
                "--checkpoint), encode them anew from the kept media (srcid store rebuild), or "
                "index the media again in another data directory (SRCID_DATA_DIR, --data-dir)"
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
            with suppress(sqlite3.Error):  # what cannot be rolled back is when it is opened next
                if db.in_transaction:  # SQLite itself rolls some failures back
                    db.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                raise unusable(self.path, error) from error
            raise
        return results

    def _give_back(self, db: sqlite3.Connection) -> None:
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
    """Return what to tell of a database that SQLite has failed on."""
    return StoreUnavailable(
        f"{path} cannot be used ({error}): free its disk, restore it from a backup (srcid store "
        "restore), or choose another data directory (SRCID_DATA_DIR, --data-dir)"
    )


def _set_fingerprint(db: sqlite3.Connection, fingerprint: str) -> bool:
    db.execute("UPDATE state SET fingerprint = ?", (fingerprint,))
    return True


def _put_all(db: sqlite3.Connection, items: Sequence[Item], *, replace: bool) -> bool:
    if replace:
        db.executemany("DELETE FROM items WHERE id = ?", [(item.id,) for item in items])
    sequence = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'items'").fetchone()
    first = sequence[0] + 1 if sequence else 1
    try:
        db.executemany(
            "INSERT INTO items (key, id, text, sha256, metadata) VALUES (?, ?, ?, ?, ?)",
            [
                (key, own.id, own.text, bytes.fromhex(own.sha256), _json(own.metadata))
                for key, own in enumerate(items, first)
            ],
        )
    except sqlite3.IntegrityError:
        raise ItemExists(_taken(db, items, first)) from None
    db.executemany(
        "INSERT INTO streams (key, code_rows, codes, duration_seconds) VALUES (?, ?, ?, ?)",
        [
            (
                STREAMS_EACH * key + PLACES[modality],
                len(stream.codes),
                np.asarray(stream.codes, "<i2").tobytes(),
                stream.duration_seconds,
            )
            for key, own in enumerate(items, first)
            for modality, stream in own.streams.items()
        ],
    )
    return True


def _json(metadata: Mapping[str, JsonValue]) -> str:
    """Return JSON, five times as fast as the library's own."""
    try:
        return to_json(dict(metadata)).decode()
    except PydanticSerializationError:  # half a pair of surrogates, which has to be escaped
        return json.dumps(dict(metadata))


def _taken(db: sqlite3.Connection, items: Sequence[Item], first: int) -> str:
    """Return the first id that was there before key ``first``, or comes a second time."""
    seen: set[str] = set()
    there = "SELECT 1 FROM items WHERE id = ? AND key < ?"
    for item in items:
        if item.id in seen or db.execute(there, (item.id, first)).fetchone():
            return item.id
        seen.add(item.id)
    raise AssertionError("no id is taken")
