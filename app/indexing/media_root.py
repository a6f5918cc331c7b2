"""The one folder of the server that requests may name: nothing outside of it is read."""

import logging
from pathlib import Path

from app.errors import InvalidRequest

logger = logging.getLogger(__name__)

MANIFESTS = {".csv", ".jsonl"}


class MediaRoot:
    """Paths below ``root``; links are followed before it is judged where they lead.

    What lies outside and what is not there are refused in the same words, so that nobody
    learns what there is elsewhere.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().resolve()
        if not self.root.is_dir():  # which may still be mounted
            logger.warning("SRCID_MEDIA_ROOT is %s, where no folder is: jobs find nothing", root)

    def folder(self, name: str) -> Path:
        """Return the folder of that name, "" being the root itself.

        Raises:
            InvalidRequest: There is none below the root.
        """
        path = self._below(name)
        if path is None or not path.is_dir():
            raise InvalidRequest(
                f"there is no folder {name!r} below the media root: name one by its path from "
                "there (SRCID_MEDIA_ROOT)"
            )
        return path

    def manifest(self, name: str) -> Path:
        """Return the manifest of that name.

        Raises:
            InvalidRequest: There is none below the root.
        """
        path = self._below(name)
        if path is None or not path.is_file() or path.suffix.lower() not in MANIFESTS:
            raise InvalidRequest(
                f"there is no manifest {name!r} below the media root: name a .csv or .jsonl file "
                "by its path from there (SRCID_MEDIA_ROOT)"
            )
        return path

    def file(self, path: Path) -> Path:
        """Return the file that ``path`` leads to.

        Raises:
            InvalidRequest: It is none below the root.
        """
        found = self._below(str(path))
        if found is None or not found.is_file():
            raise InvalidRequest("there is no such file below the media root")
        return found

    def name_of(self, path: Path) -> str:
        """Return the path from the root, "" for the root itself."""
        name = str(path.relative_to(self.root))
        return "" if name == "." else name

    def _below(self, name: str) -> Path | None:
        try:
            path = (self.root / name).resolve(strict=True)
        except (OSError, ValueError, RuntimeError):  # not there, a NUL in it, links in a circle
            return None
        return path if path.is_relative_to(self.root) else None
