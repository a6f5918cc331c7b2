"""The files that did not decode, remembered so that no run decodes them in vain again."""

import json
import threading
from importlib.metadata import version
from pathlib import Path
from typing import Self

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
