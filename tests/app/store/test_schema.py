"""Files of older versions."""

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from app.errors import IndexMismatch, StoreUnavailable
from app.store.sqlite import database as items_module
from app.store.sqlite.database import ItemDatabase
from app.store.sqlite.schema import SCHEMA_VERSION, connect
from model.modality import Modality

AUDIO, VIDEO = Modality.AUDIO, Modality.VIDEO


FILES = {
    1: """
CREATE TABLE checkpoint (fingerprint TEXT NOT NULL) STRICT;
CREATE TABLE items (
    key INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    text TEXT,
    sha256 TEXT NOT NULL,
    metadata TEXT NOT NULL
) STRICT;
CREATE TABLE streams (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    item INTEGER NOT NULL REFERENCES items ON DELETE CASCADE,
    modality TEXT NOT NULL,
    code_rows INTEGER NOT NULL,
    codes BLOB NOT NULL,
    duration_seconds REAL,
    UNIQUE (item, modality)
) STRICT;
PRAGMA user_version = 1;
"""
}
FILES[2] = (
    FILES[1]
    + """
ALTER TABLE streams ADD COLUMN codes_key INTEGER;
CREATE INDEX streams_by_codes ON streams (codes_key);
PRAGMA user_version = 2;
"""
)
CODES = np.arange(6, dtype=np.int16).reshape(2, 3)


def write_old(path: Path, version: int, *, items: int = 3) -> None:
    """What an older version left: items with sound and picture, the first of them deleted."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA foreign_keys = ON")
        db.executescript(FILES[version])
        db.execute("BEGIN")
        db.execute("INSERT INTO checkpoint VALUES ('aa')")
        for number in range(items):
            digest = f"{number:064x}"
            item = ("INSERT INTO items VALUES (NULL, ?, NULL, ?, ?)", f"{number}", digest)
            key = db.execute(*item[:1], (*item[1:], f'{{"n": {number}}}')).lastrowid
            for modality in ("video", "audio"):
                codes = (CODES + number + (modality == "video")).tobytes()
                streams = "(item, modality, code_rows, codes, duration_seconds)"
                values = (key, modality, 2, codes, 3.5)
                db.execute(f"INSERT INTO streams {streams} VALUES (?, ?, ?, ?, ?)", values)
        db.execute("DELETE FROM items WHERE id = '0'")
        db.execute("COMMIT")


@pytest.mark.parametrize("version", FILES)
def test_an_older_file_is_brought_up_to_date_with_its_items(tmp_path: Path, version: int) -> None:
    path = tmp_path / "items.sqlite3"
    write_old(path, version)
    for _ in range(2):
        with closing(ItemDatabase(path, fingerprint="aa", read_only=False)) as database:
            with database.view() as view:
                items = list(view.all())
                keys = [key for own in view.code_batches() for key in own.keys.tolist()]
            assert [(item.id, item.metadata) for item in items] == [
                ("1", {"n": 1}),
                ("2", {"n": 2}),
            ]
            assert [item.sha256 for item in items] == [f"{1:064x}", f"{2:064x}"]
            for number, item in enumerate(items, 1):
                assert item.streams.keys() == {AUDIO, VIDEO}
                assert (item.streams[AUDIO].codes == CODES + number).all()
                assert (item.streams[VIDEO].codes == CODES + number + 1).all()
                assert item.streams[VIDEO].duration_seconds == 3.5
            assert len(keys) == 4
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()


@pytest.mark.parametrize("version", FILES)
def test_a_reader_leaves_an_older_file_to_a_writer(tmp_path: Path, version: int) -> None:
    path = tmp_path / "items.sqlite3"
    write_old(path, version)
    with pytest.raises(StoreUnavailable, match=rf"version {version}, .* a command that writes"):
        ItemDatabase(path, fingerprint="aa", read_only=True)


def test_a_disk_that_is_full_leaves_an_older_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "items.sqlite3"
    write_old(path, 2, items=2000)

    def connect_to_a_full_disk(path: Path, *, read_only: bool) -> sqlite3.Connection:
        connection = connect(path, read_only=read_only)
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + 20}")
        return connection

    with monkeypatch.context() as patch:
        patch.setattr(items_module, "connect", connect_to_a_full_disk)
        with pytest.raises(StoreUnavailable, match=r"full.*: free its disk"):
            ItemDatabase(path, fingerprint="aa", read_only=False)
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (2,)
        assert db.execute("SELECT count(*) FROM streams").fetchone() == (3998,)
    db.close()


def test_a_file_of_another_checkpoint_is_brought_up_to_date_and_refused(tmp_path: Path) -> None:
    path = tmp_path / "items.sqlite3"
    write_old(path, 2)
    with pytest.raises(IndexMismatch, match="checkpoint aa, but bb is in use"):
        ItemDatabase(path, fingerprint="bb", read_only=False)
