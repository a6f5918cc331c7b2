"""Backups: a folder that is a data directory itself, and the way back.

A backup has the items of one moment, the media that were kept and the API keys; what can be
derived (snapshots) or asked for again (jobs) is left out. Beside these lies ``backup.json``, which
says what the backup should hold.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from app.errors import InvalidRequest, StoreUnavailable
from app.store.data_folder import become_writer, database_path, existing_database, reading
from app.store.sqlite.database_copy import copy_database, faults, replace_database, set_aside
from model.files import PRIVATE, atomic_write, sha256, sync_folder

MEDIA, KEYS, MANIFEST = "media", "keys.json", "backup.json"


class Backup(BaseModel):
    """What a backup holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    created: datetime
    fingerprint: str  # of the checkpoint
    items: int
    media_files: int  # thumbnails are files too
    media_bytes: int
    has_keys: bool
    sha256: str  # of the database


def back_up(folder: Path, to: Path) -> Backup:
    """Write a backup of the data directory ``folder`` to ``to``, while others may write to it.

    Raises:
        InvalidRequest: ``to`` is there already, or its disk does not take it.
        StoreUnavailable: There is no index, or it cannot be read.
    """
    database = existing_database(folder)
    if to.exists():
        raise InvalidRequest(f"{to} is there already: name a folder that is not, for each backup")
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f".{to.name}-", dir=to.parent))
        try:
            copy_database(database, database_path(aside))
            media = list(_copy_media(folder / MEDIA, aside / MEDIA))
            if has_keys := (folder / KEYS).exists():
                shutil.copy(folder / KEYS, aside / KEYS)  # with its permissions
            with reading(aside) as found:
                made = Backup(
                    created=datetime.now(UTC).replace(microsecond=0),
                    fingerprint=found.fingerprint,
                    items=found.num_items,
                    media_files=len(media),
                    media_bytes=sum(media),
                    has_keys=has_keys,
                    sha256=sha256(database_path(aside)),
                )
            with atomic_write(aside / MANIFEST, mode=PRIVATE) as file:
                file.write(made.model_dump_json(indent=1).encode())
            aside.rename(to)
            sync_folder(to.parent)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    except OSError as error:
        raise InvalidRequest(
            f"{to} cannot be written ({error.strerror}): free its disk, or name another folder"
        ) from error
    return made


def restore(backup: Path, folder: Path, *, replace: bool) -> Backup:
    """Put a backup in the place of what is in the data directory ``folder``.

    Media come first, then the items, at once: whatever interrupts it, the index is the old one or
    the new one. API keys come back only where there are none: one that was revoked since stays so.

    Raises:
        InvalidRequest: ``folder`` has items and ``replace`` is false, or the backup is none.
        StoreUnavailable: Another process writes to ``folder``, or the disk does not take it.
    """
    made = read_backup(backup)
    with closing(become_writer(folder)):
        database = database_path(folder)
        if database.exists() and not replace and (count := _count(folder)):
            raise InvalidRequest(
                f"{folder} has {count}: name another data directory (--data-dir), or say "
                "--replace to give these up"
            )
        try:
            for _ in _copy_media(backup / MEDIA, folder / MEDIA):
                pass
            if made.has_keys and not (folder / KEYS).exists():
                shutil.copy(backup / KEYS, folder / KEYS)
            with tempfile.TemporaryDirectory(prefix=".restore-", dir=folder) as name:
                copy = Path(name) / database.name
                shutil.copyfile(database_path(backup), copy)
                if database.exists() and faults(database):
                    set_aside(database)
                replace_database(database, copy)
        except OSError as error:
            raise StoreUnavailable(
                f"{folder} does not take the backup ({error.strerror}): free its disk"
            ) from error
    return made


def read_backup(backup: Path) -> Backup:
    """Return what a backup holds, when its database is what was written.

    Raises:
        InvalidRequest: It is no backup, or a damaged one.
    """
    try:
        made = Backup.model_validate_json((backup / MANIFEST).read_bytes())
        is_whole = sha256(database_path(backup)) == made.sha256
    except (OSError, ValidationError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not what was written"
        raise InvalidRequest(
            f"{backup} is no backup: {MANIFEST} or the database cannot be read ({reason}); name a "
            "folder that srcid store backup wrote"
        ) from error
    if not is_whole:
        raise InvalidRequest(
            f"{database_path(backup)} is not what was written: the backup is damaged, or was used "
            "as a data directory; if that is meant, copy the folder in place of restoring it"
        )
    return made


def _count(folder: Path) -> str:
    try:
        with reading(folder) as found:
            return f"{found.num_items} items" if found.num_items else ""
    except StoreUnavailable:
        return "a database that cannot be read"


def _copy_media(source: Path, to: Path) -> Iterator[int]:
    """Copy the files that are not there yet; yield the size of each. Files never change."""
    for path in source.glob("*/*"):
        target = to / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            if not target.exists():
                with path.open("rb") as file, atomic_write(target, mode=PRIVATE) as written:
                    shutil.copyfileobj(file, written)
        except FileNotFoundError:
            continue  # its item was deleted meanwhile
        yield target.stat().st_size
