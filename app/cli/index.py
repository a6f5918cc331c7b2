"""``srcid index``: a folder of media into the local index."""

import threading
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.options import CheckpointOption, DataDirOption, DeviceOption, JsonOption
from app.settings import load_settings

if TYPE_CHECKING:  # loads torch, which `srcid --help` should not
    from app.indexing import Outcome

SOME_FAILED = 1  # exit code: the rest is indexed


@dataclass
class Report:
    """What became of the files of a folder, by id."""

    indexed: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)  # path -> why


def index(
    folder: Annotated[
        Path, typer.Argument(exists=True, file_okay=False, help="Videos, sounds and pictures.")
    ],
    data_dir: DataDirOption = None,
    checkpoint: CheckpointOption = None,
    device: DeviceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Index every video, sound and picture in a folder and the folders in it.

    A file's id is its path in the folder with : for each /. Files that are indexed already and
    have not changed are passed over; files that do not decode are listed at the end, and the
    exit code is then 1.
    """
    settings = load_settings(data_dir=data_dir, checkpoint=checkpoint, device=device)

    from tqdm import tqdm

    from app.indexing import files_below, index_files
    from app.main import open_service

    files = list(files_below(folder))
    service = open_service(settings)
    report = Report()
    with service.store:
        outcomes = index_files(
            service, files, at_once=settings.max_decodes + 1, stop=threading.Event()
        )
        for outcome in tqdm(outcomes, total=len(files), unit="file", disable=as_json):
            _count(outcome, report)
    if as_json:
        import json

        print(json.dumps(asdict(report)))
    else:
        _print(report)
    if report.failed:
        raise typer.Exit(SOME_FAILED)


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
