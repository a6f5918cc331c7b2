"""``srcid store export`` and ``srcid store import``: the whole index as Parquet or JSON lines."""

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.options import CheckpointOption, DataDirOption
from app.settings import load_settings

if TYPE_CHECKING:  # `srcid --help` answers without them
    from collections.abc import Iterator

    from app.store.base import Item

AT_ONCE = 10_000  # items that are committed together
FileArgument = Annotated[Path, typer.Argument(help="Ends with .parquet or .jsonl.")]


def export(file: FileArgument, data_dir: DataDirOption = None) -> None:
    """Write the whole index to a file: an item a row, its codes, metadata and text.

    A .jsonl file has the codes as tokens for a language model, a .parquet file as lists. It is
    the index of one moment: other processes may write to it meanwhile. Kept media are not in it.
    """
    from tqdm import tqdm

    from app.store.reading import reading
    from app.transfer.transfer import export_items

    settings = load_settings(data_dir=data_dir)
    with reading(settings.data_dir) as found:
        items = tqdm(found.items, total=found.num_items, unit="item")
        export_items(items, file, fingerprint=found.fingerprint)
        print(f"{found.num_items} items exported to {file}")


def import_(
    file: FileArgument, data_dir: DataDirOption = None, checkpoint: CheckpointOption = None
) -> None:
    """Add all items of a file that `srcid store export` wrote, in place of those of their ids.

    The file is gone through before anything is changed: it has to be whole, and of the
    checkpoint in use. An import that was interrupted is completed by the same command.
    """
    from tqdm import tqdm

    from app.store.local import LocalStore
    from app.transfer.transfer import read_items
    from model.checkpoint import fingerprint, locate
    from model.encoder import vocabulary_of
    from model.srcid import SRCID

    settings = load_settings(data_dir=data_dir, checkpoint=checkpoint)
    folder = locate(settings.checkpoint)
    own, vocabulary = fingerprint(folder), vocabulary_of(SRCID.from_pretrained(folder))

    def items() -> "Iterator[Item]":
        return read_items(file, vocabulary=vocabulary, fingerprint=own)

    total = sum(1 for _ in tqdm(items(), desc="checking", unit="item"))
    with LocalStore(settings.data_dir, vocabulary, fingerprint=own) as store:
        remaining = iter(tqdm(items(), desc="importing", total=total, unit="item"))
        while batch := list(islice(remaining, AT_ONCE)):
            store.add_many(batch, replace=True)
    print(f"{total} items imported from {file}")
