"""A data folder of version 3, written by srcid on 2026-11-30: it opens with all that it holds."""

import base64
import hashlib
import sqlite3
import zlib
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from app.schemas.search import SearchOptions
from app.store.index.code_index import CodeIndex
from app.store.local import LocalStore
from model.encoder import Vocabulary
from model.modality import Modality

AUDIO, TEXT = Modality.AUDIO, Modality.TEXT
VOCABULARY = Vocabulary(
    np.sin(np.arange(2 * 300 * 4)).astype(np.float32).reshape(2, 300, 4), np.array([1, 2])
)
DATABASE = """
CREATE TABLE items (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    text TEXT,
    sha256 BLOB NOT NULL,
    metadata TEXT NOT NULL
) STRICT;
INSERT INTO items VALUES(1,'0',NULL,zeroblob(32),'{"n":0}');
INSERT INTO items VALUES(2,'1',NULL,zeroblob(32),'{"n":1}');
INSERT INTO items VALUES(3,'2','a dog',zeroblob(32),'{"n":2}');
INSERT INTO items VALUES(5,'4',NULL,zeroblob(32),'{"n":4}');
CREATE TABLE removed (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    stream INTEGER NOT NULL
) STRICT;
CREATE TABLE state (
    fingerprint TEXT NOT NULL,
    history INTEGER NOT NULL,
    snapshot TEXT
) STRICT;
INSERT INTO state VALUES('aa',6457829791724048706,
    '64cbad15fe6b0942b1f17b232584a2b937c5930001f119f73a22c236d3dd85c9');
CREATE TABLE streams (
    key INTEGER PRIMARY KEY,
    code_rows INTEGER NOT NULL,
    codes BLOB NOT NULL,
    duration_seconds REAL
) STRICT;
INSERT INTO streams VALUES(4,2,X'00002500',1.0);
INSERT INTO streams VALUES(8,2,X'47006C009100B600',2.0);
INSERT INTO streams VALUES(12,2,X'8E00B300D800FD0022011B00',3.0);
INSERT INTO streams VALUES(14,2,X'B500DA00FF002401',NULL);
INSERT INTO streams VALUES(20,2,X'1C0115003A005F00',2.0);
CREATE TRIGGER streams_go_with_their_item AFTER DELETE ON items BEGIN
    DELETE FROM streams WHERE key BETWEEN 4 * old.key AND 4 * old.key + 3;
END;
CREATE TRIGGER removals_are_noted AFTER DELETE ON streams BEGIN
    INSERT INTO removed (stream) VALUES (old.key);
END;
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('items',5);
INSERT INTO sqlite_sequence VALUES('removed',1);
PRAGMA user_version = 3;
"""
SNAPSHOT = zlib.decompress(
    base64.b85decode(
        "c-kv2O3qAC$jnPgtxz!Jl3-#0gKDL;%)Io}qJpB#yb>iV1*OD9B^?E&g8bsllFa-(ph&ctiK)4Tk)^q%p}CQXfr"
        "*8=ftikisg8nSEJ$HuQAsgKRkc!XeoA6aW=SR3l+u*Ue6T@@$=N^)Kq`!YT67eQ4Gci~auO?3i@+LzVn!g5<or^w"
        "3xIs3lFEWqu%wbrsR_uKno>g~%BIvvDYjNefhaqTh_KU$%61yl(w`-%6(!_(lV~erYZ)*A3j>8fm0>`E@@dNSa{#"
        "dj1^V4(azrOuZHp({07lB(zd-q`HYNIbC=CC;%{TrkNt3T%fI|D{*iojRk3##m-ukaXY5JoC$f{7L9{?<~r2z"
    )
)
HITS = [
    ("2", AUDIO, 0.363926, 2),
    ("4", AUDIO, 0.216599, 1),
    ("0", AUDIO, -0.099005, 0),
    ("2", TEXT, -0.631253, None),
    ("1", AUDIO, -0.757399, 0),
]


@pytest.mark.parametrize("read_only", [True, False])
def test_a_folder_of_the_version_before_opens_with_its_items_and_its_snapshot(
    tmp_path: Path, read_only: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = hashlib.blake2b(SNAPSHOT, digest_size=32).hexdigest()
    (tmp_path / "snapshots").mkdir()
    (tmp_path / "snapshots" / f"{digest}.index").write_bytes(SNAPSHOT)
    with closing(sqlite3.connect(tmp_path / "items.sqlite3")) as database:
        database.executescript(DATABASE)
    monkeypatch.setattr(CodeIndex, "add", refuse)

    query = VOCABULARY.pooled(np.full((2, 3), 7, np.int16), (1, 2))[None]
    with LocalStore(tmp_path, VOCABULARY, fingerprint="aa", read_only=read_only) as store:
        hits = store.search(query, SearchOptions(k=20), layers=(1, 2))
        assert [(hit.item.id, hit.modality, hit.score, hit.best_second) for hit in hits] == HITS
        assert [item.metadata["n"] for item in store.items()] == [0, 1, 2, 4]
        item = store.get("2")
        assert item is not None
        assert item.text == "a dog"
        assert item.streams[AUDIO].codes.tolist() == [[142, 179, 216], [253, 290, 27]]


def refuse(index: CodeIndex, keys: NDArray[np.int64], codes: NDArray[np.integer]) -> None:
    """The snapshot holds all streams, so none is to be read from the database."""
    if keys.tolist() != [1]:  # that of the index which warms the kernels up
        raise AssertionError(f"streams {keys} were added")
