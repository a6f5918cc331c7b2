"""What the search relies on beneath the contract of stores."""

from pathlib import Path

import numpy as np

from app.store.base import Item, Stream
from app.store.items import ItemDatabase
from model.modality import Modality


def test_a_stream_key_is_never_used_again(tmp_path: Path) -> None:
    """A search that still holds the key of a stream that is gone must not find another."""
    item = Item("a", {Modality.AUDIO: Stream(np.zeros((2, 3), np.int16), 3.0)}, {}, None, "")
    database = ItemDatabase(tmp_path / "items.sqlite3", fingerprint="aa", read_only=False)
    first = database.put(item, replace=False)
    second = database.put(item, replace=True)
    database.delete("a")
    third = database.put(item, replace=False)
    assert second.removed == first.added
    assert len({*first.added, *second.added, *third.added}) == 3
    assert database.of_streams(list(first.added)) == {}
    database.close()
