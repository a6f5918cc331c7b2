"""A filter that is remembered says what one that is asked anew would."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.schemas.filters import Where
from app.schemas.search import SearchOptions
from app.store.data_folder import database_path
from app.store.local import LocalStore
from app.store.sqlite import filter_cache
from app.store.sqlite.database_copy import replace_database
from app.store.sqlite.views import View
from tests.app.store.processes import AUDIO, QUERY, VIDEO, make_item, open_store

PUT, DELETE, SEARCH, RESTORE = "put", "delete", "search", "restore"
STEPS = st.lists(
    st.tuples(st.sampled_from([PUT, DELETE, SEARCH, SEARCH, RESTORE]), st.integers(0, 5)),
    min_size=1,
    max_size=25,
)


def found(store: LocalStore, where: Where) -> list[str]:
    hits = store.search(
        QUERY, SearchOptions(targets=[AUDIO, VIDEO], k=99, where=where), layers=(1, 2)
    )
    assert len(hits) == 2 * len({hit.item.id for hit in hits})
    return sorted({hit.item.id for hit in hits})


def copy_of_empty(folder: Path) -> Path:
    copy = folder / "empty"
    shutil.rmtree(copy, ignore_errors=True)
    open_store(copy).close()
    return database_path(copy)


@given(steps=STEPS)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_what_passes_is_what_the_metadata_say_now(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    steps: list[tuple[str, int]],
) -> None:
    monkeypatch.setattr(filter_cache, "FILTERS", 2)  # of the three filters that are used
    folder: Path = tmp_path_factory.mktemp("filtering")
    versions: dict[str, int] = {}
    with open_store(folder) as store, open_store(folder, read_only=True) as reader:
        for number, (step, value) in enumerate(steps):
            if step == PUT:
                store.add(make_item(f"{value}", number), replace=True)
                versions[f"{value}"] = number
            elif step == DELETE:
                store.delete(f"{value}")
                versions.pop(f"{value}", None)
            elif step == RESTORE:
                replace_database(database_path(folder), by=copy_of_empty(folder))
                versions.clear()  # and keys are given again
            else:
                least = 4 * (value % 3)
                where = Where({"version": {"gte": least}})
                wanted = sorted(own for own, version in versions.items() if version >= least)
                assert found(store, where) == found(reader, where) == wanted


def test_metadata_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begins: list[int] = []
    passing = View.passing

    def told(self: View, where: Where, *, since: int = 0) -> object:
        begins.append(since)
        return passing(self, where, since=since)

    monkeypatch.setattr(View, "passing", told)
    with open_store(tmp_path) as store:
        store.add_many([make_item(f"{n}", n) for n in range(5)], replace=False)
        where = Where({"version": {"gte": 2}})
        for _ in range(2):
            assert found(store, where) == ["2", "3", "4"]
        assert begins == [0]
        store.add(make_item("later", 9), replace=False)
        store.delete("3")
        assert found(store, where) == ["2", "4", "later"]
        assert begins == [0, 5]


def test_nothing_is_remembered_of_what_was_there_before_a_restore(tmp_path: Path) -> None:
    where = Where({"version": {"gte": 2}})
    with open_store(tmp_path) as store:
        store.add_many([make_item(f"{n}", n) for n in range(4)], replace=False)
        assert found(store, where) == ["2", "3"]
        replace_database(database_path(tmp_path), by=copy_of_empty(tmp_path))
        store.add_many([make_item(f"{n}", 4 - n) for n in range(5)], replace=False)
        assert found(store, where) == ["0", "1", "2"]


def test_nothing_is_remembered_of_what_came_after_an_older_copy_that_was_put_back(
    tmp_path: Path,
) -> None:
    """Whoever does that by hand starts no new history, and keys are given again."""
    where = Where({"version": {"gte": 2}})
    with (
        open_store(tmp_path) as store,
        closing(sqlite3.connect(database_path(tmp_path))) as database,
        closing(sqlite3.connect(":memory:")) as copy,
    ):
        store.add_many([make_item(f"{n}", n) for n in range(4)], replace=False)
        database.backup(copy)
        store.add_many([make_item(f"{n}", n) for n in range(4, 6)], replace=False)
        assert found(store, where) == ["2", "3", "4", "5"]
        copy.backup(database)
        assert found(store, where) == ["2", "3"]
        store.add(make_item("6", 1), replace=False)
        assert found(store, where) == ["2", "3"]
