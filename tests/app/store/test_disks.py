"""Disks that are full or must not be written to, and a process that has no files left (R12)."""

import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.errors import StoreUnavailable
from app.schemas.search import SearchOptions
from app.store.base import Item
from app.store.data_folder import database_path
from app.store.local import LocalStore
from app.store.sqlite.schema import log_path
from tests.app.store.processes import AUDIO, QUERY, VIDEO, make_item, open_store


@contextmanager
def limit(kind: int, value: int) -> Iterator[None]:
    """Give this process less; what is asked for beyond that fails as on a machine that is full."""
    soft, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (value, hard))
    try:
        yield
    finally:
        resource.setrlimit(kind, (soft, hard))


def heavy(item_id: str) -> Item:
    own = make_item(item_id, 1)
    return Item(item_id, own.streams, {"version": 1, "x": "y" * 20_000}, None, "")


def fill(store: LocalStore) -> list[str]:
    """Add items until the disk does not take another; return those that it took."""
    taken: list[str] = []

    def add_more() -> None:
        while len(taken) < 1000:
            store.add(heavy(f"{len(taken):04}"), replace=False)
            taken.append(f"{len(taken):04}")

    with pytest.raises(StoreUnavailable, match="free its disk"):
        add_more()
    return taken


def assert_holds(store: LocalStore, ids: list[str]) -> None:
    assert [item.id for item in store.page(after="", limit=2000)] == ids
    hits = store.search(QUERY, SearchOptions(targets=[AUDIO, VIDEO], k=1000), layers=(1, 2))
    assert sorted({hit.item.id for hit in hits}) == ids


@contextmanager
def disk(folder: Path, *, size: str) -> Iterator[Callable[[str], None]]:
    """Mount a disk in memory; yield what mounts it again with other options."""

    def mount(*options: str) -> int:
        command = ["mount", *options, str(folder)]
        return subprocess.run(command, capture_output=True, check=False).returncode

    folder.mkdir()
    if mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs"):
        pytest.skip("this user may not mount a disk")

    def again(options: str) -> None:
        assert mount("-o", f"remount,{options}") == 0

    try:
        yield again
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_full_keeps_what_was_acknowledged_and_goes_on_when_there_is_room(
    tmp_path: Path,
) -> None:
    with disk(tmp_path / "data", size="1m") as remount:
        with open_store(tmp_path / "data") as store:
            taken = fill(store)
            assert len(taken) > 5
            assert_holds(store, taken)
            with pytest.raises(StoreUnavailable, match="free its disk"):
                store.add_many([heavy(f"many{n}") for n in range(100)], replace=False)
            assert_holds(store, taken)
            remount("size=20m")
            store.add(heavy("later"), replace=False)
            assert_holds(store, [*taken, "later"])
        with open_store(tmp_path / "data") as store:
            assert_holds(store, [*taken, "later"])


def test_a_file_that_may_not_grow_keeps_what_was_acknowledged(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        with limit(resource.RLIMIT_FSIZE, 500_000):
            taken = fill(store)
            assert len(taken) > 5
            assert_holds(store, taken)
        store.add(heavy("later"), replace=False)
    with open_store(tmp_path) as store:
        assert_holds(store, [*taken, "later"])


def test_room_in_the_log_is_not_taken_where_the_disk_does_not_have_it(tmp_path: Path) -> None:
    with limit(resource.RLIMIT_FSIZE, 500_000), open_store(tmp_path) as store:
        store.add(make_item("a", 1), replace=False)
        assert log_path(database_path(tmp_path)).stat().st_size < 100_000
        assert_holds(store, ["a"])


def test_a_disk_that_must_not_be_written_to_is_searched_by_readers_only(tmp_path: Path) -> None:
    with disk(tmp_path / "data", size="20m") as remount:
        with open_store(tmp_path / "data") as store:
            store.add_many([make_item(f"{n}", n) for n in range(5)], replace=False)
        remount("ro")
        with pytest.raises(StoreUnavailable, match=r"Read-only file system\): make it writable"):
            open_store(tmp_path / "data")
        with open_store(tmp_path / "data", read_only=True) as store:
            assert_holds(store, [f"{n}" for n in range(5)])


def test_a_process_without_file_descriptors_says_so_and_goes_on_when_it_has_some(
    tmp_path: Path,
) -> None:
    with open_store(tmp_path / "a") as store:
        store.add(make_item("a", 1), replace=False)
        store._items._close_readers()  # as if all were in use: the next reader needs a file
        with limit(resource.RLIMIT_NOFILE, 3):
            with pytest.raises(StoreUnavailable, match="unable to open database file"):
                store.get("a")
            with pytest.raises(StoreUnavailable, match="unable to open database file"):
                store.search(QUERY, SearchOptions(targets=[AUDIO], k=1), layers=(1, 2))
            with pytest.raises(StoreUnavailable, match="Too many open files"):
                open_store(tmp_path / "b")
        assert_holds(store, ["a"])
