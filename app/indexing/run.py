"""Files into the index: the one routine of ``srcid index`` and of the jobs."""

import csv
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

from pydantic import JsonValue, TypeAdapter, ValidationError

from app.errors import InvalidRequest, ServiceError
from app.schemas import ItemId
from model.files import sha256

ID = TypeAdapter(ItemId)
AHEAD = 2  # files waiting for each that is worked on, so that no worker is idle
GROUP = 64  # files committed together, at most
RETRY_SECONDS = 1.0  # where an error says that waiting helps, but not how long
TYPES = mimetypes.MimeTypes(filenames=())  # not what this machine adds to it
MEDIA = ("video", "audio", "image")


class EncodedFile(Protocol):
    """A file that is encoded and not yet kept."""

    @property
    def seconds(self) -> float:
        """Of media."""

    @property
    def gaps(self) -> str:
        """What of it could not be encoded; empty where all could."""


Encoded = TypeVar("Encoded", bound=EncodedFile)
Result = TypeVar("Result")


class Index(Protocol[Encoded]):
    """Where files are indexed: the index here, or a server."""

    def digest(self, item_id: str) -> str | None:
        """Return the digest of an item's media; None where there is no such item."""

    def encode(self, file: "FileToIndex", *, digest: str, stop: threading.Event) -> Encoded | None:
        """Encode a file, in any thread; None where that was stopped."""

    def keep(self, encoded: Sequence[Encoded]) -> None:
        """Keep files in one commit, each in the place of what had its id."""


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
    detail: str = ""  # why it failed, or what is missing of it
    seconds: float = 0.0  # of media that were encoded


class Done(NamedTuple, Generic[Encoded]):
    """A file on its way."""

    outcome: Outcome
    encoded: Encoded | None = None  # to be kept before the outcome is true


def files_below(folder: Path, *, prefix: str = "") -> Iterator[FileToIndex]:
    """Yield the files below ``folder`` that may be media, in a fixed order.

    Hidden files, and those whose ending is known to mean something else, are passed over; links
    to folders are not followed. A file's id is its path with : for each /. A pipe, whose reading
    would wait for ever, is no file; a broken link is one that fails.

    Args:
        folder: Where to look.
        prefix: What ids and paths begin with: the path of ``folder`` below a root.
    """
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(filter(_may_be_media, names)):
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
    index: Index[Encoded],
    files: Iterable[FileToIndex],
    *,
    at_once: int,
    stop: threading.Event,
    admit: Callable[[Path], Path] = lambda path: path,
) -> Generator[Outcome, None, None]:
    """Index files, several at once; yield what became of each, in their order.

    A file that is indexed already and has not changed is passed over, by its digest. What is
    encoded while a commit goes on is committed together by the next. Closing the iterator, which
    sets ``stop``, or setting that, ends it when the files that are worked on are done or given up:
    each is indexed whole or not at all.

    Args:
        index: Where to.
        files: Which ones.
        at_once: How many are worked on at the same time.
        stop: May be set from another thread.
        admit: Returns the path to read, or raises ServiceError.
    """
    seen: set[str] = set()
    running: deque[Future[Done[Encoded] | None]] = deque()
    remaining = iter(files)

    def one(file: FileToIndex, is_repeated: bool) -> Done[Encoded] | None:
        return _encoded(index, file, is_repeated, stop, admit)

    with (
        ThreadPoolExecutor(at_once, thread_name_prefix="indexing") as pool,
        # Not in this thread: Ctrl-C, which comes in the main one, is lost inside compiled code.
        ThreadPoolExecutor(1, thread_name_prefix="commits") as commits,
    ):
        try:
            while not stop.is_set():
                for file in islice(remaining, (1 + AHEAD) * at_once - len(running)):
                    running.append(pool.submit(one, file, file.item_id in seen))
                    seen.add(file.item_id)
                if not running:
                    return
                yield from commits.submit(kept, index, _next(running)).result()
            while running:
                yield from commits.submit(kept, index, _next(running)).result()
        except BaseException:  # nobody wants the rest, nor waits for it
            stop.set()
            raise
        finally:
            for future in running:
                future.cancel()


def patiently(call: Callable[[], Result], stop: threading.Event) -> Result | None:
    """Return what ``call`` does, as often as it takes while others come first; None: stopped."""
    while not stop.is_set():
        try:
            return call()
        except ServiceError as error:
            if error.retry_after_seconds is None:
                raise
            stop.wait(error.retry_after_seconds or RETRY_SECONDS)
    return None


def _next(running: "deque[Future[Done[Encoded] | None]]") -> list[Done[Encoded]]:
    """Wait for the next file; return it with those after it that are done already."""
    done = [running.popleft().result()]
    while running and running[0].done() and len(done) < GROUP:
        done.append(running.popleft().result())
    return [own for own in done if own is not None]


def refusal(file: FileToIndex, *, is_repeated: bool) -> str | None:
    """Return why a file cannot be indexed, whatever is in it; None where it can.

    Args:
        file: Which one.
        is_repeated: Whether another file of the same run has its id.
    """
    try:
        ID.validate_python(file.item_id)
    except ValidationError as error:
        return f"its path cannot be an id: {error.errors()[0]['msg']}"
    return f"another file of this run has its id {file.item_id!r}" if is_repeated else None


def kept(index: Index[Encoded], done: Sequence[Done[Encoded]]) -> list[Outcome]:
    """Commit what is encoded; return what became of each file."""
    try:
        if encoded := [own.encoded for own in done if own.encoded is not None]:
            index.keep(encoded)
    except (ServiceError, OSError) as error:
        return [
            own.outcome if own.encoded is None else Outcome(own.outcome.file, "failed", str(error))
            for own in done
        ]
    return [own.outcome for own in done]


def _encoded(
    index: Index[Encoded],
    file: FileToIndex,
    is_repeated: bool,
    stop: threading.Event,
    admit: Callable[[Path], Path],
) -> Done[Encoded] | None:
    """Encode one file; None where that was stopped."""
    if stop.is_set():
        return None
    if reason := refusal(file, is_repeated=is_repeated):
        return Done(Outcome(file, "failed", reason))
    try:
        admitted = file._replace(path=admit(file.path))
        digest = sha256(admitted.path)
        if index.digest(file.item_id) == digest:
            return Done(Outcome(file, "unchanged"))
        encoded = patiently(lambda: index.encode(admitted, digest=digest, stop=stop), stop)
    except ServiceError as error:
        return Done(Outcome(file, "failed", str(error)))
    except OSError as error:  # whose own words name the whole path
        return Done(Outcome(file, "failed", f"it cannot be read: {error.strerror or error}"))
    if encoded is None:
        return None
    return Done(Outcome(file, "indexed", encoded.gaps, encoded.seconds), encoded)


def _may_be_media(name: str) -> bool:
    kind = TYPES.guess_type(name)[0]
    return not name.startswith(".") and (kind is None or kind.split("/")[0] in MEDIA)


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
