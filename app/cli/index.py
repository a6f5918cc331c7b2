"""``srcid index``: a folder of media into an index."""

import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import typer

from app.cli.options import JsonOption
from app.cli.target import Target, on_target
from model.errors import ConfigError

if TYPE_CHECKING:  # `srcid --help` answers without them
    from app.client import Client
    from app.indexing.progress import Progress
    from app.indexing.run import FileToIndex, Outcome, StoredFile
    from app.service.items import Items

    Run = Callable[[Iterable[FileToIndex]], Generator[Outcome, None, None]]

SOME_FAILED = 1  # exit code: the rest is indexed
UPLOADS = 4  # files sent to a server at the same time


@dataclass
class IndexReport:
    """What became of each file."""

    indexed: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)  # path -> why
    incomplete: dict[str, str] = field(default_factory=dict)  # path -> what is missing
    pruned: list[str] = field(default_factory=list)  # items whose files are gone


@on_target
def index(
    target: Target,
    source: Annotated[
        Path,
        typer.Argument(
            exists=True,
            metavar="FOLDER|MANIFEST",
            help="Videos, sounds and pictures, or a .csv or .jsonl manifest that lists them.",
        ),
    ],
    report_file: Annotated[
        Path | None,
        typer.Option("--report", help="Write failures to this file as they happen, as JSON lines."),
    ] = None,
    engine: Annotated[
        Literal["local", "ray"],
        typer.Option(help="Where files are encoded: here, or on a Ray cluster (RAY_ADDRESS)."),
    ] = "local",
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Decode files again that failed before.")
    ] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Then delete the items whose files are gone.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only list what --prune would delete.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Index every video, sound and picture in a folder and the folders in it.

    A file's id is its path in the folder; a manifest gives path, optionally id, and metadata.
    Unchanged files that are indexed already are skipped, so an interrupted run resumes where it
    was. Media longer than SRCID_MAX_STEPS become several items. Files that fail are listed at the
    end, and the exit code is then 1. With --url, files are sent to the server;
    with --engine ray, a cluster decodes and encodes them.

    A local index remembers files that do not decode by their content, and does not decode them
    again until srcid or a limit changes. --prune deletes items that earlier runs over the same
    folder made, of files that it no longer has.
    """
    from tqdm import tqdm

    from app.indexing.progress import FailureReport, Progress

    if dry_run and not prune:
        raise ConfigError("--dry-run shows what --prune would delete: give both")
    if target.url is not None and (prune or retry_failed):
        raise ConfigError("--prune and --retry-failed are for a local index: leave out --url")
    if dry_run:
        _print_gone(target, source, as_json=as_json)
        return
    report, progress = IndexReport(), Progress(sum(1 for _ in _files(source)))
    failures = FailureReport(report_file) if report_file else nullcontext()
    with (
        _opened(target, engine, retry_failed=retry_failed) as (outcomes_of, items),
        failures as written,
    ):
        outcomes = outcomes_of(_files(source))
        bar = tqdm(total=progress.total, unit="file", disable=as_json)
        with closing(outcomes), bar:  # closed before the index: nothing may use it afterwards
            for outcome in outcomes:
                _count(outcome, report)
                progress.note(outcome)
                if written:
                    written.note(outcome)
                bar.set_postfix_str(_rates(progress), refresh=False)
                bar.update()
        if items is not None:
            _prune(report, items, target, source, is_wanted=prune)
    if as_json:
        import json

        fields = asdict(report)
        print(json.dumps(fields if prune else {k: v for k, v in fields.items() if k != "pruned"}))
    else:
        _print(report)
    if report.failed:
        raise typer.Exit(SOME_FAILED)


def _files(source: Path) -> "Iterator[FileToIndex]":
    from app.indexing.run import files_below, files_of_manifest

    return files_below(source) if source.is_dir() else files_of_manifest(source)


def _print_gone(target: Target, source: Path, *, as_json: bool) -> None:
    """Print the items that ``--prune`` would delete."""
    from app.indexing.earlier_runs import IndexedIds, without_file

    ids = without_file(IndexedIds(target.settings().data_dir, source).all(), _files(source))
    if as_json:
        import json

        print(json.dumps({"pruned": ids}))
        return
    for item_id in ids:
        print(f"would be deleted: {item_id}")
    print(f"{len(ids)} would be deleted")


def _prune(
    report: IndexReport, items: "Items", target: Target, source: Path, *, is_wanted: bool
) -> None:
    """Delete the items whose files are gone, if wanted; note which items are there now."""
    from app.errors import NotFound
    from app.indexing.earlier_runs import IndexedIds, without_file

    indexed = IndexedIds(target.settings().data_dir, source)
    ids = indexed.all()
    if is_wanted:
        report.pruned = without_file(ids, _files(source))
        for item_id in report.pruned:
            with suppress(NotFound):  # deleted by a request
                items.delete(item_id)
    indexed.write({*ids, *report.indexed, *report.unchanged} - {*report.pruned})


@contextmanager
def _opened(
    target: Target, engine: Literal["local", "ray"], *, retry_failed: bool
) -> "Iterator[tuple[Run, Items | None]]":
    """Yield the function that indexes files, and the items of a local index.

    Raises:
        ConfigError: A server and a cluster are both given.
    """
    from app.indexing.run import index_files

    if target.url is not None:
        if engine != "local":
            raise ConfigError(
                f"--engine {engine} and --url {target.url} are both given: leave one of them out"
            )
        with target.server() as client:
            server = _Server(client)
            yield partial(index_files, server, workers=UPLOADS, stop=threading.Event()), None
        return
    from app.indexing.bulk import BulkIndex
    from app.indexing.earlier_runs import KnownFailures
    from app.main import open_engine, open_items

    settings = target.settings()
    with (
        closing(open_engine(settings)) as local,
        closing(open_items(settings, local)) as items,
        KnownFailures(settings, retry=retry_failed) as failures,
    ):
        bulk = BulkIndex(local, items, failures)
        if engine == "local":
            stop = threading.Event()
            yield partial(index_files, bulk, workers=bulk.num_workers, stop=stop), items
        else:
            from app.indexing.on_ray import index_on_ray

            yield partial(index_on_ray, bulk, settings=settings), items


class _SentFile(NamedTuple):
    """A file that a server has indexed."""

    seconds: float
    gaps: str = ""


class _Server:
    """Indexes files by sending them to a server."""

    def __init__(self, client: "Client") -> None:
        self._client = client

    def stored(self, item_id: str) -> "StoredFile | None":
        from app.errors import NotFound
        from app.indexing.run import StoredFile

        try:
            item = self._client.get(item_id)
        except NotFound:
            return None
        return StoredFile(item.sha256, item.metadata.get("path"))

    def encode(self, file: "FileToIndex", *, digest: str, stop: threading.Event) -> _SentFile:
        item = self._client.put(file.item_id, file.path, metadata=file.metadata)
        return _SentFile(item.duration_seconds or 0.0)

    def keep(self, files: Sequence[_SentFile]) -> None:
        """Do nothing: the server has stored them."""


def _count(outcome: "Outcome", report: IndexReport) -> None:
    label, item_id = outcome.file.label, outcome.file.item_id
    if outcome.kind == "failed":
        report.failed[label] = outcome.detail
        return
    (report.indexed if outcome.kind == "indexed" else report.unchanged).append(item_id)
    if outcome.detail:
        report.incomplete[label] = outcome.detail


def _rates(progress: "Progress") -> str:
    rate = f"{progress.media_per_second or 0:.1f} s of media a second"
    failed = progress.counts["failed"]
    return f"{rate}, {failed} failed" if failed else rate


def _print(report: IndexReport) -> None:
    for path, why in report.failed.items():
        print(f"not indexed: {path}: {why}")
    for path, what in report.incomplete.items():
        print(f"indexed in part: {path}: {what}")
    for item_id in report.pruned:
        print(f"deleted, its file is gone: {item_id}")
    print(
        f"{len(report.indexed)} indexed, {len(report.unchanged)} unchanged, "
        f"{len(report.failed)} not indexed"
    )
