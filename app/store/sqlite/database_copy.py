"""The database as a whole: copied during writes, and put in the place of another."""

import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from app.errors import StoreUnavailable
from app.store.sqlite.database import unusable
from app.store.sqlite.schema import connect


def copy_database(source: Path, to: Path) -> None:
    """Copy ``source`` as of now to ``to``, while others may write to it.

    Raises:
        StoreUnavailable: A file cannot be read or written.
    """
    try:
        with closing(connect(source, read_only=True)) as read, closing(_plain(to)) as written:
            read.backup(written)
            _begin_history(written)
    except sqlite3.Error as error:
        raise unusable(source, error) from error


def replace_database(path: Path, by: Path) -> None:
    """Replace the content of ``path`` with that of ``by``, in one transaction.

    Processes that read ``path`` continue with the new content. The caller holds the writer lock.
    ``by`` starts a new history, so that no index takes its content for later changes of ``path``.

    Raises:
        StoreUnavailable: The write failed; ``path`` is unchanged.
    """
    try:
        with closing(_plain(by)) as source:
            _begin_history(source)
            with closing(connect(path, read_only=False)) as target:
                # FULL does not sync that the rollback journal is gone: a power cut could bring it
                # back, and with it the old content.
                target.execute("PRAGMA synchronous = EXTRA")
                source.backup(target)
                target.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error as error:
        raise unusable(path, error) from error


def set_aside(path: Path) -> None:
    """Rename an unreadable database and its logs to ``damaged-...``, to make room for another.

    Raises:
        StoreUnavailable: The folder is not writable.
    """
    try:
        for ending in ("", "-wal", "-shm"):
            file = path.with_name(path.name + ending)
            with suppress(FileNotFoundError):
                file.rename(path.with_name(f"damaged-{file.name}"))
    except OSError as error:
        raise StoreUnavailable(f"{path} cannot be renamed ({error.strerror})") from error


def faults(path: Path) -> list[str]:
    """Return the faults that SQLite finds in a database; empty if it is sound."""
    try:
        with closing(connect(path, read_only=True)) as db:
            rows = db.execute("PRAGMA integrity_check(20)").fetchall()
    except sqlite3.Error as error:
        return [str(error)]
    return [text for (text,) in rows if text != "ok"]


def _plain(path: Path) -> sqlite3.Connection:
    """Open a file that nobody else uses, without a write-ahead log."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA synchronous = FULL")
    return db


def _begin_history(db: sqlite3.Connection) -> None:
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version >= 3:  # older ones get a history when they are upgraded
        db.execute("UPDATE state SET history = random(), snapshot = NULL")
