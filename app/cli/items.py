"""``srcid items``: the items of an index."""

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.options import (
    JsonOption,
    TextOption,
    WhereOption,
    one_source,
    parse_pairs,
    parse_where,
)
from app.cli.output import print_json, print_table
from app.cli.target import Target, on_target

if TYPE_CHECKING:  # not loaded by `srcid --help`
    from app.schemas.items import ItemResponse

items = typer.Typer(
    name="items",
    help="List, show, add, change and delete the items of an index.",
    no_args_is_help=True,
)
IdArgument = Annotated[str, typer.Argument(help="Id of an item.")]


@items.command("list")
@on_target
def list_items(
    target: Target,
    where: WhereOption = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Max items.", show_default="all")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the items by id. With --json, one object per line."""
    with target.open() as index:
        listed = islice(index.items(where=parse_where(where)), limit)
        if as_json:
            for item in listed:
                print_json(item)
            return
        print_table(["id", "streams", "seconds", "metadata"], [_row(item) for item in listed])


@items.command()
@on_target
def show(target: Target, item_id: IdArgument, as_json: JsonOption = False) -> None:
    """Show an item with its codes."""
    with target.open() as index:
        item = index.get(item_id)
    if as_json:
        print_json(item)
        return
    print_table(["id", "streams", "seconds", "metadata"], [_row(item)])
    print(f"sha256 {item.sha256}" + ("" if item.text is None else f"\ntext   {item.text}"))
    rows = [
        [modality, layer, " ".join(f"{code:>3}" for code in codes)]
        for modality, stream in item.streams.items()
        for layer, codes in zip(item.code_layers, stream.codes, strict=True)
    ]
    print_table(["stream", "layer", "codes"], rows)


@items.command()
@on_target
def add(
    target: Target,
    item_id: IdArgument,
    file: Annotated[Path | None, typer.Argument(help="A video, sound or picture.")] = None,
    text: TextOption = None,
    metadata: Annotated[
        list[str] | None, typer.Option("--metadata", help="name=value; repeatable.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace an item that has this id.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Add a file or a sentence under an id."""
    source = one_source(file, text)
    pairs = parse_pairs(metadata or [], option="--metadata")
    with target.open(writes=True) as index:
        keep = index.put if replace else index.add
        item = keep(item_id, source, metadata=pairs)
    if as_json:
        print_json(item)


@items.command()
@on_target
def update(
    target: Target,
    item_id: IdArgument,
    metadata: Annotated[
        list[str],
        typer.Option("--metadata", help="name=value; name=null removes it; repeatable."),
    ],
    as_json: JsonOption = False,
) -> None:
    """Change the metadata of an item; its codes and media stay."""
    with target.open(writes=True) as index:
        item = index.update(item_id, parse_pairs(metadata, option="--metadata"))
    if as_json:
        print_json(item)


@items.command()
@on_target
def delete(
    target: Target,
    item_ids: Annotated[list[str] | None, typer.Argument(help="Ids of items.")] = None,
    where: WhereOption = None,
) -> None:
    """Delete items by id, or all that match a filter, and their stored media."""
    if bool(item_ids) == bool(where):
        raise typer.BadParameter("give either ids of items, or --where")
    with target.open(writes=True) as index:
        if chosen := parse_where(where):
            print(f"deleted {index.delete_where(chosen).deleted} items")
        for item_id in item_ids or []:
            index.delete(item_id)


@items.command()
@on_target
def download(
    target: Target,
    item_id: IdArgument,
    to: Annotated[Path, typer.Argument(help="The file to write.", dir_okay=False)],
) -> None:
    """Write the stored media of an item to a file."""
    with target.open() as index:
        index.download(item_id, to)


@items.command()
@on_target
def duplicates(target: Target, item_id: IdArgument, as_json: JsonOption = False) -> None:
    """List the streams of other items that have exactly the same codes."""
    with target.open() as index:
        response = index.duplicates(item_id)
    if as_json:
        print_json(response)
    else:
        print_table(
            ["id", "kind"], [[stream.id, stream.modality] for stream in response.duplicates]
        )


def _row(item: "ItemResponse") -> list[object]:
    import json

    seconds = "" if item.duration_seconds is None else f"{item.duration_seconds:.1f}"
    metadata = json.dumps(item.metadata, ensure_ascii=False) if item.metadata else ""
    return [item.id, ",".join(item.streams), seconds, metadata]
