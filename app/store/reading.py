"""All items of a folder as of one moment, one after another, without a checkpoint."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from app.errors import StoreUnavailable
from app.store.base import Item
from app.store.items import SELECT, stored_item
from app.store.schema import connect, prepare


class Reading(NamedTuple):
    """What a database holds."""

    fingerprint: str  # of the checkpoint; empty before the first item
    num_items: int
    items: Iterator[Item]  # by id; not to be used after the reading


@contextmanager
def reading(path: Path) -> Iterator[Reading]:
    """Yield what the database ``path`` holds now, whatever is written to it meanwhile.

    Raises:
        StoreUnavailable: There is none, or it is damaged.
    """
    if not path.exists():
        raise StoreUnavailable(
            f"{path.parent} holds no index: index a folder of media first (srcid index), or name "
            "another data directory (SRCID_DATA_DIR, --data-dir)"
        )
    try:
        with closing(connect(path)) as db:
            prepare(db, path, read_only=True)
            db.execute("BEGIN")
            stamped = db.execute("SELECT fingerprint FROM checkpoint").fetchone()
            count = db.execute("SELECT count(*) FROM items").fetchone()[0]
            rows = db.execute(f"{SELECT} ORDER BY items.id, streams.key")
            items = (stored_item(list(own)).item for _, own in groupby(rows, key=itemgetter(0)))
            yield Reading(stamped[0] if stamped else "", count, items)
    except sqlite3.Error as error:
        raise StoreUnavailable(
            f"{path} cannot be read ({error}): restore it from a backup, or name another data "
            "directory (SRCID_DATA_DIR, --data-dir)"
        ) from error
