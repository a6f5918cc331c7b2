"""The one folder of the server that jobs may read."""

import logging
from pathlib import Path

from app.errors import InvalidRequest

logger = logging.getLogger(__name__)

MANIFESTS = {".csv", ".jsonl"}


class MediaRoot:
    """Resolves paths below ``root``, following links before checking where they lead.

    Paths outside and paths that do not exist get the same error, so that nobody learns what
    exists elsewhere.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().resolve()
        if not self.root.is_dir():  # it may still be mounted
            logger.warning(
                "SRCID_MEDIA_ROOT is %s, which is not a folder: jobs find no files", root
            )

    def folder(self, name: str) -> Path:
        """Return a folder by its path below the root; "" is the root itself.

        Raises:
            InvalidRequest: It does not exist below the root.
        """
        path = self._below(name)
        if path is None or not path.is_dir():
            raise InvalidRequest(
                f"there is no folder {name!r} below the media root: name one by its path from "
                "there (SRCID_MEDIA_ROOT)"
            )
        return path

    def manifest(self, name: str) -> Path:
        """Return a manifest by its path below the root.

        Raises:
            InvalidRequest: It does not exist below the root.
        """
        path = self._below(name)
        if path is None or not path.is_file() or path.suffix.lower() not in MANIFESTS:
            raise InvalidRequest(
                f"there is no manifest {name!r} below the media root: name a .csv or .jsonl file "
                "by its path from there (SRCID_MEDIA_ROOT)"
            )
        return path

    def file(self, path: Path) -> Path:
        """Return the file that ``path`` resolves to.

        Raises:
            InvalidRequest: It is not a file below the root.
        """
        file = self._below(str(path))
        if file is None or not file.is_file():
            raise InvalidRequest("there is no such file below the media root")
        return file

    def name_of(self, path: Path) -> str:
        """Return the path from the root, "" for the root itself."""
        name = str(path.relative_to(self.root))
        return "" if name == "." else name

    def _below(self, name: str) -> Path | None:
        try:
            path = (self.root / name).resolve(strict=True)
        except (OSError, ValueError, RuntimeError):  # missing, contains NUL, a loop of links
            return None
        return path if path.is_relative_to(self.root) else None
