"""Indexes that are opened from a file: the same as those that are built, whatever the file is."""

import logging
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.errors import StoreUnavailable
from app.store.base import Item, Stream
from app.store.index import snapshots as snapshots_module
from app.store.index.code_index import CodeIndex
from app.store.index.snapshots import Snapshots
from app.store.index.sync import IndexSync
from app.store.sqlite.database import ItemDatabase
from app.store.sqlite.views import CodeBatch, View
from model.modality import Modality
from tests.app.store.index_cases import make_vocabulary, nearest

AUDIO, VIDEO = Modality.AUDIO, Modality.VIDEO
VOCABULARY = make_vocabulary(size=300)  # of nine bits
Contents = dict[int, list[list[int]]]


def make_item(item_id: str, seed: int) -> Item:
    rng = np.random.default_rng(seed)
    streams = {
        m: Stream(rng.integers(0, 300, (2, 1 + (seed + n) % 4)).astype(np.int16), 1.0)
        for n, m in enumerate([AUDIO, VIDEO][: 1 + seed % 2])
    }
    return Item(item_id, streams, {}, None, "")


class Opened:
    """A database with its indexes."""

    def __init__(self, folder: Path, *, read_only: bool = False, fingerprint: str = "aa") -> None:
        self.folder = folder
        self.database = ItemDatabase(
            folder / "items.sqlite3", fingerprint=fingerprint, read_only=read_only
        )
        self.indexes = IndexSync(
            self.database,
            lambda: CodeIndex(VOCABULARY),
            Snapshots(folder / "snapshots", fingerprint=fingerprint),
        )

    def add(self, *items: Item) -> None:
        self.database.put_all(items, replace=True)

    def contents(self) -> Contents:
        """The codes of all streams in the indexes, by key."""
        with self.indexes.reading() as (_, indexes):
            return {
                key: codes.tolist()
                for index in indexes.values()
                for block in index.blocks.values()
                for keys, every in block.streams()
                for key, codes in zip(keys.tolist(), every, strict=True)
            }

    def expected(self) -> Contents:
        with self.database.view() as view:
            return {
                key: codes.tolist()
                for own in view.code_batches()
                for key, codes in zip(own.keys.tolist(), own.codes, strict=True)
            }

    def nearest(self, query: NDArray[np.float32]) -> list[dict[int, float]]:
        with self.indexes.reading() as (_, indexes):
            found = [nearest(own, query, layers=(1, 2), k=5) for own in indexes.values()]
        return [dict(zip(own.keys.tolist(), own.scores.tolist(), strict=True)) for own in found]

    def file(self) -> Path:
        (file,) = (self.folder / "snapshots").iterdir()
        return file

    def close(self) -> None:
        self.database.close()


def fill(folder: Path, count: int = 20) -> None:
    """Items, of which some are removed, and a snapshot of them."""
    with closing(Opened(folder)) as opened:
        opened.add(*(make_item(f"{n}", n) for n in range(count)))
        opened.contents()
        for n in range(0, count, 7):
            opened.database.delete(f"{n}")
        opened.indexes.save()


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The keys of streams that indexes were given one by one, not from a file."""
    keys: list[int] = []
    add = CodeIndex.add

    def adding(self: CodeIndex, own: NDArray[np.int64], codes: NDArray[np.integer]) -> None:
        keys.extend(own.tolist())
        add(self, own, codes)

    monkeypatch.setattr(CodeIndex, "add", adding)
    return keys


def test_an_index_begins_with_its_snapshot_and_takes_in_what_came_later(
    tmp_path: Path, read: list[int]
) -> None:
    fill(tmp_path)
    with closing(Opened(tmp_path)) as opened:
        read.clear()
        before = opened.expected()
        assert opened.contents() == before
        assert read == []
        opened.add(make_item("new", 1), make_item("3", 3))
        opened.database.delete("5")
    for read_only in (True, False):
        read.clear()
        with closing(Opened(tmp_path, read_only=read_only)) as opened:
            assert opened.contents() == opened.expected()
            assert set(read) == opened.expected().keys() - before.keys()


def test_a_search_finds_the_same_in_an_index_from_a_file(tmp_path: Path) -> None:
    fill(tmp_path, 300)
    query = VOCABULARY.pooled(np.full((2, 3), 7, np.int16), (1, 2))
    with closing(Opened(tmp_path)) as opened:
        from_file = opened.nearest(query)
    shutil.rmtree(tmp_path / "snapshots")
    with closing(Opened(tmp_path)) as opened:
        assert opened.nearest(query) == from_file
        assert sum(map(len, from_file)) >= 10


def test_what_is_removed_from_an_index_stays_in_its_file(tmp_path: Path) -> None:
    fill(tmp_path)
    with closing(Opened(tmp_path)) as opened:
        opened.contents()
        content = opened.file().read_bytes()
        for n in range(20):
            opened.database.delete(f"{n}")
        opened.add(make_item("a", 1))
        assert opened.contents() == opened.expected()
        assert opened.file().read_bytes() == content


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "missing": Path.unlink,
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"x"),
    "first bit": lambda path: flip(path, 0),
    "header": lambda path: flip(path, 40),
    "last bit": lambda path: flip(path, -1),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_an_index_is_built_from_the_items_where_its_snapshot_is_damaged(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    fill(tmp_path)
    with closing(Opened(tmp_path)) as opened:
        DAMAGES[damage](opened.file())
        assert opened.contents() == opened.expected()
        assert len(opened.expected()) > 20
    assert "the index is built from the items" in caplog.text


def test_a_snapshot_of_another_format_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(snapshots_module, "FORMAT", b"srcid index 0\n")
        fill(tmp_path)
    with closing(Opened(tmp_path)) as opened:
        assert opened.contents() == opened.expected()
    assert "another version" in caplog.text


def test_an_older_database_that_was_put_back_does_not_use_a_newer_snapshot(tmp_path: Path) -> None:
    """Whoever copies ``items.sqlite3`` back by hand need not know of snapshots."""
    database = tmp_path / "items.sqlite3"
    fill(tmp_path)
    old = database.read_bytes()
    with closing(Opened(tmp_path)) as opened:
        opened.add(make_item("1", 5), make_item("new", 3))
        opened.indexes.sync()
        opened.indexes.save()
    database.write_bytes(old)
    with closing(Opened(tmp_path)) as opened:
        opened.add(make_item("other", 7), make_item("another", 9))
        assert opened.contents() == opened.expected()


def test_a_reader_that_is_behind_a_new_snapshot_begins_with_it(tmp_path: Path) -> None:
    fill(tmp_path)
    with closing(Opened(tmp_path)) as writer, closing(Opened(tmp_path, read_only=True)) as reader:
        assert reader.contents() == writer.expected()
        writer.database.delete("4")
        writer.add(make_item("new", 2))
        writer.indexes.sync()
        writer.indexes.save()
        assert reader.contents() == writer.expected()


def test_a_snapshot_is_written_when_enough_has_changed(tmp_path: Path) -> None:
    with closing(Opened(tmp_path)) as opened:
        opened.add(make_item("a", 0))
        opened.indexes.save(least=2)
        assert not (tmp_path / "snapshots").exists()
        opened.add(make_item("a", 2))  # one goes, one comes
        opened.indexes.save(least=3)
        first = opened.file()
        opened.indexes.save()
        assert opened.file() == first


def test_a_disk_that_takes_no_snapshot_loses_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "snapshots").touch()
    with closing(Opened(tmp_path)) as opened:
        opened.add(make_item("a", 1))
        opened.indexes.sync()
        with caplog.at_level(logging.WARNING):
            opened.indexes.save()
        assert "no snapshot of the index was written" in caplog.text
        assert opened.contents() == opened.expected()


Operation = st.tuples(
    st.sampled_from(["put", "put", "delete", "save", "open", "read"]),
    st.integers(0, 5),
    st.integers(0, 20),
)


@given(st.lists(Operation, max_size=25))
@settings(max_examples=30, deadline=None)
def test_indexes_hold_what_the_database_holds_after_any_changes(
    tmp_path_factory: pytest.TempPathFactory, operations: list[tuple[str, int, int]]
) -> None:
    folder = tmp_path_factory.mktemp("data")
    writer = Opened(folder)
    reader = Opened(folder, read_only=True)
    try:
        for kind, number, seed in operations:
            if kind == "put":
                writer.add(make_item(f"{number}", seed), make_item(f"{number + 1}", seed))
            elif kind == "delete":
                writer.database.delete(f"{number}")
            elif kind == "save":
                writer.indexes.save()
            elif kind == "read":
                assert reader.contents() == reader.expected()
            else:
                writer.close()
                writer = Opened(folder)
        assert writer.contents() == reader.contents() == writer.expected()
    finally:
        writer.close()
        reader.close()


def test_a_sync_that_fails_half_way_is_done_again_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Streams that were taken in before it failed are not taken in twice."""
    batches = View.code_batches

    def fail(self: View, *, since: int = 0) -> Iterator[CodeBatch]:
        yield next(batches(self, since=since))
        raise sqlite3.OperationalError("disk I/O error")

    with closing(Opened(tmp_path)) as opened:
        opened.add(make_item("a", 0))
        assert opened.contents() == opened.expected()
        opened.add(*(make_item(f"{n}", n) for n in range(9)))
        with monkeypatch.context() as patch:
            patch.setattr(View, "code_batches", fail)
            with pytest.raises(StoreUnavailable, match="disk I/O error"):
                opened.contents()
        assert opened.contents() == opened.expected()
        with opened.indexes.reading() as (_, indexes):
            assert sum(map(len, indexes.values())) == len(opened.expected())
