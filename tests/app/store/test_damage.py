"""A stream that cannot be read takes nothing else with it, and is mended by another put."""

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from app.errors import StoreUnavailable
from app.schemas.search import SearchOptions
from app.store.data_folder import database_path
from app.store.local import LocalStore
from app.upkeep.verify import verify
from tests.app.store.processes import AUDIO, QUERY, SIZE, VIDEO, make_item, open_store

OF_B = "WHERE key = 4 * (SELECT key FROM items WHERE id = 'b')"  # its sound
DAMAGES = {
    "cut": f"UPDATE streams SET codes = x'010001' {OF_B}",
    "empty": f"UPDATE streams SET codes = x'' {OF_B}",
    "no rows": f"UPDATE streams SET code_rows = 0 {OF_B}",
    "other rows": f"UPDATE streams SET code_rows = 3 {OF_B}",
    "unknown codes": f"UPDATE streams SET codes = x'{SIZE.to_bytes(2, 'little').hex() * 6}' {OF_B}",
}

UNREADABLE = ["cut", "empty", "no rows"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with open_store(tmp_path) as store:
        store.add_many([make_item(own, n) for n, own in enumerate("abc")], replace=False)
    return tmp_path


def damage(folder: Path, statement: str) -> None:
    with closing(sqlite3.connect(database_path(folder), isolation_level=None)) as db:
        assert db.execute(statement).rowcount == 1


def found(store: LocalStore) -> list[tuple[str, str]]:
    hits = store.search(QUERY, SearchOptions(targets=[AUDIO, VIDEO], k=99), layers=(1, 2))
    return sorted((hit.item.id, hit.modality) for hit in hits)


ALL = [(own, modality) for own in "abc" for modality in (AUDIO, VIDEO)]


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_stream_is_not_searched_and_a_put_mends_it(folder: Path, kind: str) -> None:
    damage(folder, DAMAGES[kind])
    with open_store(folder) as store, open_store(folder, read_only=True) as reader:
        assert found(store) == found(reader) == [own for own in ALL if own != ("b", AUDIO)]
        assert [item.id for item in store.page(after="", limit=9)] == ["a", "b", "c"]
        store.add(make_item("b", 7), replace=True)
        assert found(store) == found(reader) == ALL
        assert verify(folder).damages == []


@pytest.mark.parametrize("kind", DAMAGES)
def test_an_item_with_a_damaged_stream_can_be_deleted(folder: Path, kind: str) -> None:
    damage(folder, DAMAGES[kind])
    with open_store(folder) as store, open_store(folder, read_only=True) as reader:
        assert len(found(reader)) == 5
        assert store.delete("b")
        assert found(store) == found(reader) == [own for own in ALL if own[0] != "b"]


@pytest.mark.parametrize("kind", UNREADABLE)
def test_an_index_that_still_has_the_codes_of_a_damaged_stream_passes_it_over(
    folder: Path, kind: str
) -> None:
    with open_store(folder) as store:
        store.compact()  # the next one begins with the snapshot
    damage(folder, DAMAGES[kind])
    pattern = np.ones((2, 1), np.int16)  # the codes of b
    with open_store(folder) as store:
        assert found(store) == [own for own in ALL if own != ("b", AUDIO)]
        places = store.occurrences(pattern, targets=[AUDIO, VIDEO], k=9)
        assert {(own.item.id, own.modality) for own in places} == {("b", VIDEO)}
        store.add(make_item("d", 1), replace=False)
        assert [own.modality for own in store.duplicates("d")] == [VIDEO]
        best = store.card(0, 1, k=9).best
        assert [(own.item.id, own.modality) for own in best if own.item.id == "b"] == [("b", VIDEO)]
        assert store.delete("b")
        assert found(store) == [(o, m) for o in "acd" for m in (AUDIO, VIDEO)]


@pytest.mark.parametrize("kind", UNREADABLE)
def test_verify_names_each_stream_that_cannot_be_read(folder: Path, kind: str) -> None:
    damage(folder, DAMAGES[kind])
    verified = verify(folder)
    assert verified.damages == ["item 'b': its audio is damaged"]
    assert (verified.items, verified.streams) == (3, 5)


def test_metadata_that_cannot_be_read_are_named_and_a_put_mends_them(folder: Path) -> None:
    damage(folder, "UPDATE items SET metadata = '{' WHERE id = 'b'")
    with open_store(folder) as store:
        with pytest.raises(StoreUnavailable, match="metadata of item 'b' are damaged"):
            store.get("b")
        (told,) = verify(folder).damages
        assert "metadata of item 'b' are damaged" in told
        store.add(make_item("b", 7), replace=True)
        assert found(store) == ALL
        assert verify(folder).damages == []
