"""``srcid store``: export, back up, verify and rebuild the index."""

from collections.abc import Callable
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.options import CheckpointOption, DataDirOption, DeviceOption, JsonOption
from app.cli.output import print_json
from app.cli.target import local_settings
from app.settings import Settings

if TYPE_CHECKING:  # not loaded by `srcid --help`
    from collections.abc import Iterator

    from app.store.base import Item
    from app.store.data_folder import Reading

MAX_COMMIT = 10_000  # items that an import commits together
DAMAGED = 1  # exit code
FileArgument = Annotated[Path, typer.Argument(help="Ends with .parquet, .jsonl or .faiss.")]
store = typer.Typer(
    name="store",
    help="Export, back up, verify and rebuild an index on this machine.",
    no_args_is_help=True,
)


@store.command()
def export(
    file: FileArgument,
    data_dir: DataDirOption = None,
) -> None:
    """Write the whole index to a file, one item per row: its codes, metadata and text.

    A .jsonl file has the codes as tokens for a language model, a .parquet file as lists. A .faiss
    file is an index of the codes that FAISS opens; FILE.jsonl says what its rows are. The file is a
    snapshot, even if other processes write meanwhile (an export from Milvus may miss or include
    their changes). Stored media are not exported.
    """
    from tqdm import tqdm

    from app.transfer.faiss_file import FAISS, export_index
    from app.transfer.transfer import export_items

    settings = local_settings(data_dir=data_dir)
    with _whole_index(settings) as whole:
        items = tqdm(whole.items, total=whole.num_items, unit="item")
        if file.suffix == FAISS:
            from model.encoder import Encoder

            encoder = Encoder.from_pretrained(settings.checkpoint, download=False)
            export_index(items, file, fingerprint=whole.fingerprint, encoder=encoder)
        else:
            export_items(items, file, fingerprint=whole.fingerprint)
        print(f"{whole.num_items} items exported to {file}")


@store.command("import")
def import_(
    file: FileArgument, data_dir: DataDirOption = None, checkpoint: CheckpointOption = None
) -> None:
    """Add all items of a file that `srcid store export` wrote; existing ids are replaced.

    The file is checked before anything changes: it must be complete, and made with the checkpoint
    in use. To resume an interrupted import, run the same command again.
    """
    from tqdm import tqdm

    from app.main import open_store
    from app.transfer.transfer import read_items
    from model.encoder import Encoder

    settings = local_settings(data_dir=data_dir, checkpoint=checkpoint)
    encoder = Encoder.from_pretrained(settings.checkpoint, download=False)

    def items() -> "Iterator[Item]":
        vocabulary, fingerprint = encoder.vocabulary, encoder.fingerprint
        return read_items(file, vocabulary=vocabulary, fingerprint=fingerprint)

    total = sum(1 for _ in tqdm(items(), desc="checking", unit="item"))
    with open_store(settings, encoder) as index:
        remaining = iter(tqdm(items(), desc="importing", total=total, unit="item"))
        while batch := list(islice(remaining, MAX_COMMIT)):
            index.add_many(batch, replace=True)
    print(f"{total} items imported from {file}")


@store.command()
def backup(
    to: Annotated[Path, typer.Argument(help="A folder that does not exist yet.")],
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy the index, stored media and API keys to a folder. A server may keep running.

    The folder is a data directory itself: --data-dir can name it.
    """
    from app.upkeep.backup import back_up

    made = back_up(local_settings(data_dir=data_dir).data_dir, to)
    if as_json:
        print_json(made)
    else:
        print(f"{made.items} items and {made.media_files} files of media copied to {to}")


@store.command()
def restore(
    backup: Annotated[Path, typer.Argument(help="A folder that srcid store backup wrote.")],
    data_dir: DataDirOption = None,
    replace: Annotated[bool, typer.Option("--replace", help="Discard the existing items.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Replace an index by a backup. Stop the server first.

    API keys are restored only if there are none.
    """
    from app.upkeep.backup import restore as put_back

    folder = local_settings(data_dir=data_dir).data_dir
    made = put_back(backup, folder, replace=replace)
    if as_json:
        print_json(made)
    else:
        print(f"{made.items} items of {made.created:%F %R} UTC restored to {folder}")


@store.command()
def verify(data_dir: DataDirOption = None, as_json: JsonOption = False) -> None:
    """Read the whole index and all stored media, and report damage with exit code 1.

    Nothing is changed. A server may keep running.
    """
    from app.upkeep.verify import verify as read_all

    result = read_all(local_settings(data_dir=data_dir).data_dir)
    if as_json:
        print_json(result)
    else:
        for damage in result.damages:
            print(f"damaged: {damage}")
        for note in result.notes:
            print(f"note: {note}")
        print(
            f"{result.items} items, {result.streams} streams and {result.media_files} files of "
            f"media read, {len(result.damages)} damages"
        )
    if result.damages:
        raise typer.Exit(DAMAGED)


@store.command()
def rebuild(
    data_dir: DataDirOption = None,
    checkpoint: CheckpointOption = None,
    device: DeviceOption = None,
    drop: Annotated[
        bool, typer.Option("--drop", help="Leave out items that cannot be encoded again.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Encode an index again with another checkpoint, from its sentences and stored media.

    If media of an item were not stored, the item is listed and nothing changes, unless --drop is
    given. The old index stays until the new one is complete; an interrupted run resumes.
    """
    from tqdm import tqdm

    from app.upkeep.rebuild import rebuild as encode_anew

    settings = local_settings(data_dir=data_dir, checkpoint=checkpoint, device=device)
    with ExitStack() as bars:  # none if the index is rejected

        def begin(total: int) -> Callable[[], object]:
            return bars.enter_context(tqdm(total=total, unit="item", disable=as_json)).update

        made = encode_anew(settings, drop=drop, begin=begin)
    if as_json:
        print_json(made)
        return
    for item_id, why in made.left_out.items():
        print(f"left out: {item_id}: {why}")
    counts = f"{made.items} items encoded, {len(made.left_out)} left out"
    print(f"{counts}; checkpoint {made.fingerprint}")


@store.command()
def compact(
    data_dir: DataDirOption = None,
    checkpoint: CheckpointOption = None,
    as_json: JsonOption = False,
) -> None:
    """Rewrite the database without gaps, and write a snapshot that opens quickly."""
    from app.upkeep.rebuild import compact as rewrite

    made = rewrite(local_settings(data_dir=data_dir, checkpoint=checkpoint))
    if as_json:
        print_json(made)
    else:
        print(f"{made.items} items, {made.bytes_before:,} -> {made.bytes_after:,} bytes")


@contextmanager
def _whole_index(settings: Settings) -> "Iterator[Reading]":
    """Yield all items: a snapshot of a folder; of Milvus page by page."""
    from app.store.data_folder import Reading, reading

    if settings.store_url is None:
        with reading(settings.data_dir) as snapshot:
            yield snapshot
        return
    from app.main import open_store
    from model.encoder import Encoder

    encoder = Encoder.from_pretrained(settings.checkpoint, download=False)
    with open_store(settings, encoder, read_only=True) as index:
        yield Reading(encoder.fingerprint, len(index), index.items())
