"""Files into the index: the one routine of ``srcid index`` and of the jobs."""

import csv
import json
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from pydantic import JsonValue, TypeAdapter, ValidationError

from app.digest import sha256
from app.errors import InvalidRequest, NotFound, ServiceError
from app.schemas import ItemId, ItemResponse

ID = TypeAdapter(ItemId)
AHEAD = 2  # files waiting for each that is worked on, so that no worker is idle
RETRY_SECONDS = 1.0  # where an error says that waiting helps, but not how long


class Index(Protocol):
    """Where files are indexed: the service, or a server that is asked to."""

    def get(self, item_id: str) -> ItemResponse:
        """Return an item."""

    def add(
        self, item_id: str, source: Path, *, metadata: Mapping[str, JsonValue], replace: bool
    ) -> ItemResponse:
        """Encode and keep an item; return it."""


class FileToIndex(NamedTuple):
    """A file and what it is to be indexed as."""

    path: Path
    item_id: str
    label: str  # how messages name the file: its path below the folder
    metadata: Mapping[str, JsonValue]


class Outcome(NamedTuple):
    """What became of a file."""

    file: FileToIndex
    kind: Literal["indexed", "unchanged", "failed"]
    detail: str = ""  # why it failed


def files_below(folder: Path, *, prefix: str = "") -> Iterator[FileToIndex]:
    """Yield the files below ``folder`` in a fixed order, but hidden ones. Links to folders rest.

    A file's id is its path with : for each /. A pipe, whose reading would wait for ever, is no
    file; a broken link is one that fails.

    Args:
        folder: Where to look.
        prefix: What ids and paths begin with: the path of ``folder`` below a root.
    """
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(name for name in names if not name.startswith(".")):
            path = Path(parent, name)
            if path.is_file() or not path.exists():
                relative = Path(prefix) / path.relative_to(folder)
                yield FileToIndex(
                    path, ":".join(relative.parts), str(relative), {"path": str(relative)}
                )


def files_of_manifest(manifest: Path, *, prefix: str = "") -> Iterator[FileToIndex]:
    """Yield the files that a .csv or .jsonl manifest names, in its order.

    A line has ``path`` (from the manifest's folder), ``id`` where the path is not to be it, and
    whatever else it says becomes metadata.

    Raises:
        InvalidRequest: It is no such manifest.
    """
    for number, line in enumerate(_lines(manifest), start=1):
        name, item_id = line.pop("path", None), line.pop("id", None)
        if not isinstance(name, str) or not name or not isinstance(item_id, str | None):
            raise InvalidRequest(
                f"{manifest.name}, entry {number}: a path is needed, and id is text; got "
                f"path {name!r}, id {item_id!r}"
            )
        label = os.path.normpath(Path(prefix) / name)
        yield FileToIndex(
            manifest.parent / name,
            item_id or ":".join(Path(label).parts),
            label,
            {"path": label, **line},
        )


def index_files(
    index: Index,
    files: Iterable[FileToIndex],
    *,
    at_once: int,
    stop: threading.Event,
    admit: Callable[[Path], Path] = lambda path: path,
) -> Iterator[Outcome]:
    """Index files, several at once; yield what became of each, in their order.

    A file that is indexed already and has not changed is passed over, by its digest. Closing
    the iterator, or setting ``stop``, ends it when the files that are worked on are done: each
    is indexed whole or not at all.

    Args:
        index: Where to.
        files: Which ones.
        at_once: How many are worked on at the same time.
        stop: Set from another thread.
        admit: Returns the path to read, or raises ServiceError.
    """
    seen: set[str] = set()
    running: deque[Future[Outcome | None]] = deque()
    remaining = iter(files)

    def one(file: FileToIndex, is_repeated: bool) -> Outcome | None:
        return None if stop.is_set() else _index(index, file, is_repeated, stop, admit)

    with ThreadPoolExecutor(at_once, thread_name_prefix="indexing") as pool:
        try:
            while not stop.is_set():
                for file in islice(remaining, (1 + AHEAD) * at_once - len(running)):
                    running.append(pool.submit(one, file, file.item_id in seen))
                    seen.add(file.item_id)
                if not running:
                    return
                if outcome := running.popleft().result():
                    yield outcome
            for future in running:
                if outcome := future.result():
                    yield outcome
        finally:
            for future in running:
                future.cancel()


def _index(
    index: Index,
    file: FileToIndex,
    is_repeated: bool,
    stop: threading.Event,
    admit: Callable[[Path], Path],
) -> Outcome | None:
    """Index one file; None where that was stopped."""
    try:
        item_id = ID.validate_python(file.item_id)
        if is_repeated:
            return Outcome(file, "failed", f"another file of this run has its id {item_id!r}")
        path = admit(file.path)
        if _digest(index, item_id) == sha256(path):
            return Outcome(file, "unchanged")
        while not stop.is_set():
            try:
                index.add(item_id, path, metadata=file.metadata, replace=True)
            except ServiceError as error:
                if error.retry_after_seconds is None:
                    raise
                stop.wait(error.retry_after_seconds or RETRY_SECONDS)  # others come first
                continue
            return Outcome(file, "indexed")
    except ValidationError as error:
        return Outcome(file, "failed", f"its path cannot be an id: {error.errors()[0]['msg']}")
    except (ServiceError, OSError) as error:
        return Outcome(file, "failed", str(error))
    return None


def _digest(index: Index, item_id: str) -> str | None:
    try:
        return index.get(item_id).sha256
    except NotFound:
        return None


def _lines(manifest: Path) -> Iterator[dict[str, JsonValue]]:
    try:
        with manifest.open(encoding="utf-8-sig", newline="") as file:
            if manifest.suffix.lower() == ".csv":
                for row in csv.DictReader(file, strict=True):
                    if None in row or None in row.values():
                        raise InvalidRequest(
                            f"{manifest.name}: a line has more or fewer cells than the first: "
                            f"{list(row.values())!r:.200}"
                        )
                    yield dict(row)
                return
            for text in filter(str.strip, file):
                line = json.loads(text)
                if not isinstance(line, dict):
                    raise InvalidRequest(f"{manifest.name}: a line is no JSON object: {text:.100}")
                yield line
    except (OSError, ValueError, csv.Error, RecursionError) as error:
        raise InvalidRequest(
            f"{manifest.name} is no manifest ({error}): write CSV with a first line of names, or "
            "JSON objects, one a line"
        ) from error
