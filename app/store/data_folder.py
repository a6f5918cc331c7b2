"""The data directory: the paths in it, the lock of its one writer, and a look at its items."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from app.errors import StoreUnavailable
from app.store.base import Item
from app.store.sqlite.database import ItemDatabase
from model.files import make_folder


def database_path(folder: Path) -> Path:
    """Return the path of the database in ``folder``."""
    return folder / "items.sqlite3"


def existing_database(folder: Path) -> Path:
    """Return the path of the database in ``folder``.

    Raises:
        StoreUnavailable: There is none.
    """
    path = database_path(folder)
    if not path.exists():
        raise StoreUnavailable(
            f"{folder} holds no index: index a folder of media first (srcid index), or name "
            "another data directory (SRCID_DATA_DIR, --data-dir)"
        )
    return path


class WriterLock:
    """One writing process per folder: held until ``close`` or the end of the process.

    Raises:
        StoreUnavailable: Another process holds the lock; the message names it.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / "writer.lock"
        self._file = path.open("a+")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.seek(0)
            holder = self._file.read().strip() or "unknown"
            self._file.close()
            raise StoreUnavailable(
                f"another process (pid {holder}) writes to {folder}: stop it, or choose another "
                "data directory (SRCID_DATA_DIR, --data-dir)"
            ) from None
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()

    def close(self) -> None:
        """Release the lock. The file stays: deleting it would race with a process opening it."""
        self._file.close()


def become_writer(folder: Path) -> WriterLock:
    """Create the folder if missing, and lock out other writing processes.

    Raises:
        StoreUnavailable: Another process writes to the folder, or it is not writable.
    """
    try:
        make_folder(folder)
        return WriterLock(folder)
    except OSError as error:
        raise StoreUnavailable(
            f"{folder} cannot be used as data directory ({error.strerror}): make it writable, or "
            "choose another (SRCID_DATA_DIR, --data-dir)"
        ) from error


class Reading(NamedTuple):
    """The content of a database."""

    fingerprint: str  # of the checkpoint; empty before the first item
    num_items: int
    items: Iterator[Item]  # by id; valid inside ``with reading(...)`` only


@contextmanager
def reading(folder: Path) -> Iterator[Reading]:
    """Yield all items in ``folder`` as of now, without a checkpoint and despite later writes.

    Raises:
        StoreUnavailable: There is no index, or it is damaged.
    """
    database = ItemDatabase(existing_database(folder), fingerprint=None, read_only=True)
    with closing(database), database.view() as view:
        yield Reading(view.fingerprint(), view.count(), view.all())
