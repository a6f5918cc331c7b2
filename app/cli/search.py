"""``srcid search``: find streams of the local index."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from app.cli.options import (
    CheckpointOption,
    DataDirOption,
    DeviceOption,
    JsonOption,
    one_source,
)
from app.cli.tables import print_table
from app.schemas import MAX_HITS, SearchHit
from app.settings import load_settings
from model.modality import Modality


def search(
    text: Annotated[str | None, typer.Argument(help="A sentence to search by.")] = None,
    file: Annotated[
        Path | None, typer.Option(help="A video, sound or picture to search by.")
    ] = None,
    target: Annotated[
        list[Modality] | None, typer.Option(help="What to search; may be repeated.")
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, max=MAX_HITS, help="Most hits.")] = 10,
    layers: Annotated[
        Literal["1", "2", "both"], typer.Option(help="Layers of the codes that are compared.")
    ] = "both",
    data_dir: DataDirOption = None,
    checkpoint: CheckpointOption = None,
    device: DeviceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find what is most like a sentence or a file. Works beside a running server."""
    source = one_source(file, text)
    settings = load_settings(data_dir=data_dir, checkpoint=checkpoint, device=device)

    from app.main import open_service

    service = open_service(settings, read_only=True)
    with service.store:
        found = service.search(source, targets=target, k=k, layers=layers)
    if as_json:
        print(found.model_dump_json())
        return
    print_table(["score", "kind", "second", "id"], [_row(hit) for hit in found.hits])


def _row(hit: SearchHit) -> list[object]:
    second = "" if hit.best_second is None else hit.best_second
    return [f"{hit.score:+.3f}", hit.modality, second, hit.id]
