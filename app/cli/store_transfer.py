"""``srcid store export`` and ``srcid store import``: the whole index as Parquet or JSON lines."""

from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.options import CheckpointOption, DataDirOption
from app.settings import Settings, load_settings

if TYPE_CHECKING:  # `srcid --help` answers without them
    from collections.abc import Iterator

    from app.store.base import Item
    from app.store.data_folder import Reading

AT_ONCE = 10_000  # items that are committed together
FileArgument = Annotated[Path, typer.Argument(help="Ends with .parquet or .jsonl.")]


def export(file: FileArgument, data_dir: DataDirOption = None) -> None:
    """Write the whole index to a file: an item a row, its codes, metadata and text.

    A .jsonl file has the codes as tokens for a language model, a .parquet file as lists. It is
    the index of one moment: other processes may write to it meanwhile (of one in Milvus, an item
    may be of a later one). Kept media are not in it.
    """
    from tqdm import tqdm

    from app.transfer.transfer import export_items

    with _whole_index(load_settings(data_dir=data_dir)) as found:
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

    from app.main import open_store
    from app.transfer.transfer import read_items
    from model.encoder import Encoder

    settings = load_settings(data_dir=data_dir, checkpoint=checkpoint)
    encoder = Encoder.from_pretrained(settings.checkpoint)

    def items() -> "Iterator[Item]":
        own, vocabulary = encoder.fingerprint, encoder.vocabulary
        return read_items(file, vocabulary=vocabulary, fingerprint=own)

    total = sum(1 for _ in tqdm(items(), desc="checking", unit="item"))
    with open_store(settings, encoder) as store:
        remaining = iter(tqdm(items(), desc="importing", total=total, unit="item"))
        while batch := list(islice(remaining, AT_ONCE)):
            store.add_many(batch, replace=True)
    print(f"{total} items imported from {file}")


@contextmanager
def _whole_index(settings: Settings) -> "Iterator[Reading]":
    """Yield all items: of a folder as of one moment; of Milvus page by page."""
    from app.store.data_folder import Reading, reading

    if settings.store_url is None:
        with reading(settings.data_dir) as found:
            yield found
        return
    from app.main import open_store
    from model.encoder import Encoder

    encoder = Encoder.from_pretrained(settings.checkpoint)
    with open_store(settings, encoder, read_only=True) as store:
        yield Reading(encoder.fingerprint, len(store), store.items())
