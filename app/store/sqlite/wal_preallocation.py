"""Room in SQLite's write-ahead log, made before it is needed.

A commit appends to the log and waits for the disk. Where that makes the file longer, the file
system writes its own journal too and the wait is about twice as long; in a file that has been
written before it does not. What stands behind the last commit SQLite takes for the remains of
an earlier use of the log ("WAL-mode file format", 4.4), so zeros may stand there.
"""

import os
from contextlib import suppress
from pathlib import Path


def log_of(path: Path) -> Path:
    """Return where SQLite keeps the log of the database at ``path``."""
    return path.with_name(f"{path.name}-wal")


def make_room(path: Path, size: int) -> None:
    """Make the log of an open database ``size`` bytes long; leave it where the disk is full.

    Only the process that writes may do this, and only between transactions.
    """
    with suppress(OSError), log_of(path).open("ab") as log:
        before = log.tell()
        try:
            log.write(bytes(max(0, size - before)))
            log.flush()
            os.fdatasync(log.fileno())
        except OSError:
            log.truncate(before)
            raise
