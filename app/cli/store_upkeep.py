"""``srcid store backup``, ``restore``, ``verify``, ``rebuild`` and ``compact``."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from app.cli.options import CheckpointOption, DataDirOption, DeviceOption, JsonOption
from app.cli.tables import print_json
from app.settings import load_settings

DAMAGED = 1  # exit code


def backup(
    to: Annotated[Path, typer.Argument(help="A folder that is not there yet.")],
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy the index, kept media and API keys to a folder, while a server may write to it.

    The folder is a data directory itself: --data-dir can name it.
    """
    from app.upkeep.backup import back_up

    made = back_up(load_settings(data_dir=data_dir).data_dir, to)
    if as_json:
        print_json(made)
    else:
        print(f"{made.items} items and {made.media_files} files of media copied to {to}")


def restore(
    backup: Annotated[Path, typer.Argument(help="What srcid store backup wrote.")],
    data_dir: DataDirOption = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Give up the items that are there.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Put a backup in the place of an index. The server has to be stopped.

    API keys are restored only where there are none.
    """
    from app.upkeep.backup import restore as put_back

    folder = load_settings(data_dir=data_dir).data_dir
    made = put_back(backup, folder, replace=replace)
    if as_json:
        print_json(made)
    else:
        print(f"{made.items} items of {made.created:%F %R} UTC restored to {folder}")


def verify(data_dir: DataDirOption = None, as_json: JsonOption = False) -> None:
    """Read the whole index and all kept media, and say what is damaged: exit code 1.

    Nothing is changed, and a server may write meanwhile.
    """
    from app.upkeep.verify import verify as read_all

    found = read_all(load_settings(data_dir=data_dir).data_dir)
    if as_json:
        print_json(found)
    else:
        for damage in found.damages:
            print(f"damaged: {damage}")
        for note in found.notes:
            print(f"note: {note}")
        print(
            f"{found.items} items, {found.streams} streams and {found.media_files} files of media "
            f"read, {len(found.damages)} damages"
        )
    if found.damages:
        raise typer.Exit(DAMAGED)


def rebuild(
    data_dir: DataDirOption = None,
    checkpoint: CheckpointOption = None,
    device: DeviceOption = None,
    drop: Annotated[
        bool, typer.Option("--drop", help="Leave out what cannot be encoded anew.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Encode an index of another checkpoint anew, from its sentences and kept media.

    Items whose media were not kept are named, and nothing is changed, unless --drop is given. The
    old index stays until the new one is whole; an interrupted run goes on where it was.
    """
    from tqdm import tqdm

    from app.upkeep.rebuild import rebuild as encode_anew

    settings = load_settings(data_dir=data_dir, checkpoint=checkpoint, device=device)
    with ExitStack() as bars:  # none where the index is refused

        def begin(total: int) -> Callable[[], object]:
            return bars.enter_context(tqdm(total=total, unit="item", disable=as_json)).update

        made = encode_anew(settings, drop=drop, begin=begin)
    if as_json:
        print_json(made)
        return
    for item_id, why in made.left_out.items():
        print(f"left out: {item_id}: {why}")
    print(f"{made.items} items are of checkpoint {made.fingerprint}, {len(made.left_out)} left out")


def compact(
    data_dir: DataDirOption = None,
    checkpoint: CheckpointOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the database anew without gaps, and a snapshot from which the index opens at once."""
    from app.upkeep.rebuild import compact as rewrite

    made = rewrite(load_settings(data_dir=data_dir, checkpoint=checkpoint))
    if as_json:
        print_json(made)
    else:
        print(f"{made.items} items, {made.bytes_before:,} -> {made.bytes_after:,} bytes")
