"""Files: atomic, durable writes, digests of what files hold, and texts that name one."""

import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

PRIVATE = 0o600  # mode of files that only their owner may read
PRIVATE_FOLDER = 0o700
MEDIA_FILE = re.compile(  # no sentence ends like this, with no space in it
    r"(?i)[^\s\0]{1,250}\.(mp4|webm|mov|mkv|avi|wav|mp3|flac|ogg|m4a|jpg|jpeg|png|webp|gif)"
)
TEMPORARY = ".partial-"  # how the names of files and folders begin that are being written


@contextmanager
def atomic_path(path: Path, *, mode: int = 0o644) -> Iterator[Path]:
    """Yield the path of an empty file that replaces ``path`` when the context ends without error.

    For libraries that open files themselves; see ``atomic_write``.
    """
    descriptor, name = tempfile.mkstemp(prefix=TEMPORARY, dir=path.parent)
    os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(mode)
        _sync(temporary)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


@contextmanager
def atomic_write(path: Path, *, mode: int = 0o644) -> Iterator[BinaryIO]:
    """Yield a file that replaces ``path`` when the context ends without an error.

    Readers see the old file or the new one, never a part, also after a power failure. The folder
    must exist.

    Args:
        path: The file to write.
        mode: Its permissions.

    Raises:
        OSError: The disk rejects the write; ``path`` is unchanged.
    """
    with atomic_path(path, mode=mode) as temporary, temporary.open("wb") as file:
        yield file


def atomic_write_text(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Replace ``path`` by ``text`` in UTF-8; see ``atomic_write``."""
    with atomic_write(path, mode=mode) as file:
        file.write(text.encode())


@contextmanager
def atomic_folder(folder: Path, *, mode: int = 0o755) -> Iterator[Path]:
    """Yield an empty folder that replaces ``folder`` when the context ends without an error.

    Missing parents are created. An existing folder is moved into a temporary one beside it, where
    it stays if a crash comes before the new folder has its name.

    Args:
        folder: The folder to write.
        mode: Its permissions.

    Raises:
        OSError: The disk rejects the write; ``folder`` is unchanged.
    """
    make_folder(folder.parent)
    with tempfile.TemporaryDirectory(prefix=TEMPORARY, dir=folder.parent) as name:
        new, old = Path(name) / "new", Path(name) / "old"
        new.mkdir()
        yield new
        new.chmod(mode)
        for path in (*new.rglob("*"), new):
            _sync(path)
        with suppress(FileNotFoundError):
            folder.rename(old)
        try:
            new.rename(folder)
        except OSError:
            if old.exists():
                old.rename(folder)
            raise
    sync_folder(folder.parent)


def make_folder(folder: Path) -> None:
    """Create ``folder``, and its parents, where missing; its name survives a power failure.

    It is synced even where it exists: a process that was killed may have made it just before.
    """
    if not folder.parent.exists():
        make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    with suppress(PermissionError):  # a parent that this user may not read was made by another
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make renames and removals in ``folder`` survive a power failure."""
    _sync(folder)


def sha256(source: bytes | Path | str) -> str:
    """Return the hex digest of media (bytes or a file) or of a sentence."""
    if isinstance(source, Path):
        with source.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    data = source.encode() if isinstance(source, str) else source
    return hashlib.sha256(data).hexdigest()


def _sync(path: Path) -> None:
    """Put a file or folder on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def names_file(text: str) -> bool:
    """Return whether a text is the path of a file, by mistake given as a sentence.

    It is if such a file exists, or if it has the suffix of media and no space. A bare word is
    always a sentence, whatever files the current folder has.
    """
    if MEDIA_FILE.fullmatch(text):
        return True
    path = Path(text)
    try:
        return (path.suffix != "" or len(path.parts) > 1) and path.is_file()
    except OSError:  # too long for a path
        return False


def check_sentence(source: object) -> None:
    """Check that a source, if it is a sentence, is not the path of a file.

    Raises:
        TypeError: It is one.
    """
    if isinstance(source, str) and names_file(source):
        raise TypeError(
            f"{source!r} names a file, but a str is taken as a sentence: give it as a path, "
            f"pathlib.Path({source!r})"
        )
