"""What the indexes rely on beneath the contract of stores."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from app.store.base import Item, Stream
from app.store.sqlite.database import ItemDatabase
from app.store.sqlite.views import Position, View
from model.modality import Modality

AUDIO, VIDEO = Modality.AUDIO, Modality.VIDEO


@pytest.fixture
def database(tmp_path: Path) -> Iterator[ItemDatabase]:
    opened = ItemDatabase(tmp_path / "items.sqlite3", fingerprint="aa", read_only=False)
    yield opened
    opened.close()


def put(database: ItemDatabase, *ids: str) -> Position:
    """Write items with two streams each; return how far the database has come."""
    stream = Stream(np.zeros((2, 3), np.int16), 3.0)
    items = [Item(own, {AUDIO: stream, VIDEO: stream}, {}, None, "") for own in ids]
    database.put_all(items, replace=True)
    with database.view() as view:
        return view.position()


def added(view: View, since: Position) -> set[int]:
    return {key for own in view.code_batches(since=since.added) for key in own.keys.tolist()}


def test_a_stream_key_is_never_used_again(database: ItemDatabase) -> None:
    """An index that still holds the key of a stream that is gone must not find another."""
    keys: list[int] = []
    for _ in range(3):
        put(database, "a")
        with database.view() as view:
            (own,) = view.all()
            now = [key for batch in view.code_batches() for key in batch.keys.tolist()]
            assert sorted(view.of_streams(now)) == sorted(now)
            assert own.streams.keys() == {AUDIO, VIDEO}
        keys += now
        assert database.delete("a")
    assert len(set(keys)) == 6
    with database.view() as view:
        assert view.of_streams(keys) == {}


def test_what_happened_since_a_position_is_known(database: ItemDatabase) -> None:
    begun = put(database, "a", "b")
    with database.view() as view:
        before = added(view, Position(begun.history, 0, 0))
    put(database, "c")
    database.delete("c")
    put(database, "b", "d")
    with database.view() as view:
        assert view.continues_from(begun)
        gone = set(view.removed_since(begun))
        every = added(view, Position(begun.history, 0, 0))
        assert len(gone) == 2  # of b; what came and went since does not count
        assert before - gone | added(view, begun) == every
        assert len(every) == 6


def test_what_others_commit_is_not_seen_by_a_view(database: ItemDatabase) -> None:
    put(database, "a")
    with database.view() as view:
        position = view.position()
        put(database, "b")
        assert view.count() == 1
        assert view.position() == position
        with database.view() as other:
            assert other.count() == 2


def test_a_position_of_another_history_leads_nowhere(database: ItemDatabase) -> None:
    position = put(database, "a")
    put(database, "b")
    with database.view() as view:
        assert view.continues_from(position)
        assert not view.continues_from(position._replace(history=position.history + 1))
        assert not view.continues_from(position._replace(added=99))
        assert not view.continues_from(position._replace(removed=99))


def test_a_position_before_forgotten_removals_leads_nowhere(database: ItemDatabase) -> None:
    positions = [put(database, "a") for _ in range(3)]  # two streams are removed each time
    database.edit(lambda db: bool(db.execute("DELETE FROM removed WHERE number < 3").rowcount))
    with database.view() as view:
        assert [view.continues_from(own) for own in positions] == [False, True, True]
