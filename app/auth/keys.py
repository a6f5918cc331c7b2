"""API keys: a JSON file of digests in the data directory. A key itself is shown once, never kept.

Shape of a key: ``srcid_`` and 43 characters that carry 256 random bits. With that much chance a
plain SHA-256 is enough to keep: there is nothing to guess that a slow hash would protect.
"""

import fcntl
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.errors import InvalidRequest, NotFound, StoreUnavailable
from model.files import PRIVATE, atomic_write

FILE = "keys.json"
PREFIX = "srcid_"
NAME = re.compile(r"[\w.@-]{1,64}")


class Scope(StrEnum):
    """What a key may do; each scope includes those above it here."""

    READ = "read"  # encode, search, look
    WRITE = "write"  # add, replace and delete items
    ADMIN = "admin"  # what touches the server's own folders: jobs

    def includes(self, other: "Scope") -> bool:
        """Tell whether a key of this scope may do what ``other`` may."""
        order = list(Scope)
        return order.index(self) >= order.index(other)


class Key(BaseModel):
    """A key as it is kept."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    scope: Scope
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    last_four: str  # tells keys apart for people
    created: datetime


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    keys: tuple[Key, ...] = ()


class KeyFile:
    """The keys of a data directory. What another process changes is seen at the next question.

    Methods may be called from any thread and, but for ``find``, from any process.
    """

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / FILE
        self._seen: tuple[int, int, int] | None = None  # of the file that _keys was read from
        self._keys: tuple[Key, ...] = ()

    def exists(self) -> bool:
        """Tell whether a key was ever made here. The file stays when its last key is revoked."""
        return self.path.exists()

    def all(self) -> tuple[Key, ...]:
        """Return the keys, oldest first.

        Raises:
            StoreUnavailable: The file is damaged or cannot be read.
        """
        try:
            about = self.path.stat()
            stamp = (about.st_mtime_ns, about.st_size, about.st_ino)
            if stamp != self._seen:
                self._keys = _Kept.model_validate_json(self.path.read_bytes()).keys
                self._seen = stamp
        except FileNotFoundError:
            self._keys, self._seen = (), None
        except (OSError, ValidationError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not what was written"
            raise StoreUnavailable(
                f"the API keys in {self.path} cannot be read ({reason}): restore the file from a "
                "backup, or delete it and make new keys (srcid keys add)"
            ) from None
        return self._keys

    def find(self, secret: str) -> Key | None:
        """Return the key that ``secret`` is, comparing in constant time.

        Raises:
            StoreUnavailable: The file is damaged or cannot be read.
        """
        digest = _digest(secret)
        found = None
        for key in self.all():
            if hmac.compare_digest(key.sha256, digest):
                found = key
        return found

    def add(self, name: str, scope: Scope) -> str:
        """Make a key and return it: the only time that it is to be seen.

        Raises:
            InvalidRequest: There is one of that name, or the name is no name.
            StoreUnavailable: The file cannot be read or written.
        """
        if not NAME.fullmatch(name):
            raise InvalidRequest(
                f"{name!r} cannot name a key: use 1 to 64 letters, digits and . @ _ -"
            )
        secret = PREFIX + secrets.token_urlsafe(32)
        key = Key(
            name=name,
            scope=scope,
            sha256=_digest(secret),
            last_four=secret[-4:],
            created=datetime.now(UTC).replace(microsecond=0),
        )
        with self._locked():
            keys = self.all()
            if any(own.name == name for own in keys):
                raise InvalidRequest(
                    f"there is a key {name!r}: choose another name, or `srcid keys revoke` it first"
                )
            self._write((*keys, key))
        return secret

    def revoke(self, name: str) -> None:
        """Forget a key; a running server refuses it from its next request on.

        Raises:
            NotFound: There is none of that name.
            StoreUnavailable: The file cannot be read or written.
        """
        with self._locked():
            keys = self.all()
            left = tuple(key for key in keys if key.name != name)
            if len(left) == len(keys):
                raise NotFound(f"there is no key {name!r}: `srcid keys list` shows those there are")
            self._write(left)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other processes from writing between our reading and writing."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.with_suffix(".lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
        except OSError as error:
            raise StoreUnavailable(
                f"cannot write {self.path} ({error.strerror}): choose a folder that this user may "
                "write to (SRCID_DATA_DIR, --data-dir)"
            ) from error

    def _write(self, keys: tuple[Key, ...]) -> None:
        """Replace the file at once: a reader, also after a crash, sees the old keys or the new."""
        with atomic_write(self.path, mode=PRIVATE) as file:
            file.write(_Kept(keys=keys).model_dump_json(indent=1).encode())


def _digest(secret: str) -> str:
    # A header may hold any bytes, which arrive as latin-1: no key, but nothing to fail at either.
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
