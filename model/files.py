"""Files: atomic, durable writes, and digests of what files hold."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

PRIVATE = 0o600  # mode of files that only their owner may read


@contextmanager
def atomic_write(path: Path, *, mode: int = 0o644) -> Iterator[BinaryIO]:
    """Yield a file that replaces ``path`` when the context ends without an error.

    A reader, also one after a power cut, sees the old file or the new one, never a part. The
    folder must exist.

    Args:
        path: The file to write.
        mode: Its permissions.

    Raises:
        OSError: The disk does not take it; ``path`` is unchanged.
    """
    descriptor, name = tempfile.mkstemp(prefix=".", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames and removals in ``folder`` survive a power cut (fsync of the directory)."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256(source: bytes | Path | str) -> str:
    """Return the hex digest of media (bytes or a file) or of a sentence."""
    if isinstance(source, Path):
        with source.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    data = source.encode() if isinstance(source, str) else source
    return hashlib.sha256(data).hexdigest()
