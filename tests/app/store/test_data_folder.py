from pathlib import Path

import numpy as np
import pytest

from app.errors import StoreUnavailable
from app.store.base import Item, Stream
from app.store.data_folder import reading
from app.store.sqlite.database import ItemDatabase
from model.modality import Modality


def make_item(item_id: str) -> Item:
    codes = np.array([[1, 2], [3, 4]], np.int16)
    streams = {m: Stream(codes, 2.0) for m in (Modality.AUDIO, Modality.VIDEO)}
    return Item(item_id, streams, {}, None, "0" * 64)


@pytest.fixture
def database(tmp_path: Path) -> ItemDatabase:
    return ItemDatabase(tmp_path / "items.sqlite3", fingerprint="aa", read_only=False)


def test_items_come_by_id_with_the_checkpoint_that_they_are_of(
    tmp_path: Path, database: ItemDatabase
) -> None:
    for item_id in ("b", "a", "ä", "B"):
        database.put_all([make_item(item_id)], replace=False)
    with reading(tmp_path) as found:
        assert (found.fingerprint, found.num_items) == ("aa", 4)
        items = list(found.items)
    assert [item.id for item in items] == ["B", "a", "b", "ä"]
    assert list(items[0].streams) == [Modality.AUDIO, Modality.VIDEO]
    database.close()


def test_what_is_written_meanwhile_is_not_read(tmp_path: Path, database: ItemDatabase) -> None:
    for number in range(9):
        database.put_all([make_item(f"{number}")], replace=False)
    with reading(tmp_path) as found:
        first = next(found.items)
        database.delete("5")
        database.put_all([make_item("5a")], replace=False)
        assert [first.id, *(item.id for item in found.items)] == [f"{n}" for n in range(9)]
    database.close()


def test_no_index_and_a_damaged_one_are_sentences(tmp_path: Path) -> None:
    path = tmp_path / "items.sqlite3"
    with pytest.raises(StoreUnavailable, match="srcid index"), reading(tmp_path):
        pass
    path.write_bytes(b"not a database, whatever its name says")
    with pytest.raises(StoreUnavailable, match="backup"), reading(tmp_path):
        pass
