"""Indexes files: the one routine of ``srcid index`` and of background jobs."""

import csv
import hashlib
import json
import mimetypes
import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Generic, Literal, NamedTuple, Protocol, TypeVar

from pydantic import JsonValue, ValidationError

from app.errors import InvalidRequest, ServiceError
from app.schemas.fields import DIGEST_CHARACTERS, ITEM_ID, shortened
from model.errors import reason_of
from model.files import sha256

QUEUED_PER_WORKER = 2  # files submitted ahead for each worker, so that none is idle
MAX_COMMIT = 64  # files committed together
RETRY_SECONDS = 1.0  # if an error says that retrying helps, but not when
TYPES = mimetypes.MimeTypes(filenames=())  # Python's own table, without this machine's additions
MEDIA = ("video", "audio", "image")
# What systems leave among media, in lower case: thumbnails, recycle bins, resource forks.
SYSTEM_FILES = {
    "@eadir",
    "#recycle",
    "#snapshot",
    "@recycle",
    "@__thumb",
    "__macosx",
    "$recycle.bin",
    "system volume information",
    "lost+found",
    "thumbs.db",
    "ehthumbs.db",
    "desktop.ini",
}


class PreparedFile(Protocol):
    """A file that is encoded but not yet committed."""

    @property
    def seconds(self) -> float:
        """The duration of its media."""

    @property
    def gaps(self) -> str:
        """The seconds that could not be decoded, as text; empty if all could."""


Prepared = TypeVar("Prepared", bound=PreparedFile)
Result = TypeVar("Result")


class Index(Protocol[Prepared]):
    """Where files are indexed: the index of this process, or a server."""

    def stored(self, item_id: str) -> "StoredFile | None":
        """Return what is known of the file of an item; None: there is no such item."""

    def encode(self, file: "FileToIndex", *, digest: str, stop: threading.Event) -> Prepared | None:
        """Encode a file, in any thread; None: it was stopped."""

    def keep(self, files: Sequence[Prepared]) -> None:
        """Store files in one commit; each replaces what had its id."""


class StoredFile(NamedTuple):
    """What an index knows of the file of an item."""

    digest: str  # SHA-256 in hexadecimal digits
    path: JsonValue  # from the metadata; None: the item was not made from a folder


class FileToIndex(NamedTuple):
    """A file, and the item that it is to become."""

    path: Path
    item_id: str
    label: str  # its name in messages: its path below the folder
    metadata: Mapping[str, JsonValue]


class Outcome(NamedTuple):
    """What became of a file."""

    file: FileToIndex
    kind: Literal["indexed", "unchanged", "failed"]
    detail: str = ""  # why it failed, or what is missing of it
    seconds: float = 0.0  # of media that were encoded


class Processed(NamedTuple, Generic[Prepared]):
    """A file that has been worked on."""

    outcome: Outcome  # true once ``prepared`` is committed
    prepared: Prepared | None = None


def files_below(folder: Path, *, prefix: str = "") -> Iterator[FileToIndex]:
    """Yield the files below ``folder`` that may be media, in a fixed order.

    Hidden files, files of the system (``SYSTEM_FILES``) and files whose extension is of another
    type are skipped; links to folders are not followed. A file's id is its path (``id_of``). Pipes,
    whose reading would block, are skipped; a broken link is yielded, and fails.

    Args:
        folder: Where to look.
        prefix: Prepended to ids and paths: the path of ``folder`` below a root.
    """
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not _is_of_system(name))
        for name in sorted(filter(_may_be_media, names)):
            path = Path(parent, name)
            if path.is_file() or not path.exists():
                label = str(Path(prefix) / path.relative_to(folder))
                yield FileToIndex(path, id_of(label), label, {"path": as_text(label)})


def files_of_manifest(manifest: Path, *, prefix: str = "") -> Iterator[FileToIndex]:
    """Yield the files that a .csv or .jsonl manifest lists, in its order.

    Each entry has ``path`` (relative to the manifest) and optionally ``id``; other fields become
    metadata.

    Raises:
        InvalidRequest: The manifest is malformed.
    """
    for number, line in enumerate(_lines(manifest), start=1):
        name, item_id = line.pop("path", None), line.pop("id", None)
        if not isinstance(name, str) or not name or not isinstance(item_id, str | None):
            raise InvalidRequest(
                f"{manifest.name}, entry {number}: path must be text, and so must id if given; "
                f"got path {name!r}, id {item_id!r}"
            )
        label = os.path.normpath(Path(prefix) / name)
        yield FileToIndex(
            manifest.parent / name,
            item_id or id_of(label),
            label,
            {"path": label, **line},
        )


def id_of(path: str) -> str:
    """Return the id of a file: its path, or one derived from it if it is too long or no text."""
    if (text := as_text(path)) == path:
        return shortened(path)
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:DIGEST_CHARACTERS]
    return shortened(f"{text}~{digest}")  # another name may read the same


def former_id(path: str) -> str:
    """Return the id that version 0.1 gave to a file of a folder."""
    return path.replace("/", ":")


def as_text(path: str) -> str:
    """Return a path as text: bytes that are not UTF-8 as ``\\xff``."""
    return os.fsencode(path).decode(errors="backslashreplace")


def placed(index: Index[Prepared], file: FileToIndex) -> tuple[FileToIndex, str | None]:
    """Return a file under the id that it has in the index, and its digest there.

    The digest of a file that is not in the index is None. An item with a ``former_id`` keeps it.
    """
    if stored := index.stored(file.item_id):
        return file, stored.digest
    former = former_id(file.label)
    if file.item_id == file.label != former:
        stored = index.stored(former)
        if stored and stored.path == file.label:
            return file._replace(item_id=former), stored.digest
    return file, None


def index_files(
    index: Index[Prepared],
    files: Iterable[FileToIndex],
    *,
    workers: int,
    stop: threading.Event,
    admit: Callable[[Path], Path] = lambda path: path,
) -> Generator[Outcome, None, None]:
    """Index files in several threads; yield what became of each, in their order.

    Files that are indexed and unchanged, by their digest, are skipped. Files encoded while a
    commit is running are committed together by the next one. Setting ``stop``, or closing the
    iterator, ends the run once the files in work are finished or given up: each is indexed whole
    or not at all.

    Args:
        index: Where the files are indexed.
        files: The files.
        workers: How many files are worked on at the same time.
        stop: May be set from another thread.
        admit: Returns the path to read, or raises ServiceError.
    """
    seen: set[str] = set()
    running: deque[Future[Processed[Prepared] | None]] = deque()
    remaining = iter(files)

    def process(file: FileToIndex, is_repeated: bool) -> Processed[Prepared] | None:
        return _processed(index, file, is_repeated, stop, admit)

    with (
        ThreadPoolExecutor(workers, thread_name_prefix="indexing") as pool,
        # Not in this thread: Ctrl-C arrives in the main thread, and is lost inside compiled code.
        ThreadPoolExecutor(1, thread_name_prefix="commits") as commits,
    ):
        try:
            while not stop.is_set():
                for file in islice(remaining, (1 + QUEUED_PER_WORKER) * workers - len(running)):
                    running.append(pool.submit(process, file, file.item_id in seen))
                    seen.add(file.item_id)
                if not running:
                    return
                yield from commits.submit(commit, index, _next(running)).result()
            while running:
                yield from commits.submit(commit, index, _next(running)).result()
        except BaseException:  # nobody wants the rest
            stop.set()
            raise
        finally:
            for future in running:
                future.cancel()


def retry_until(call: Callable[[], Result], stop: threading.Event) -> Result | None:
    """Return the result of ``call``, retried while the service is overloaded; None: stopped."""
    while not stop.is_set():
        try:
            return call()
        except ServiceError as error:
            if error.retry_after_seconds is None:
                raise
            stop.wait(error.retry_after_seconds or RETRY_SECONDS)
    return None


def refusal(file: FileToIndex, *, is_repeated: bool) -> str | None:
    """Return why a file cannot be indexed whatever its content; None if it can.

    Args:
        file: The file.
        is_repeated: Whether another file of the same run has its id.
    """
    try:
        ITEM_ID.validate_python(file.item_id)
    except ValidationError as error:
        return f"it cannot have the id {file.item_id!r}: {reason_of(error)}"
    return f"another file of this run has its id {file.item_id!r}" if is_repeated else None


def commit(index: Index[Prepared], files: Sequence[Processed[Prepared]]) -> list[Outcome]:
    """Commit the files that are encoded; return what became of each."""
    try:
        if prepared := [file.prepared for file in files if file.prepared is not None]:
            index.keep(prepared)
    except (ServiceError, OSError) as error:
        return [
            file.outcome
            if file.prepared is None
            else Outcome(file.outcome.file, "failed", str(error))
            for file in files
        ]
    return [file.outcome for file in files]


def _next(running: "deque[Future[Processed[Prepared] | None]]") -> list[Processed[Prepared]]:
    """Wait for the next file; return it with the finished ones after it."""
    finished = [running.popleft().result()]
    while running and running[0].done() and len(finished) < MAX_COMMIT:
        finished.append(running.popleft().result())
    return [file for file in finished if file is not None]


def _processed(
    index: Index[Prepared],
    file: FileToIndex,
    is_repeated: bool,
    stop: threading.Event,
    admit: Callable[[Path], Path],
) -> Processed[Prepared] | None:
    """Encode one file; None: it was stopped."""
    if stop.is_set():
        return None
    if reason := refusal(file, is_repeated=is_repeated):
        return Processed(Outcome(file, "failed", reason))
    try:
        path = admit(file.path)
        digest = sha256(path)
        file, stored = placed(index, file)
        if stored == digest:
            return Processed(Outcome(file, "unchanged"))
        admitted = file._replace(path=path)
        prepared = retry_until(lambda: index.encode(admitted, digest=digest, stop=stop), stop)
    except ServiceError as error:
        return Processed(Outcome(file, "failed", str(error)))
    except OSError as error:  # its own message names the whole path
        return Processed(Outcome(file, "failed", f"it cannot be read: {error.strerror or error}"))
    if prepared is None:
        return None
    return Processed(Outcome(file, "indexed", prepared.gaps, prepared.seconds), prepared)


def _is_of_system(name: str) -> bool:
    return name.startswith(".") or name.lower() in SYSTEM_FILES


def _may_be_media(name: str) -> bool:
    kind = TYPES.guess_type(name)[0]
    return not _is_of_system(name) and (kind is None or kind.split("/")[0] in MEDIA)


def _lines(manifest: Path) -> Iterator[dict[str, JsonValue]]:
    try:
        with manifest.open(encoding="utf-8-sig", newline="") as file:
            if manifest.suffix.lower() == ".csv":
                for row in csv.DictReader(file, strict=True):
                    if None in row or None in row.values():
                        raise InvalidRequest(
                            f"{manifest.name}: a line has more or fewer cells than the header: "
                            f"{list(row.values())!r:.200}"
                        )
                    yield dict(row)
                return
            for text in filter(str.strip, file):
                line = json.loads(text)
                if not isinstance(line, dict):
                    raise InvalidRequest(f"{manifest.name}: not a JSON object: {text:.100}")
                yield line
    except (OSError, ValueError, csv.Error, RecursionError) as error:
        raise InvalidRequest(
            f"{manifest.name} is not a manifest ({error}): write CSV with a header, or one JSON "
            "object per line"
        ) from error
