"""Commits do not make the log longer: that would double their wait for the disk."""

from pathlib import Path

import pytest

from app.store.data_folder import database_path
from app.store.sqlite import schema
from app.store.sqlite.schema import LOG_BYTES, log_path
from tests.app.store.processes import make_item, open_store


@pytest.fixture(autouse=True)
def _whole_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "LOG_BYTES", LOG_BYTES)


def log_size(folder: Path) -> int:
    return log_path(database_path(folder)).stat().st_size


def test_commits_find_room_in_the_log(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        assert log_size(tmp_path) == LOG_BYTES
        for number in range(50):
            store.add(make_item(f"{number}", number), replace=False)
        assert log_size(tmp_path) == LOG_BYTES


def test_a_log_that_a_reader_keeps_has_its_items_and_no_second_room(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        store.add(make_item("a", 1), replace=False)
        reader = open_store(tmp_path, read_only=True)
    with reader, open_store(tmp_path) as store:  # the log is there: a reader was
        assert log_size(tmp_path) == LOG_BYTES
        store.add(make_item("b", 2), replace=False)
        assert [own.id for own in reader.page(after="", limit=9)] == ["a", "b"]
    assert not log_path(database_path(tmp_path)).exists()
