"""The tables of the items' database, upgrades from older versions, and its write-ahead log.

Versions 1 and 2 had separate keys for streams. Version 3 derives a stream's key from its item's,
so that streams need no index, and records removals, so that search indexes can be synced.

The write-ahead log is allocated in advance. A commit appends to the log and waits for the disk.
If that extends the file, the file system writes its own journal too and the wait is about twice
as long. SQLite ignores what is behind the last commit as the remains of an earlier use of the log
("WAL-mode file format", 4.4), so zeros may stand there.
"""

import os
import sqlite3
from contextlib import suppress
from pathlib import Path

from app.errors import StoreUnavailable
from model.modality import Modality

SCHEMA_VERSION = 3
MODALITIES = tuple(Modality)
STREAMS_EACH = 4  # stream keys per item: 4 * the item's key + the modality's place
LOG_PAGES = 4096  # of changes are logged before they move into the database: 16 MB
LOG_BYTES = LOG_PAGES * (4096 + 24)  # with the header of each
CACHE_KILOBYTES = 32_768  # of pages, for the writing connection

# Keys are never reused (AUTOINCREMENT), and a stream never changes: to sync, an index needs the
# items above the highest key it has seen, and the removals.
TABLES = """
CREATE TABLE state (
    fingerprint TEXT NOT NULL,  -- of the checkpoint; '' before the first item
    history INTEGER NOT NULL,   -- changes when everything is replaced, as by a restore
    snapshot TEXT               -- digest of the snapshot that indexes start from
) STRICT;
CREATE TABLE items (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    text TEXT,
    sha256 BLOB NOT NULL,
    metadata TEXT NOT NULL
) STRICT;
CREATE TABLE streams (
    key INTEGER PRIMARY KEY,  -- 4 * the item's + 0 audio, 1 video, 2 text
    code_rows INTEGER NOT NULL,
    codes BLOB NOT NULL,      -- code_rows x steps, int16, little-endian
    duration_seconds REAL
) STRICT;
CREATE TABLE removed (  -- streams, in the order of their removal
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    stream INTEGER NOT NULL
) STRICT;
CREATE TRIGGER streams_go_with_their_item AFTER DELETE ON items BEGIN
    DELETE FROM streams WHERE key BETWEEN 4 * old.key AND 4 * old.key + 3;
END;
CREATE TRIGGER removals_are_noted AFTER DELETE ON streams BEGIN
    INSERT INTO removed (stream) VALUES (old.key);
END;
"""
SCHEMA = f"""
BEGIN IMMEDIATE;
{TABLES}
INSERT INTO state VALUES ('', random(), NULL);
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""
FROM_1_OR_2 = f"""
BEGIN IMMEDIATE;
ALTER TABLE items RENAME TO old_items;
ALTER TABLE streams RENAME TO old_streams;
{TABLES}
INSERT INTO state
    SELECT ifnull((SELECT fingerprint FROM checkpoint), ''), random(), NULL;
INSERT INTO items SELECT key, id, text, from_hex(sha256), metadata FROM old_items ORDER BY key;
INSERT INTO streams
    SELECT 4 * item + CASE modality WHEN 'audio' THEN 0 WHEN 'video' THEN 1 ELSE 2 END,
           code_rows, codes, duration_seconds
    FROM old_streams ORDER BY 1;
DROP TABLE old_streams;
DROP TABLE old_items;
DROP TABLE checkpoint;
PRAGMA user_version = 3;
COMMIT;
"""


def connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    """Open in autocommit mode: transactions are explicit."""
    uri = path.resolve().as_uri()
    if read_only and not os.access(path.parent, os.W_OK) and not log_path(path).exists():
        uri += "?immutable=1"  # on a read-only disk there is no log to read
    db = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=30)
    if read_only:
        db.execute("PRAGMA query_only = ON")
    return db


def prepare(db: sqlite3.Connection, path: Path, *, read_only: bool) -> None:
    """Create the tables of a new file, or upgrade those of an older version.

    Raises:
        StoreUnavailable: The file is of a newer version, or of an older one and read-only.
    """
    if not read_only:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")
        db.execute(f"PRAGMA cache_size = -{CACHE_KILOBYTES}")
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA_VERSION:
        raise StoreUnavailable(
            f"{path} has version {version}, this srcid reads {SCHEMA_VERSION}: update srcid, "
            "or choose another data directory (SRCID_DATA_DIR, --data-dir)"
        )
    if read_only and version < SCHEMA_VERSION:
        raise StoreUnavailable(
            f"{path} has version {version}, this srcid reads {SCHEMA_VERSION}: upgrade it "
            "with a command that writes (srcid serve, srcid index)"
        )
    if version < SCHEMA_VERSION:
        db.create_function("from_hex", 1, bytes.fromhex, deterministic=True)
        db.executescript(FROM_1_OR_2 if version else SCHEMA)
    if not read_only:
        _allocate_log(path, LOG_BYTES)


def log_path(path: Path) -> Path:
    """Return the path of the write-ahead log of the database at ``path``."""
    return path.with_name(f"{path.name}-wal")


def _allocate_log(path: Path, size: int) -> None:
    """Extend the log of an open database to ``size`` bytes, unless the disk is full.

    Only the writing process may do this, and only between transactions.
    """
    with suppress(OSError), log_path(path).open("ab") as log:
        before = log.tell()
        try:
            log.write(bytes(max(0, size - before)))
            log.flush()
            os.fdatasync(log.fileno())
        except OSError:
            log.truncate(before)
            raise
