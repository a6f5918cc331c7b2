"""The database as a whole: copied while others write, put in the place of another."""

import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from app.errors import StoreUnavailable
from app.store.sqlite.database import unusable
from app.store.sqlite.schema import connect


def copy_database(source: Path, to: Path) -> None:
    """Write to ``to`` what is in ``source`` now, whatever others write to it meanwhile.

    Raises:
        StoreUnavailable: It cannot be read or written.
    """
    try:
        with closing(connect(source, read_only=True)) as read, closing(_plain(to)) as written:
            read.backup(written)
            _begin_history(written)
    except sqlite3.Error as error:
        raise unusable(source, error) from error


def replace_database(path: Path, by: Path) -> None:
    """Put what is in ``by`` in the place of what is in ``path``, at once.

    Processes that read ``path`` go on, with the new content. The caller holds the writer's lock.
    ``by`` gets a history of its own, so that no index takes the new content for the old one's
    future.

    Raises:
        StoreUnavailable: The disk does not take it; ``path`` is as it was.
    """
    try:
        with closing(_plain(by)) as source:
            _begin_history(source)
            with closing(connect(path, read_only=False)) as target:
                target.execute("PRAGMA synchronous = FULL")
                source.backup(target)
                target.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error as error:
        raise unusable(path, error) from error


def set_aside(path: Path) -> None:
    """Rename a database that cannot be read, with its logs: it is not lost, but in nobody's way.

    Raises:
        StoreUnavailable: The folder cannot be written to.
    """
    try:
        for ending in ("", "-wal", "-shm"):
            own = path.with_name(path.name + ending)
            with suppress(FileNotFoundError):
                own.rename(path.with_name(f"damaged-{own.name}"))
    except OSError as error:
        raise StoreUnavailable(f"{path} cannot be renamed ({error.strerror})") from error


def faults(path: Path) -> list[str]:
    """Return what SQLite finds wrong with a database; nothing where it is sound."""
    try:
        with closing(connect(path, read_only=True)) as db:
            rows = db.execute("PRAGMA integrity_check(20)").fetchall()
    except sqlite3.Error as error:
        return [str(error)]
    return [text for (text,) in rows if text != "ok"]


def _plain(path: Path) -> sqlite3.Connection:
    """Open a file that nobody else uses; it has no log beside it when it is closed."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA synchronous = FULL")
    return db


def _begin_history(db: sqlite3.Connection) -> None:
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version >= 3:  # older ones get theirs when they are brought up to date
        db.execute("UPDATE state SET history = random(), snapshot = NULL")
