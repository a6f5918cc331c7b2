"""What earlier runs over files left: which files did not decode, and which items were made."""

import hashlib
import json
import os
import threading
from collections.abc import Collection, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Self

from app.indexing.run import FileToIndex, former_id
from app.settings import Settings
from model.files import atomic_write_text


class KnownFailures:
    """Why files failed, by digest, in ``failures.jsonl`` of the data directory.

    Only what this version said under these limits counts. For any thread.

    Args:
        settings: Say where the file is, and the limits.
        retry: Forget all failures.
    """

    def __init__(self, settings: Settings, *, retry: bool = False) -> None:
        limits = {name: value for name, value in settings if name.startswith("max_")}
        self._made_by = json.dumps({"version": version("srcid"), **limits}, sort_keys=True)
        path = settings.data_dir / "failures.jsonl"
        self._details = {} if retry else self._read(path)
        self._lock = threading.Lock()
        lines = [self._line(digest, detail) for digest, detail in self._details.items()]
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write_text(path, "".join(lines))
        self._file = path.open("a", encoding="utf-8", buffering=1)  # lines survive a crash

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def get(self, digest: str) -> str | None:
        """Return why the file with a digest failed; None: it is not known to fail."""
        return self._details.get(digest)

    def note(self, digest: str, detail: str) -> None:
        """Remember why a file failed."""
        with self._lock:
            self._details[digest] = detail
            self._file.write(self._line(digest, detail))

    def _line(self, digest: str, detail: str) -> str:
        fields = {"sha256": digest, "detail": detail, "made_by": self._made_by}
        return f"{json.dumps(fields)}\n"

    def _read(self, path: Path) -> dict[str, str]:
        details = {}
        for line in path.read_text().splitlines() if path.exists() else ():
            try:
                fields = json.loads(line)
            except ValueError:  # cut off by a crash
                continue
            if fields["made_by"] == self._made_by:
                details[fields["sha256"]] = fields["detail"]
        return details


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
