"""The data directory: where its files are, and who writes to it."""

from pathlib import Path

from app.errors import StoreUnavailable
from app.store.writer_lock import WriterLock


def database_path(folder: Path) -> Path:
    """Return where the items of ``folder`` are."""
    return folder / "items.sqlite3"


def existing_database(folder: Path) -> Path:
    """Return where the items of ``folder`` are.

    Raises:
        StoreUnavailable: There are none.
    """
    path = database_path(folder)
    if not path.exists():
        raise StoreUnavailable(
            f"{folder} holds no index: index a folder of media first (srcid index), or name "
            "another data directory (SRCID_DATA_DIR, --data-dir)"
        )
    return path


def become_writer(folder: Path) -> WriterLock:
    """Make the folder where it is missing, and keep other processes from writing to it.

    Raises:
        StoreUnavailable: Another process writes to it, or it cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return WriterLock(folder)
    except OSError as error:
        raise StoreUnavailable(
            f"{folder} cannot be used as data directory ({error.strerror}): make it writable, or "
            "choose another (SRCID_DATA_DIR, --data-dir)"
        ) from error
