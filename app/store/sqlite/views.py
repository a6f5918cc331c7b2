"""Reading the items as of one moment.

A view is a read transaction: later commits are not visible, so a search, its filter and the items
in its answer are consistent.
"""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from app.errors import StoreUnavailable
from app.schemas.filters import Where
from app.store.base import Item, Stream
from app.store.sqlite.schema import MODALITIES, STREAMS_EACH
from app.store.sqlite.where_sql import to_sql
from model.modality import Modality

# CROSS: SQLite reads the items before their streams, so that ordering by id needs no sorting.
SELECT = """
SELECT items.id, items.text, items.sha256, items.metadata,
       streams.key, streams.code_rows, streams.codes, streams.duration_seconds
FROM items CROSS JOIN streams ON streams.key BETWEEN 4 * items.key AND 4 * items.key + 3
"""
FIRST = """
SELECT stream.value FROM json_each(?) AS stream JOIN items ON items.key = stream.value >> 2
ORDER BY items.id, stream.value & 3 LIMIT ?
"""
POSITION = """
SELECT history, ifnull((SELECT seq FROM sqlite_sequence WHERE name = 'items'), 0),
       ifnull((SELECT seq FROM sqlite_sequence WHERE name = 'removed'), 0)
FROM state
"""
DAMAGED = """
SELECT items.id, streams.key FROM streams JOIN items ON items.key = streams.key >> 2
WHERE code_rows < 1 OR length(codes) < 1 OR length(codes) % (2 * code_rows)
"""
BATCH = 10_000  # streams or ids read at once
MANY = 5000  # streams: fewer are looked up one by one to find the first by id


class Position(NamedTuple):
    """How many changes of the database an index has seen."""

    history: int
    added: int  # the highest key of any item so far
    removed: int  # the number of streams removed so far


class StoredItem(NamedTuple):
    """An item and the key of each of its streams."""

    item: Item
    keys: dict[int, Modality]


class CodeBatch(NamedTuple):
    """Streams of one modality and length."""

    modality: Modality
    keys: NDArray[np.int64]  # [R], increasing
    codes: NDArray[np.int16]  # [R, C, T]


class View:
    """The database as of one moment, for one thread at a time."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def position(self) -> Position:
        """Return the position of the database."""
        return Position(*self._db.execute(POSITION).fetchone())

    def continues_from(self, position: Position) -> bool:
        """Return whether all changes since ``position`` are still recorded."""
        now = self.position()
        (first,) = self._db.execute("SELECT min(number) FROM removed").fetchone()
        return (
            position.history == now.history
            and position.added <= now.added
            and position.removed <= now.removed
            and (position.removed == now.removed or first in range(1, position.removed + 2))
        )

    def fingerprint(self) -> str:
        """Return the checkpoint that the items were encoded with; '' if there is none."""
        return str(self._db.execute("SELECT fingerprint FROM state").fetchone()[0])

    def snapshot(self) -> str | None:
        """Return the digest of the snapshot that indexes start from."""
        digest: str | None = self._db.execute("SELECT snapshot FROM state").fetchone()[0]
        return digest

    def count(self) -> int:
        """Return the number of items."""
        return int(self._db.execute("SELECT count(*) FROM items").fetchone()[0])

    def get(self, item_id: str) -> Item | None:
        """Return the item with that id, or None."""
        stored = self._select("WHERE items.id = ?", (item_id,))
        return stored[0].item if stored else None

    def page(
        self,
        *,
        after: str,
        before: str | None,
        limit: int,
        where: Where | None,
        from_end: bool,
    ) -> list[Item]:
        """Return items by id; see ``Store.page``."""
        condition, values = to_sql(where or Where({}))
        order = "DESC" if from_end else "ASC"
        keys = (
            f"SELECT key FROM items WHERE id > ? AND id < ? AND ({condition}) "
            f"ORDER BY id {order} LIMIT ?"
        )
        last = b"" if before is None else before  # to SQLite, a blob is greater than every text
        return [
            stored.item
            for stored in self._select(
                f"WHERE items.key IN ({keys})", (after, last, *values, limit)
            )
        ]

    def all(self) -> Iterator[Item]:
        """Yield every item by id, while the view is open.

        After one raises ``StoreUnavailable``, the next call continues with the item after it.
        """
        rows = self._db.execute(f"{SELECT} ORDER BY items.id, streams.key")
        return map(_item, groupby(rows, key=itemgetter(0)))

    def damaged(self) -> list[tuple[str, Modality]]:
        """Return the id and modality of each unreadable stream, which its item lacks."""
        rows = self._db.execute(DAMAGED)
        return [(item_id, MODALITIES[key % STREAMS_EACH]) for item_id, key in rows]

    def passing(self, where: Where, *, since: int = 0) -> NDArray[np.int64]:
        """Return the increasing keys of the items above key ``since`` that match ``where``."""
        condition, values = to_sql(where)
        query = f"SELECT key FROM items WHERE key > ? AND ({condition}) ORDER BY key"
        rows = self._db.execute(query, (since, *values))
        return np.fromiter((key for (key,) in rows), np.int64)

    def first(self, streams: NDArray[np.int64], *, limit: int) -> list[int]:
        """Return the first ``limit`` of the stream keys, by id, then modality."""
        if len(streams) > MANY:
            return self._first_of_many(streams, limit)
        rows = self._db.execute(FIRST, (json.dumps(streams.tolist()), limit))
        return [key for (key,) in rows]

    def of_streams(self, streams: Sequence[int]) -> dict[int, StoredItem]:
        """Return the item of each stream that exists and is readable."""
        items = {key // STREAMS_EACH for key in streams}
        where = "WHERE items.key IN (SELECT value FROM json_each(?))"
        rows = self._select(where, (json.dumps(list(items)),))
        return {key: stored for stored in rows for key in stored.keys}

    def removed_since(self, position: Position) -> list[int]:
        """Return the streams that existed at ``position`` and have been removed since."""
        rows = self._db.execute(
            "SELECT stream FROM removed WHERE number > ? AND stream < ?",
            (position.removed, STREAMS_EACH * (position.added + 1)),
        )
        return [stream for (stream,) in rows]

    def code_batches(self, *, since: int = 0) -> Iterator[CodeBatch]:
        """Yield the streams of all items above key ``since``, except damaged ones.

        Streams of one modality and length come in the order of their keys.
        """
        last = STREAMS_EACH * (since + 1) - 1
        query = "SELECT key, code_rows, codes FROM streams WHERE key > ? ORDER BY key LIMIT ?"
        while rows := self._db.execute(query, (last, BATCH)).fetchall():
            kinds: dict[tuple[int, int, int], list[tuple[int, bytes]]] = defaultdict(list)
            for key, code_rows, blob in rows:
                kinds[key % STREAMS_EACH, code_rows, len(blob)].append((key, blob))
            for (place, code_rows, size), streams in kinds.items():
                if not _is_whole(code_rows, size):
                    continue
                keys = np.array([key for key, _ in streams], np.int64)
                codes = np.frombuffer(b"".join(blob for _, blob in streams), "<i2")
                codes = codes.astype(np.int16).reshape(len(streams), code_rows, -1)
                yield CodeBatch(MODALITIES[place], keys, codes)
            last = rows[-1][0]

    def _first_of_many(self, streams: NDArray[np.int64], limit: int) -> list[int]:
        """Read the ids in order until enough match, which is soon with many streams."""
        is_searched = np.zeros(int(streams.max()) + 1, bool)
        is_searched[streams] = True
        first: list[int] = []
        rows = self._db.execute("SELECT key FROM items ORDER BY id")
        while len(first) < limit and (part := rows.fetchmany(BATCH)):
            keys = (STREAMS_EACH * np.array(part) + np.arange(STREAMS_EACH)).ravel()
            keys = keys[keys < len(is_searched)]
            first += keys[is_searched[keys]].tolist()
        return first[:limit]

    def _select(self, where: str, values: Sequence[object]) -> list[StoredItem]:
        rows = self._db.execute(f"{SELECT} {where} ORDER BY items.id, streams.key", values)
        return [_stored(list(group)) for _, group in groupby(rows, key=itemgetter(0))]


def _stored(rows: list[tuple[Any, ...]]) -> StoredItem:
    """Read one item from its rows, one per stream, leaving out damaged streams."""
    item_id, text, sha256, metadata = rows[0][:4]
    streams, keys = {}, {}
    for key, code_rows, blob, duration in (row[4:] for row in rows):
        if not _is_whole(code_rows, len(blob)):
            continue
        codes = np.frombuffer(blob, "<i2").astype(np.int16).reshape(code_rows, -1)
        modality = MODALITIES[key % STREAMS_EACH]
        streams[modality] = Stream(codes, duration)
        keys[key] = modality
    try:
        parsed: dict[str, JsonValue] = json.loads(metadata)
    except ValueError as error:
        raise StoreUnavailable(
            f"the metadata of item {item_id!r} are damaged ({error}): delete the item, or add it "
            "again"
        ) from error
    return StoredItem(Item(item_id, streams, parsed, text, sha256.hex()), keys)


def _item(rows: tuple[str, Iterator[tuple[Any, ...]]]) -> Item:
    return _stored(list(rows[1])).item


def _is_whole(code_rows: int, size: int) -> bool:
    """Return whether ``size`` bytes are whole steps of so many codes; in SQL: ``DAMAGED``."""
    return code_rows > 0 and size > 0 and size % (2 * code_rows) == 0
