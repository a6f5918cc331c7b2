"""The store in a folder: crashes, threads, a second process, damage."""

import sqlite3
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app.errors import IndexMismatch, StoreUnavailable
from app.schemas.search import SearchOptions
from app.store import local
from app.store.base import Item, Stream
from app.store.index import sync
from app.store.local import LocalStore
from app.store.sqlite import database
from model.encoder import Vocabulary
from model.modality import Modality

AUDIO, VIDEO = Modality.AUDIO, Modality.VIDEO
VOCABULARY = Vocabulary(
    np.random.default_rng(0).normal(size=(2, 12, 4)).astype(np.float32), np.array([1, 2])
)
QUERY = VOCABULARY.pooled(np.ones((2, 3), np.int16), (1, 2))[None]


def make_item(item_id: str, code: int = 1) -> Item:
    stream = Stream(np.full((2, 3), code, np.int16), 3.0)
    return Item(item_id, {AUDIO: stream, VIDEO: stream}, {"code": code}, None, "")


def open_store(folder: Path, *, read_only: bool = False, fingerprint: str = "aa") -> LocalStore:
    return LocalStore(folder, VOCABULARY, fingerprint=fingerprint, read_only=read_only)


def test_readers_never_miss_an_item_that_is_being_replaced(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        store.add(make_item("a"), replace=False)
        done = threading.Event()
        failures: list[object] = []

        def read() -> None:
            while not done.is_set():
                hits = store.search(
                    QUERY, SearchOptions(targets=[AUDIO, VIDEO], k=5), layers=(1, 2)
                )
                item = store.get("a")
                if len(hits) != 2 or item is None or len(item.streams) != 2:
                    failures.append((hits, item))
                for hit in hits:
                    if hit.item.streams[hit.modality].codes[0, 0] != hit.item.metadata["code"]:
                        failures.append(hit)

        readers = [threading.Thread(target=read) for _ in range(3)]
        for reader in readers:
            reader.start()
        for number in range(60):
            store.add(make_item("a", number % 12), replace=True)
        done.set()
        for reader in readers:
            reader.join()
        assert not failures


def test_threads_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:

        def write(name: str) -> None:
            for number in range(10):
                store.add(make_item(f"{name}{number}"), replace=False)

        writers = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        assert len(store) == 40
        hits = store.search(QUERY, SearchOptions(targets=[AUDIO, VIDEO], k=100), layers=(1, 2))
        assert len(hits) == 80


def test_a_second_writer_is_told_who_writes(tmp_path: Path) -> None:
    with (
        open_store(tmp_path),
        pytest.raises(StoreUnavailable, match=r"another process \(pid \d+\) writes to"),
    ):
        open_store(tmp_path)


def found(store: LocalStore) -> list[str]:
    hits = store.search(QUERY, SearchOptions(targets=[AUDIO], k=9), layers=(1, 2))
    return sorted(hit.item.id for hit in hits)


def test_a_reader_sees_what_the_writer_commits(tmp_path: Path) -> None:
    with open_store(tmp_path) as writer:
        writer.add(make_item("a"), replace=False)
        with open_store(tmp_path, read_only=True) as reader:
            assert found(reader) == ["a"]
            writer.delete("a")
            assert found(reader) == []
            writer.add_many([make_item("b"), make_item("c")], replace=False)
            assert found(reader) == ["b", "c"]
            writer.add(make_item("b", 2), replace=True)
            assert [own.item_id for own in reader.duplicates("b")] == []
            assert reader.card(0, 2, k=1).counts == {AUDIO: 3, VIDEO: 3}
            assert len(reader) == 2
        with pytest.raises(StoreUnavailable):  # closing the reader did not free the lock
            open_store(tmp_path)


def test_a_store_that_is_closed_leaves_a_snapshot_where_that_saves_time(tmp_path: Path) -> None:
    for count in (local.SAVE_AT_CLOSE // 2 - 1, local.SAVE_AT_CLOSE // 2):  # items of two streams
        with open_store(tmp_path / f"{count}") as store:
            store.add_many([make_item(f"{n}") for n in range(count)], replace=False)
    saved = [len(list(path.glob("snapshots/*"))) for path in sorted(tmp_path.iterdir())]
    assert saved == [0, 1]


def test_much_that_is_added_is_saved_before_the_store_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "SYNC_AFTER", 10)
    monkeypatch.setattr(sync, "UNSAVED", 40)
    with open_store(tmp_path) as store:
        for number in range(19):
            store.add(make_item(f"{number}"), replace=False)
        assert not (tmp_path / "snapshots").exists()
        store.add(make_item("last"), replace=False)
        assert len(list((tmp_path / "snapshots").iterdir())) == 1


def test_a_reader_does_not_write(tmp_path: Path) -> None:
    with open_store(tmp_path) as writer:
        writer.add(make_item("a"), replace=False)
        with open_store(tmp_path, read_only=True) as reader:
            with pytest.raises(StoreUnavailable, match="opened read-only"):
                reader.add(make_item("b"), replace=False)
            with pytest.raises(StoreUnavailable, match="opened read-only"):
                reader.delete("a")
        assert found(writer) == ["a"]


def test_a_reader_that_was_left_behind_begins_anew(tmp_path: Path) -> None:
    """Of removals that nobody needs any more, not even the number is kept."""
    with open_store(tmp_path) as writer, open_store(tmp_path, read_only=True) as reader:
        writer.add_many([make_item(name) for name in "abc"], replace=False)
        assert found(reader) == ["a", "b", "c"]
        writer.delete("a")
        writer.delete("b")
        with sqlite3.connect(tmp_path / "items.sqlite3") as database:
            database.execute("DELETE FROM removed WHERE number < 4")
        database.close()
        assert found(reader) == found(writer) == ["c"]


def test_a_reader_of_another_checkpoint_does_not_restamp_an_empty_store(tmp_path: Path) -> None:
    with open_store(tmp_path) as writer:
        open_store(tmp_path, read_only=True, fingerprint="bb").close()
        writer.add(make_item("a"), replace=False)
    with pytest.raises(IndexMismatch):
        open_store(tmp_path, fingerprint="bb")
    open_store(tmp_path).close()


def test_a_reader_of_a_folder_without_an_index_is_told_to_index(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=r"holds no index: .*srcid index"):
        open_store(tmp_path / "nothing", read_only=True)
    assert not (tmp_path / "nothing").exists()


def test_a_damaged_file_is_named_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "items.sqlite3"
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(StoreUnavailable, match=r"items\.sqlite3 cannot be used"):
        open_store(tmp_path)
    assert path.read_bytes() == b"not a database" * 100
    path.unlink()
    open_store(tmp_path).close()  # the lock was given back


def test_a_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    open_store(tmp_path).close()
    with sqlite3.connect(tmp_path / "items.sqlite3") as database:
        database.execute("PRAGMA user_version = 4")
    database.close()
    with pytest.raises(StoreUnavailable, match="has version 4, this srcid reads 3"):
        open_store(tmp_path)


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailable, match="cannot be used as data directory"):
        open_store(tmp_path / "file")


def test_codes_outside_the_vocabulary_change_nothing(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        with pytest.raises(IndexError):
            store.add(make_item("a", 99), replace=False)
        assert store.get("a") is None


def test_a_full_disk_refuses_the_item_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def connect_to_a_full_disk(path: Path, *, read_only: bool) -> sqlite3.Connection:
        connection = connect(path, read_only=read_only)
        connection.execute("PRAGMA max_page_count = 13")
        return connection

    connect = database.connect
    monkeypatch.setattr(database, "connect", connect_to_a_full_disk)
    with open_store(tmp_path) as store:
        store.add(make_item("a"), replace=False)
        heavy = replace(make_item("a"), metadata={"x": "y" * 100_000})
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match=r"full.*: free its disk"):
                store.add(heavy, replace=True)
        kept = store.get("a")
        assert kept is not None
        assert kept.metadata == {"code": 1}
        store.add(make_item("b"), replace=False)  # what fits is still taken
        hits = store.search(QUERY, SearchOptions(targets=[AUDIO], k=5), layers=(1, 2))
        assert [hit.item.id for hit in hits] == ["a", "b"]


def test_a_commit_stands_though_the_indexes_cannot_be_synced_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def unreadable(self: sync.IndexSync) -> None:
        raise StoreUnavailable("the disk is gone")

    monkeypatch.setattr(local, "SYNC_AFTER", 1)
    with open_store(tmp_path) as store:
        with monkeypatch.context() as patch:
            patch.setattr(sync.IndexSync, "sync", unreadable)
            store.add(make_item("a"), replace=False)
        assert "could not be synced" in caplog.text
        assert {hit.item.id for hit in store.search(QUERY, SearchOptions(), layers=(1, 2))} == {"a"}
