"""``srcid index``: a folder of media into the local index."""

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.options import CheckpointOption, DataDirOption, DeviceOption, JsonOption
from app.errors import ItemExists, NotFound, ServiceError
from app.settings import load_settings

if TYPE_CHECKING:  # loads torch, which `srcid --help` should not
    from app.service import RetrievalService

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

    from app.main import open_service

    paths = list(_files(folder))
    service = open_service(settings)
    report = Report()
    with service.store:
        for path in tqdm(paths, unit="file", disable=as_json):
            _index_file(service, folder, path, report)
    if as_json:
        import json

        print(json.dumps(asdict(report)))
    else:
        _print(report)
    if report.failed:
        raise typer.Exit(SOME_FAILED)


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files below ``folder`` in a fixed order, but hidden ones. Links to folders rest.

    A pipe, whose reading would wait for ever, is no file; a broken link is one that fails.
    """
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        paths = (Path(parent, name) for name in sorted(names) if not name.startswith("."))
        yield from (path for path in paths if path.is_file() or not path.exists())


def _index_file(service: "RetrievalService", folder: Path, path: Path, report: Report) -> None:
    from pydantic import TypeAdapter, ValidationError

    from app.schemas import ItemId
    from app.service import sha256

    relative = path.relative_to(folder)
    try:
        item_id = TypeAdapter(ItemId).validate_python(":".join(relative.parts))
        if item_id in report.indexed or item_id in report.unchanged:
            raise ItemExists(item_id)
        if _is_indexed(service, item_id, sha256(path)):
            report.unchanged.append(item_id)
            return
        service.add(item_id, path, metadata={"path": str(relative)}, replace=True)
        report.indexed.append(item_id)
    except ValidationError as error:
        report.failed[str(relative)] = f"its path cannot be an id: {error.errors()[0]['msg']}"
    except (ServiceError, OSError) as error:
        report.failed[str(relative)] = str(error)


def _is_indexed(service: "RetrievalService", item_id: str, digest: str) -> bool:
    try:
        return service.get(item_id).sha256 == digest
    except NotFound:
        return False


def _print(report: Report) -> None:
    for path, why in report.failed.items():
        print(f"not indexed: {path}: {why}")
    print(
        f"{len(report.indexed)} indexed, {len(report.unchanged)} unchanged, "
        f"{len(report.failed)} not indexed"
    )
