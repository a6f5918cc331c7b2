"""Files of older versions."""

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from app.errors import StoreUnavailable
from app.store.base import Duplicate, Item, Stream
from app.store.items import ItemDatabase
from model.modality import Modality

AUDIO = Modality.AUDIO


def write_version_1(path: Path) -> None:
    """What the first version left, but for the content of two items."""
    with closing(ItemDatabase(path, fingerprint="aa", read_only=False)) as database:
        for item_id in ("a", "b"):
            stream = Stream(np.arange(6, dtype=np.int16).reshape(2, 3), 3.0)
            database.put(Item(item_id, {AUDIO: stream}, {}, None, ""), replace=False)
    with sqlite3.connect(path) as db:
        db.execute("DROP INDEX streams_by_codes")
        db.execute("ALTER TABLE streams DROP COLUMN codes_key")
        db.execute("PRAGMA user_version = 1")
    db.close()


def test_a_file_of_version_1_is_brought_up_to_date_with_its_items(tmp_path: Path) -> None:
    path = tmp_path / "items.sqlite3"
    write_version_1(path)
    for _ in range(2):
        with closing(ItemDatabase(path, fingerprint="aa", read_only=False)) as database:
            assert len(database) == 2
            assert database.equal("a") == [Duplicate("b", AUDIO)]


def test_a_reader_leaves_a_file_of_version_1_to_a_writer(tmp_path: Path) -> None:
    path = tmp_path / "items.sqlite3"
    write_version_1(path)
    with pytest.raises(StoreUnavailable, match=r"version 1, .* a command that writes"):
        ItemDatabase(path, fingerprint="aa", read_only=True)
