"""The items in SQLite: durable on return, one transaction an item.

WAL with full synchronisation: a commit is on the disk before the call returns, and a process
killed at any moment leaves a database that opens with every committed item.
"""

import json
import sqlite3
import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.errors import IndexMismatch, ItemExists, StoreUnavailable
from app.filters import Where
from app.store.base import Duplicate, Item, Stream
from app.store.schema import codes_key, connect, prepare
from app.store.where_sql import compiled
from model.modality import Modality

# One statement sees one state of the database: an item is read whole or not at all. CROSS makes
# SQLite go from the items to their streams, so that what is ordered by id needs no sorting.
SELECT = """
SELECT items.id, items.text, items.sha256, items.metadata,
       streams.key, streams.modality, streams.code_rows, streams.codes, streams.duration_seconds
FROM items CROSS JOIN streams ON streams.item = items.key
"""
ORDER = {modality: place for place, modality in enumerate(Modality)}  # what orders equal scores
IN_ORDER = "CASE streams.modality " + " ".join(f"WHEN '{m}' THEN {n}" for m, n in ORDER.items())
FIRST = f"""
SELECT streams.key FROM streams JOIN items ON streams.item = items.key
WHERE streams.key IN (SELECT value FROM json_each(?)) ORDER BY items.id, {IN_ORDER} END LIMIT ?
"""
EQUAL = """
SELECT twins.id, other.modality FROM items
JOIN streams AS own ON own.item = items.key
JOIN streams AS other ON other.codes_key = own.codes_key AND other.modality = own.modality
    AND other.code_rows = own.code_rows AND other.codes = own.codes AND other.item != own.item
JOIN items AS twins ON other.item = twins.key
WHERE items.id = ?
"""
BATCH = 10_000  # streams read at once


class StoredItem(NamedTuple):
    """An item and the key of each of its streams."""

    item: Item
    keys: dict[int, Modality]


class Change(NamedTuple):
    """What a write did to the streams."""

    added: dict[int, Modality]  # by key
    removed: dict[int, Modality]


class CodeBatch(NamedTuple):
    """Streams of one modality and length."""

    modality: Modality
    keys: NDArray[np.int64]  # [R], rising
    codes: NDArray[np.int16]  # [R, C, T]


class ItemDatabase:
    """The items of one checkpoint. Any thread may read; the owner lets one write at a time.

    Args:
        path: The file; made where it is missing.
        fingerprint: The checkpoint in use. A database without items takes any.
        read_only: Whether another process may be the writer; nothing is changed then.

    Raises:
        IndexMismatch: The items were encoded with another checkpoint.
        StoreUnavailable: The file is damaged, cannot be written, or is of a newer version.
    """

    def __init__(self, path: Path, *, fingerprint: str, read_only: bool) -> None:
        self._path = path
        self._read_lock = threading.Lock()
        self._writer = connect(path)
        self._reader = connect(path)
        try:
            prepare(self._writer, path, read_only=read_only)
            self._stamp(path.parent, fingerprint, read_only=read_only)
        except sqlite3.Error as error:
            self.close()
            raise _unusable(path, error) from error
        except BaseException:
            self.close()
            raise

    def put(self, item: Item, *, replace: bool) -> Change:
        """Write ``item``; where its id exists, replace all that was kept under it.

        Raises:
            ItemExists: The id exists and ``replace`` is false.
            StoreUnavailable: It could not be written; nothing has changed.
        """
        with self._transaction() as db:
            removed = self._remove(db, item.id)
            if removed and not replace:
                raise ItemExists(item.id)
            values = (item.id, item.text, item.sha256, json.dumps(dict(item.metadata)))
            key = db.execute(
                "INSERT INTO items (id, text, sha256, metadata) VALUES (?, ?, ?, ?)", values
            ).lastrowid
            added = {}
            for modality, stream in item.streams.items():
                blob = stream.codes.astype("<i2").tobytes()
                rows = len(stream.codes)
                own_key = codes_key(modality, rows, blob)
                written = db.execute(
                    "INSERT INTO streams "
                    "(item, modality, code_rows, codes, duration_seconds, codes_key) "
                    "VALUES (?, ?, ?, ?, ?, ?)",
                    (key, modality, rows, blob, stream.duration_seconds, own_key),
                ).lastrowid
                assert written is not None
                added[written] = modality
        return Change(added, removed)

    def delete(self, item_id: str) -> Change:
        """Remove the item of that id; nothing changes where there is none."""
        with self._transaction() as db:
            return Change({}, self._remove(db, item_id))

    def get(self, item_id: str) -> Item | None:
        """Return the item of that id, or None."""
        found = self._select("WHERE items.id = ?", (item_id,))
        return found[0].item if found else None

    def page(self, *, after: str, limit: int) -> list[StoredItem]:
        """Return at most ``limit`` items, by id, from the first whose id is above ``after``."""
        where = "WHERE items.key IN (SELECT key FROM items WHERE id > ? ORDER BY id LIMIT ?)"
        return self._select(where, (after, limit))

    def passing(self, where: Where) -> dict[Modality, NDArray[np.int64]]:
        """Return the keys, rising, of the streams of the items that pass ``where``."""
        condition, values = compiled(where)
        rows = self._rows(
            "SELECT streams.key, streams.modality FROM items "
            f"JOIN streams ON streams.item = items.key WHERE {condition} ORDER BY streams.key",
            values,
        )
        return {m: np.array([key for key, own in rows if own == m], np.int64) for m in Modality}

    def first(self, keys: NDArray[np.int64], *, limit: int) -> list[int]:
        """Return at most ``limit`` of the stream keys, in the order of ids, then modalities."""
        return [key for (key,) in self._rows(FIRST, (json.dumps(keys.tolist()), limit))]

    def equal(self, item_id: str) -> list[Duplicate]:
        """Return the streams of other items with the codes of one of this item's, by id."""
        found = [Duplicate(own, Modality(m)) for own, m in self._rows(EQUAL, (item_id,))]
        return sorted(found, key=lambda own: (own.item_id, ORDER[own.modality]))

    def code_batches(self) -> Iterator[CodeBatch]:
        """Yield all streams, those of one modality and length in the order of their keys."""
        last = 0
        query = "SELECT key, modality, code_rows, codes FROM streams WHERE key > ? ORDER BY key"
        while rows := self._rows(f"{query} LIMIT {BATCH}", (last,)):
            kinds: dict[tuple[str, int, int], list[tuple[int, bytes]]] = defaultdict(list)
            for key, modality, code_rows, blob in rows:
                kinds[modality, code_rows, len(blob)].append((key, blob))
            for (modality, code_rows, _), own in kinds.items():
                keys = np.array([key for key, _ in own], np.int64)
                codes = np.frombuffer(b"".join(blob for _, blob in own), "<i2")
                codes = codes.astype(np.int16).reshape(len(own), code_rows, -1)
                yield CodeBatch(Modality(modality), keys, codes)
            last = rows[-1][0]

    def of_streams(self, keys: Sequence[int]) -> dict[int, StoredItem]:
        """Return the item of each stream key that there is."""
        own = "SELECT item FROM streams WHERE key IN (SELECT value FROM json_each(?))"
        found = self._select(f"WHERE items.key IN ({own})", (json.dumps(list(keys)),))
        return {key: stored for stored in found for key in stored.keys}

    def __len__(self) -> int:
        with self._read_lock:
            return int(self._reader.execute("SELECT count(*) FROM items").fetchone()[0])

    def close(self) -> None:
        """Close the file."""
        self._reader.close()
        self._writer.close()

    def _stamp(self, folder: Path, fingerprint: str, *, read_only: bool) -> None:
        """Hold the items to the checkpoint that made them."""
        stamped = self._writer.execute("SELECT fingerprint FROM checkpoint").fetchone()
        if stamped == (fingerprint,):
            return
        if len(self):
            raise IndexMismatch(
                f"the {len(self)} items in {folder} were encoded with checkpoint {stamped[0]}, "
                f"but {fingerprint} is in use: use the old checkpoint (SRCID_CHECKPOINT, "
                "--checkpoint), or index the media again in another data directory "
                "(SRCID_DATA_DIR, --data-dir)"
            )
        if not read_only:
            with self._transaction() as db:
                db.execute("DELETE FROM checkpoint")
                db.execute("INSERT INTO checkpoint VALUES (?)", (fingerprint,))

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """All that is written inside is committed at the end, or none of it."""
        db = self._writer
        try:
            db.execute("BEGIN IMMEDIATE")
            yield db
            db.execute("COMMIT")
        except BaseException as error:
            if db.in_transaction:  # SQLite itself rolls some failures back
                db.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                raise _unusable(self._path, error) from error
            raise

    @staticmethod
    def _remove(db: sqlite3.Connection, item_id: str) -> dict[int, Modality]:
        streams = (
            "SELECT key, modality FROM streams WHERE item = (SELECT key FROM items WHERE id = ?)"
        )
        removed = {key: Modality(m) for key, m in db.execute(streams, (item_id,))}
        db.execute("DELETE FROM items WHERE id = ?", (item_id,))
        return removed

    def _select(self, where: str, values: Sequence[object]) -> list[StoredItem]:
        query = f"{SELECT} {where} ORDER BY items.id, streams.key"
        rows = self._rows(query, values)
        return [stored_item(list(own)) for _, own in groupby(rows, key=itemgetter(0))]

    def _rows(self, query: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        with self._read_lock:
            return self._reader.execute(query, values).fetchall()


def stored_item(rows: list[tuple[Any, ...]]) -> StoredItem:
    """Read one item from its rows, a row a stream."""
    item_id, text, sha256, metadata = rows[0][:4]
    streams, keys = {}, {}
    for key, modality, code_rows, blob, duration in (row[4:] for row in rows):
        codes = np.frombuffer(blob, "<i2").astype(np.int16).reshape(code_rows, -1)
        streams[Modality(modality)] = Stream(codes, duration)
        keys[key] = Modality(modality)
    return StoredItem(Item(item_id, streams, json.loads(metadata), text, sha256), keys)


def _unusable(path: Path, error: sqlite3.Error) -> StoreUnavailable:
    return StoreUnavailable(
        f"{path} cannot be used ({error}): free its disk, restore it from a backup, or choose "
        "another data directory (SRCID_DATA_DIR, --data-dir)"
    )
