"""Items whose files are gone: what earlier runs over a folder indexed, and the folder lacks now."""

import hashlib
import json
import os
from collections.abc import Collection, Iterable
from pathlib import Path

from app.indexing.run import FileToIndex, former_id
from model.files import atomic_write_text


class IndexedIds:
    """The ids of the items that runs over one folder or manifest made.

    Items of other folders, and items that were added by a request, are never among them.

    Args:
        data_dir: The data directory; the ids are in a file of its folder ``indexed``.
        source: The folder or manifest.
    """

    def __init__(self, data_dir: Path, source: Path) -> None:
        name = hashlib.sha256(os.fsencode(source.resolve())).hexdigest()[:16]
        self._file = data_dir / "indexed" / f"{name}.json"

    def all(self) -> set[str]:
        """Return the ids."""
        return set(json.loads(self._file.read_text())) if self._file.exists() else set()

    def write(self, ids: Collection[str]) -> None:
        """Replace the ids."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        atomic_write_text(self._file, json.dumps(sorted(ids)))


def without_file(ids: Iterable[str], files: Iterable[FileToIndex]) -> list[str]:
    """Return those of the ids that no file has, or had in version 0.1, in order."""
    present = {name for file in files for name in (file.item_id, former_id(file.label))}
    return sorted(set(ids) - present)
