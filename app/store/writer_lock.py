"""One writing process a data directory."""

import fcntl
import os
from pathlib import Path

from app.errors import StoreUnavailable


class WriterLock:
    """Held from construction to ``close``, or to the end of the process however it ends.

    Raises:
        StoreUnavailable: Another process holds it; the message names that process.
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
        """Let others write. The file stays: removing it would race with who opens it."""
        self._file.close()
