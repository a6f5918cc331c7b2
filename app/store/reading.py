"""All items of a folder as of one moment, one after another, without a checkpoint."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from app.store.base import Item, Store
from app.store.folder import existing_database
from app.store.sqlite.database import ItemDatabase


class Reading(NamedTuple):
    """What a database holds."""

    fingerprint: str  # of the checkpoint; empty before the first item
    num_items: int
    items: Iterator[Item]  # by id; not to be used after the reading


PAGE = 500  # items


@contextmanager
def reading(folder: Path) -> Iterator[Reading]:
    """Yield what the index in ``folder`` holds now, whatever is written to it meanwhile.

    Raises:
        StoreUnavailable: There is none, or it is damaged.
    """
    database = ItemDatabase(existing_database(folder), fingerprint=None, read_only=True)
    with closing(database), database.view() as view:
        yield Reading(view.fingerprint(), view.count(), view.all())


def pages(store: Store) -> Iterator[Item]:
    """Yield all items of any store by id, each as it is when its page is read."""
    after = ""
    while items := store.page(after=after, limit=PAGE):
        yield from items
        after = items[-1].id
