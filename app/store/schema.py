"""The tables of the items' database, and how a file of an older version becomes one of today's.

Version 1: items and streams. Version 2: a key of each stream's codes, by which equal ones are
found.
"""

import hashlib
import sqlite3
from pathlib import Path

from app.errors import StoreUnavailable

SCHEMA_VERSION = 2
# Stream keys are never used again (AUTOINCREMENT): a search that holds the key of a stream that
# has gone finds nothing, never another stream.
SCHEMA = f"""
BEGIN IMMEDIATE;
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
    codes_key INTEGER,
    UNIQUE (item, modality)
) STRICT;
CREATE INDEX streams_by_codes ON streams (codes_key);
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""
FROM_1_TO_2 = """
BEGIN IMMEDIATE;
ALTER TABLE streams ADD COLUMN codes_key INTEGER;
UPDATE streams SET codes_key = codes_key_of(modality, code_rows, codes);
CREATE INDEX streams_by_codes ON streams (codes_key);
PRAGMA user_version = 2;
COMMIT;
"""


def connect(path: Path) -> sqlite3.Connection:
    """Open in autocommit mode: transactions are begun where they are meant."""
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)


def prepare(db: sqlite3.Connection, path: Path, *, read_only: bool) -> None:
    """Make the tables of a new file; bring those of an older version up to today's.

    Raises:
        StoreUnavailable: The file is of a newer version, or older and must not be changed.
    """
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA foreign_keys = ON")
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version == SCHEMA_VERSION:
        return
    if version == 0:
        db.executescript(SCHEMA)
    elif version == 1 and not read_only:
        db.create_function("codes_key_of", 3, codes_key, deterministic=True)
        db.executescript(FROM_1_TO_2)
    elif version == 1:
        raise StoreUnavailable(
            f"{path} has version 1, this srcid reads {SCHEMA_VERSION}: let a command that writes "
            "bring it up to date (srcid serve, srcid index)"
        )
    else:
        raise StoreUnavailable(
            f"{path} has version {version}, this srcid reads {SCHEMA_VERSION}: update srcid, "
            "or choose another data directory (SRCID_DATA_DIR, --data-dir)"
        )


def codes_key(modality: str, code_rows: int, codes: bytes) -> int:
    """Return the 64 bits by which streams of equal codes are found."""
    digest = hashlib.blake2b(codes, digest_size=8, key=f"{modality} {code_rows}".encode())
    return int.from_bytes(digest.digest(), "big", signed=True)
