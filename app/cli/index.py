"""``srcid index``: a folder of media into an index."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import JsonValue

from app.cli.options import JsonOption
from app.cli.target import Target, on_target

if TYPE_CHECKING:  # `srcid --help` answers without them
    from app.client import SRCIDClient
    from app.indexing import Index, Outcome
    from app.schemas import ItemResponse

SOME_FAILED = 1  # exit code: the rest is indexed
UPLOADS = 4  # files that are sent to a server at the same time


@dataclass
class Report:
    """What became of the files of a folder, by id."""

    indexed: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)  # path -> why


@on_target
def index(
    target: Target,
    folder: Annotated[
        Path, typer.Argument(exists=True, file_okay=False, help="Videos, sounds and pictures.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Index every video, sound and picture in a folder and the folders in it.

    A file's id is its path in the folder with : for each /. Files that are indexed already and
    have not changed are passed over; files that do not decode are listed at the end, and the
    exit code is then 1. With --url, files are sent to the server.
    """
    from tqdm import tqdm

    from app.indexing import files_below, index_files

    files = list(files_below(folder))
    report = Report()
    with _opened(target) as (where, at_once):
        outcomes = index_files(where, files, at_once=at_once, stop=threading.Event())
        for outcome in tqdm(outcomes, total=len(files), unit="file", disable=as_json):
            _count(outcome, report)
    if as_json:
        import json

        print(json.dumps(asdict(report)))
    else:
        _print(report)
    if report.failed:
        raise typer.Exit(SOME_FAILED)


@contextmanager
def _opened(target: Target) -> "Iterator[tuple[Index, int]]":
    """Yield where files go, and how many at the same time."""
    if target.url is not None:
        with target.server() as client:
            yield _Server(client), UPLOADS
        return
    from app.main import open_service

    settings = target.settings()
    service = open_service(settings)
    with service.store, closing(service.engine):
        yield service, settings.max_decodes + 1


class _Server:
    """A server as a place where files are indexed."""

    def __init__(self, client: "SRCIDClient") -> None:
        self._client = client

    def get(self, item_id: str) -> "ItemResponse":
        return self._client.get(item_id)

    def add(
        self, item_id: str, source: Path, *, metadata: Mapping[str, JsonValue], replace: bool
    ) -> "ItemResponse":
        keep = self._client.put if replace else self._client.add
        return keep(item_id, source, metadata=metadata)


def _count(outcome: "Outcome", report: Report) -> None:
    if outcome.kind == "failed":
        report.failed[outcome.file.label] = outcome.detail
    else:
        (report.indexed if outcome.kind == "indexed" else report.unchanged).append(
            outcome.file.item_id
        )


def _print(report: Report) -> None:
    for path, why in report.failed.items():
        print(f"not indexed: {path}: {why}")
    print(
        f"{len(report.indexed)} indexed, {len(report.unchanged)} unchanged, "
        f"{len(report.failed)} not indexed"
    )
