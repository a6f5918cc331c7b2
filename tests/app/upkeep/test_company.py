"""Backups and restores while other processes read and write."""

import threading
from pathlib import Path

import pytest

from app.errors import StoreUnavailable
from app.schemas.search import SearchOptions
from app.store.local import LocalStore
from app.upkeep.backup import back_up, restore
from tests.app.store.processes import AUDIO, QUERY, is_whole, make_item, open_store


def test_a_backup_is_of_one_moment_while_items_are_written(tmp_path: Path) -> None:
    with open_store(tmp_path / "data") as store:
        store.add_many([make_item(f"{n}", 1) for n in range(10)], replace=False)
        done = threading.Event()

        def write() -> None:
            version = 1
            while not done.is_set():
                version += 1
                store.add_many([make_item(f"{n}", version) for n in range(10)], replace=True)

        writer = threading.Thread(target=write)
        writer.start()
        try:
            for number in range(5):
                assert back_up(tmp_path / "data", tmp_path / f"backup{number}").items == 10
        finally:
            done.set()
            writer.join()
    for number in range(5):
        with open_store(tmp_path / f"backup{number}", read_only=True) as copy:
            items = copy.page(after="", limit=99)
        assert all(map(is_whole, items))
        assert len({item.metadata["version"] for item in items}) == 1


def test_a_restore_waits_for_nobody_and_readers_see_it(tmp_path: Path) -> None:
    data, backup = tmp_path / "data", tmp_path / "backup"
    with open_store(data) as store:
        store.add_many([make_item(f"{n}", 1) for n in range(5)], replace=False)
        back_up(data, backup)
        with pytest.raises(StoreUnavailable, match="another process"):
            restore(backup, data, replace=True)
        store.delete("0")
        store.add_many([make_item(f"new{n}", 1) for n in range(5)], replace=False)
    for _ in range(2):
        with open_store(data, read_only=True) as reader:
            assert len(found(reader)) == 9
            restore(backup, data, replace=True)
            assert found(reader) == [f"{n}" for n in range(5)]
        with open_store(data) as store:  # comes as far as it had come before, another way
            store.delete("1")
            store.add_many([make_item(f"other{n}", 1) for n in range(5)], replace=False)
            assert len(found(store)) == 9


def test_a_reader_tells_a_restored_index_that_has_come_as_far_from_the_one_it_knew(
    tmp_path: Path,
) -> None:
    """As many items were added to both: only their histories differ."""
    data, backup = tmp_path / "data", tmp_path / "backup"
    with open_store(data) as store:
        store.add_many([make_item(f"{n}", 1) for n in range(5)], replace=False)
    back_up(data, backup)
    restore(backup, data, replace=True)
    with open_store(data) as store:
        store.add(make_item("mine", 1), replace=False)
    with open_store(data, read_only=True) as reader:
        assert scores(reader)["mine"] == 1
        restore(backup, data, replace=True)
        with open_store(data) as store:
            store.add(make_item("theirs", 2), replace=False)
            expected = scores(store)
        assert scores(reader) == expected


def scores(store: LocalStore) -> dict[str, float]:
    hits = store.search(QUERY, SearchOptions(targets=[AUDIO], k=99), layers=(1, 2))
    return {hit.item.id: hit.score for hit in hits}


def found(store: LocalStore) -> list[str]:
    return sorted(scores(store))
