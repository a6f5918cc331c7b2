"""Backups: copies of a data directory that are data directories themselves.

A backup holds the items as of one moment, the stored media and the API keys. It omits what can be
derived (snapshots) or requested again (jobs). Its ``backup.json`` describes its content.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from app.auth.keys import FILE as KEYS
from app.errors import InvalidRequest, StoreUnavailable
from app.store.data_folder import become_writer, database_path, existing_database, reading
from app.store.sqlite.database_copy import copy_database, faults, replace_database, set_aside
from model.files import (
    PRIVATE,
    PRIVATE_FOLDER,
    atomic_folder,
    atomic_write,
    atomic_write_text,
    make_folder,
    sha256,
)

MEDIA, MANIFEST = "media", "backup.json"


class Backup(BaseModel):
    """The content of a backup."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    created: datetime
    fingerprint: str  # of the checkpoint
    items: int
    media_files: int  # including thumbnails
    media_bytes: int
    has_keys: bool
    sha256: str  # of the database


def back_up(folder: Path, to: Path) -> Backup:
    """Write a backup of the data directory ``folder`` to ``to``. Others may write meanwhile.

    Raises:
        InvalidRequest: ``to`` exists, or the disk rejects the write.
        StoreUnavailable: There is no index, or it cannot be read.
    """
    database = existing_database(folder)
    if to.exists():
        raise InvalidRequest(f"{to} exists: name a new folder for each backup")
    try:
        with atomic_folder(to, mode=PRIVATE_FOLDER) as new:
            copy_database(database, database_path(new))
            media = list(_copy_media(folder / MEDIA, new / MEDIA))
            if has_keys := (folder / KEYS).exists():
                _copy(folder / KEYS, new / KEYS)
            with reading(new) as index:
                manifest = Backup(
                    created=datetime.now(UTC).replace(microsecond=0),
                    fingerprint=index.fingerprint,
                    items=index.num_items,
                    media_files=len(media),
                    media_bytes=sum(media),
                    has_keys=has_keys,
                    sha256=sha256(database_path(new)),
                )
            atomic_write_text(new / MANIFEST, manifest.model_dump_json(indent=1), mode=PRIVATE)
    except OSError as error:
        raise InvalidRequest(
            f"cannot write {to} ({error.strerror}): free disk space, or name another folder"
        ) from error
    return manifest


def restore(backup: Path, folder: Path, *, replace: bool) -> Backup:
    """Replace the index of the data directory ``folder`` by a backup.

    Media are copied first, then all items are replaced at once: if it is interrupted, the index is
    the old one or the new one. API keys are restored only where there is no key file, so keys
    revoked since the backup stay revoked.

    Raises:
        InvalidRequest: ``folder`` has items and ``replace`` is false, or the backup is invalid.
        StoreUnavailable: Another process writes to ``folder``, or the disk rejects the write.
    """
    manifest = read_backup(backup)
    with closing(become_writer(folder)):
        database = database_path(folder)
        if database.exists() and not replace and (content := _content(folder)):
            raise InvalidRequest(
                f"{folder} has {content}: name another data directory (--data-dir), or say "
                "--replace to give these up"
            )
        try:
            for _ in _copy_media(backup / MEDIA, folder / MEDIA):
                pass
            if manifest.has_keys and not (folder / KEYS).exists():
                _copy(backup / KEYS, folder / KEYS)
            with tempfile.TemporaryDirectory(prefix=".restore-", dir=folder) as name:
                copy = Path(name) / database.name
                shutil.copyfile(database_path(backup), copy)
                if database.exists() and faults(database):
                    set_aside(database)
                replace_database(database, copy)
        except OSError as error:
            raise StoreUnavailable(
                f"cannot restore to {folder} ({error.strerror}): free disk space"
            ) from error
    return manifest


def read_backup(backup: Path) -> Backup:
    """Return the content of a backup, after checking its database.

    Raises:
        InvalidRequest: It is not a backup, or it is damaged.
    """
    try:
        manifest = Backup.model_validate_json((backup / MANIFEST).read_bytes())
        is_intact = sha256(database_path(backup)) == manifest.sha256
    except (OSError, ValidationError) as error:
        reason = error.strerror if isinstance(error, OSError) else "invalid content"
        raise InvalidRequest(
            f"{backup} is not a backup: cannot read {MANIFEST} or the database ({reason}); name a "
            "folder that srcid store backup wrote"
        ) from error
    if not is_intact:
        raise InvalidRequest(
            f"{database_path(backup)} has changed since the backup was written: it is damaged, or "
            "was used as a data directory; to keep these changes, copy the folder instead"
        )
    return manifest


def _content(folder: Path) -> str:
    """Return what a restore would replace, in words; empty if there are no items."""
    try:
        with reading(folder) as index:
            return f"{index.num_items} items" if index.num_items else ""
    except StoreUnavailable:
        return "a database that cannot be read"


def _copy_media(source: Path, to: Path) -> Iterator[int]:
    """Copy the files that ``to`` does not have; yield the size of each. Files never change."""
    for path in source.glob("*/[!.]*"):  # names with a dot are still being written
        target = to / path.relative_to(source)
        make_folder(target.parent)
        try:
            if not target.exists():
                _copy(path, target)
        except FileNotFoundError:
            continue  # its item has been deleted meanwhile
        yield target.stat().st_size


def _copy(path: Path, target: Path) -> None:
    with path.open("rb") as file, atomic_write(target, mode=PRIVATE) as copy:
        shutil.copyfileobj(file, copy)
